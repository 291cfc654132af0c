"""Finding and storing API tokens: in the command line, the environment, a file per server, or the system's keyring.

The file holds the token alone; it has mode 0600 in a directory of mode 0700. A token file that other users of the
machine can read is refused, since its token may be known to them. The keyring needs the extra ``[keyring]``.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gcapi._http.settings import TOKEN_VARIABLE as TOKEN_VARIABLE
from gcapi._transfer.atomic_file import write_atomically
from gcapi._util.user_dirs import config_dir
from gcapi.cli.exit_codes import InvalidInput, TokenError
from gcapi.exceptions import ConfigurationError, MissingExtra

#: The service name of keyring entries; the user name is the server's name.
KEYRING_SERVICE = "gcapi"


@dataclass(frozen=True)
class StoredToken:
    """A token and its source.

    Attributes:
        value: The token; not in the repr.
        source: A phrase that names the source.
        path: The token file; `None` for another source.
    """

    value: str = field(repr=False)
    source: str
    path: Path | None = None


def find_token(base_url: str, *, argument: str | None, file: Path | None) -> StoredToken:
    """Return the token for a server from the first source that has one.

    Args:
        base_url: The server.
        argument: The token of the command line, ``-`` for standard input; `None` for none.
        file: The token file of the command line; `None` for none.

    Raises:
        TokenError: No source has one, or other users can read the token file.
        InvalidInput: The source is empty.
    """
    if argument == "-":
        return _token_of(sys.stdin.readline(), "standard input")
    if argument:
        return StoredToken(argument, "the option --token")
    if file is not None:
        return _read_token_file(file)
    if value := os.environ.get(TOKEN_VARIABLE, "").strip():
        return StoredToken(value, f"the environment variable {TOKEN_VARIABLE}")
    with suppress(FileNotFoundError):
        return _read_token_file(token_path(base_url))
    with _open_keyring() as keyring:
        found = keyring and keyring.get_password(KEYRING_SERVICE, server_name(base_url))
    if found:
        return StoredToken(found, "the keyring")
    raise TokenError(
        f"There is no token for {server_name(base_url)}. Create one on your Grand Challenge profile under 'API tokens',"
        f" and store it with 'gcapi login', set {TOKEN_VARIABLE}, or name a file with --token-file."
    )


def _read_token_file(path: Path) -> StoredToken:
    with path.open(encoding="utf-8", errors="replace") as file:
        # The mode of the open file: the path may change.
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise TokenError(
                f"The token file {path} was not used because other users of this machine can access it (mode"
                f" {stat.S_IMODE(mode):04o}). Run 'chmod 600 {path}', and create a new token if someone may have read"
                " this one."
            )
        return _token_of(file.readline(), f"the file {path}", path.absolute())


def ask_for_token() -> StoredToken:
    """Return the token that the user types, or that is in the first line of standard input.

    Raises:
        InvalidInput: There is none.
    """
    if not sys.stdin.isatty():
        return _token_of(sys.stdin.readline(), "standard input")
    try:
        typed = getpass.getpass("API token (not shown): ", stream=sys.stderr)
    except EOFError:
        typed = ""
    return _token_of(typed, "your input")


def _token_of(line: str, source: str, path: Path | None = None) -> StoredToken:
    if not line.strip():
        raise InvalidInput(f"There is no token in {source}.")
    return StoredToken(line.strip(), source, path)


def server_name(base_url: str) -> str:
    """Return the host of a server, with its port if it has one."""
    return urlsplit(base_url).netloc.rpartition("@")[2].lower()


# ---------------------------------------------------------------- storing


def store_token(base_url: str, token: str, *, in_keyring: bool) -> str:
    """Store the token of a server in place of an earlier one, and return a phrase that names where.

    Raises:
        ConfigurationError: The keyring is not available.
    """
    path = token_path(base_url)
    if in_keyring:
        if find_spec("keyring") is None:
            raise MissingExtra(
                "--keyring needs the package keyring: pip install '.[keyring]' in a checkout of gcapi."
            )
        with _open_keyring() as keyring:
            if keyring is None:
                raise ConfigurationError(
                    "This system has no keyring. Leave --keyring out to store the token in a file."
                )
            keyring.set_password(KEYRING_SERVICE, server_name(base_url), token)
        path.unlink(missing_ok=True)
        return "the keyring"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(stat.S_IRWXU)
    # No other user may read the file at any moment.
    umask = os.umask(stat.S_IRWXG | stat.S_IRWXO)
    try:
        write_atomically(path, f"{token}\n".encode(), existing="overwrite")
    finally:
        os.umask(umask)
    return f"the file {path}"


def remove_token(base_url: str) -> list[str]:
    """Remove the stored token of a server, and return phrases that name where it was."""
    removed: list[str] = []
    path, server = token_path(base_url), server_name(base_url)
    with suppress(FileNotFoundError):
        path.unlink()
        removed.append(f"the file {path}")
    with _open_keyring() as keyring:
        if keyring and keyring.get_password(KEYRING_SERVICE, server):
            keyring.delete_password(KEYRING_SERVICE, server)
            removed.append("the keyring")
    return removed


def token_path(base_url: str) -> Path:
    """Return the file for the token of a server."""
    # Windows does not allow colons in file names.
    return config_dir() / "tokens" / server_name(base_url).replace(":", "_")


@contextmanager
def _open_keyring() -> Generator[Any]:
    """Yield the module keyring; `None` if it is not installed or has no backend.

    Raises:
        ConfigurationError: The keyring failed in the block.
    """
    if find_spec("keyring") is None:
        yield None
        return
    import keyring
    from keyring.backends.fail import Keyring as NoBackend
    from keyring.errors import KeyringError

    try:
        yield None if isinstance(keyring.get_keyring(), NoBackend) else keyring
    except KeyringError as error:
        raise ConfigurationError(
            f"The system's keyring failed ({type(error).__name__}: {error}). Unlock it, or store the token in a file"
            " with 'gcapi login'."
        ) from error
