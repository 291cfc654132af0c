"""The responses of the pages, which need no token and are therefore for browsers on this machine only."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)

from gcapi_sandbox._app.pages.answering import save_answers
from gcapi_sandbox._app.pages.context import ViewContext
from gcapi_sandbox._app.pages.views import match_page
from gcapi_sandbox._database.records import ImageFile, Value
from gcapi_sandbox._http.errors import HtmlError
from gcapi_sandbox._http.routing import API_ROOT
from gcapi_sandbox._imaging.slices import AXES, Slices
from gcapi_sandbox._imaging.thumbnails import Thumbnails

if TYPE_CHECKING:
    from jinja2 import Environment
    from starlette.requests import Request

    from gcapi_sandbox._app.pages.views import PageMatch
    from gcapi_sandbox._state import State

_STATIC = "/_pages/"
_TYPES = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "slices.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}
_NO_PREVIEW = "no-preview.svg"
_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
_CACHE_FOR_A_DAY = "private, max-age=86400, immutable"  # images are immutable
_UNITS = ("bytes", "kB", "MB", "GB")
_THOUSAND = 1000


class Pages:
    """The pages, with their style sheet, script and thumbnails."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._thumbnails = Thumbnails(state)
        self._slices = Slices(state)

    def respond(self, request: Request, raw: bytes) -> Response | None:
        """Return the response for a page or a file of the pages, `None` for any other path."""
        path = request.url.path
        found = match_page(path)
        if found is None and not path.startswith(_STATIC):
            return None
        can_answer = found is not None and found.template == "display_set"
        response = _refusal(request, can_answer=can_answer) or (
            self._page(request, raw, found) if found else self._file(path.removeprefix(_STATIC))
        )
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    def _page(self, request: Request, raw: bytes, found: PageMatch) -> Response:
        page = request.query_params.get("page", "")
        number = int(page) if re.fullmatch("[0-9]{1,9}", page) else 1
        query = dict(request.query_params)
        context = ViewContext(self._state, found.params, number, query, self._slices)
        status, name = 200, found.template
        refused: dict[str, str] = {}
        try:
            with self._state.store.transaction():
                variables = found.view(context)
                if request.method == "POST":
                    questions = [one["record"] for one in variables["form"]]
                    pk = found.params["pk"]
                    refused = save_answers(self._state, request, raw, pk, questions)
                    reader = parse_qs(raw.decode(errors="replace")).get("reader", [""])[0]
                    if not refused:
                        address = f"{request.url.path}?{urlencode({'reader': reader})}"
                        return RedirectResponse(address, status_code=303)
                    status = 400
                    variables = found.view(replace(context, query={**query, "reader": reader}))
        except HtmlError:
            status, name, variables = 404, "missing", {}
        base_url = f"{request.url.scheme}://{request.url.netloc}{API_ROOT}"
        content = (
            _templates()
            .get_template(f"{name}.html")
            .render(variables, base_url=base_url, refused=refused)
        )
        # JSON may contain unpaired surrogates, which cannot be encoded.
        return HTMLResponse(content.encode(errors="replace"), status)

    def _file(self, name: str) -> Response:
        if name in _TYPES:
            return Response(_static(name), media_type=_TYPES[name])
        kind, _, rest = name.partition("/")
        if kind == "thumbnails":
            return self._thumbnail(rest.removesuffix(".png"))
        if kind == "slices":
            return self._slice(rest.removesuffix(".png"))
        if kind == "files":
            value = self._state.store.find(Value, "pk = ? AND key IS NOT NULL", rest)
            if value and value.key:
                return self._download(value.key, value.filename or "file")
        if kind == "image-files":
            file = self._state.store.find(ImageFile, "pk = ?", rest)
            if file:
                return self._download(file.key, Path(file.key).name)
        raise HtmlError(404)

    def _download(self, key: str, name: str) -> Response:
        """Return a stored file, which the browser saves and never shows."""
        path = self._state.objects / key
        return FileResponse(path, filename=name, media_type="application/octet-stream")

    def _slice(self, name: str) -> Response:
        pk, _, place = name.partition("/")
        axis, _, number = place.partition("/")
        index = int(number) if re.fullmatch("[0-9]{1,6}", number) else -1
        content = self._slices.draw(pk, axis, index) if axis in AXES else b""
        if not content:
            return Response(_static(_NO_PREVIEW), 404, media_type="image/svg+xml")
        return Response(
            content, headers={"Cache-Control": _CACHE_FOR_A_DAY}, media_type="image/png"
        )

    def _thumbnail(self, pk: str) -> Response:
        content = self._thumbnails.get(pk)
        if not content:  # browsers show the image in the body of a 404
            return Response(_static(_NO_PREVIEW), 404, media_type="image/svg+xml")
        return Response(
            content,
            headers={"Cache-Control": _CACHE_FOR_A_DAY},
            media_type="image/png",
        )


def _refusal(request: Request, *, can_answer: bool) -> Response | None:
    if not _is_loopback(request.headers.get("host", "")):
        # DNS rebinding: another site's name may resolve to this machine.
        return PlainTextResponse(
            "The pages are served for 127.0.0.1, ::1 and localhost only.\n", 421
        )
    if request.method == "POST" and can_answer:
        # Another site's form must not answer. Pages without a referrer send the origin "null".
        if request.headers.get("sec-fetch-site") == "same-origin":
            return None
        return PlainTextResponse("Answers are accepted from pages of the sandbox only.\n", 403)
    if request.method not in ("GET", "HEAD"):
        allow = {"Allow": "GET, HEAD"}
        return PlainTextResponse("The pages are read-only.\n", 405, headers=allow)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return urlsplit(f"//{host}").hostname in _HOSTS
    except ValueError:
        return False


@cache
def _static(name: str) -> bytes:
    return (files("gcapi_sandbox._app.pages") / "static" / name).read_bytes()


@cache
def _templates() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("gcapi_sandbox._app.pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"moment": _local_time, "size": _size}
    return environment


def _local_time(stamp: str) -> str:
    """Return a time as local time in seconds."""
    return f"{datetime.fromisoformat(stamp).astimezone():%Y-%m-%d %H:%M:%S}"


def _size(count: float) -> str:
    """Return a number of bytes with a unit."""
    unit = 0
    while count >= _THOUSAND and unit < len(_UNITS) - 1:
        count, unit = count / _THOUSAND, unit + 1
    return f"{count:.0f} {_UNITS[unit]}" if unit == 0 else f"{count:.1f} {_UNITS[unit]}"
