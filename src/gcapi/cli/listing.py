"""The commands ``list`` and ``show``, made once for all kinds of objects."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from gcapi._api.page import MAX_PAGE_SIZE
from gcapi.cli.session import Session, command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from gcapi._api.resource_mixins import ReadMixin
    from gcapi.cli.output import Column
    from gcapi.client import Client

Document = dict[str, Any]

limit_option = click.option(
    "-n", "--limit", type=click.IntRange(min=1), help="Show so many at the most."
)


def field(name: str) -> Column:
    """Return the column that shows a field."""
    return name, lambda document: document.get(name)


def end_of(name: str, header: str) -> Column:
    """Return the column that shows the last part of an address: a slug or a pk."""

    def shown(document: Document) -> str:
        from gcapi._http.urls import last_segment

        return last_segment(document.get(name))

    return header, shown


@dataclass(frozen=True)
class Kind:
    """A kind of objects.

    Attributes:
        namespace: Where a client has them.
        columns: What a table shows of them.
        has_slug: Whether they can be named by their slug.
    """

    namespace: Callable[[Client], ReadMixin[Any]]
    columns: tuple[Column, ...]
    has_slug: bool = True


def print_list(
    session: Session,
    kind: Kind,
    params: Callable[[Client], Mapping[str, Any]] = lambda _: {},
    *,
    limit: int | None = None,
    keep: Callable[[Document], bool] | None = None,
) -> None:
    """Print the objects that filters fit.

    Args:
        session: The run of the command.
        kind: Which objects.
        params: Makes the filters that the server honours.
        limit: How many at the most; `None` for all.
        keep: Whether to show an object that the server gave; `None` for all.
    """
    with session.client() as client:
        found = _found(kind.namespace(client), params(client), None if keep else limit)
        documents = islice(filter(keep, (one.to_dict() for one in found)), limit)
        session.show_all(documents, kind.columns)


def _found(
    namespace: ReadMixin[Any], params: Mapping[str, Any], limit: int | None
) -> Iterable[Any]:
    """Return objects of a list, and where few are wanted, one page that is no longer than that."""
    if limit is not None and limit <= MAX_PAGE_SIZE:
        return namespace.page(0, limit, params)
    return namespace.iterate_all(params)


def find_one(client: Client, kind: Kind, name: str) -> Any:
    """Return the object that a slug, a pk, or the address of its page or in the API names.

    Raises:
        ObjectNotFound: Not found, or no access.
    """
    from gcapi._http.urls import API_PREFIX, is_pk, last_segment

    namespace = kind.namespace(client)
    if name.startswith(("https://", "http://")):
        if API_PREFIX in name:
            return namespace.detail(api_url=name)
        name = last_segment(name)
    if not kind.has_slug or is_pk(name):
        return namespace.detail(pk=name)
    return namespace.detail(slug=name)


def show_one(session: Session, kind: Kind, name: str) -> None:
    """Print one object."""
    with session.client() as client:
        session.show(find_one(client, kind, name).to_dict())


def add_show(group: click.Group, kind: Kind, what: str) -> None:
    """Add the command ``show`` to a group."""

    @command(group)
    @click.argument("name", metavar="SLUG|PK|URL" if kind.has_slug else "PK|URL")
    def show(session: Session, *, name: str) -> None:
        show_one(session, kind, name)

    show.help = f"Show {what}."


def add_plain_list(group: click.Group, kind: Kind, what: str) -> None:
    """Add the command ``list`` to a group, for a list that the server has no filters for."""

    @command(group, "list")
    @limit_option
    def _list(session: Session, *, limit: int | None) -> None:
        print_list(session, kind, limit=limit)

    _list.help = f"List {what}."


def each_dated(field_name: str, since: Any, until: Any) -> Callable[[Document], bool] | None:
    """Return what tells whether an object's time lies between two; `None` where neither is given.

    The server has no such filter, so this looks at what it gives.
    """
    if since is None and until is None:
        return None

    def keep(document: Document) -> bool:
        from datetime import datetime

        moment = datetime.fromisoformat(document[field_name])
        return (since is None or moment >= since) and (until is None or moment < until)

    return keep


def all_of(*conditions: Callable[[Document], bool] | None) -> Callable[[Document], bool] | None:
    """Return what tells whether an object fits all conditions; `None` where there are none."""
    given = [condition for condition in conditions if condition is not None]
    return (lambda document: all(one(document) for one in given)) if given else None
