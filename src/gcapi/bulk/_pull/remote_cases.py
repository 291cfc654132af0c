"""The cases of a source, as the server lists them: archive items, display sets, or the jobs of an algorithm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from gcapi import models
from gcapi._api.resource_mixins import ReadMixin
from gcapi._api.titles import title_of
from gcapi._util.json_types import is_object
from gcapi.bulk.cells import value_cell
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.exceptions import UnexpectedAnswer

#: The role of a value in its case: a value of an archive item or display set or an input of a job; an output of a job;
#: the mask of an answer.
ValueRole = Literal["value", "output", "answer"]
#: What identifies a value in its case: its role and its socket's slug.
ValueKey = tuple[ValueRole, str]
SourceKind = Literal["archive", "study", "algorithm", "answer"]


@dataclass(frozen=True)
class CaseValue:
    """A value of a case, on the server or in a pulled folder.

    Attributes:
        role: Its role in the case.
        slug: Its socket.
        pk: Its pk, which changes when the value is replaced.
    """

    role: ValueRole
    slug: str
    pk: str

    @property
    def key(self) -> ValueKey:
        """The role and the socket, which identify a value in its case."""
        return self.role, self.slug


@dataclass(frozen=True)
class RemoteValue(CaseValue):
    """A value of a case on the server.

    Attributes:
        kind: The kind of its socket.
        content: The value in the API's JSON; of a mask, the address of the image as ``image``.
    """

    kind: str
    content: Mapping[str, Any]

    @property
    def is_inline(self) -> bool:
        """True if it is JSON rather than an image or a file."""
        return not (self.content.get("image") or self.content.get("file"))

    def as_cell(self) -> str:
        """Return the cell of an inline value in a manifest."""
        return value_cell(self.kind, self.content.get("value"))


@dataclass(frozen=True, kw_only=True)
class CaseDetails:
    """The details of a case, on the server or in a pulled folder.

    Attributes:
        pk: Its pk.
        title: Its title; empty for none.
        order: The order of a display set; `None` for others.
        api_url: Its address in the API.
        status: The status of a job; empty for others.
        algorithm_image: The address of a job's algorithm image; empty for others.
    """

    pk: str
    title: str = ""
    order: int | None = None
    api_url: str = ""
    status: str = ""
    algorithm_image: str = ""

    def details(self) -> dict[str, Any]:
        """Return the details by their names."""
        return {field.name: getattr(self, field.name) for field in fields(CaseDetails)}


@dataclass(frozen=True, kw_only=True)
class RemoteCase(CaseDetails):
    """A case on the server.

    Attributes:
        kind: The kind of its source.
        values: Its values.
    """

    kind: SourceKind
    values: tuple[RemoteValue, ...]

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> RemoteCase:
        """Return the case of a JSON object."""
        return cls(**dict(entry, values=tuple(RemoteValue(**value) for value in entry["values"])))


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


def find_source(client: Client, target: Target) -> PullSource:
    """Return the source of a slug.

    Raises:
        ObjectNotFound: It does not exist, or you have no access.
    """
    if target.kind == "study":
        study = client.reader_studies.detail(slug=target.slug)
        return PullSource("study", study.pk, study)
    namespace = client.archives if target.kind == "archive" else client.algorithms
    return PullSource(target.kind, namespace.detail(slug=target.slug).pk)


def iterate_cases(client: Client, source: PullSource) -> Iterator[RemoteCase]:
    """Yield the cases of a source in the server's order; at most two pages are in memory."""
    namespace, parameter = _namespace(client, source.kind)
    for found in namespace.iterate_all({parameter: source.pk}):
        yield _to_case(client, source.kind, found)


def sockets_of_cases(client: Client, source: PullSource, count: int) -> list[str]:
    """Return the slugs of the sockets that the first cases of a source have, sorted.

    Args:
        client: The client.
        source: The source.
        count: The number of cases to look at, in one request.
    """
    namespace, parameter = _namespace(client, source.kind)
    page = namespace.page(0, count, {parameter: source.pk})
    cases = (_to_case(client, source.kind, found) for found in page)
    return sorted({value.slug for case in cases for value in case.values})


def reload_case(client: Client, case: RemoteCase) -> RemoteCase:
    """Return the current state of a case.

    Raises:
        ObjectNotFound: It no longer exists, or you have no access.
    """
    namespace, _ = _namespace(client, case.kind)
    return _to_case(client, case.kind, namespace.detail(pk=case.pk))


def _namespace(client: Client, kind: SourceKind) -> tuple[ReadMixin[Any, Any], str]:
    """Return the namespace of a source's cases, and the query parameter that selects those of one source."""
    if kind == "archive":
        return client.archive_items, "archive"
    if kind == "algorithm":
        return client.algorithm_jobs, "algorithm_image__algorithm"
    return client.reader_studies.display_sets, "reader_study"


def _to_case(client: Client, kind: SourceKind, found: Any) -> RemoteCase:
    content: dict[str, Any] = found.to_dict()
    pk, order = str(content["pk"]), content.get("order")
    api_url = content.get("api_url") or client.workflows.settings.api_url(f"archives/items/{pk}/")
    inputs = content.get("inputs" if kind == "algorithm" else "values")
    return RemoteCase(
        kind=kind,
        pk=pk,
        title="" if kind == "algorithm" else title_of(found),
        order=order if isinstance(order, int) else None,
        api_url=str(api_url),
        values=(*_to_values("value", inputs), *_to_values("output", content.get("outputs"))),
        status=str(content.get("status") or ""),
        algorithm_image=str(content.get("algorithm_image") or ""),
    )


def _to_values(role: ValueRole, contents: Any) -> Iterator[RemoteValue]:
    for content in contents or ():
        socket = content.get("interface")
        if not is_object(socket) or not isinstance(socket.get("slug"), str):
            raise UnexpectedAnswer("The server sent a value without its socket.")
        kind = str(socket.get("kind") or "")
        yield RemoteValue(role, socket["slug"], str(content["pk"]), kind, content)
