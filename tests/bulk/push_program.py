"""Push a manifest and print what became of it, as JSON: run by tests as a program of its own."""

import json
import sys
from pathlib import Path

from gcapi import Client
from gcapi.bulk import push


def main() -> None:
    """Do what the command line says."""
    base_url, manifest, target, journal, given = sys.argv[1:]
    options = json.loads(given)
    with Client(base_url=base_url, timeout=options.pop("patience")) as client:
        report = push(client, Path(manifest), target, journal=Path(journal), **options)
    kinds = ("failed", "ambiguous", "waiting")
    failures = {kind: [str(each) for each in getattr(report, kind)] for kind in kinds}
    json.dump({"done": len(report.done), "skipped": len(report.skipped), **failures}, sys.stdout)


if __name__ == "__main__":
    main()
