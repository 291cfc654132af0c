"""Upload a folder of CT scans to an archive, one case for each; an interrupted run can be repeated.

    python examples/upload_cts.py scans/ --archive my-archive --socket ct-image

A file in the folder is an image. A subfolder is an image of several files, such as a header and its data. For a socket
of the kind "DICOM Image Set" it is a DICOM series, which is de-identified on this machine before it is sent (extra
`dicom`). The title of a case is the name of its file or folder.

The token is read from the environment variable GRAND_CHALLENGE_AUTHORIZATION.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import GCAPIError
from gcapi.models import ArchiveItemPost, ComponentInterface


def cases_in(folder: Path) -> Iterator[tuple[str, list[Path]]]:
    """Yield the title and the files of each case."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield entry.name, sorted(path for path in entry.rglob("*") if not path.is_dir())
        else:
            yield Path(entry.name.removesuffix(".gz")).stem, [entry]


def value_of(socket: ComponentInterface, title: str, files: list[Path]) -> SocketValueSpec:
    """Return the value of the socket."""
    if socket.kind == "DICOM Image Set":
        return SocketValueSpec(socket.slug, files=files, image_name=title)
    return SocketValueSpec(socket.slug, files=files)


def upload(client: Client, folder: Path, archive: str, slug: str) -> int:
    """Upload all cases and wait for their imports; return the number of failures."""
    socket = client.interfaces.detail(slug=slug)
    client.archives.detail(slug=archive)  # before anything is read: is it there?
    added: list[tuple[str, ArchiveItemPost, list[SocketValueSpec]]] = []
    failed = 0
    for title, files in cases_in(folder):
        values = [value_of(socket, title, files)]
        try:
            item = client.add_case_to_archive(
                archive_slug=archive, values=values, title=title, existing="skip"
            )
        except GCAPIError as error:  # one bad case does not stop the others
            failed += 1
            print(f"{title}: {error}", file=sys.stderr)
        else:
            added.append((title, item, values))
    for title, item, values in added:
        try:
            client.wait_for_values(item, values=values)
            print(f"{title}: {item.pk}")
        except GCAPIError as error:
            failed += 1
            print(f"{title}: {error}", file=sys.stderr)
    return failed


def main() -> int:
    """Upload what the command line asks for; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--archive", required=True, help="slug of the archive")
    parser.add_argument("--socket", default="ct-image", help="slug of the socket (%(default)s)")
    options = parser.parse_args()
    with Client(progress=True) as client:
        failed = upload(client, options.folder, options.archive, options.socket)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
