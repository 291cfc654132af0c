"""Turns the fault dial: decides what becomes of each request, and does it to the connection."""

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

from gcapi_sandbox._fixtures.parsed_dataclasses import Invalid, checked
from gcapi_sandbox._object_store.signatures import EXPIRED
from gcapi_sandbox.faults import Faults, Rule

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gcapi_sandbox._app.request_log import Origin
    from gcapi_sandbox._database.state import State

PATH = "/_sandbox/faults"
#: Where the server leaves its ways to end a connection, in the `extensions` of a scope.
EXTENSION = "gcapi_sandbox.connection"
_LONGEST_BODY = 1024 * 1024
_PIECES_A_SECOND = 20
_LOOPBACK = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?")


class Dial:
    """What is set at present, and how often each rule selected and struck a request."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._faults = Faults()
        self._selected: list[int] = []
        self._struck: list[int] = []
        self._former_limits: dict[str, int] = {}

    @property
    def faults(self) -> Faults:
        """What is set."""
        return self._faults

    @property
    def struck(self) -> list[int]:
        """How often each rule struck."""
        with self._lock:
            return list(self._struck)

    def turn(self, faults: Faults) -> None:
        """Set other faults; the schedule begins anew, limits are what they were before."""
        limits = self._state.limits
        with self._lock:
            vars(limits).update(self._former_limits)
            self._former_limits = {name: getattr(limits, name) for name in faults.limits}
            vars(limits).update(faults.limits)
            self._state.import_seconds = faults.import_seconds
            self._faults = faults
            self._selected = [0] * len(faults.rules)
            self._struck = [0] * len(faults.rules)

    def strike(self, origin: Origin, method: str, path: str) -> list[Rule]:
        """Return the rules that strike a request."""
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


class Faulty:
    """Wraps the ASGI application of an origin and lets the rules of the dial strike it."""

    def __init__(self, app: ASGIApp, origin: Origin, dial: Dial) -> None:
        self._app = app
        self._origin: Origin = origin
        self._dial = dial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through, or do to it what the rules say."""
        rules = self._dial.strike(self._origin, scope["method"], scope["path"])
        if not rules:
            await self._app(scope, receive, send)
            return
        await asyncio.sleep(sum(rule.latency for rule in rules))
        EXPIRED.set(any(rule.links == "expired" for rule in rules))
        if rates := [rule.rate for rule in rules if rule.rate is not None]:
            receive, send = _slowed(receive, send, min(rates))
        failing = next((rule for rule in rules if rule.failure != "none"), None)
        if failing is None:
            await self._app(scope, receive, send)
        else:
            await self._fail(failing, scope, receive, send)

    async def _fail(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["extensions"][EXTENSION]
        if rule.failure in ("truncate", "reset midway"):
            end = connection.close if rule.failure == "truncate" else connection.reset
            await self._app(scope, receive, _Half(send, scope["method"], end))
            await _end(end, receive)
            return
        if rule.when == "after":
            await self._app(scope, receive, _unheard)
        if rule.failure == "reset":
            await _end(connection.reset, receive)
        else:
            await _status_page(rule)(scope, receive, send)


@dataclass(frozen=True)
class Connection:
    """Ways to end a connection: `reset` at once and visibly, `close` when all is sent."""

    reset: Callable[[], None]
    close: Callable[[], None]


async def _end(end: Callable[[], None], receive: Receive) -> None:
    """End a connection, and return when the server knows that it is over."""
    end()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _unheard(_: Message) -> None:
    """Take an answer that nobody gets."""


def _status_page(rule: Rule) -> Response:
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    page = f"<!doctype html><title>{rule.status}</title><h1>A fault of the dial</h1>"
    return HTMLResponse(page, rule.status, headers)


class _Half:
    """Sends the head and half of the body of an answer, then ends the connection."""

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


def _slowed(receive: Receive, send: Send, rate: int) -> tuple[Receive, Send]:
    async def receive_slowly() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / rate)
        return message

    async def send_slowly(message: Message) -> None:
        body = message.get("body", b"")
        step = max(1, rate // _PIECES_A_SECOND)
        for begin in range(0, len(body) - step, step):
            await asyncio.sleep(step / rate)
            await send({**message, "body": body[begin : begin + step], "more_body": True})
        rest = body[(len(body) - 1) // step * step :] if body else body
        await asyncio.sleep(len(rest) / rate)
        await send({**message, "body": rest} if body else message)

    return receive_slowly, send_slowly


class Control:
    """Wraps the API origin and answers for the dial itself."""

    def __init__(self, app: ASGIApp, dial: Dial) -> None:
        self._app = app
        self._dial = dial

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is asked of the dial, and pass everything else through."""
        if scope["path"] != PATH:
            await self._app(scope, receive, send)
            return
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        if _may_be_a_page(request):
            return _refusal(403, "Web pages may not turn this dial, and no name but a loopback one")
        if request.method == "POST":
            if request.headers.get("content-type", "").partition(";")[0] != "application/json":
                return _refusal(415, "The body must be declared as application/json")
            try:
                self._dial.turn(checked(Faults, await _body(request)))
            except (ValueError, RecursionError) as error:
                return _refusal(400, str(error))
        elif request.method == "DELETE":
            self._dial.turn(Faults())
        elif request.method != "GET":
            return _refusal(405, "GET, POST or DELETE")
        return JSONResponse({"faults": self._dial.faults.as_json(), "struck": self._dial.struck})


def _may_be_a_page(request: Request) -> bool:
    headers = request.headers
    from_a_page = headers.get("sec-fetch-site", "none") != "none" or "origin" in headers
    return from_a_page or not _LOOPBACK.fullmatch(headers.get("host", ""))


async def _body(request: Request) -> Any:
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST_BODY:
            raise Invalid("", f"The body is longer than {_LONGEST_BODY} bytes")
    return json.loads(content)


def _refusal(status: int, detail: str) -> Response:
    return JSONResponse({"detail": detail}, status)
