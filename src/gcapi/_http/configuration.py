"""The server and the token of a client: from an argument, the environment, or the profile that ``gcapi login`` stored.

A stored token belongs to one profile and one server, and is found for that server only. The token of the environment
belongs to the server of the environment, if there is one. The file of a token holds the token alone, and one that other
users of the machine can read is refused, since they may know it.
"""

from __future__ import annotations

import codecs
import os
import re
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx

from gcapi._http.urls import API_PREFIX, DEFAULT_BASE_URL, origin, parse_base_url
from gcapi._util.user_dirs import config_dir
from gcapi.exceptions import ConfigurationError, TokenError

#: The environment variables with the token, the address of the API, and the name of a profile.
TOKEN_VARIABLE = "GRAND_CHALLENGE_AUTHORIZATION"  # noqa: S105 - its name, not its value
BASE_URL_VARIABLE = "GCAPI_BASE_URL"
PROFILE_VARIABLE = "GCAPI_PROFILE"
#: The profile of those who name none.
DEFAULT_PROFILE = "default"
#: The service name of keyring entries; the user name is that of the token file.
KEYRING_SERVICE = "gcapi"
#: Names of profiles are also names of files.
_PROFILE_NAME = re.compile(r"\w[\w-]{0,63}", re.ASCII)


@dataclass(frozen=True)
class Server:
    """A server, and why it was chosen.

    Attributes:
        base_url: The address of the API, which ends in a slash.
        source: A phrase that names the source of the address; empty for an argument.
        profile: The profile that was named, by an argument or the environment; empty for none.
    """

    base_url: httpx.URL
    source: str = ""
    profile: str = ""

    @property
    def name(self) -> str:
        """The host, with its port if it is not the default one."""
        return self.base_url.netloc.decode("ascii")

    @property
    def token_path(self) -> Path:
        """The file for the token."""
        # Windows does not allow colons in file names.
        return config_dir() / "tokens" / self.keyring_name.replace(":", "_")

    @property
    def keyring_name(self) -> str:
        """The user name of the token in the keyring."""
        is_default = self.profile in {"", DEFAULT_PROFILE}
        return self.name if is_default else f"{self.profile}@{self.name}"


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


# ---------------------------------------------------------------- the server


def find_server(
    base_url: str = "", profile: str = "", *, with_token: bool = False, new_profile: bool = False
) -> Server:
    """Return the server of the argument, else of the named profile, the environment, or the last ``gcapi login``.

    Args:
        base_url: The address; a scheme and a host alone mean the API there. Empty to look for one.
        profile: The name of a profile; empty for that of the environment, if any.
        with_token: Whether a token is given with it. The login is then not looked at, because a token without an
            address is one of the public server.
        new_profile: Whether the named profile may not exist yet.

    Raises:
        ConfigurationError: An address, or the name of the profile, is not valid, or there is no such profile.
    """
    profile_source = f"the profile {profile}"
    if not profile and (profile := os.environ.get(PROFILE_VARIABLE, "").strip()):
        profile_source = f"the profile {profile} ({PROFILE_VARIABLE})"
    if profile and not _PROFILE_NAME.fullmatch(profile):
        raise ConfigurationError(
            f"{profile[:80]!r} is not the name of a profile: use letters, digits, '-' and '_' only."
        )
    if base_url:
        return Server(_api_address(base_url), profile=profile)
    if profile and (address := _read_profile(profile, required=not new_profile)):
        return Server(_named_address(address, profile_source), profile_source, profile)
    if address := os.environ.get(BASE_URL_VARIABLE, "").strip():
        source = f"the environment variable {BASE_URL_VARIABLE}"
        return Server(_named_address(address, source), source, profile)
    is_given = with_token or bool(os.environ.get(TOKEN_VARIABLE, "").strip())
    if not (profile or is_given) and (address := _read_profile(DEFAULT_PROFILE, required=False)):
        return Server(_named_address(address, "the last gcapi login"), "the last gcapi login")
    return Server(parse_base_url(DEFAULT_BASE_URL), "the default", profile)


def _named_address(address: str, source: str) -> httpx.URL:
    try:
        return _api_address(address)
    except ConfigurationError as error:
        raise ConfigurationError(f"{error} It is from {source}.") from error


def _api_address(text: str) -> httpx.URL:
    """Return the address of an API; a host alone means the API there."""
    url = parse_base_url(text)
    return url.copy_with(path=API_PREFIX) if url.path == "/" else url


def profile_path(profile: str) -> Path:
    """Return the file with the address of a profile's server."""
    return config_dir() / "profiles" / (profile or DEFAULT_PROFILE)


