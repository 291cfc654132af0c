"""File URLs below `/media/`: who may download is sent on to the storage origin."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.responses import Response

from gcapi_sandbox._access import visible
from gcapi_sandbox._auth import authenticate
from gcapi_sandbox._errors import PageNotFound, Unauthenticated
from gcapi_sandbox._records import Image, ImageFile, Value
from gcapi_sandbox._uploads import signer

if TYPE_CHECKING:
    from starlette.requests import Request

    from gcapi_sandbox._state import State

ROOT = "/media/"


def download(state: State, request: Request) -> Response:
    """Answer with the signed URL of a file."""
    key = unquote(request.url.path).removeprefix(ROOT)
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
