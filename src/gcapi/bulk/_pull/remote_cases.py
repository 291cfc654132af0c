"""The cases of a source, as the server lists them: archive items, display sets, or the jobs of an algorithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from gcapi._util.json_types import is_object
from gcapi._workflows.case_kinds import title_of
from gcapi.bulk.cells import value_cell
from gcapi.exceptions import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gcapi import models
    from gcapi._api.resource_mixins import ReadMixin
    from gcapi.bulk.targets import Target
    from gcapi.client import Client

#: The role of a value in its case: a value of an archive item or display set or an input of a job; an output of a job;
#: the mask of an answer.
ValueRole = Literal["value", "output", "answer"]
#: What identifies a value in its case: its role and its socket's slug.
ValueKey = tuple[ValueRole, str]
SourceKind = Literal["archive", "study", "algorithm", "answer"]


@dataclass(frozen=True)
class RemoteValue:
    """A value of a case on the server.

    Attributes:
        role: Its role in the case.
        slug: Its socket.
        pk: Its pk, which changes when the value is replaced.
        kind: The kind of its socket.
        content: The value in the API's JSON; of a mask, the address of the image as ``image``.
    """

    role: ValueRole
    slug: str
    pk: str
    kind: str
    content: Mapping[str, Any]

    @property
    def key(self) -> ValueKey:
        """The role and the socket, which identify a value in its case."""
        return self.role, self.slug

    @property
    def is_inline(self) -> bool:
        """True if it is JSON rather than an image or a file."""
        return not (self.content.get("image") or self.content.get("file"))

    def as_cell(self) -> str:
        """Return the cell of an inline value in a manifest."""
        return value_cell(self.kind, self.content.get("value"))


@dataclass(frozen=True)
class RemoteCase:
    """A case on the server.

    Attributes:
        kind: The kind of its source.
        pk: Its pk.
        title: Its title; empty for none.
        order: The order of a display set; `None` for others.
        api_url: Its address in the API.
        values: Its values.
        status: The status of a job; empty for others.
        algorithm_image: The address of a job's algorithm image; empty for others.
    """

    kind: SourceKind
    pk: str
    title: str
    order: int | None
    api_url: str
    values: tuple[RemoteValue, ...]
    status: str = ""
    algorithm_image: str = ""

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> RemoteCase:
        """Return the case of a JSON object."""
        values = tuple(RemoteValue(**value) for value in entry["values"])
        fields: dict[str, Any] = {**entry, "values": values}
        return cls(**fields)


@dataclass(frozen=True)
class PullSource:
    """A source of cases.

    Attributes:
        kind: Its kind.
        pk: Its pk.
        study: The reader study; `None` for other kinds.
    """

    kind: SourceKind
    pk: str
    study: models.ReaderStudy | None = None


#: The query parameter that selects the cases of one source.
_FILTERS = {
    "archive": "archive",
    "study": "reader_study",
    "algorithm": "algorithm_image__algorithm",
}


def find_source(client: Client, target: Target) -> PullSource:
    """Return the source of a slug.

    Raises:
        ObjectNotFound: It does not exist, or you have no access.
    """
    if target.kind == "archive":
        return PullSource("archive", client.archives.detail(slug=target.slug).pk)
    if target.kind == "algorithm":
        return PullSource("algorithm", client.algorithms.detail(slug=target.slug).pk)
    study = client.reader_studies.detail(slug=target.slug)
    return PullSource("study", study.pk, study)


def iterate_cases(client: Client, source: PullSource) -> Iterator[RemoteCase]:
    """Yield the cases of a source in the server's order; at most two pages are in memory."""
    for found in _namespace(client, source.kind).iterate_all({_FILTERS[source.kind]: source.pk}):
        yield _to_case(client, source.kind, found)


def reload_case(client: Client, case: RemoteCase) -> RemoteCase:
    """Return the current state of a case.

    Raises:
        ObjectNotFound: It no longer exists, or you have no access.
    """
    return _to_case(client, case.kind, _namespace(client, case.kind).detail(pk=case.pk))


def _namespace(client: Client, kind: SourceKind) -> ReadMixin[Any]:
    if kind == "archive":
        return client.archive_items
    return client.algorithm_jobs if kind == "algorithm" else client.reader_studies.display_sets


def _to_case(client: Client, kind: SourceKind, found: Any) -> RemoteCase:
    fields: dict[str, Any] = found.to_dict()
    pk, order = str(fields["pk"]), fields.get("order")
    api_url = fields.get("api_url") or client.workflows.settings.api_url(f"archives/items/{pk}/")
    return RemoteCase(
        kind=kind,
        pk=pk,
        title="" if kind == "algorithm" else title_of(found),
        order=order if isinstance(order, int) else None,
        api_url=str(api_url),
        values=(
            *_to_values("value", fields.get("inputs" if kind == "algorithm" else "values")),
            *_to_values("output", fields.get("outputs")),
        ),
        status=str(fields.get("status") or ""),
        algorithm_image=str(fields.get("algorithm_image") or ""),
    )


def _to_values(role: ValueRole, contents: Any) -> Iterator[RemoteValue]:
    for content in contents or ():
        socket = content.get("interface")
        if not is_object(socket) or not isinstance(socket.get("slug"), str):
            raise UnexpectedAnswer("The server sent a value without its socket.")
        kind = str(socket.get("kind") or "")
        yield RemoteValue(role, socket["slug"], str(content["pk"]), kind, content)
