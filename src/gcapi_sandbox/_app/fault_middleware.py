"""Fault injection: choice of the requests, and the faults on the connection."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from random import Random
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from gcapi_sandbox._object_store.signatures import SIGN_EXPIRED
from gcapi_sandbox._util.parsed_dataclasses import ParseError, parse_dataclass
from gcapi_sandbox.faults import Faults, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gcapi_sandbox._app.request_log import Origin
    from gcapi_sandbox._state import State

_PATH = "/_sandbox/faults"
#: Key of the `Connection` in the `extensions` of an ASGI scope.
CONNECTION_EXTENSION = "gcapi_sandbox.connection"
_MAX_BODY_BYTES = 1024 * 1024
_CHUNKS_PER_SECOND = 20
_LOOPBACK_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class FaultInjector:
    """The current faults, with the number of requests that each rule has selected and struck."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._faults = Faults()
        self._selected: list[int] = []
        self._struck: list[int] = []
        self._former_limits: dict[str, int] = {}

    @property
    def faults(self) -> Faults:
        """The current faults."""
        return self._faults

    @property
    def struck(self) -> list[int]:
        """The number of requests that each rule has struck."""
        with self._lock:
            return list(self._struck)

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults, reset the counters, and restore the former limits."""
        limits = self._state.limits
        with self._lock:
            vars(limits).update(self._former_limits)
            self._former_limits = {name: getattr(limits, name) for name in faults.limits}
            vars(limits).update(faults.limits)
            self._state.import_seconds = faults.import_seconds
            self._faults = faults
            self._selected = [0] * len(faults.rules)
            self._struck = [0] * len(faults.rules)

    def rules_for(self, origin: Origin, method: str, path: str) -> list[Rule]:
        """Count a request, and return the rules that strike it."""
        with self._lock:
            return [
                rule
                for index, rule in enumerate(self._faults.rules)
                if _selects(rule, origin, method, path) and self._strikes(index, rule)
            ]

    def _strikes(self, index: int, rule: Rule) -> bool:
        number = self._selected[index]
        self._selected[index] += 1
        if number < rule.skip or (rule.times is not None and self._struck[index] >= rule.times):
            return False
        if Random(f"{self._faults.seed} {index} {number}").random() >= rule.probability:  # noqa: S311
            return False
        self._struck[index] += 1
        return True


def _selects(rule: Rule, origin: Origin, method: str, path: str) -> bool:
    return (
        rule.origin in ("any", origin)
        and rule.method in ("", method)
        and fnmatchcase(path, rule.path)
    )


class FaultMiddleware:
    """ASGI middleware that applies the rules to the requests of an origin."""

    def __init__(self, app: ASGIApp, origin: Origin, injector: FaultInjector) -> None:
        self._app = app
        self._origin: Origin = origin
        self._injector = injector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, with faults if rules strike it."""
        rules = self._injector.rules_for(self._origin, scope["method"], scope["path"])
        if not rules:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(sum(rule.latency for rule in rules))
        SIGN_EXPIRED.set(any(rule.links == "expired" for rule in rules))
        if rates := [rule.rate for rule in rules if rule.rate is not None]:
            receive, send = _throttled(receive, send, min(rates))
        failing = next((rule for rule in rules if rule.failure != "none"), None)
        if failing is None:
            await self._app(scope, receive, send)
        else:
            await self._fail(failing, scope, receive, send)

    async def _fail(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["extensions"][CONNECTION_EXTENSION]
        if rule.failure in ("truncate", "reset midway"):
            end = connection.close if rule.failure == "truncate" else connection.reset
            await self._app(scope, receive, _TruncatedResponse(send, scope["method"], end))
            await _end_connection(end, receive)
            return
        if rule.when == "after":
            await self._app(scope, receive, _discard)
        if rule.failure == "reset":
            await _end_connection(connection.reset, receive)
        else:
            headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
            page = f"<!doctype html><title>{rule.status}</title><h1>Injected fault</h1>"
            await HTMLResponse(page, rule.status, headers)(scope, receive, send)


@dataclass(frozen=True)
class Connection:
    """Ways to end a connection: `reset` sends a TCP reset, `close` sends pending data first."""

    reset: Callable[[], None]
    close: Callable[[], None]


async def _end_connection(end: Callable[[], None], receive: Receive) -> None:
    """End a connection, and wait until the server has noticed."""
    end()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _discard(_: Message) -> None:
    """Discard a message of the response."""


class _TruncatedResponse:
    """An ASGI `send` that passes on half of the body and then ends the connection."""

    def __init__(self, send: Send, method: str, end: Callable[[], None]) -> None:
        self._send, self._end = send, end
        self._has_body = method != "HEAD"
        self._left = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            length = int(dict(message["headers"]).get(b"content-length", 0))
            self._left = length // 2 if self._has_body else 0
            if self._left:
                await self._send(message)
        elif self._left:
            body = message["body"][: self._left]
            self._left -= len(body)
            await self._send({**message, "body": body, "more_body": True})
            if not self._left:
                self._end()


def _throttled(receive: Receive, send: Send, rate: int) -> tuple[Receive, Send]:
    """Return `receive` and `send` limited to a number of bytes per second."""

    async def receive_slowly() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / rate)
        return message

    async def send_slowly(message: Message) -> None:
        body = message.get("body", b"")
        step = max(1, rate // _CHUNKS_PER_SECOND)
        for begin in range(0, len(body) - step, step):
            await asyncio.sleep(step / rate)
            await send({**message, "body": body[begin : begin + step], "more_body": True})
        rest = body[(len(body) - 1) // step * step :] if body else body
        await asyncio.sleep(len(rest) / rate)
        await send({**message, "body": rest} if body else message)

    return receive_slowly, send_slowly


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