def _read_profile(profile: str, *, required: bool) -> str:
    """Return the address of a profile's server; empty if there is no such profile."""
    path = profile_path(profile)
    try:
        with path.open("rb") as file:
            return decode_line(file.readline())
    except OSError as error:
        if not required:
            return ""
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise ConfigurationError(
                f"The profile {path} cannot be read: {error.strerror}. Run 'gcapi login' again."
            ) from error
        known = ""
        with suppress(OSError):
            known = ", ".join(sorted(one.name for one in path.parent.iterdir()))
        raise ConfigurationError(
            f"There is no profile {profile!r} (the profiles are: {known or 'none'}). Make it with"
            f" 'gcapi --profile {profile} login --base-url URL'."
        ) from error


# ---------------------------------------------------------------- the token


def find_token(server: Server, argument: str = "") -> StoredToken:
    """Return the token for a server: the argument, else the one of the environment, else the stored one.

    Args:
        server: The server, to which alone the token may be sent.
        argument: A token; empty to look for one.

    Raises:
        TokenError: No source has one, or other users can read the token file.
    """
    if argument:
        return StoredToken(argument, "an argument")
    reasons: list[str] = []
    # A profile that was named has a token of its own.
    value = "" if server.profile else os.environ.get(TOKEN_VARIABLE, "").strip()
    if value and _environment_is_for(server):
        return StoredToken(value, f"the environment variable {TOKEN_VARIABLE}")
    if value:
        reasons.append(
            f"The one in {TOKEN_VARIABLE} belongs to the server in {BASE_URL_VARIABLE}, and is sent to no other."
        )
    with suppress(FileNotFoundError, NotADirectoryError):
        return read_token_file(server.token_path)
    try:
        with open_keyring() as keyring:
            found = keyring and keyring.get_password(KEYRING_SERVICE, server.keyring_name)
        if found:
            return StoredToken(found, "the keyring")
    except ConfigurationError as error:
        reasons.append(str(error))
    name = f"{server.name} in the profile {server.profile}" if server.profile else server.name
    login = f"gcapi --profile {server.profile} login" if server.profile else "gcapi login"
    words = (
        f"No API token for {name}: pass token= (on the command line --token-file), set {TOKEN_VARIABLE}, or store one"
        f" with '{login}'. Create a token on your Grand Challenge profile under 'API tokens'."
    )
    raise TokenError(" ".join([words, *reasons]))


def _environment_is_for(server: Server) -> bool:
    """Return whether the token of the environment may be sent to a server."""
    address = os.environ.get(BASE_URL_VARIABLE, "").strip()
    return not address or origin(_named_address(address, BASE_URL_VARIABLE)) == origin(
        server.base_url
    )


def read_token_file(path: Path) -> StoredToken:
    """Return the token in the first line of a file.

    Raises:
        FileNotFoundError, NotADirectoryError: There is no such file.
        TokenError: It cannot be read, or is empty, or other users can access it.
    """
    try:
        with path.open("rb") as file:
            # The mode of the open file: the path may change.
            mode = os.fstat(file.fileno()).st_mode
            line = decode_line(file.readline())
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise TokenError(
            f"The token file {path} cannot be read: {error.strerror}. Name another with --token-file, or store the"
            " token again with 'gcapi login'."
        ) from error
    if os.name == "posix" and stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise TokenError(
            f"The token file {path} was not used because other users of this machine can access it (mode"
            f" {stat.S_IMODE(mode):04o}). Run 'chmod 600 {path}', and create a new token if someone may have read"
            " this one."
        )
    return token_of(line, f"the file {path}", path.absolute())


def token_of(line: str, source: str, path: Path | None = None) -> StoredToken:
    """Return the token in a line.

    Raises:
        TokenError: The line is empty.
    """
    if not line.strip():
        raise TokenError(f"There is no token in {source}.")
    return StoredToken(line.strip(), source, path)


def decode_line(line: bytes) -> str:
    """Return a line as text, without a byte order mark: Windows writes one, in UTF-8 or UTF-16."""
    is_utf16 = line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # The line of a UTF-16 file ends within a character.
    return line.decode(
        "utf-16" if is_utf16 else "utf-8-sig", "ignore" if is_utf16 else "replace"
    ).strip()


@contextmanager
def open_keyring() -> Generator[Any]:
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
        backend = keyring.get_keyring()
    except RuntimeError:  # there is no home directory, which the package looks into
        yield None
        return
    try:
        yield None if isinstance(backend, NoBackend) else keyring
    except KeyringError as error:
        raise ConfigurationError(
            f"The system's keyring failed ({type(error).__name__}: {error}). Unlock it, or store the token in a file"
            " with 'gcapi login'."
        ) from error
