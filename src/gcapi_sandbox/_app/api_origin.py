"""The API origin: routing, and the checks of a request in the order of the real server."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from gcapi_sandbox._app import media, registry
from gcapi_sandbox._app.pages.responses import Pages
from gcapi_sandbox._app.schema_document import SCHEMA_PATH, get_schema
from gcapi_sandbox._background.housekeeping import Housekeeping
from gcapi_sandbox._http import rendering
from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import (
    ApiError,
    ForbiddenError,
    HtmlError,
    MethodNotAllowedError,
    UnauthenticatedError,
)
from gcapi_sandbox._http.operations import HANDLERS
from gcapi_sandbox._http.routing import (
    API_ROOT,
    OPEN_PATHS,
    PRIVATE_PATHS,
    Route,
    match,
    routes,
)
from gcapi_sandbox._object_store.signers import MEDIA_ROOT

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from gcapi_sandbox._database.records import User
    from gcapi_sandbox._state import State

_log = logging.getLogger("gcapi_sandbox")
#: The longest body of a request with a valid token, and of any other.
_MAX_BODY_BYTES, _MAX_ANONYMOUS_BODY_BYTES = 64 * 2**20, 2**16
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
registry.import_handlers()
registry.check_handlers(name for route in routes() for name in route.operations.values())


class ApiOrigin:
    """The ASGI application of `/api/v1/…`, `/media/…` and the pages."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._pages = Pages(state)
        self._housekeeping = Housekeeping(state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Respond to a request in a worker thread."""
        request = Request(scope, receive)
        try:
            raw = await self._read_body(request)
        except ClientDisconnect:
            return
        request.state.began = self._state.clock.now()
        response: Response
        if raw is None:
            response = _error_page(413)
        else:
            response = await run_in_threadpool(self._respond, request, raw)
        await response(scope, receive, send)

    async def _read_body(self, request: Request) -> bytes | None:
        """Return the body; None if it is too long, which is less without a valid token."""
        body, limit = bytearray(), _MAX_ANONYMOUS_BODY_BYTES
        async for chunk in request.stream():
            body += chunk
            if len(body) > limit == _MAX_ANONYMOUS_BODY_BYTES and await run_in_threadpool(
                self._has_token, request
            ):
                limit = _MAX_BODY_BYTES
            if len(body) > limit:
                return None
        return bytes(body)

    def _has_token(self, request: Request) -> bool:
        try:
            return self._authenticate(request) is not None
        except UnauthenticatedError:
            return False

    def _respond(self, request: Request, raw: bytes) -> Response:
        try:
            if page := self._pages.respond(request, raw):
                return page
            self._housekeeping.run_if_due()
            with self._state.store.transaction():
                return self._route(request, raw)
        except ApiError as error:
            return _response(Reply(error.status, error.body), headers=error.headers)
        except HtmlError as error:
            return _error_page(error.status)
        except Exception:  # noqa: BLE001  # a bug in the sandbox, logged with its traceback
            _log.exception("%s %s", request.method, request.url.path)
            return _error_page(500)

    def _route(self, request: Request, raw: bytes) -> Response:
        path = request.url.path
        if path.startswith(MEDIA_ROOT):
            return media.download(self._state, request)
        if path == SCHEMA_PATH:
            return get_schema(self._state, request)
        if path == API_ROOT:
            raise ForbiddenError if self._authenticate(request) else UnauthenticatedError
        found = match(path.removeprefix(API_ROOT)) if path.startswith(API_ROOT) else None
        if found is None:
            return _redirect_to_slash(request)
        return self._call_handler(*found, request, raw)

    def _call_handler(
        self, route: Route, params: dict[str, str], request: Request, raw: bytes
    ) -> Response:
        query = parse_qsl(request.url.query, keep_blank_values=True)
        media_type = rendering.negotiate(
            dict(query).get("format", ""), request.headers.get("accept", ""), offers_csv=route.csv
        )
        user = self._check_access(route, request)
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

    def _check_access(self, route: Route, request: Request) -> User | None:
        """Check the token, then the permission for the method, then that the method exists."""
        user = None
        if route.path not in OPEN_PATHS:
            user = self._authenticate(request)
            needs_user = route.path.startswith(PRIVATE_PATHS) or request.method not in _SAFE_METHODS
            if user is None and needs_user and route.path != "gcapi/":
                raise UnauthenticatedError
        method = "GET" if request.method == "HEAD" else request.method
        if method not in route.operations and method != "OPTIONS":
            if route.forbids(method):
                raise ForbiddenError
            raise MethodNotAllowedError(request.method, route.allow)
        return user

    def _authenticate(self, request: Request) -> User | None:
        header = dict(request.headers.raw).get(b"authorization")
        return authenticate(self._state.store, header)


def _redirect_to_slash(request: Request) -> Response:
    path = request.url.path
    if path.startswith(API_ROOT) and not path.endswith("/") and match(f"{path}/"[len(API_ROOT) :]):
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"{path}/{query}", status_code=301)
    raise HtmlError(404)


def _response(
    reply: Reply, media_type: str = rendering.JSON, headers: dict[str, str] | None = None
) -> Response:
    headers = {"Vary": "Cookie, origin", **(headers or {})}
    if reply.body is None:
        return Response(status_code=reply.status, headers=headers)
    content = rendering.ENCODERS[media_type](reply.body)
    if content:
        headers["Content-Type"] = media_type
    return Response(content, reply.status, headers=headers)


_TITLES = {413: "Content too large", 403: "Forbidden", 404: "Page not found", 500: "Server error"}


def _error_page(status: int) -> Response:
    title = _TITLES[status]
    content = f"<!doctype html><html><head><title>{title}</title></head><h1>{title}</h1></html>"
    return HTMLResponse(content, status_code=status)
