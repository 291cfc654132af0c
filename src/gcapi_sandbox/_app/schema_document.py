"""The published OpenAPI schema at `/api/schema/`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.responses import Response

from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.errors import MethodNotAllowedError
from gcapi_sandbox._http.openapi import published
from gcapi_sandbox._util.json_types import encode

if TYPE_CHECKING:
    from starlette.requests import Request

    from gcapi_sandbox._state import State

SCHEMA_PATH = "/api/schema/"
_ALLOW = "GET, HEAD, OPTIONS"


def get_schema(state: State, request: Request) -> Response:
    """Return the schema as JSON; no token is needed, but an invalid one is refused."""
    authenticate(state.store, dict(request.headers.raw).get(b"authorization"))
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowedError(request.method, _ALLOW)
    return Response(_document(), media_type="application/json", headers={"Allow": _ALLOW})


@functools.cache
def _document() -> bytes:
    return encode(published())
