"""What `doctor` looks at, each check a function that returns findings without a secret in them."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from gcapi._http.settings import Settings
from gcapi._http.transport import Transport
from gcapi._http.urls import parse_base_url
from gcapi._util.messages import shown_url
from gcapi.cli import exit_codes
from gcapi.client import Client
from gcapi.exceptions import GCAPIError
from gcapi.retries import SelectiveBackoffStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gcapi.cli.session import Session

Level = Literal["ok", "note", "warning", "failure", "not checked"]

#: The optional packages, by the extra that brings them.
_EXTRAS = {
    "cli": ("click",),
    "keyring": ("keyring",),
    "dicom": ("grand-challenge-dicom-de-identifier",),
    "progress": ("tqdm",),
    "sandbox": ("starlette", "uvicorn", "SimpleITK"),
    "dask": ("distributed",),
    "parquet": ("pyarrow",),
}
#: How far this machine's clock may be off, in seconds: certificates and signatures go by time.
_SKEW = 60.0
#: Below how many free bytes there is a warning.
_LITTLE_SPACE = 2**30
#: Seconds that the server may be silent.
_TIMEOUT = 30.0
#: Who asks a doctor wants to know now.
_ONCE = SelectiveBackoffStrategy(0, 0)
_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@dataclass(frozen=True)
class Finding:
    """What one check has found.

    Attributes:
        check: What was looked at.
        level: How bad it is.
        words: What was found, and what to do about it; without secrets.
        code: The exit code that this ends the program with; 0 where nothing failed.
    """

    check: str
    level: Level
    words: str
    code: int = 0


def local_checks(session: Session) -> Iterator[Finding]:
    """Check what needs no server."""
    yield _versions()
    yield _extras()
    yield _proxy(session.base_url)
    yield _certificates()
    yield from _disk()


def _versions() -> Finding:
    packages = ("gcapi", "httpx", "attrs")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    system = f"{platform.system()} on {platform.machine()}"
    return Finding(
        "versions", "ok", f"{', '.join(versions)}; Python {platform.python_version()}, {system}"
    )


def _extras() -> Finding:
    found: list[str] = []
    for extra, packages in _EXTRAS.items():
        versions = [_version(name) for name in packages]
        if all(versions):
            found.append(
                f"{extra} ({', '.join(f'{n} {v}' for n, v in zip(packages, versions, strict=True))})"
            )
    return Finding("extras", "ok", ", ".join(found) or "none")


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _proxy(base_url: str) -> Finding:
    url = urlsplit(base_url)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return Finding("proxy", "ok", "none is set")
    if proxy_bypass(url.netloc):
        return Finding("proxy", "ok", f"none for {url.hostname} (NO_PROXY)")
    try:
        return Finding("proxy", "ok", f"{url.hostname} is reached through {shown_url(proxy)}")
    except httpx.InvalidURL:
        words = f"the proxy that the environment sets for {url.scheme} is no address: correct it"
        return Finding("proxy", "failure", words, exit_codes.USAGE)


def _certificates() -> Finding:
    for name in _CA_VARIABLES:
        path = os.environ.get(name)
        if path and not Path(path).exists():
            words = f"{name} names {path}, which does not exist: correct or unset it"
            return Finding("certificates", "failure", words, exit_codes.USAGE)
        if path:
            return Finding("certificates", "ok", f"checked against {path} ({name})")
    return Finding("certificates", "ok", "checked against the bundle of the package certifi")


def _disk() -> Iterator[Finding]:
    places = {"this folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    for what, path in places.items():
        free = shutil.disk_usage(path).free
        words = f"{free / 2**30:.1f} GiB free for {what} ({path})"
        yield Finding("disk", "ok" if free > _LITTLE_SPACE else "warning", words)


# ---------------------------------------------------------------- the server


def server_checks(session: Session, *, upload: bool) -> Iterator[Finding]:
    """Check the way to the server, the token and the schema; each needs the one before.

    Args:
        session: The run of the command.
        upload: Whether to upload a byte, which is the only way to learn where the object store is.
    """
    reached = _attempt("API", lambda: _reach(session))
    yield from reached
    clients: list[Client] = []
    token = _attempt("token", lambda: _token(session, clients))
    yield from token
    if reached[0].level == "failure" or token[0].level == "failure":
        yield Finding("account, schema, storage", "not checked", "they need the server and a token")
        return
    with clients[0] as client:
        account = _attempt("account", lambda: _account(client))
        yield from account
        yield from _attempt("schema", lambda: _schema(client))
        if account[0].level == "ok":
            yield from _attempt("storage", lambda: _storage(client, upload=upload))


def _attempt(check: str, look: Callable[[], list[Finding]]) -> list[Finding]:
    """Return what a check found; an error of the server or of the way there is a finding."""
    try:
        return look()
    except (GCAPIError, httpx.HTTPError, OSError) as error:
        return [
            Finding(check, "failure", exit_codes.paragraph(error), exit_codes.exit_code_of(error))
        ]


def _reach(session: Session) -> list[Finding]:
    settings = Settings(
        token="",
        base_url=parse_base_url(session.base_url),
        verify=True,
        timeout=_TIMEOUT,
        max_concurrent_uploads=1,
        max_concurrent_downloads=1,
    )
    url = settings.api_url("gcapi/")
    started = datetime.now(UTC)
    with closing(Transport(settings, _ONCE)) as transport:
        # The client without a token: whether that is a good one is another check.
        response = transport.storage.get(url, headers={"Accept": "application/json"})
    took = (datetime.now(UTC) - started).total_seconds()
    if not response.is_success or "lowest_supported_version" not in response.text:
        words = (
            f"{shown_url(url)} answered {response.status_code}, and is no Grand Challenge API: check --base-url, and"
            " whether a proxy or a login page answers in its place"
        )
        passing = response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR
        return [
            Finding("API", "failure", words, exit_codes.TEMPORARY if passing else exit_codes.USAGE)
        ]
    words = f"{shown_url(session.base_url)} answered after {took:.2f} s"
    return [Finding("API", "ok", words), _clock(response, started)]


def _clock(response: httpx.Response, asked: datetime) -> Finding:
    """Compare this machine's clock with the server's, which tells whole seconds."""
    try:
        told = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, ValueError):
        return Finding("clock", "not checked", "the server does not tell its time")
    # A date whose zone is not told is the world's.
    off = (asked - (told if told.tzinfo else told.replace(tzinfo=UTC))).total_seconds()
    if abs(off) <= _SKEW:
        return Finding("clock", "ok", "as the server's")
    words = f"{abs(off):.0f} s {'ahead of' if off > 0 else 'behind'} the server's: set it, certificates go by time"
    return Finding("clock", "warning", words)


def _token(session: Session, clients: list[Client]) -> list[Finding]:
    """Find the token, and add the client that it makes; it makes none that no header can hold."""
    token = session.find_token()
    clients.append(Client(token.value, session.base_url, retry_strategy=_ONCE))
    return [Finding("token", "ok", f"from {token.source}")]


def _account(client: Client) -> list[Finding]:
    # Lists that are public answer whatever the token is; this one needs it.
    client(path="components/interfaces/", params={"limit": 1})
    return [Finding("account", "ok", f"the token is {client.profiles.self().user.username}'s")]


def _schema(client: Client) -> list[Finding]:
    changes = client.check_schema().changes
    if not changes:
        return [Finding("schema", "ok", "the one that this release was made from")]
    words = f"{len(changes)} differences from the one that this release was made from; they do no harm by themselves:"
    return [Finding("schema", "note", "\n".join([words, *changes]))]


def _storage(client: Client, *, upload: bool) -> list[Finding]:
    if not upload:
        words = "the first upload tells where it is; --upload sends one byte, which the server forgets after a day"
        return [Finding("storage", "not checked", words)]
    client.uploads.upload_fileobj(fileobj=BytesIO(b"0"), filename="gcapi-doctor.txt")
    return [Finding("storage", "ok", "one byte was uploaded")]
