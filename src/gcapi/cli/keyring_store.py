"""The system's keyring as a place for tokens (extra ``[keyring]``)."""

from __future__ import annotations

from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from gcapi.exceptions import ConfigurationError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Generator

#: What its entries are called, whose user name is the server's.
SERVICE = "gcapi"


def get(server: str) -> str | None:
    """Return the token of a server; `None` where there is none, or no keyring.

    Raises:
        ConfigurationError: The keyring is locked, or broken.
    """
    keyring = _found()
    if keyring is None:
        return None
    with _told():
        token: str | None = keyring.get_password(SERVICE, server)
    return token


def put(server: str, token: str) -> None:
    """Keep the token of a server.

    Raises:
        MissingExtra: The package is not installed.
        ConfigurationError: There is no keyring, or it is locked or broken.
    """
    if find_spec("keyring") is None:
        raise MissingExtra(
            "The keyring needs its extra: pip install '.[keyring]' in a checkout of gcapi."
        )
    keyring = _found()
    if keyring is None:
        raise ConfigurationError(
            "This machine has no keyring that could keep the token; leave --keyring out to keep it in a file."
        )
    with _told():
        keyring.set_password(SERVICE, server, token)


def remove(server: str) -> bool:
    """Remove the token of a server, and tell whether there was one.

    Raises:
        ConfigurationError: The keyring is locked, or broken.
    """
    if not get(server):
        return False
    with _told():
        _found().delete_password(SERVICE, server)
    return True


def _found() -> Any:
    """Return the keyring, if there is one that keeps anything."""
    if find_spec("keyring") is None:
        return None
    import keyring
    from keyring.backends.fail import Keyring as Nothing

    return None if isinstance(keyring.get_keyring(), Nothing) else keyring


@contextmanager
def _told() -> Generator[None]:
    from keyring.errors import KeyringError

    try:
        yield
    except KeyringError as error:
        raise ConfigurationError(
            f"The system's keyring failed ({type(error).__name__}: {error}). Unlock it, or keep the token in a file"
            " with 'gcapi login', or in the environment."
        ) from error
