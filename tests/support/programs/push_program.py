"""Push a manifest and print the report as JSON; tests run this program in a process of its own."""

import json
import resource
import signal
import sys
from pathlib import Path

from gcapi import Client
from gcapi.bulk import PushProgress, push

STATM = Path("/proc/self/statm")
#: The memory in use after each thousand rows, in bytes; empty where there is no /proc.
memory: list[int] = []


def note_memory(event: PushProgress) -> None:
    """Record the memory in use, because the system's peak starts at that of the parent process."""
    if event.ended % 1000 == 0 and STATM.exists():
        memory.append(int(STATM.read_text().split()[1]) * resource.getpagesize())


def main() -> None:
    """Push the manifest that the command line names."""
    # A shell ignores Ctrl-C for the processes that it starts in the background.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    base_url, manifest, target, journal, given = sys.argv[1:]
    options = {"journal": Path(journal), "progress": note_memory, **json.loads(given)}
    with Client(base_url=base_url, timeout=options.pop("patience")) as client:
        report = push(client, Path(manifest), target, **options)
    kinds = ("failed", "ambiguous", "waiting")
    failures = {kind: [str(each) for each in getattr(report, kind)] for kind in kinds}
    counts = {"done": len(report.done), "skipped": len(report.skipped), "memory": memory}
    json.dump({**counts, **failures}, sys.stdout)


if __name__ == "__main__":
    main()
