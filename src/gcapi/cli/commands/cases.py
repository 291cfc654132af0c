"""``cases``."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import click

import gcapi
from gcapi import bulk
from gcapi._api.titles import title_of
from gcapi.cli.commands.objects import ALGORITHMS, ARCHIVES, STUDIES
from gcapi.cli.listing import ObjectKind, limit_option
from gcapi.cli.output import Column
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import complete_target


@dataclass(frozen=True)
class _CaseList:
    """The cases of a kind of targets.

    Attributes:
        parents: The kind of the targets.
        parameter: The query parameter that selects the cases of one.
        cases: The kind of the cases.
    """

    parents: ObjectKind[Any]
    parameter: str
    cases: ObjectKind[Any]


def _sockets_of(name: str) -> Callable[[Any], str]:
    """Return the function that lists the sockets of the values in a field."""
    return lambda case: ", ".join(value.interface.slug for value in getattr(case, name))


_CASES: tuple[Column[Any], ...] = (
    ("pk", lambda one: one.pk),
    ("title", title_of),
    ("values", _sockets_of("values")),
)
_JOBS: tuple[Column[Any], ...] = (
    ("pk", lambda one: one.pk),
    ("status", lambda one: one.status),
    ("inputs", _sockets_of("inputs")),
    ("outputs", _sockets_of("outputs")),
)
_LISTS = {
    "archive": _CaseList(
        ARCHIVES, "archive", ObjectKind(lambda client: client.archive_items, _CASES, has_slug=False)
    ),
    "study": _CaseList(
        STUDIES,
        "reader_study",
        ObjectKind(lambda client: client.reader_studies.display_sets, _CASES, has_slug=False),
    ),
    "algorithm": _CaseList(
        ALGORITHMS,
        "algorithm_image__algorithm",
        ObjectKind(lambda client: client.algorithm_jobs, _JOBS, has_slug=False),
    ),
}


@click.group()
def cases() -> None:
    """List and show the cases of an archive, a reader study or an algorithm."""


@command(cases, "list", lists=True)
@click.argument("source", shell_complete=complete_target)
@limit_option
def cases_list(session: Session, *, source: str, limit: int | None) -> None:
    """List the cases of an archive or a reader study, or the jobs of an algorithm.

    SOURCE is archive:SLUG, study:SLUG or algorithm:SLUG.
    """
    target = bulk.Target.parse(source)
    kind = _LISTS[target.kind]
    with session.client() as client:
        pk = kind.parents.find(client, target.slug).pk
        kind.cases.print_list(session, client, limit, {kind.parameter: pk})


@command(cases, "show")
@click.argument("source", shell_complete=complete_target)
@click.argument("case", metavar="TITLE|PK|URL")
def cases_show(session: Session, *, source: str, case: str) -> None:
    """Show a case and its values.

    SOURCE is archive:SLUG, study:SLUG or algorithm:SLUG.
    """
    target = bulk.Target.parse(source)
    kind = _LISTS[target.kind]
    with session.client() as client:
        parent = kind.parents.find(client, target.slug).pk
        found = kind.cases.namespace(client).iterate_all({kind.parameter: parent})
        title = unicodedata.normalize("NFC", case)
        for one in found:
            has_title = target.kind != "algorithm" and title_of(one) == title
            if has_title or case.rstrip("/").rpartition("/")[2] == one.pk:
                session.show(one.to_dict())
                return
        raise gcapi.exceptions.ObjectNotFound(
            f"{target} has no case with the title or pk {case!r} that you can see."
            f" 'gcapi cases list {target}' lists them."
        )
