"""``doctor``: checks of this machine, the connection, the token and the schema, without a secret in the report."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import tempfile
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click
import httpx

from gcapi._http.settings import Settings
from gcapi._http.transport import Transport
from gcapi._http.urls import parse_base_url
from gcapi._util.http_dates import parse_http_date
from gcapi._util.messages import format_duration, printable, shown_url
from gcapi.cli.commands.account import account_of
from gcapi.cli.exit_codes import TEMPORARY, USAGE, error_message, exit_code_of
from gcapi.cli.output import print_json, write
from gcapi.cli.session import Session, command
from gcapi.client import Client
from gcapi.exceptions import GCAPIError
from gcapi.retries import SelectiveBackoffStrategy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: The packages of each extra.
_EXTRAS = {
    "cli": ("click",),
    "keyring": ("keyring",),
    "dicom": ("grand-challenge-dicom-de-identifier",),
    "progress": ("tqdm",),
    "sandbox": ("starlette", "uvicorn", "SimpleITK"),
    "dask": ("distributed",),
    "parquet": ("pyarrow",),
}
#: The largest harmless difference of the clocks in seconds: certificates and signatures depend on the time.
_MAX_CLOCK_SKEW = 60.0
_LOW_DISK_SPACE_BYTES = 2**30
_TIMEOUT = 30.0
_NO_RETRIES = SelectiveBackoffStrategy(0, 0)
_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_MAX_PRINTED_CHANGES = 10


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: The name of the check.
        level: The severity.
        words: The result and what to do about it; without secrets.
        code: The exit code of the program for this result; 0 unless the check failed.
    """

    check: str
    level: Literal["ok", "note", "warning", "failure", "not checked"]
    words: str
    code: int = 0


@command()
@click.option("--upload", is_flag=True, help="Also check the object store by uploading one byte.")
def doctor(session: Session, *, upload: bool) -> int:
    """Diagnose problems with the connection to the server.

    Checks versions, proxy, certificates, disk, server, clock, token, schema and storage. The report contains no
    secrets, so you can share it. The exit code is that of the first check that failed.
    """
    findings: list[Finding] = []
    for checks in (_check_machine(session.base_url), _check_server(session, upload=upload)):
        for finding in checks:
            findings.append(finding)
            if not session.as_json:
                _print_finding(finding)
    if session.as_json:
        print_json([asdict(finding) for finding in findings])
    return next((finding.code for finding in findings if finding.code), 0)


def _print_finding(finding: Finding) -> None:
    first, *changes = finding.words.splitlines()
    write(f"{finding.level:<11} {finding.check}: {printable(first)}")
    for line in changes[:_MAX_PRINTED_CHANGES]:
        write(f"{'':<12}{printable(line)}")
    if len(changes) > _MAX_PRINTED_CHANGES:
        write(f"{'':<12}… and {len(changes) - _MAX_PRINTED_CHANGES} more: see --json")


# ---------------------------------------------------------------- this machine


