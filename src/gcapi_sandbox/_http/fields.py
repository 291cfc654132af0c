"""Parsers of the fields of a request body, which report all invalid fields at once.

The parsers correspond to the fields of Django REST framework and use its messages.
"""

from __future__ import annotations

import math
import re
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast
from urllib.parse import unquote, urlsplit

from gcapi_sandbox._http.errors import BadRequestError, ServerError, non_field_error
from gcapi_sandbox._util.json_types import Json, is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.store import R, Rows

T = TypeVar("T")

REQUIRED = "This field is required."
BOOLEANS = {"true": True, "1": True, "false": False, "0": False}
_NULL = "This field may not be null."


class FieldError(Exception):
    """Raised when the value of a field is invalid; `detail` is its part of the error body."""

    def __init__(self, detail: Json) -> None:
        super().__init__(detail)
        self.detail = [detail] if isinstance(detail, str) else detail


class Fields:
    """The fields of one JSON object; `check` raises the errors found so far."""

    def __init__(self, body: dict[str, Json], *, partial: bool = False) -> None:
        self.body = body
        self.partial = partial
        self.errors: dict[str, Json] = {}

    def require(self, name: str, parse: Callable[[Json], T]) -> T:
        """Return a required field; the result is valid only after `check`."""
        if name not in self.body:
            self.errors[name] = [REQUIRED]
        return self.optional(name, parse, cast("T", None))

    def optional(self, name: str, parse: Callable[[Json], T], default: T) -> T:
        """Return a field, or the default if it is absent or invalid."""
        if name not in self.body:
            return default
        try:
            return parse(self.body[name])
        except FieldError as error:
            self.errors[name] = error.detail
            return default

    def check(self) -> None:
        """Raise BadRequestError if any field was invalid."""
        if self.errors:
            raise BadRequestError(self.errors)


def not_null(data: Json) -> Json:
    """Refuse null."""
    if data is None:
        raise FieldError(_NULL)
    return data


def nullable(parse: Callable[[Json], T]) -> Callable[[Json], T | None]:
    """Accept null in addition."""
    return lambda data: None if data is None else parse(data)


def text(max_length: int | None = None, *, blank: bool = False) -> Callable[[Json], str]:
    """Accept text or a number, and return it as stripped text."""

    def parse(data: Json) -> str:
        if isinstance(not_null(data), bool) or not isinstance(data, str | int | float):
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
    """Accept an integer in a range, as a number or as text."""

    def parse(data: Json) -> int:
        if isinstance(not_null(data), bool) or not re.fullmatch(r"\s*-?\d+(\.0*)?\s*", str(data)):
            raise FieldError("A valid integer is required.")
        number = int(float(data)) if isinstance(data, float) else int(str(data).split(".")[0])
        if number < minimum:
            raise FieldError(f"Ensure this value is greater than or equal to {minimum}.")
        if number > maximum:
            raise FieldError(f"Ensure this value is less than or equal to {maximum}.")
        return number

    return parse


def number(data: Json) -> float:
    """Accept a finite number, as a number or as text."""
    try:
        found = float(not_null(data))
    except (TypeError, ValueError):
        raise FieldError("A valid number is required.") from None
    if not math.isfinite(found):
        raise FieldError("A valid number is required.")
    return found


def boolean(data: Json) -> bool:
    """Accept a boolean, as a boolean or as text."""
    found = BOOLEANS.get(str(not_null(data)).lower())
    if found is None:
        raise FieldError("Must be a valid boolean.")
    return found


def uuid_text(data: Json) -> str:
    """Accept a uuid and return its canonical form."""
    try:
        return str(uuid.UUID(str(not_null(data))))
    except ValueError:
        raise FieldError("Must be a valid UUID.") from None


def _is_finite(data: Json) -> bool:
    if is_object(data):
        return all(map(_is_finite, data.values()))
    if is_array(data):
        return all(map(_is_finite, data))
    return not isinstance(data, float) or math.isfinite(data)


def _has_nul(data: Json) -> bool:
    if is_object(data):
        return any("\0" in key or _has_nul(value) for key, value in data.items())
    if is_array(data):
        return any(map(_has_nul, data))
    return isinstance(data, str) and "\0" in data


