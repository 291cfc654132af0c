"""Fault injection: choice of the requests, and the faults on the connection."""

from __future__ import annotations

import asyncio
import math
import re
import threading
from collections import Counter
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from http import HTTPStatus
from random import Random
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from gcapi_sandbox._app.request_log import RECORD_EXTENSION, RecordedRequest
from gcapi_sandbox._object_store.signatures import SIGN_EXPIRED
from gcapi_sandbox.faults import Faults, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from gcapi_sandbox._state import State

#: Key of the `Connection` in the `extensions` of an ASGI scope.
CONNECTION_EXTENSION = "gcapi_sandbox.connection"
_CHUNKS_PER_SECOND = 20
#: The failures that happen before or after the request is carried out, or long before.
_IN_PLACE_OF_RESPONSE = ("status", "reset")
_WITHOUT_BODY = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
_WITH_DIGIT = re.compile(r"[^/]*\d[^/]*")


class FaultInjector:
    """The current faults, with the numbers of requests that each rule has selected and struck.

    Attributes:
        state: The state of the sandbox.
        is_paused: Whether requests pass without faults, and without being counted.
        on_strike: Called in a thread with each rule that strikes a request, and that request,
            before the fault.
    """

    def __init__(self, state: State) -> None:
        self.state = state
        self.is_paused = False
        self.on_strike: Callable[[Rule, RecordedRequest], object] | None = None
        self._lock = threading.Lock()
        self._former_limits: dict[str, int] = {}
        self._reset(Faults())

    def _reset(self, faults: Faults) -> None:
        self._faults = faults
        self._budget = math.inf if faults.budget is None else faults.budget
        # By the index of a rule and a kind of request; the kind is empty for all requests.
        self._selected: Counter[tuple[int, str]] = Counter()
        self._struck: Counter[tuple[int, str]] = Counter()
        self._responses: dict[Hashable, list[Message]] = {}

    @property
    def faults(self) -> Faults:
        """The current faults."""
        return self._faults

    @property
    def struck(self) -> list[int]:
        """The number of requests that each rule has struck."""
        with self._lock:
            counts = [0] * len(self._faults.rules)
            for (index, _), count in self._struck.items():
                counts[index] += count
            return counts

    def set_faults(self, faults: Faults) -> None:
        """Replace the faults, reset the counters, and restore the former limits."""
        limits = self.state.limits
        with self._lock:
            vars(limits).update(self._former_limits)
            self._former_limits = {name: getattr(limits, name) for name in faults.limits}
            vars(limits).update(faults.limits)
            self.state.import_seconds = faults.import_seconds
            self.state.clock.offset = faults.clock_offset
            self._reset(faults)

    def strike(self, request: RecordedRequest) -> tuple[Rule, ...]:
        """Count a request, note and return the rules that strike it, and move the clock."""
        if self.is_paused:
            return ()
        with self._lock:
            request.faults = tuple(
                rule
                for index, rule in enumerate(self._faults.rules)
                if _selects(rule, request) and self._strikes(index, rule, request)
            )
            self._budget -= any(rule.failure != "none" for rule in request.faults)
            self.state.clock.offset += sum(rule.clock_jump for rule in request.faults)
        return request.faults

    def _strikes(self, index: int, rule: Rule, request: RecordedRequest) -> bool:
        key = (index, _kind(request) if rule.per == "kind" else "")
        number = self._selected[key]
        self._selected[key] += 1
        if number < rule.skip or (rule.times is not None and self._struck[key] >= rule.times):
            return False
        if rule.failure != "none" and self._budget < 1:
            return False
        if Random(f"{self._faults.seed} {key} {number}").random() >= rule.probability:  # noqa: S311
            return False
        self._struck[key] += 1
        return True

    def may_be_stale(self, request: RecordedRequest) -> bool:
        """Return whether the response to a request can be sent to a later one."""
        return request.method == "GET" and any(
            rule.failure == "stale" and _selects(rule, request) for rule in self._faults.rules
        )

    def remember(self, key: Hashable, response: list[Message]) -> None:
        """Keep the last response to a request until the faults are replaced."""
        with self._lock:
            self._responses[key] = response

    def earlier_response(self, key: Hashable) -> list[Message] | None:
        """Return the last response to the same request, if any."""
        with self._lock:
            return self._responses.get(key)


def _selects(rule: Rule, request: RecordedRequest) -> bool:
    return (
        rule.origin in ("any", request.origin)
        and rule.method in ("", request.method)
        and fnmatchcase(request.path, rule.path)
    )


def _kind(request: RecordedRequest) -> str:
    path = _WITH_DIGIT.sub("*", request.path)
    return f"{request.origin} {request.method} {path}"


