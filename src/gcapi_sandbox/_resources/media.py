"""File URLs below `/media/`: who may download is sent on to the storage origin; logos are for everybody."""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.responses import Response

from gcapi_sandbox._database.records import Image, ImageFile, Value
from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.errors import PageNotFound, Unauthenticated
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._resources.uploads import signer

if TYPE_CHECKING:
    from starlette.requests import Request

    from gcapi_sandbox._database.state import State

ROOT = "/media/"
SCREENSHOTS = "session-feedback/"  # for staff only, of which the sandbox has none
_PUBLIC = ("logos/", "mugshots/")


def download(state: State, request: Request) -> Response:
    """Answer with the signed URL of a file."""
    key = unquote(request.url.path).removeprefix(ROOT)
    if key.startswith(_PUBLIC):
        return Response(_logo(), media_type="image/png")
    if key.startswith(SCREENSHOTS):
        raise PageNotFound(403)
    user = _user(state, request)
    if key.startswith("images/"):
        _check_image(state, key, user)
    elif not visible(state.store, Value, user).narrow("key = ?", key):
        raise PageNotFound
    url = signer(state).url("GET", f"{ROOT}{key}", state.limits.presigned_url_seconds)
    return Response(status_code=302, headers={"Location": url})


def _user(state: State, request: Request) -> int:
    """Return the pk of the user; a bad token is nobody's here."""
    header = dict(request.headers.raw).get(b"authorization")
    try:
        user = authenticate(state.store, header)
    except Unauthenticated:
        return 0
    return user.pk if user else 0


def _check_image(state: State, key: str, user: int) -> None:
    file = state.store.find(ImageFile, "key = ?", key)
    if file is None:
        raise PageNotFound
    if not visible(state.store, Image, user).narrow("pk = ?", file.image):
        raise PageNotFound(403)


@functools.cache
def _logo() -> bytes:
    """Return the smallest picture: one grey pixel."""
    header = struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\x80")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
