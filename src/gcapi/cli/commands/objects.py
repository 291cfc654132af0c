"""``archives``, ``studies``, ``algorithms``, ``images`` and ``sockets``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from gcapi.cli.dates import local_date
from gcapi.cli.listing import ObjectKind, field, last_segment_of, limit_option
from gcapi.cli.session import Session, command


def _image_size(image: dict[str, Any]) -> str:
    sides = (image.get(side) for side in ("width", "height", "depth"))
    return " x ".join(str(side) for side in sides if side is not None)


ARCHIVES = ObjectKind(
    lambda client: client.archives, (last_segment_of("url", "slug"), field("title"))
)
STUDIES = ObjectKind(lambda client: client.reader_studies, (field("slug"), field("title")))
ALGORITHMS = ObjectKind(lambda client: client.algorithms, (field("slug"), field("title")))
_IMAGE_COLUMNS = (field("pk"), ("size", _image_size), field("name"))
IMAGES = ObjectKind(lambda client: client.images, _IMAGE_COLUMNS, has_slug=False)
SOCKETS = ObjectKind(
    lambda client: client.interfaces,
    (field("slug"), field("super_kind"), field("kind"), field("title")),
)


@click.group()
def archives() -> None:
    """List and show archives."""


ARCHIVES.add_list(archives, "List the archives that you can access.")
ARCHIVES.add_show(archives, "Show an archive.")


@click.group()
def studies() -> None:
    """List and show reader studies."""


STUDIES.add_list(studies, "List the reader studies that you can access.")
STUDIES.add_show(studies, "Show a reader study and its questions.")


@click.group()
def algorithms() -> None:
    """List and show algorithms."""


ALGORITHMS.add_list(algorithms, "List the algorithms that you can access.")
ALGORITHMS.add_show(
    algorithms,
    "Show an algorithm and its interfaces.\n\nEach interface is written as INPUT, … -> OUTPUT, …",
)


@click.group()
def sockets() -> None:
    """List and show sockets."""


SOCKETS.add_list(sockets, "List all sockets.")
SOCKETS.add_show(sockets, "Show a socket.")


@click.group()
def images() -> None:
    """List and show images."""


IMAGES.add_show(images, "Show an image and its files.")


@command(images, "list")
@click.option("--archive", metavar="SLUG", help="Only images of this archive.")
@click.option("--study", metavar="SLUG", help="Only images of this reader study.")
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
