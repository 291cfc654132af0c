"""The cases of an archive, a reader study or an algorithm (whose cases are its jobs), as the server lists them."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass
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

#: What a value is to its case: a value of an archive item or display set or an input of a job, a job's output, or the
#: mask of an answer.
Role = Literal["value", "output", "answer"]
Kind = Literal["archive", "study", "algorithm", "answer"]


@dataclass(frozen=True)
class Value:
    """A value of a case on the server.

    Attributes:
        role: What it is to its case.
        slug: Its socket.
        pk: Names its content: what replaces it has another.
        kind: The kind of its socket.
        content: As the API gives it; of an answer's mask, the address of the image under ``image``.
    """

    role: Role
    slug: str
    pk: str
    kind: str
    content: Mapping[str, Any]

    @property
    def key(self) -> tuple[str, str]:
        """What tells the values of a case apart."""
        return self.role, self.slug

    @property
    def is_inline(self) -> bool:
        """Whether it is JSON rather than an image or a file."""
        return not (self.content.get("image") or self.content.get("file"))

    def as_cell(self) -> str:
        """Return the cell of a manifest that says what it is; only for what is inline."""
        return value_cell(self.kind, self.content.get("value"))


@dataclass(frozen=True)
class Case:
    """A case on the server.

    Attributes:
        kind: What it is a case of.
        pk: Its key.
        title: Empty for none.
        order: Its place among display sets; `None` for all others.
        api_url: Its address in the API.
        values: Its values.
        status: How a job ended; empty for all others.
        algorithm_image: The address of the algorithm image that a job ran on; empty for all others.
    """

    kind: Kind
    pk: str
    title: str
    order: int | None
    api_url: str
    values: tuple[Value, ...]
    status: str = ""
    algorithm_image: str = ""


@dataclass(frozen=True)
class Source:
    """Where cases come from.

    Attributes:
        kind: What it is.
        pk: Its key.
        study: The reader study, if it is one.
    """

    kind: Kind
    pk: str
    study: models.ReaderStudy | None = None


#: The filter that lists the cases of one source.
_FILTERS = {
    "archive": "archive",
    "study": "reader_study",
    "algorithm": "algorithm_image__algorithm",
}


def find_source(client: Client, target: Target) -> Source:
    """Look a source up.

    Raises:
        ObjectNotFound: No such archive, reader study or algorithm, or no access.
    """
    if target.kind == "archive":
        return Source("archive", client.archives.detail(slug=target.slug).pk)
    if target.kind == "algorithm":
        return Source("algorithm", client.algorithms.detail(slug=target.slug).pk)
    study = client.reader_studies.detail(slug=target.slug)
    return Source("study", study.pk, study)


def iterate_cases(client: Client, source: Source) -> Iterator[Case]:
    """Yield the cases of a source, in the server's order; two pages are held at the most."""
    for found in _namespace(client, source.kind).iterate_all({_FILTERS[source.kind]: source.pk}):
        yield _case(client, source.kind, found)


def read_again(client: Client, case: Case) -> Case:
    """Read a case as it is now.

    Raises:
        ObjectNotFound: It is gone, or no longer to be seen.
    """
    found = _namespace(client, case.kind).detail(pk=case.pk)
    return _case(client, case.kind, found)


def _namespace(client: Client, kind: Kind) -> ReadMixin[Any]:
    if kind == "archive":
        return client.archive_items
    return client.algorithm_jobs if kind == "algorithm" else client.reader_studies.display_sets


def _case(client: Client, kind: Kind, found: Any) -> Case:
    fields: dict[str, Any] = found.to_dict()
    pk = str(fields["pk"])
    order = fields.get("order")
    values: list[Any] = fields.get("inputs" if kind == "algorithm" else "values") or []
    outputs: list[Any] = fields.get("outputs") or []
    return Case(
        kind=kind,
        pk=pk,
        title="" if kind == "algorithm" else title_of(found),
        order=order if isinstance(order, int) else None,
        api_url=str(fields.get("api_url") or f"{_api(client)}archives/items/{pk}/"),
        values=(
            *(_value("value", value) for value in values),
            *(_value("output", value) for value in outputs),
        ),
        status=str(fields.get("status") or ""),
        algorithm_image=str(fields.get("algorithm_image") or ""),
    )


def _api(client: Client) -> str:
    return client.workflows.settings.api_url("")


def _value(role: Role, content: Mapping[str, Any]) -> Value:
    socket = content.get("interface")
    if not is_object(socket) or not isinstance(socket.get("slug"), str):
        raise UnexpectedAnswer("The server does not say of which socket a value is.")
    kind = str(socket.get("kind") or "")
    return Value(role, socket["slug"], str(content["pk"]), kind, content)


class Spool:
    """JSON objects on disk, in a file without a name: a list of any length, read once and gone through as often.

    Memory: none that grows.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - see close

    def close(self) -> None:
        """Remove it."""
        self._file.close()

    def add(self, entry: Mapping[str, Any]) -> None:
        """Add an object at the end."""
        self._file.write(json.dumps(entry) + "\n")

    def __iter__(self) -> Iterator[dict[str, Any]]:
        self._file.seek(0)
        for line in self._file:
            yield json.loads(line)


def spooled(case: Case) -> dict[str, Any]:
    """Return a case as JSON."""
    return asdict(case)


def unspooled(entry: Mapping[str, Any]) -> Case:
    """Return a case from its JSON."""
    fields: dict[str, Any] = {
        **entry,
        "values": tuple(Value(**value) for value in entry["values"]),
    }
    return Case(**fields)
