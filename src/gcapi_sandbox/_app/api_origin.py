"""The API origin: finds the operation, checks in the server's order, answers."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gcapi_sandbox._app.pages import Pages
from gcapi_sandbox._background.housekeeping import Tidying
from gcapi_sandbox._http import rendering
from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.errors import (
    ApiError,
    Forbidden,
    MethodNotAllowed,
    PageNotFound,
    ServerError,
    Unauthenticated,
)
from gcapi_sandbox._http.handlers import HANDLERS, Call, Reply
from gcapi_sandbox._http.routing import OPEN, PRIVATE, ROOT, Route, match
from gcapi_sandbox._resources import media as _media
from gcapi_sandbox._resources import registry, schema

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gcapi_sandbox._database.records import User
    from gcapi_sandbox._database.state import State

_log = logging.getLogger("gcapi_sandbox")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
registry.load()


class Api:
    """The ASGI application that answers `/api/v1/…`, `/media/…` and the pages."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pages = Pages(state)
        self._tidying = Tidying(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the work is done in a thread."""
        request = Request(scope, receive)
        try:
            raw = await request.body()
        except ClientDisconnect:
            return  # nobody is there to be answered
        request.state.began = datetime.now(UTC)
        response = await run_in_threadpool(self._respond, request, raw)
        await response(scope, receive, send)

    def _respond(self, request: Request, raw: bytes) -> Response:
        try:
            if page := self._pages.respond(request):
                return page
            self._tidying.run()
            with self._state.store.transaction():
                return self._route(request, raw)
        except ApiError as error:
            return _response(Reply(error.status, error.body), headers=error.headers)
        except PageNotFound as error:
            return _page(error.status)
        except ServerError:
            return _page(500)
        except Exception:  # noqa: BLE001  # a fault of the sandbox, logged with its traceback
            _log.exception("%s %s", request.method, request.url.path)
            return _page(500)

    def _route(self, request: Request, raw: bytes) -> Response:
        path = request.url.path
        if path.startswith(_media.ROOT):
            return _media.download(self._state, request)
        if path == schema.PATH:
            return schema.show(self._state, request)
        if path == ROOT:
            raise self._root_refusal(request)
        found = match(path.removeprefix(ROOT)) if path.startswith(ROOT) else None
        if found is None:
            return _redirect_to_slash(request)
        return self._operate(*found, request, raw)

    def _root_refusal(self, request: Request) -> ApiError:
        user = authenticate(self._state.store, _authorization(request))
        return Forbidden() if user else _no_credentials()

    def _operate(
        self, route: Route, params: dict[str, str], request: Request, raw: bytes
    ) -> Response:
        query = parse_qsl(request.url.query, keep_blank_values=True)
        media_type = rendering.negotiate(
            dict(query).get("format", ""), request.headers.get("accept", ""), csv_too=route.csv
        )
        user = self._admit(route, request)
        call = Call(
            state=self._state,
            user=user,
            method=request.method,
            origin=f"{request.url.scheme}://{request.url.netloc}",
            path=request.url.path,
            query=query,
            content_type=request.headers.get("content-type", ""),
            raw=raw,
            began=request.state.began,
            params=params,
        )
        if request.method == "OPTIONS":
            return _response(Reply(200, {}), headers={"Allow": route.allow})
        name = route.operations["GET" if request.method == "HEAD" else request.method]
        return _response(HANDLERS[name](call), media_type, {"Allow": route.allow})

    def _admit(self, route: Route, request: Request) -> User | None:
        """Check the token, then the permission for the method, then that it exists."""
        if route.path in OPEN:
            user = None
        else:
            user = authenticate(self._state.store, _authorization(request))
            closed = route.path.startswith(PRIVATE) or request.method not in _SAFE
            if user is None and closed and route.path != "gcapi/":
                raise _no_credentials()
        method = "GET" if request.method == "HEAD" else request.method
        if method not in route.operations and method != "OPTIONS":
            if route.forbids(method):
                raise Forbidden
            raise MethodNotAllowed(request.method, route.allow)
        return user


def _authorization(request: Request) -> bytes | None:
    return dict(request.headers.raw).get(b"authorization")


def _no_credentials() -> Unauthenticated:
    return Unauthenticated("Authentication credentials were not provided.")


def _redirect_to_slash(request: Request) -> Response:
    path = request.url.path
    if path.startswith(ROOT) and not path.endswith("/") and match(f"{path}/"[len(ROOT) :]):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{path}/{query}", status_code=301)
    raise PageNotFound


def _response(
    reply: Reply, media_type: str = rendering.JSON, headers: dict[str, str] | None = None
) -> Response:
    headers = {"Vary": "Cookie, origin", **(headers or {})}
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    content = rendering.RENDERERS[media_type](reply.body)
    if content:
        headers["Content-Type"] = media_type
    return Response(content, reply.status, headers=headers)


_TITLES = {403: "Forbidden", 404: "Page not found", 500: "Server error"}


def _page(status: int) -> Response:
    title = _TITLES[status]
    content = f"<!doctype html><html><head><title>{title}</title></head><h1>{title}</h1></html>"
    return HTMLResponse(content, status_code=status)
