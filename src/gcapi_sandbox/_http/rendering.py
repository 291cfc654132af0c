"""Content negotiation and the encoding of responses."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING

from gcapi_sandbox._http.errors import NotAcceptableError, NotFoundError
from gcapi_sandbox._util.json_types import Json, encode, is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Callable

JSON, CSV = "application/json", "text/csv"


def negotiate(requested_format: str, accept: str, *, offers_csv: bool) -> str:
    """Return the media type of the response, which the query's `format` and `Accept` must both allow."""
    offered = {"json": JSON, **({"csv": CSV} if offers_csv else {})}
    if requested_format:
        if requested_format not in offered:
            raise NotFoundError
        offered = {requested_format: offered[requested_format]}
    ranges = [part.partition(";")[0].strip().lower() for part in (accept or "*/*").split(",")]
    for media_range in ranges:
        for media_type in offered.values():
            if media_range in ("*/*", media_type, f"{media_type.partition('/')[0]}/*"):
                return media_type
    raise NotAcceptableError


def _encode_csv(body: Json) -> bytes:
    """Return a page or an object as CSV, with nested values as JSON text."""
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


ENCODERS: dict[str, Callable[[Json], bytes]] = {JSON: encode, CSV: _encode_csv}
