"""Tokens on the command line: reading them from options and standard input, storing and removing them.

`gcapi._http.configuration` finds what is stored here. A token file has mode 0600 in a directory of mode 0700. The
keyring needs the extra ``[keyring]``.
"""

from __future__ import annotations

import getpass
import os
import stat
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

from gcapi._http import configuration
from gcapi._http.configuration import KEYRING_SERVICE, Server, StoredToken, open_keyring, token_of
from gcapi._transfer.atomic_file import write_atomically
from gcapi.exceptions import ConfigurationError, MissingExtra, TokenError


def token_of_command(server: Server, *, argument: str | None, file: Path | None) -> StoredToken:
    """Return the token for a server from the first source that has one.

    Args:
        server: The server.
        argument: The token of the command line, ``-`` for standard input; `None` for none.
        file: The token file of the command line; `None` for none.

    Raises:
        TokenError: No source has one, the source is empty, or other users can read the token file.
    """
    if argument == "-":
        return _token_of_stdin()
    if argument:
        return StoredToken(argument, "the option --token")
    if file is None:
        return configuration.find_token(server)
    try:
        return configuration.read_token_file(file)
    except FileNotFoundError as error:
        raise TokenError(f"There is no token file {file}: correct --token-file.") from error


def ask_for_token() -> StoredToken:
    """Return the token that the user types, or that is in the first line of standard input.

    Raises:
        TokenError: There is none.
    """
    if not sys.stdin.isatty():
        return _token_of_stdin()
    try:
        typed = getpass.getpass("API token (not shown): ", stream=sys.stderr)
    except EOFError:
        typed = ""
    return token_of(typed, "your input")


def _token_of_stdin() -> StoredToken:
    # A replaced stream may have text only.
    line: str | bytes = getattr(sys.stdin, "buffer", sys.stdin).readline()
    text = configuration.decode_line(line if isinstance(line, bytes) else line.encode())
    return token_of(text, "standard input")


def store_token(server: Server, token: str, *, in_keyring: bool) -> str:
    """Store a token and the address of its server in place of earlier ones, and return a phrase that names where.

    Raises:
        ConfigurationError: The keyring is not available, or the file cannot be written.
    """
    path = server.token_path
    if in_keyring:
        if find_spec("keyring") is None:
            raise MissingExtra(
                "--keyring needs the package keyring: pip install '.[keyring]' in a checkout of gcapi."
            )
        with open_keyring() as keyring:
            if keyring is None:
                raise ConfigurationError(
                    "This system has no keyring. Leave --keyring out to store the token in a file."
                )
            keyring.set_password(KEYRING_SERVICE, server.keyring_name, token)
        path.unlink(missing_ok=True)
    else:
        _write_privately(path, token)
    _write_privately(configuration.profile_path(server.profile), str(server.base_url))
    return "the keyring" if in_keyring else f"the file {path}"


def _write_privately(path: Path, line: str) -> None:
    """Write a line to a file that no other user may read at any moment."""
    umask = os.umask(stat.S_IRWXG | stat.S_IRWXO)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.parent.chmod(stat.S_IRWXU)
        write_atomically(path, f"{line}\n".encode(), existing="overwrite")
    except OSError as error:
        raise ConfigurationError(
            f"The login was not stored, because {path} cannot be written ({error.strerror}). Make its folder writable,"
            f" set XDG_CONFIG_HOME to another one, or set {configuration.TOKEN_VARIABLE} in place of the login."
        ) from error
    finally:
        os.umask(umask)


def remove_token(server: Server) -> list[str]:
    """Remove the stored token of a server, and its profile; return phrases that name where the token was."""
    removed: list[str] = []
    with suppress(FileNotFoundError, NotADirectoryError):
        server.token_path.unlink()
        removed.append(f"the file {server.token_path}")
    with open_keyring() as keyring:
        if keyring and keyring.get_password(KEYRING_SERVICE, server.keyring_name):
            keyring.delete_password(KEYRING_SERVICE, server.keyring_name)
            removed.append("the keyring")
    profile = configuration.profile_path(server.profile)
    with suppress(FileNotFoundError, NotADirectoryError):
        if profile.read_text(encoding="utf-8").strip() == str(server.base_url):
            profile.unlink()
    return removed
