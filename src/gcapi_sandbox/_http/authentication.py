"""Bearer tokens."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import User
from gcapi_sandbox._http.errors import UnauthenticatedError

if TYPE_CHECKING:
    from gcapi_sandbox._database.store import Store


def new_token() -> str:
    """Return a random token of 64 hexadecimal characters."""
    return secrets.token_hex(32)


def scheme(header: bytes | None) -> str:
    """Return the scheme of an Authorization header without the credentials."""
    words = (header or b"").split()
    return words[0].decode("latin-1") if len(words) > 1 or _is_bearer(words) else ""


def _is_bearer(words: list[bytes]) -> bool:
    return bool(words) and words[0].lower() == b"bearer"


def authenticate(store: Store, header: bytes | None) -> User | None:
    """Return the user of a Bearer header, or None for any other header.

    Raises:
        UnauthenticatedError: The token is malformed or unknown, or its user is inactive.
    """
    words = (header or b"").split()
    if not _is_bearer(words):
        return None
    user = store.find(User, "token = ?", _token(words))
    if user is None:
        raise UnauthenticatedError("Invalid token.")
    if not user.active:
        raise UnauthenticatedError("User inactive or deleted.")
    return user


def _token(words: list[bytes]) -> str:
    if len(words) == 1:
        raise UnauthenticatedError("Invalid token header. No credentials provided.")
    if words[2:]:
        raise UnauthenticatedError("Invalid token header. Token string should not contain spaces.")
    if not words[1].isascii():
        raise UnauthenticatedError(
            "Invalid token header. Token string should not contain invalid characters."
        )
    return words[1].decode().lower()