def json_value(data: Json) -> Json:
    """Accept any JSON; the server's database fails for null characters."""
    if not _is_finite(data):
        raise FieldError("Value must be valid JSON.")
    if _has_nul(data):
        raise ServerError
    return data


def list_of(parse: Callable[[Json], T]) -> Callable[[Json], list[T]]:
    """Accept a list; errors are reported by index."""

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


def many_related(parse: Callable[[Json], T]) -> Callable[[Json], list[T]]:
    """Accept a list; only the error of the first invalid element is reported."""
    return lambda data: [parse(element) for element in _list(data)]


def _list(data: Json) -> list[Json]:
    if not isinstance(not_null(data), list):
        raise FieldError(f'Expected a list of items but got type "{type(data).__name__}".')
    return list(data)


def list_of_objects(parse: Callable[[dict[str, Json]], T]) -> Callable[[Json], list[T]]:
    """Accept a list of objects; the list of errors has an entry for each of them."""

    def read(data: Json) -> list[T]:
        if not is_array(not_null(data)):
            problem = f'Expected a list of items but got type "{type(data).__name__}".'
            raise FieldError({"non_field_errors": [problem]})
        errors: list[Json] = [{} for _ in data]
        found: list[T] = []
        for index, item in enumerate(data):
            try:
                if not is_object(item):
                    name = type(item).__name__
                    raise non_field_error(f"Invalid data. Expected a dictionary, but got {name}.")
                found.append(parse(item))
            except BadRequestError as error:
                errors[index] = error.body
        if any(errors):
            raise FieldError(errors)
        return found

    return read


def slug_related(rows: Rows[R]) -> Callable[[Json], R]:
    """Accept the slug of one of the rows."""

    def parse(data: Json) -> R:
        if not isinstance(not_null(data), str | int):
            raise FieldError("Invalid value.")
        for row in rows.narrow("slug = ?", str(data)).slice(1, 0):
            return row
        raise FieldError(f"Object with slug={data} does not exist.")

    return parse


def pk_related(rows: Rows[R]) -> Callable[[Json], R]:
    """Accept the pk of one of the rows."""

    def parse(data: Json) -> R:
        pk = uuid_text(data)
        for row in rows.narrow("pk = ?", pk).slice(1, 0):
            return row
        raise FieldError(f'Invalid pk "{pk}" - object does not exist.')

    return parse


def url_related(rows: Rows[R], collection: str) -> Callable[[Json], R]:
    """Accept the absolute or relative URL of one of the rows of a collection."""
    pattern = re.compile(rf"/api/v1/{collection}/([^/]+)/")

    def parse(data: Json) -> R:
        if not isinstance(not_null(data), str):
            name = type(data).__name__
            raise FieldError(f"Incorrect type. Expected URL string, received {name}.")
        path = unquote(urlsplit(str(data).strip()).path)
        match = pattern.fullmatch(path)
        if match is None:
            adjective = "Incorrect" if re.fullmatch(r"/api/v1/[-\w/]+/", path) else "No"
            raise FieldError(f"Invalid hyperlink - {adjective} URL match.")
        for row in rows.narrow("pk = ?", match[1].lower()).slice(1, 0):
            return row
        raise FieldError("Invalid hyperlink - Object does not exist.")

    return parse


_CLOCK = re.compile(
    r"(?:(?P<days>-?\d+) )?(?:(?:(?P<h>\d+):)?(?P<m>\d+):)?(?P<s>\d+(?:\.\d{1,6})?)"
)
_ISO = re.compile(r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>[\d.]+)S)?)?")
_DURATION_HELP = (
    "Duration has wrong format. Use one of these formats instead: [DD] [HH:[MM:]]ss[.uuuuuu]."
)


def duration(data: Json) -> float:
    """Accept an ISO 8601 duration, `[DD] [HH:[MM:]]ss[.uuuuuu]` or seconds, and return seconds."""
    match = _CLOCK.fullmatch(str(not_null(data))) or _ISO.fullmatch(str(data))
    if match is None or isinstance(data, bool):
        raise FieldError(_DURATION_HELP)
    days, hours, minutes, seconds = (float(match[part] or 0) for part in ("days", "h", "m", "s"))
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds()
