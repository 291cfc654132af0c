"""Read fields out of a request body; all that is wrong is told at once, field by field."""

from __future__ import annotations

import math
import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import unquote, urlsplit

from gcapi_sandbox._http.errors import BadRequest, Json, ServerError
from gcapi_sandbox._http.json_types import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.store import R, Rows

T = TypeVar("T")

REQUIRED = "This field is required."
NULL = "This field may not be null."


class FieldError(Exception):
    """A field's value was refused; `detail` is what the error body shows for the field."""

    def __init__(self, detail: Json) -> None:
        super().__init__(detail)
        self.detail = [detail] if isinstance(detail, str) else detail


class Fields:
    """The fields of one JSON object; `check` raises what the readers before it found."""

    def __init__(self, body: dict[str, Json], *, partial: bool = False) -> None:
        self.body = body
        self.partial = partial
        self.errors: dict[str, Json] = {}

    def require(self, name: str, parse: Callable[[Json], T]) -> T:
        """Read a field that must be there (the result is only good once `check` passed)."""
        if name not in self.body:
            self.errors[name] = [REQUIRED]
        return self.take(name, parse, cast("T", None))

    def take(self, name: str, parse: Callable[[Json], T], default: T) -> T:
        """Read a field, or return the default when it is absent or refused."""
        if name not in self.body:
            return default
        try:
            return parse(self.body[name])
        except FieldError as error:
            self.errors[name] = error.detail
            return default

    def check(self) -> None:
        """Raise the 400 that lists every field refused so far."""
        if self.errors:
            raise BadRequest(self.errors)


def _not_null(data: Json) -> Json:
    if data is None:
        raise FieldError(NULL)
    return data


def nullable(parse: Callable[[Json], T]) -> Callable[[Json], T | None]:
    """Accept null beside what `parse` accepts."""
    return lambda data: None if data is None else parse(data)


def text(max_length: int | None = None, *, blank: bool = False) -> Callable[[Json], str]:
    """Accept text (a number is turned into it), trimmed."""

    def parse(data: Json) -> str:
        if isinstance(_not_null(data), bool) or not isinstance(data, str | int | float):
            raise FieldError("Not a valid string.")
        trimmed = str(data).strip()
        if "\0" in trimmed:
            raise FieldError("Null characters are not allowed.")
        if not trimmed and not blank:
            raise FieldError("This field may not be blank.")
        if max_length is not None and len(trimmed) > max_length:
            raise FieldError(f"Ensure this field has no more than {max_length} characters.")
        return trimmed

    return parse


def integer(minimum: int, maximum: int) -> Callable[[Json], int]:
    """Accept a whole number within bounds, as a number or as text."""

    def parse(data: Json) -> int:
        if isinstance(_not_null(data), bool) or not re.fullmatch(r"\s*-?\d+(\.0*)?\s*", str(data)):
            raise FieldError("A valid integer is required.")
        number = int(float(data)) if isinstance(data, float) else int(str(data).split(".")[0])
        if number < minimum:
            raise FieldError(f"Ensure this value is greater than or equal to {minimum}.")
        if number > maximum:
            raise FieldError(f"Ensure this value is less than or equal to {maximum}.")
        return number

    return parse


def number(data: Json) -> float:
    """Accept a finite number, or text that is one."""
    try:
        found = float(_not_null(data))
    except (TypeError, ValueError):
        raise FieldError("A valid number is required.") from None
    if not math.isfinite(found):
        raise FieldError("A valid number is required.")
    return found


def boolean(data: Json) -> bool:
    """Accept a boolean or one of the usual words for it."""
    words = {"true": True, "1": True, "false": False, "0": False}
    known = words.get(str(_not_null(data)).lower())
    if known is None:
        raise FieldError("Must be a valid boolean.")
    return known


def identifier(data: Json) -> str:
    """Accept a uuid and return its usual form."""
    try:
        return str(uuid.UUID(str(_not_null(data))))
    except ValueError:
        raise FieldError("Must be a valid UUID.") from None


