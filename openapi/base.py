"""The base of all models, and operations as typed values.

`scripts/generate.py` copies this module into the generated package.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar

from .types import UNSET

T_co = TypeVar("T_co", covariant=True)


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
        fields = self._present()
        if self.additional_properties:
            fields.append(("additional_properties", self.additional_properties))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in fields)})"

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


def to_json(value: Any) -> Any:
    """Return models, dates and what holds them as JSON data, and anything else unchanged."""
    if isinstance(value, Model):
        return value.to_dict()
    if isinstance(value, dt.datetime):
        return value.isoformat().replace("+00:00", "Z")  # the form in which the server writes UTC
    if isinstance(value, dt.date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    if isinstance(value, dict):
        return {key: to_json(item) for key, item in value.items()}
    return value


def to_datetime(value: Any) -> Any:
    """Return the time that a string holds, and anything else unchanged."""
    try:
        return dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return value


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
