"""``archives``, ``studies``, ``algorithms``, ``images`` and ``sockets``: what there is at the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from gcapi.cli.dates import date_option
from gcapi.cli.listing import (
    Kind,
    add_plain_list,
    add_show,
    end_of,
    field,
    find_one,
    limit_option,
    print_list,
)
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from datetime import datetime

    from gcapi.client import Client


def _size(image: dict[str, Any]) -> str:
    """Return an image's shape, as far as it is known."""
    sides = (image.get(side) for side in ("width", "height", "depth"))
    return " x ".join(str(side) for side in sides if side is not None)


ARCHIVES = Kind(lambda client: client.archives, (end_of("url", "slug"), field("title")))
STUDIES = Kind(lambda client: client.reader_studies, (field("slug"), field("title")))
ALGORITHMS = Kind(lambda client: client.algorithms, (field("slug"), field("title")))
IMAGES = Kind(
    lambda client: client.images,
    (field("pk"), ("size", _size), field("name")),
    has_slug=False,
)
SOCKETS = Kind(
    lambda client: client.interfaces,
    (field("slug"), field("super_kind"), field("kind"), field("title")),
)


@click.group()
def archives() -> None:
    """List or show archives: collections of cases."""


add_plain_list(archives, ARCHIVES, "the archives that you may see")
add_show(archives, ARCHIVES, "an archive")


@click.group()
def studies() -> None:
    """List or show reader studies: cases that readers judge."""


add_plain_list(studies, STUDIES, "the reader studies that you may see")
add_show(studies, STUDIES, "a reader study and its questions")


@click.group()
def algorithms() -> None:
    """List or show algorithms, and what they take and give."""


add_plain_list(algorithms, ALGORITHMS, "the algorithms that you may see")
add_show(algorithms, ALGORITHMS, "an algorithm; its interfaces are written as inputs -> outputs")


@click.group()
def sockets() -> None:
    """List or show sockets: the named places for values of a case."""


add_plain_list(sockets, SOCKETS, "all sockets")
add_show(sockets, SOCKETS, "a socket")


@click.group()
def images() -> None:
    """List or show images of archives, reader studies and jobs."""


add_show(images, IMAGES, "an image and its files")


@command(images, "list")
@click.option("--archive", metavar="SLUG", help="Of an archive.")
@click.option("--study", metavar="SLUG", help="Of a reader study.")
@click.option("--name", help="Of exactly this name.")
@click.option("--patient-id", help="Of exactly this patient id.")
@date_option("--study-date", "Taken on this day: 2026-07-01, '1 July 2026' or 01.07.2026.")
@limit_option
def images_list(
    session: Session,
    *,
    archive: str | None,
    study: str | None,
    name: str | None,
    patient_id: str | None,
    study_date: datetime | None,
    limit: int | None,
) -> None:
    """List the images that you may see, of all kinds unless filters are given."""

    def params(client: Client) -> dict[str, Any]:
        filters = {
            "archive": archive and find_one(client, ARCHIVES, archive).pk,
            "reader_study": study and find_one(client, STUDIES, study).pk,
            "name": name,
            "patient_id": patient_id,
            "study_date": study_date and study_date.date().isoformat(),
        }
        return {key: value for key, value in filters.items() if value}

    print_list(session, IMAGES, params, limit=limit)
