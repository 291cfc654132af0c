"""The control of fault injection over HTTP."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from gcapi_sandbox._util.parsed_dataclasses import ParseError, parse_dataclass
from gcapi_sandbox.faults import Faults

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from gcapi_sandbox._app.fault_middleware import FaultInjector

_PATH = "/_sandbox/faults"
_MAX_BODY_BYTES = 1024 * 1024
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class FaultControlMiddleware:
    """ASGI middleware that gets and sets the faults over HTTP."""

    def __init__(self, app: ASGIApp, injector: FaultInjector) -> None:
        self._app = app
        self._injector = injector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request for the faults, and pass on any other one."""
        if scope["path"] != _PATH:
            await self._app(scope, receive, send)
            return
        response = await self._respond(Request(scope, receive))
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        if _may_be_from_page(request):
            return _refusal(403, "Web pages cannot set faults; the Host must be a loopback name")
        if request.method == "POST":
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                return _refusal(415, "The Content-Type must be application/json")
            try:
                self._injector.set_faults(parse_dataclass(Faults, await _read_json(request)))
            except (ValueError, RecursionError) as error:
                return _refusal(400, str(error))
        elif request.method == "DELETE":
            self._injector.set_faults(Faults())
        elif request.method != "GET":
            return _refusal(405, "The method must be GET, POST or DELETE")
        faults = self._injector.faults.as_json()
        return JSONResponse({"faults": faults, "struck": self._injector.struck})


def _may_be_from_page(request: Request) -> bool:
    headers = request.headers
    is_from_page = headers.get("sec-fetch-site", "none") != "none" or "origin" in headers
    return is_from_page or not _LOOPBACK_HOST.fullmatch(headers.get("host", ""))


async def _read_json(request: Request) -> Any:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MAX_BODY_BYTES:
            raise ParseError("", f"The body is longer than {_MAX_BODY_BYTES} bytes")
    return json.loads(content)


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
