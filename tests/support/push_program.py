"""Push a manifest and print what became of it, as JSON: run by tests as a program of its own."""

import json
import resource
import signal
import sys
from pathlib import Path

from gcapi import Client
from gcapi.bulk import PushProgress, push

STATM = Path("/proc/self/statm")
#: How much memory the program held after each thousand rows, in bytes; nothing where the system does not tell.
memory: list[int] = []


def note_memory(event: PushProgress) -> None:
    """Note how much memory there is, now and then; the system's peak begins with that of the parent process."""
    if event.ended % 1000 == 0 and STATM.exists():
        memory.append(int(STATM.read_text().split()[1]) * resource.getpagesize())


def main() -> None:
    """Do what the command line says."""
    # What runs in the background of a shell is started with Ctrl-C ignored.
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
