"""``archives``, ``studies``, ``algorithms``, ``images`` and ``sockets``."""

from __future__ import annotations

from datetime import datetime
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import gcapi
from gcapi.cli.dates import local_date
from gcapi.cli.listing import ObjectKind, field, last_segment_of, limit_option
from gcapi.cli.options import existing_option, output_option
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_slug

if TYPE_CHECKING:
    from gcapi._transfer.atomic_file import ExistingFile


def _image_size(image: gcapi.models.HyperlinkedImage) -> str:
    sides = (image.width, image.height, image.depth)
    return " x ".join(str(side) for side in sides if side is not None)


ARCHIVES: ObjectKind[gcapi.models.Archive] = ObjectKind(
    lambda client: client.archives,
    (last_segment_of("slug", lambda one: one.url), ("title", lambda one: one.title)),
)
STUDIES: ObjectKind[gcapi.models.ReaderStudy] = ObjectKind(
    lambda client: client.reader_studies,
    (("slug", lambda one: one.slug), ("title", lambda one: unescape(one.title_safe))),
)
ALGORITHMS: ObjectKind[gcapi.models.Algorithm] = ObjectKind(
    lambda client: client.algorithms,
    (("slug", lambda one: one.slug), ("title", lambda one: one.title)),
)
IMAGES: ObjectKind[gcapi.models.HyperlinkedImage] = ObjectKind(
    lambda client: client.images,
    (("pk", lambda one: one.pk), ("size", _image_size), ("name", lambda one: one.name)),
    has_slug=False,
)
SOCKETS: ObjectKind[gcapi.models.ComponentInterface] = ObjectKind(
    lambda client: client.interfaces,
    (
        ("slug", lambda one: one.slug),
        ("super_kind", lambda one: one.super_kind),
        ("kind", lambda one: one.kind),
        ("title", lambda one: one.title),
    ),
)


@click.group()
def archives() -> None:
    """List and show archives."""


ARCHIVES.add_list(archives, "List the archives that you can access.")
ARCHIVES.add_show(archives, "Show an archive.", complete_slug("archive"))


@click.group()
def studies() -> None:
    """List and show reader studies."""


STUDIES.add_list(studies, "List the reader studies that you can access.")
STUDIES.add_show(studies, "Show a reader study and its questions.", complete_slug("study"))


@click.group()
def algorithms() -> None:
    """List and show algorithms."""


ALGORITHMS.add_list(algorithms, "List the algorithms that you can access.")
ALGORITHMS.add_show(
    algorithms,
    "Show an algorithm and its interfaces.\n\nEach interface is written as INPUT, … -> OUTPUT, …",
    complete_slug("algorithm"),
)


@click.group()
def sockets() -> None:
    """List and show sockets."""


SOCKETS.add_list(sockets, "List all sockets.")
SOCKETS.add_show(sockets, "Show a socket.")


@click.group()
def images() -> None:
    """List, show and download images."""


IMAGES.add_show(images, "Show an image and its files.")


@command(images)
@click.argument("names", nargs=-1, required=True, metavar="PK|URL...")
@output_option("Download to this directory; by default the current one.", Path())
@existing_option
def download(
    session: Session, *, names: tuple[str, ...], output: Path, existing: ExistingFile
) -> int:
    """Download the files of images."""
    failures = session.failures(len(names))
    with session.client(progress=True) as client:

        def fetch(name: str) -> dict[str, Any]:
            pk = IMAGES.find(client, name).pk
            paths = client.images.download(pk=pk, output_directory=output, existing=existing)
            return {"pk": pk, "files": [str(path) for path in paths]}

        documents = failures.map(fetch, names)
        rows = ({"pk": one["pk"], "file": path} for one in documents for path in one["files"])
        session.show_all(documents if session.as_json else rows, (field("pk"), field("file")))
    return failures.exit_code


@command(images, "list", lists=True)
@click.option(
    "--archive",
    metavar="SLUG",
    shell_complete=complete_slug("archive"),
    help="Only images of this archive.",
)
@click.option(
    "--study",
    metavar="SLUG",
    shell_complete=complete_slug("study"),
    help="Only images of this reader study.",
)
@click.option("--name", help="Only images with exactly this name.")
@click.option("--patient-id", metavar="ID", help="Only images with exactly this patient ID.")
@click.option(
    "--study-date",
    type=local_date,
    metavar="DATE",
    help="Only images taken on this day: 2026-07-01, '1 July 2026' or 01.07.2026.",
)
@limit_option
def images_list(
    session: Session,
    *,
    archive: str | None,
    study: str | None,
    study_date: datetime | None,
    limit: int | None,
    **filters: str | None,
) -> None:
    """List the images that you can access."""
    with session.client() as client:
        params = {
            "archive": archive and ARCHIVES.find(client, archive).pk,
            "reader_study": study and STUDIES.find(client, study).pk,
            "study_date": study_date and study_date.date().isoformat(),
            **filters,
        }
        IMAGES.print_list(session, client, limit, params)
