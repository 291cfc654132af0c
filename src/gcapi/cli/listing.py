"""The commands ``list`` and ``show`` of the kinds of objects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import click

import gcapi
from gcapi.cli.options import OptionDecorator
from gcapi.cli.output import Column
from gcapi.cli.session import Session, command
from gcapi.cli.value_completion import Completer

if TYPE_CHECKING:
    from gcapi._api.resource_mixins import ReadMixin
    from grand_challenge_api.base import Model

T = TypeVar("T", bound="Model")
limit_option: OptionDecorator = click.option(
    "-n", "--limit", type=click.IntRange(min=1), metavar="N", help="Show at most N objects."
)


def field(name: str) -> Column[Mapping[str, Any]]:
    """Return the column of a key of dicts; those of models are functions, which type checkers check."""
    return name, lambda document: document.get(name)


def last_segment_of(header: str, url_of: Callable[[T], str]) -> Column[T]:
    """Return the column of the last path segment of a URL: a slug or a pk."""

    def value(document: T) -> str:
        from gcapi._http.urls import last_segment

        return last_segment(url_of(document))

    return header, value


@dataclass(frozen=True)
class ObjectKind(Generic[T]):
    """A kind of objects.

    Attributes:
        namespace: A function that takes the namespace from a client.
        columns: The columns of a table of objects.
        has_slug: Whether a slug identifies an object.
    """

    namespace: Callable[[gcapi.Client], ReadMixin[T, Any]]
    columns: tuple[Column[T], ...]
    has_slug: bool = True

    def print_list(
        self,
        session: Session,
        client: gcapi.Client,
        limit: int | None,
        params: Mapping[str, Any] | None = None,
        keep: Callable[[T], bool] | None = None,
    ) -> None:
        """Print the objects that match filters.

        Args:
            session: The session.
            client: The client.
            limit: The largest number of objects to print; `None` for all.
            params: The query parameters; those without a value are left out.
            keep: A filter for what the server returns; `None` to keep everything.
        """
        from gcapi._api.page import MAX_PAGE_SIZE

        namespace = self.namespace(client)
        query = {name: value for name, value in (params or {}).items() if value}
        if limit is not None and limit <= MAX_PAGE_SIZE and keep is None:
            found = iter(namespace.page(0, limit, query))
        else:
            found = namespace.iterate_all(query)
        session.show_all(islice(filter(keep, found), limit), self.columns)

    def find(self, client: gcapi.Client, name: str) -> T:
        """Return the object of a slug, a pk, or the URL of its page or in the API.

        Raises:
            ObjectNotFound: It does not exist, or you have no access.
        """
        from gcapi._http.urls import API_PREFIX, is_pk, last_segment

        detail: Callable[..., T] = self.namespace(client).detail  # some namespaces take a slug
        if name.startswith(("https://", "http://")):
            if API_PREFIX in name:
                return detail(api_url=name)
            name = last_segment(name)
        if self.has_slug and not is_pk(name):
            return detail(slug=name)
        return detail(pk=name)

    def add_list(self, group: click.Group, summary: str) -> None:
        """Add the command ``list``, without filters, to a group."""

        @command(group, "list", lists=True)
        @limit_option
        def list_objects(session: Session, *, limit: int | None) -> None:
            with session.client() as client:
                self.print_list(session, client, limit)

        list_objects.help = summary

    def add_show(self, group: click.Group, summary: str, complete: Completer | None = None) -> None:
        """Add the command ``show`` to a group, and the completion of its argument."""

        @command(group)
        @click.argument(
            "name", metavar="SLUG|PK|URL" if self.has_slug else "PK|URL", shell_complete=complete
        )
        def show(session: Session, *, name: str) -> None:
            with session.client() as client:
                session.show(self.find(client, name).to_dict())

        show.help = summary
