"""Pages for people at the root of the API origin: no token, so only for this machine's own browsers."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from gcapi_sandbox._app import page_views
from gcapi_sandbox._http.errors import PageNotFound
from gcapi_sandbox._http.routing import ROOT
from gcapi_sandbox._imaging.thumbnails import Thumbnails

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request

    from gcapi_sandbox._app.page_views import Found
    from gcapi_sandbox._database.state import State

_STATIC = "/_pages/"
_THUMBNAILS = "thumbnails/"  # below the former
_TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_NO_PREVIEW = "no-preview.svg"
_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_FOR_EVER = "private, max-age=86400, immutable"  # an image never changes
_UNITS = ("bytes", "kB", "MB", "GB")
_THOUSAND = 1000


class Pages:
    """Answers what a browser asks for, and nothing else."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._thumbnails = Thumbnails(state)

    def respond(self, request: Request) -> Response | None:
        """Return the page, style, script or picture of an address, `None` if it is none of these."""
        path = request.url.path
        found = page_views.find(path)
        if found is None and not path.startswith(_STATIC):
            return None
        response = _refusal(request) or (
            self._page(request, found) if found else self._file(path.removeprefix(_STATIC))
        )
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _page(self, request: Request, found: Found) -> Response:
        number = _number(request.query_params.get("page", ""))
        look = page_views.Look(self._state, found.parts, number)
        status, name = 200, found.template
        try:
            with self._state.store.transaction():
                context = found.view(look)
        except PageNotFound:
            status, name, context = 404, "missing", {}
        base_url = f"{request.url.scheme}://{request.url.netloc}{ROOT}"
        content = _templates().get_template(f"{name}.html").render(context, base_url=base_url)
        # JSON may hold half a character, which no encoding can write.
        return HTMLResponse(content.encode(errors="replace"), status)

    def _file(self, name: str) -> Response:
        if name in _TYPES:
            return Response(_static(name), media_type=_TYPES[name])
        if not name.startswith(_THUMBNAILS):
            raise PageNotFound
        return self._thumbnail(name.removeprefix(_THUMBNAILS).removesuffix(".png"))

    def _thumbnail(self, pk: str) -> Response:
        content = self._thumbnails.get(pk)
        if not content:  # browsers show the picture that comes with a 404
            return Response(_static(_NO_PREVIEW), 404, media_type="image/svg+xml")
        return Response(content, headers={"Cache-Control": _FOR_EVER}, media_type="image/png")


def _refusal(request: Request) -> Response | None:
    if not _is_loopback(request.headers.get("host", "")):
        # A name that somebody else makes point here would let that one's site read the pages.
        return PlainTextResponse("The pages answer to 127.0.0.1 and localhost only.\n", 421)
    if request.method not in ("GET", "HEAD"):
        allow = {"Allow": "GET, HEAD"}
        return PlainTextResponse("The pages can only be read.\n", 405, headers=allow)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _HOSTS
    except ValueError:
        return False


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else 1


@cache
def _static(name: str) -> bytes:
    return (files("gcapi_sandbox._app") / "static" / name).read_bytes()


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gcapi_sandbox._app"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _moment, "size": _size}
    return environment


def _moment(stamp: str) -> str:
    """Write a moment for people: local time to the second."""
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"


def _size(count: float) -> str:
    """Write a number of bytes for people."""
    unit = 0
    while count >= _THOUSAND and unit < len(_UNITS) - 1:
        count, unit = count / _THOUSAND, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"
