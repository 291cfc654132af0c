"""Files below `/media/`: redirects to presigned URLs, and public logos."""

from __future__ import annotations

import functools
import struct
import zlib
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.responses import Response

from gcapi_sandbox._database.records import Image, ImageFile, Value
from gcapi_sandbox._http.authentication import authenticate
from gcapi_sandbox._http.errors import HtmlError, UnauthenticatedError
from gcapi_sandbox._http.permissions import visible
from gcapi_sandbox._object_store.signers import MEDIA_ROOT, object_signer
from gcapi_sandbox._resources.viewers import SCREENSHOTS_PREFIX

if TYPE_CHECKING:
    from starlette.requests import Request

    from gcapi_sandbox._state import State

_PUBLIC_PREFIXES = ("logos/", "mugshots/")


def download(state: State, request: Request) -> Response:
    """Redirect to the presigned URL of a file."""
    key = unquote(request.url.path).removeprefix(MEDIA_ROOT)
    if key.startswith(_PUBLIC_PREFIXES):
        return Response(_logo(), media_type="image/png")
    if key.startswith(SCREENSHOTS_PREFIX):
        raise HtmlError(403)  # visible to staff only, and the sandbox has no staff
    user = _user(state, request)
    if key.startswith("images/"):
        _check_image(state, key, user)
    elif not visible(state.store, Value, user).narrow("key = ?", key):
        raise HtmlError(404)
    seconds = state.limits.presigned_url_seconds
    url = object_signer(state).sign_url("GET", f"{MEDIA_ROOT}{key}", seconds)
    return Response(status_code=302, headers={"Location": url})


def _user(state: State, request: Request) -> int:
    """Return the pk of the user; here an invalid token is anonymous."""
    header = dict(request.headers.raw).get(b"authorization")
    try:
        user = authenticate(state.store, header)
    except UnauthenticatedError:
        return 0
    return user.pk if user else 0


def _check_image(state: State, key: str, user: int) -> None:
    file = state.store.find(ImageFile, "key = ?", key)
    if file is None:
        raise HtmlError(404)
    if not visible(state.store, Image, user).narrow("pk = ?", file.image):
        raise HtmlError(403)


@functools.cache
def _logo() -> bytes:
    """Return a PNG of one grey pixel."""
    header = struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0\x80")), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
