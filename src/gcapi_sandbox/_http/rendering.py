"""Turn a reply's JSON into the bytes that the client asked for."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import Json, NotAcceptable, NotFound
from gcapi_sandbox._http.json_types import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable

JSON, CSV = "application/json", "text/csv"


def negotiate(asked_format: str, accept: str, *, csv_too: bool) -> str:
    """Return the media type to answer in; `format` wins over `Accept`."""
    offered = {"json": JSON, **({"csv": CSV} if csv_too else {})}
    if asked_format:
        if asked_format not in offered:
            raise NotFound
        return offered[asked_format]
    ranges = [part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    for media_range in ranges:
        for media_type in offered.values():
            if media_range in ("*/*", media_type, f"{media_type.partition('/')[0]}/*"):
                return media_type
    raise NotAcceptable


def as_json(body: Json) -> bytes:
    """Write JSON as compactly as the server does."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def as_csv(body: Json) -> bytes:
    """Write a page or an object as rows, what is nested as JSON text."""
    found: Json = body["results"] if is_object(body) and "results" in body else body
    rows: list[dict[str, Json]] = found if is_array(found) else [found]
    if not rows:
        return b""
    out = io.StringIO()
    names = sorted({name for row in rows for name in row})
    writer = csv.DictWriter(out, names, lineterminator="\r\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    return out.getvalue().encode()


def _cell(value: Json) -> Json:
    return json.dumps(value) if isinstance(value, dict | list) else value


RENDERERS: dict[str, Callable[[Json], bytes]] = {JSON: as_json, CSV: as_csv}
