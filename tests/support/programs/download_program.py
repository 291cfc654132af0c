"""A program that downloads files, to be interrupted or measured as a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.servers.api_and_store import ApiAndStore

_PROGRAM = """
import resource, signal, ssl, sys
from pathlib import Path
from gcapi import Client
from gcapi.models import ImageFile

signal.signal(signal.SIGINT, signal.default_int_handler)
base_url, url, directory = sys.argv[1:]
fields = {"pk": "p", "image": "p", "image_type": "MHD"}
client = Client("token", base_url=base_url, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

def download(name="a.mha", filename="x"):
    file = ImageFile.from_dict({**fields, "file": f"{url}/{name}"})
    return client.images.download(files=[file], output_directory=directory, filename=filename)
"""


def start_download_program(pair: ApiAndStore, directory: Path, body: str) -> subprocess.Popen[str]:
    """Start a program that may call `download()`.

    Args:
        pair: The servers.
        directory: The output directory.
        body: The code of the program.
    """
    arguments = [pair.api.base_url, f"{pair.api.origin}/media", str(directory)]
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM + body, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
