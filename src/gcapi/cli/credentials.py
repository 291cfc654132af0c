"""Where the token comes from: what the command line names, the environment, the file that `login` wrote, the keyring.

There is one file a server, which holds the token and nothing else, of mode 0600 in a folder of mode 0700. A file that
others on the machine can read is refused: the token in it is no secret any more.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from gcapi._http.settings import TOKEN_VARIABLE
from gcapi._util.user_dirs import config_dir
from gcapi.cli import keyring_store
from gcapi.cli.exit_codes import ExposedToken, InvalidInput, NoToken

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Token:
    """A token, and where it was found.

    Attributes:
        value: The token; in no repr.
        source: Where it was found, in words.
        path: The file that it was found in; `None` for elsewhere.
    """

    value: str = field(repr=False)
    source: str
    path: Path | None = None


def _filed(path: Path) -> Token:
    return Token(read_token(path), f"the file {path}", path.absolute())


def find_token(base_url: str, *, argument: str | None, file: Path | None) -> Token:
    """Return the token for a server from the first place that has one.

    Args:
        base_url: The server.
        argument: What the command line gives, ``-`` for standard input; `None` for nothing.
        file: A file that the command line names; `None` for none.

    Raises:
        NoToken: There is none.
        ExposedToken: It is in a file that others can read.
    """
    found = _given(argument, file) or _stored(base_url)
    if found is None:
        raise NoToken(
            f"No token for {server_name(base_url)}: make one on your Grand Challenge profile under 'API tokens', and"
            f" store it with 'gcapi login', or set {TOKEN_VARIABLE}, or name a file with --token-file."
        )
    return found


def _given(argument: str | None, file: Path | None) -> Token | None:
    if argument == "-":
        return Token(first_line(sys.stdin.readline(), "standard input"), "standard input")
    if argument:
        return Token(argument, "the option --token")
    if file is not None:
        return _filed(file)
    value = os.environ.get(TOKEN_VARIABLE, "").strip()
    return Token(value, f"the environment variable {TOKEN_VARIABLE}") if value else None


def _stored(base_url: str) -> Token | None:
    path = token_path(base_url)
    with suppress(FileNotFoundError):
        return _filed(path)
    value = keyring_store.get(server_name(base_url))
    return Token(value, "the keyring") if value else None


def read_token(path: Path) -> str:
    """Return what a token file holds.

    Raises:
        ExposedToken: Others can read it.
        FileNotFoundError: It is not there.
        InvalidInput: It is empty.
    """
    with path.open(encoding="utf-8", errors="replace") as file:
        # Of the open file, which nobody can exchange any more.
        mode = os.fstat(file.fileno()).st_mode
        if os.name == "posix" and stat.S_ISREG(mode) and mode & _OTHERS:
            raise ExposedToken(
                f"Others on this machine can read the token file {path} (mode {stat.S_IMODE(mode):04o}), so it was not"
                f" used. Run 'chmod 600 {path}', and make a new token if somebody may have read this one."
            )
        return first_line(file.readline(), f"the token file {path}")


def first_line(text: str, where: str) -> str:
    """Return the token in what was read.

    Raises:
        InvalidInput: There is none.
    """
    if not text.strip():
        raise InvalidInput(f"There is no token in {where}.")
    return text.strip()


# ---------------------------------------------------------------- what is kept


def store_token(base_url: str, token: str, *, in_keyring: bool) -> str:
    """Keep a token for a server, and return where, in words; one that was kept before is replaced.

    Raises:
        ConfigurationError: It is to go to the keyring, and there is none that takes it.
    """
    if in_keyring:
        keyring_store.put(server_name(base_url), token)
        token_path(base_url).unlink(missing_ok=True)
        return "the keyring"
    path = token_path(base_url)
    _make_private(path.parent)
    _write_private(path, token + "\n")
    return f"the file {path}"


def remove_token(base_url: str) -> list[str]:
    """Remove what is kept for a server, and return from where, in words."""
    removed: list[str] = []
    path = token_path(base_url)
    with suppress(FileNotFoundError):
        path.unlink()
        removed.append(f"the file {path}")
    if keyring_store.remove(server_name(base_url)):
        removed.append("the keyring")
    return removed


def token_path(base_url: str) -> Path:
    """Return where the token of a server is kept."""
    # Windows has no colons in names.
    return config_dir() / "tokens" / server_name(base_url).replace(":", "_")


def server_name(base_url: str) -> str:
    """Return what tells a server from others: its host, and its port if it has one."""
    return urlsplit(base_url).netloc.rpartition("@")[2].lower()


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(stat.S_IRWXU)


def _write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    # Made with mode 0600, so that there is no moment in which others can read it.
    descriptor, name = tempfile.mkstemp(prefix=".token-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
