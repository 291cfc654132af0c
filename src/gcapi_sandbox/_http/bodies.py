"""Parsers of request bodies: JSON, URL-encoded and multipart forms."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from gcapi_sandbox._http.errors import BadRequestError, UnsupportedMediaTypeError, non_field_error
from gcapi_sandbox._util.json_types import Json, is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Sequence


_MAX_DEPTH = 200


def parse_body(content_type: str, raw: bytes) -> dict[str, Json]:
    """Return the body as a JSON object; `{}` for an empty body."""
    if not raw:
        return {}
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in _PARSERS:
        raise UnsupportedMediaTypeError(content_type)
    return _PARSERS[kind](content_type, raw)


def _json(_: str, raw: bytes) -> dict[str, Json]:
    try:
        body = json.loads(raw, parse_constant=_refuse_constant)
        _check_depth(body)
    except (ValueError, RecursionError) as error:
        raise BadRequestError({"detail": f"JSON parse error - {error}"}) from None
    if body is None:
        raise non_field_error("No data provided")
    if not is_object(body):
        name = type(body).__name__
        raise non_field_error(f"Invalid data. Expected a dictionary, but got {name}.")
    return body


def _check_depth(body: Json) -> None:
    """Raise ValueError for JSON that is nested so deeply that functions which call themselves would fail."""
    level: list[Json] = [body]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for one in level
            for child in (one.values() if is_object(one) else one if is_array(one) else ())
        ]
        if not level:
            return
    raise ValueError(f"the body is nested more than {_MAX_DEPTH} deep")


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"Out of range float values are not JSON compliant: {name!r}")


_LIST_FIELD = re.compile(r"(\w+)\[(\d+)\](\w*)")


@dataclass(frozen=True)
class FormFile:
    """A file of a multipart form."""

    name: str
    content: bytes


def _collect(pairs: Sequence[tuple[str, str | FormFile]]) -> dict[str, Json]:
    """Collect repeated names, `name[0]` and `name[0]key` into lists."""
    body: dict[str, Json] = {}
    nested: dict[str, dict[int, Json]] = {}
    for name, value in pairs:
        if found := _LIST_FIELD.fullmatch(name):
            items = nested.setdefault(found[1], {})
            _set_element(items, int(found[2]), found[3], value)
        elif name in body:
            earlier = body[name]
            body[name] = [*earlier, value] if isinstance(earlier, list) else [earlier, value]
        else:
            body[name] = value
    lists = {name: [items[index] for index in sorted(items)] for name, items in nested.items()}
    return {**body, **lists}


def _set_element(items: dict[int, Json], index: int, key: str, value: str | FormFile) -> None:
    """Set a list element or a key of it; if both are sent, the first one decides."""
    element = items.setdefault(index, {} if key else value)
    if key and isinstance(element, dict):
        element[key] = value


def _urlencoded(_: str, raw: bytes) -> dict[str, Json]:
    return _collect(parse_qsl(raw.decode(errors="replace"), keep_blank_values=True))


def _multipart(content_type: str, raw: bytes) -> dict[str, Json]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    message = BytesParser(policy=policy.HTTP).parsebytes(head + raw)
    pairs: list[tuple[str, str | FormFile]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        content = payload if isinstance(payload, bytes) else b""
        filename = part.get_filename()
        value = (
            content.decode(errors="replace") if filename is None else FormFile(filename, content)
        )
        pairs.append((str(name), value))
    return _collect(pairs)


_PARSERS = {
    "application/json": _json,
    "application/x-www-form-urlencoded": _urlencoded,
    "multipart/form-data": _multipart,
}
