"""The base of all models, and operations as typed values.

`scripts/generate.py` copies this module into the generated package.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar

from .types import UNSET

T_co = TypeVar("T_co", covariant=True)
#: The longest `repr` of a model, and of one of its fields.
_MAX_REPR, _MAX_FIELD_REPR = 199, 60
#: The fields that identify an object, first in its `repr`.
_IDENTIFYING = ("pk", "slug", "title", "name", "username", "status")
#: The two forms in which the server writes durations: ISO 8601, and ``1 02:00:00.5``.
_DURATION = re.compile(
    r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?"
    r"|(?:(\d+) )?(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)"
)


class AbsentFieldError(AttributeError):
    """Raised when a field is read that the schema requires and that the server did not send."""


class Model:
    """The base of all models: reads responses tolerantly, and leaves out what the server did not send.

    Attributes:
        additional_properties: The fields of the response that the schema does not have.
    """

    #: The Python name of each field, and its name in JSON.
    _FIELDS: ClassVar[Mapping[str, str]]
    #: The Python names of the fields that the schema requires.
    _REQUIRED: ClassVar[frozenset[str]]
    additional_properties: dict[str, Any]

    __slots__: tuple[str, ...] = ()

    @classmethod
    def from_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        """Return a model made from JSON data.

        A field of another type than the schema has is kept as it came. A required field that is missing stays absent:
        reading it raises `AbsentFieldError`.

        Args:
            src_dict: A JSON object.
        """
        raise NotImplementedError

    @classmethod
    def _from_incomplete_dict(cls, src_dict: Mapping[str, Any]) -> Self:
        """Return a model made from JSON data that lacks some required fields, which stay absent."""
        absent = {name: key for name, key in cls._FIELDS.items() if key not in src_dict}
        new = cls.from_dict({**src_dict, **dict.fromkeys(absent.values(), UNSET)})
        for name in absent.keys() & cls._REQUIRED:
            delattr(new, name)
        return new

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON data, without those that are absent or `UNSET`."""
        fields = {self._FIELDS[name]: to_json(value) for name, value in self._present()}
        return {**self.additional_properties, **fields}

    @property
    def absent_fields(self) -> list[str]:
        """The JSON names of the required fields that the server did not send."""
        return [
            key
            for name, key in self._FIELDS.items()
            if name in self._REQUIRED and getattr(self, name, UNSET) is UNSET
        ]

    def _present(self) -> list[tuple[str, Any]]:
        """Return the Python name and the value of each field that has one."""
        values = [(name, getattr(self, name, UNSET)) for name in self._FIELDS]
        return [(name, value) for name, value in values if value is not UNSET]

    if not TYPE_CHECKING:  # otherwise type checkers would accept any name

        def __getattr__(self, name: str) -> NoReturn:
            model = type(self).__name__
            if name not in self._FIELDS:
                raise AttributeError(f"{model!r} object has no attribute {name!r}")
            raise AbsentFieldError(
                f"The server sent this {model} without the field {self._FIELDS[name]!r}, which its schema requires."
                " Compare the schemas with client.check_schema()."
            )

    def __repr__(self) -> str:
        """Return the fields that identify the object, and the others as far as they fit into one line."""
        shown = f"{type(self).__name__}("
        separator = ""
        for name, value in self._identifying_first():
            field = f"{separator}{name}={_short_repr(value)}"
            if len(shown) + len(field) > _MAX_REPR - len(", …)"):
                return f"{shown}{separator}…)"
            shown += field
            separator = ", "
        return f"{shown})"

    def _identifying_first(self) -> Iterator[tuple[str, Any]]:
        fields = dict(self._present())
        if self.additional_properties:
            fields["additional_properties"] = self.additional_properties
        yield from ((name, fields.pop(name)) for name in _IDENTIFYING if name in fields)
        yield from fields.items()

    #: Returns a model as HTML; gcapi sets it, so that notebooks show objects.
    html_renderer: ClassVar[Callable[[Model], str] | None] = None

    def _repr_html_(self) -> str | None:
        return None if Model.html_renderer is None else Model.html_renderer(self)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other) or not isinstance(other, Model):
            return NotImplemented
        return (
            self._present() == other._present()
            and self.additional_properties == other.additional_properties
        )

    __hash__: ClassVar[None]  # type: ignore[assignment] # models can be changed

    def __getstate__(self) -> dict[str, Any]:
        return {**dict(self._present()), "additional_properties": self.additional_properties}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        optional = dict.fromkeys(self._FIELDS.keys() - self._REQUIRED, UNSET)
        for name, value in {**optional, **state}.items():
            setattr(self, name, value)

    @property
    def additional_keys(self) -> list[str]:
        """The names of the fields that the schema does not have."""
        return list(self.additional_properties)

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties


def _short_repr(value: Any) -> str:
    """Return the `repr` of a field, shortened to `_MAX_FIELD_REPR`; of a long list only its length."""
    text = repr(value)
    if len(text) <= _MAX_FIELD_REPR:
        return text
    if isinstance(value, (list, tuple, dict)):
        return f"<{len(value)} items>"
    return f"{text[: _MAX_FIELD_REPR - 1]}…"


class Duration(dt.timedelta):
    """A duration that keeps how the server wrote it, so that `to_dict` returns what was sent."""

    text: str

    def __reduce__(self) -> tuple[Any, ...]:
        return to_duration, (self.text,)


def to_json(value: Any) -> Any:  # noqa: PLR0911  # one for each type
    """Return models, dates and what holds them as JSON data, and anything else unchanged."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")  # the form in which the server writes UTC
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        iso = f"P{value.days}DT{value.seconds}.{value.microseconds:06}S"
        return value.text if isinstance(value, Duration) else iso
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def to_datetime(value: Any) -> Any:
    """Return the time that a string holds, in UTC if it names no zone, and anything else unchanged."""
    try:
        time = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value
    return time if time.tzinfo else time.replace(tzinfo=dt.UTC)


def to_duration(value: Any) -> Any:
    """Return the duration that a string holds, and anything else unchanged."""
    found = (
        _DURATION.fullmatch(value) if isinstance(value, str) and value not in {"", "P"} else None
    )
    if found is None:
        return value
    days, hours, minutes, seconds = (
        float(a or b or 0) for a, b in zip(found.groups()[:4], found.groups()[4:], strict=True)
    )
    try:
        duration = Duration(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return value
    duration.text = value
    return duration


def to_date(value: Any) -> Any:
    """Return the date that a string holds, and anything else unchanged."""
    try:
        return dt.date.fromisoformat(value)
    except (TypeError, ValueError):
        return value


@dataclass(frozen=True, slots=True)
class Operation(Generic[T_co]):
    """One operation of the API.

    Attributes:
        name: The tag and the operation id, such as ``archives.archives_list``.
        method: The HTTP method.
        path: The path below the root of the server; placeholders stand in braces.
        query_parameters: The names of the query parameters that the server honours.
        body_model: The model of the JSON body; `None` for an operation without one.
        parse: Returns the model of the JSON data of a successful response.
        statuses: The status codes of successful responses.
    """

    name: str
    method: str
    path: str
    query_parameters: tuple[str, ...]
    body_model: type[Model] | None
    parse: Callable[[Any], T_co]
    statuses: tuple[int, ...]