def _check_machine(base_url: str) -> Iterator[Finding]:
    packages = ("gcapi", "httpx", "attrs")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    python = f"Python {platform.python_version()}, {platform.system()} on {platform.machine()}"
    yield Finding("versions", "ok", f"{', '.join(versions)}; {python}")
    yield _check_extras()
    yield _check_proxy(base_url)
    yield _check_certificates()
    places = {"this folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    for place, path in places.items():
        free = shutil.disk_usage(path).free
        words = f"{free / 2**30:.1f} GiB free for {place} ({path})"
        yield Finding("disk", "ok" if free > _LOW_DISK_SPACE_BYTES else "warning", words)


def _check_extras() -> Finding:
    found: list[str] = []
    for extra, packages in _EXTRAS.items():
        try:
            versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
        except importlib.metadata.PackageNotFoundError:
            continue
        found.append(f"{extra} ({', '.join(versions)})")
    return Finding("extras", "ok", ", ".join(found) or "none")


def _check_proxy(base_url: str) -> Finding:
    url = urlsplit(base_url)
    proxies = getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if not proxy:
        return Finding("proxy", "ok", "none is set")
    if proxy_bypass(url.netloc):
        return Finding("proxy", "ok", f"not used for {url.hostname} (NO_PROXY)")
    try:
        return Finding("proxy", "ok", f"{url.hostname} is reached through {shown_url(proxy)}")
    except httpx.InvalidURL:
        words = f"the environment's proxy for {url.scheme} is not a valid URL: correct or unset it"
        return Finding("proxy", "failure", words, USAGE)


def _check_certificates() -> Finding:
    for name in _CA_VARIABLES:
        path = os.environ.get(name)
        if path and not Path(path).exists():
            words = f"{name} names {path}, which does not exist: correct or unset it"
            return Finding("certificates", "failure", words, USAGE)
        if path:
            return Finding("certificates", "ok", f"verified with {path} ({name})")
    return Finding("certificates", "ok", "verified with the bundle of the package certifi")


# ---------------------------------------------------------------- the server


def _check_server(session: Session, *, upload: bool) -> Iterator[Finding]:
    """Check the connection, the token, the account, the schema and the storage; each needs those before.

    Args:
        session: The session.
        upload: Whether to upload a byte, which is the only way to find the object store.
    """
    reached = _catch("API", lambda: _check_api(session))
    yield from reached
    clients: list[Client] = []
    found = _catch("token", lambda: _check_token_source(session, clients))
    yield from found
    if "failure" in {reached[0].level, found[0].level}:
        yield Finding("account, schema, storage", "not checked", "they need the server and a token")
        return
    with clients[0] as client:
        account = _catch("account", lambda: _check_account(client))
        yield from account
        yield from _catch("schema", lambda: _check_schema(client))
        if account[0].level == "ok":
            yield from _catch("storage", lambda: _check_storage(client, upload=upload))


def _catch(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Return the findings of a check, which are an error of the server or the connection if it raises one."""
    try:
        return check()
    except (GCAPIError, httpx.HTTPError, OSError) as error:
        return [Finding(name, "failure", error_message(error), exit_code_of(error))]


def _check_api(session: Session) -> list[Finding]:
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
    with closing(Transport(settings, _NO_RETRIES)) as transport:
        # The pool that sends no token, which is checked later.
        response = transport.storage.get(url, headers={"Accept": "application/json"})
    seconds = (datetime.now(UTC) - started).total_seconds()
    if not response.is_success or "lowest_supported_version" not in response.text:
        words = (
            f"{shown_url(url)} responded {response.status_code}, and is not a Grand Challenge API: check --base-url,"
            " and whether a proxy or a login page responds in its place"
        )
        code = TEMPORARY if response.is_server_error else USAGE
        return [Finding("API", "failure", words, code)]
    words = f"{shown_url(session.base_url)} responded after {seconds:.2f} s"
    return [Finding("API", "ok", words), _check_clock(response, started)]


def _check_clock(response: httpx.Response, now: datetime) -> Finding:
    server_time = parse_http_date(response.headers.get("Date", ""))
    if server_time is None:
        return Finding("clock", "not checked", "the server's response has no date")
    skew = (now - server_time).total_seconds()
    if abs(skew) <= _MAX_CLOCK_SKEW:
        return Finding("clock", "ok", "agrees with the server's")
    direction = "ahead of" if skew > 0 else "behind"
    words = f"{format_duration(abs(skew))} {direction} the server's: correct it, since certificates depend on the time"
    return Finding("clock", "warning", words)


def _check_token_source(session: Session, clients: list[Client]) -> list[Finding]:
    """Find the token, and add a client with it: a client refuses a token that no header can hold."""
    token = session.find_token()
    clients.append(Client(token.value, session.base_url, retry_strategy=_NO_RETRIES))
    return [Finding("token", "ok", f"from {token.source}")]


def _check_account(client: Client) -> list[Finding]:
    return [Finding("account", "ok", f"the token belongs to {account_of(client)['user']}")]


def _check_schema(client: Client) -> list[Finding]:
    changes = client.check_schema().changes
    if not changes:
        return [Finding("schema", "ok", "identical to the one of this release")]
    words = f"{len(changes)} differences from the one of this release, which are harmless by themselves:"
    return [Finding("schema", "note", "\n".join([words, *changes]))]


def _check_storage(client: Client, *, upload: bool) -> list[Finding]:
    if not upload:
        words = "its address is known after an upload; --upload sends one byte, which the server deletes after a day"
        return [Finding("storage", "not checked", words)]
    client.uploads.upload_fileobj(fileobj=BytesIO(b"0"), filename="gcapi-doctor.txt")
    return [Finding("storage", "ok", "one byte was uploaded")]
