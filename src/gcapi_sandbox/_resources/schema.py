"""The API's own description at `/api/schema/`: the one that this release was made from, for everybody to read."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING

from starlette.responses import Response

from gcapi_sandbox._http.api_documents import published
from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.errors import MethodNotAllowed

if TYPE_CHECKING:
    from starlette.requests import Request

    from gcapi_sandbox._database.state import State

PATH = "/api/schema/"
_ALLOW = "GET, HEAD, OPTIONS"


def show(state: State, request: Request) -> Response:
    """Answer with the schema, always as JSON; a wrong token is refused as everywhere."""
    authenticate(state.store, dict(request.headers.raw).get(b"authorization"))
    if request.method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(request.method, _ALLOW)
    return Response(_document(), media_type="application/json", headers={"Allow": _ALLOW})


@functools.cache
def _document() -> bytes:
    return json.dumps(published(), ensure_ascii=False, separators=(",", ":")).encode()
