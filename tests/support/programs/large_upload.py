"""An upload of a large file in a process of its own, with its memory use."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from gcapi_sandbox import Sandbox

MEBI = 1024**2
GIBI = 1024**3
_SCRIPT = """
import resource, sys
from pathlib import Path
from gcapi import Client
from gcapi._transfer.upload_sources import BytesSource, PathSource

def peak():
    # On Linux ru_maxrss starts at the peak of the parent process, which would hide growth.
    if sys.platform == "linux":
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

with Client(base_url=sys.argv[1]) as client:
    send = client.uploads._uploads.upload_all
    send([BytesSource(b"small", "small")])
    before = peak()
    if sys.argv[3] == "path":
        (upload,) = send([PathSource(Path(sys.argv[2]))])
    else:
        with open(sys.argv[2], "rb") as file:
            upload = client.uploads.upload_fileobj(fileobj=file, filename="large.bin")
            assert not file.read(1)
    print(upload.status, peak() - before)
"""


@dataclass(frozen=True)
class Run:
    """The result of an upload.

    Attributes:
        status: The upload's status.
        growth: The growth of the peak memory, in bytes.
        parts: The length of each part, in bytes.
    """

    status: str
    growth: int
    parts: list[int]


def uploaded(sandbox: Sandbox, directory: Path, size: int, *, by: str = "path") -> Run:
    """Upload a sparse file of zeros, by its path or as a file object."""
    path = directory / "large.bin"
    with path.open("wb") as file:
        file.truncate(size)
    sandbox.requests.clear()
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, sandbox.base_url, str(path), by],
        env={**os.environ, "GRAND_CHALLENGE_AUTHORIZATION": sandbox.token},
        check=True,
        capture_output=True,
        text=True,
    )
    status, growth = run.stdout.split()
    puts = [one.body_size for one in sandbox.requests if one.method == "PUT"]
    return Run(status, int(growth), puts[1:])