class FaultMiddleware:
    """ASGI middleware that applies the rules to the requests of an origin, inside the request log."""

    def __init__(self, app: ASGIApp, injector: FaultInjector) -> None:
        self._app = app
        self._injector = injector

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, with faults if rules strike it."""
        request: RecordedRequest = scope["extensions"][RECORD_EXTENSION]
        rules = self._injector.strike(request)
        if self._injector.may_be_stale(request):
            send = _RecordedResponse(send, partial(self._injector.remember, _same(scope)))
        if rules:
            await self._strike(rules, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _strike(
        self, rules: tuple[Rule, ...], scope: Scope, receive: Receive, send: Send
    ) -> None:
        failing = next((rule for rule in rules if rule.failure != "none"), None)
        is_late = failing and failing.when == "later" and failing.failure in _IN_PLACE_OF_RESPONSE
        on_strike, unread = self._injector.on_strike, receive
        if is_late or on_strike:
            # The client may be gone when the request is carried out.
            body = await _read_body(receive)
            if body is None:
                return
            receive = _replay(body, receive)
        if on_strike:
            for rule in rules:
                await run_in_threadpool(on_strike, rule, scope["extensions"][RECORD_EXTENSION])
        SIGN_EXPIRED.set(any(rule.links == "expired" for rule in rules))
        if rates := [rule.rate for rule in rules if rule.rate is not None]:
            receive, send = _throttled(receive, send, min(rates))
        if failing and is_late:
            with self._injector.state.deliver_late():
                await _replace_response(failing, scope, unread, send)
                await asyncio.sleep(sum(rule.latency for rule in rules))
                await self._app(scope, receive, _discard)
            return
        await asyncio.sleep(sum(rule.latency for rule in rules))
        if failing:
            await self._fail(failing, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _fail(self, rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
        connection: Connection = scope["extensions"][CONNECTION_EXTENSION]
        if rule.failure in _IN_PLACE_OF_RESPONSE:
            if rule.when == "after":
                await self._app(scope, receive, _discard)
            await _replace_response(rule, scope, receive, send)
        elif rule.failure == "half":
            await self._app(scope, receive, _HalvedResponse(send))
        elif rule.failure == "stale":
            earlier = self._injector.earlier_response(_same(scope))
            if earlier is None:
                await self._app(scope, receive, send)
            for message in earlier or ():
                await send(message)
        else:
            end = connection.close if rule.failure == "truncate" else connection.reset
            await self._app(scope, receive, _TruncatedResponse(send, scope["method"], end))
            await _end_connection(end, receive)


def _same(scope: Scope) -> Hashable:
    """Return what two requests have in common that are the same."""
    return scope["server"], scope["path"], scope["query_string"], tuple(scope["headers"])


async def _replace_response(rule: Rule, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the fault of a failure `status` or `reset`."""
    connection: Connection = scope["extensions"][CONNECTION_EXTENSION]
    if rule.failure == "reset":
        await _end_connection(connection.reset, receive)
        return
    headers = {} if rule.retry_after is None else {"Retry-After": str(rule.retry_after)}
    page = f"<!doctype html><title>{rule.status}</title><h1>Injected fault</h1>"
    content = "" if rule.status in _WITHOUT_BODY else rule.body or page
    response = Response(content, rule.status, headers, media_type=rule.content_type)
    await response(scope, receive, send)


async def _read_body(receive: Receive) -> bytes | None:
    """Return the body of a request; None if the client disconnects before its end."""
    body = bytearray()
    while (message := await receive())["type"] == "http.request":
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)
    return None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with a body that was read."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive_again() -> Message:
        return next(messages, None) or await receive()

    return receive_again


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


class _RecordedResponse:
    """An ASGI `send` that passes on a response, and keeps it if it is complete and successful."""

    def __init__(self, send: Send, keep: Callable[[list[Message]], object]) -> None:
        self._send, self._keep = send, keep
        self._messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self._messages.append(message)
        is_last = message["type"] == "http.response.body" and not message.get("more_body")
        if is_last and self._messages[0]["status"] == HTTPStatus.OK:
            self._keep(self._messages)
        await self._send(message)


class _HalvedResponse:
    """An ASGI `send` that passes on half of the body as if it were the whole."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._left = 0
        self._is_complete = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = dict(message["headers"])
            self._left = int(headers.get(b"content-length", 0)) // 2
            headers |= {b"content-length": b"%d" % self._left}
            await self._send({**message, "headers": list(headers.items())})
        elif not self._is_complete:
            body = message.get("body", b"")[: self._left]
            self._left -= len(body)
            self._is_complete = not (self._left and message.get("more_body"))
            await self._send({**message, "body": body, "more_body": not self._is_complete})


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