def _finite(data: Json) -> bool:
    if is_object(data):
        return all(map(_finite, data.values()))
    if is_array(data):
        return all(map(_finite, data))
    return not isinstance(data, float) or math.isfinite(data)


def _has_nul(data: Json) -> bool:
    if is_object(data):
        return any("\0" in key or _has_nul(value) for key, value in data.items())
    if is_array(data):
        return any(map(_has_nul, data))
    return isinstance(data, str) and "\0" in data


def json_value(data: Json) -> Json:
    """Accept any JSON that can be stored."""
    if not _finite(data):
        raise FieldError("Value must be valid JSON.")
    if _has_nul(data):
        raise ServerError
    return data


def elements(parse: Callable[[Json], T]) -> Callable[[Json], list[T]]:
    """Accept a list; refused elements are listed by their index."""

    def read(data: Json) -> list[T]:
        errors: dict[str, Json] = {}
        found: list[T] = []
        for index, element in enumerate(_list(data)):
            try:
                found.append(parse(element))
            except FieldError as error:
                errors[str(index)] = error.detail
        if errors:
            raise FieldError(errors)
        return found

    return read


def each(parse: Callable[[Json], T]) -> Callable[[Json], list[T]]:
    """Accept a list; the first refused element speaks for all."""
    return lambda data: [parse(element) for element in _list(data)]


def _list(data: Json) -> list[Json]:
    if not isinstance(_not_null(data), list):
        raise FieldError(f'Expected a list of items but got type "{type(data).__name__}".')
    return list(data)


def slug(rows: Rows[R]) -> Callable[[Json], R]:
    """Accept the slug of one of the rows."""

    def parse(data: Json) -> R:
        if not isinstance(_not_null(data), str | int):
            raise FieldError("Invalid value.")
        for row in rows.narrow("slug = ?", str(data)).slice(1, 0):
            return row
        raise FieldError(f"Object with slug={data} does not exist.")

    return parse


def one(rows: Rows[R]) -> Callable[[Json], R]:
    """Accept the pk of one of the rows."""

    def parse(data: Json) -> R:
        pk = identifier(data)
        for row in rows.narrow("pk = ?", pk).slice(1, 0):
            return row
        raise FieldError(f'Invalid pk "{pk}" - object does not exist.')

    return parse


def hyperlink(rows: Rows[R], collection: str) -> Callable[[Json], R]:
    """Accept the URL, whole or from its path on, of one of the rows of a collection."""
    pattern = re.compile(rf"/api/v1/{collection}/([^/]+)/")

    def parse(data: Json) -> R:
        if not isinstance(_not_null(data), str):
            name = type(data).__name__
            raise FieldError(f"Incorrect type. Expected URL string, received {name}.")
        match = pattern.fullmatch(_path(data))
        if match is None:
            raise FieldError(f"Invalid hyperlink - {_mismatch(data)} URL match.")
        for row in rows.narrow("pk = ?", match[1].lower()).slice(1, 0):
            return row
        raise FieldError("Invalid hyperlink - Object does not exist.")

    return parse


def _path(url: str) -> str:
    return unquote(urlsplit(url.strip()).path)


def _mismatch(url: str) -> str:
    return "Incorrect" if re.fullmatch(r"/api/v1/[-\w/]+/", _path(url)) else "No"


_CLOCK = re.compile(
    r"(?:(?P<days>-?\d+) )?(?:(?:(?P<h>\d+):)?(?P<m>\d+):)?(?P<s>\d+(?:\.\d{1,6})?)"
)
_ISO = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>[\d.]+)S)?)?")
_DURATION_HELP = (
    "Duration has wrong format. Use one of these formats instead: [DD] [HH:[MM:]]ss[.uuuuuu]."
)


def duration(data: Json) -> float:
    """Accept an ISO 8601 duration, `[DD] [HH:[MM:]]ss[.uuuuuu]` or seconds; return seconds."""
    match = _CLOCK.fullmatch(str(_not_null(data))) or _ISO.fullmatch(str(data))
    if match is None or isinstance(data, bool):
        raise FieldError(_DURATION_HELP)
    days, hours, minutes, seconds = (float(match[part] or 0) for part in ("days", "h", "m", "s"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
