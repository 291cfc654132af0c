"""Push a manifest and print what became of it, as JSON: run by tests as a program of its own."""

import json
import resource
import sys
from pathlib import Path

from gcapi import Client
from gcapi.bulk import PushProgress, push

#: The most memory that the program ever held, in the units of the system, after each thousand rows.
memory: list[int] = []


def note_memory(event: PushProgress) -> None:
    """Note how much memory there was, now and then."""
    if event.ended % 1000 == 0:
        memory.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def main() -> None:
    """Do what the command line says."""
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
