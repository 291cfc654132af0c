"""The checks of ``gcapi doctor``: this machine, the connection, the token and the schema, without a secret."""

from __future__ import annotations

import importlib.metadata
import platform
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Literal

import httpx

from gcapi._http.proxies import environment_proxy
from gcapi._http.settings import Settings
from gcapi._http.tls import environment_certificates, make_context
from gcapi._http.transport import Transport
from gcapi._util.http_dates import parse_http_date
from gcapi._util.messages import counted, format_duration, shown_url, size_text
from gcapi.cli.commands.account import account_of
from gcapi.cli.error_reports import ORDINARY_ERRORS, error_message, exit_code_of
from gcapi.cli.exit_codes import TEMPORARY, USAGE
from gcapi.cli.session import Session
from gcapi.client import Client
from gcapi.retries import SelectiveBackoffStrategy

#: The largest harmless difference of the clocks in seconds: certificates and signatures depend on the time.
_MAX_CLOCK_SKEW = 60.0
_LOW_DISK_SPACE_BYTES = 2**30
_TIMEOUT = 30.0
_NO_RETRIES = SelectiveBackoffStrategy(0, 0)


@dataclass(frozen=True)
class Diagnosis:
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


# ---------------------------------------------------------------- this machine


def check_machine(session: Session) -> Iterator[Diagnosis]:
    """Check versions, proxy, certificates and disk.

    Args:
        session: The session.
    """
    packages = ("gcapi", "httpx", "attrs")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    python = f"Python {platform.python_version()}, {platform.system()} on {platform.machine()}"
    yield Diagnosis("versions", "ok", f"{', '.join(versions)}; {python}")
    yield _check_extras()
    yield from _catch("proxy", _check_proxy(session))
    yield from _catch("certificates", _check_certificates())
    yield from _catch("disk", _check_disk())


def _check_extras() -> Diagnosis:
    requirements = importlib.metadata.requires("gcapi") or []
    names = [re.split(r"[^\w.-]", one)[0] for one in requirements if "extra ==" in one]
    found: list[str] = []
    for name in dict.fromkeys((*names, "pyarrow")):  # pyarrow, which Parquet needs, is in no extra
        with suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return Diagnosis("extras", "ok", ", ".join(found) or "none")


def _check_proxy(session: Session) -> Iterator[Diagnosis]:
    proxy = environment_proxy()
    if not proxy:
        yield Diagnosis("proxy", "ok", "none is set, or none is used (NO_PROXY)")
        return
    url = session.server.base_url
    words = f"{url.host} is reached through {proxy.shown}"
    if not proxy.is_for(url):
        reason = "NO_PROXY" if url.scheme == "https" else "http is for this machine alone"
        words = f"{proxy.shown} is not used for {url.host} ({reason})"
    yield Diagnosis("proxy", "ok", words)


def _check_certificates() -> Iterator[Diagnosis]:
    make_context(verify=True)
    name, path = environment_certificates() or ("", "")
    words = f"{path} ({name})" if name else "the bundle of the package certifi"
    yield Diagnosis("certificates", "ok", f"verified with {words}")


def _check_disk() -> Iterator[Diagnosis]:
    places = {"this folder": Path.cwd(), "temporary files": Path(tempfile.gettempdir())}
    for place, path in places.items():
        free = shutil.disk_usage(path).free
        words = f"{size_text(free)} free for {place} ({path})"
        yield Diagnosis("disk", "ok" if free > _LOW_DISK_SPACE_BYTES else "warning", words)


# ---------------------------------------------------------------- the server


def check_server(session: Session, *, upload: bool) -> Iterator[Diagnosis]:
    """Check the connection, the token, the account, the schema and the storage; each needs those before.

    Args:
        session: The session.
        upload: Whether to upload a byte, which is the only way to find the object store.
    """
    clients: list[Client] = []
    findings = [
        *_catch("API", _check_api(session)),
        *_catch("token", _check_token(session, clients)),
    ]
    yield from findings
    if any(finding.level == "failure" for finding in findings):
        yield Diagnosis(
            "account, schema, storage", "not checked", "they need the server and a token"
        )
        return
    with clients[0] as client:
        account = [*_catch("account", _check_account(client))]
        yield from account
        yield from _catch("schema", _check_schema(client))
        if account[0].level == "ok":
            yield from _catch("storage", _check_storage(client, upload=upload))


def _catch(name: str, findings: Iterator[Diagnosis]) -> Iterator[Diagnosis]:
    """Yield the findings of a check, and a failure for an error that ends it."""
    try:
        yield from findings
    except ORDINARY_ERRORS as error:
        yield Diagnosis(name, "failure", error_message(error, in_doctor=True), exit_code_of(error))


def _check_api(session: Session) -> Iterator[Diagnosis]:
    base_url = session.server.base_url
    settings = Settings(token="", base_url=base_url, timeout=_TIMEOUT)
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
        yield Diagnosis("API", "failure", words, TEMPORARY if response.is_server_error else USAGE)
        return
    words = f"{shown_url(base_url)} (from {session.server.source}) responded after {seconds:.2f} s"
    yield Diagnosis("API", "ok", words)
    yield _check_clock(response, started)


def _check_clock(response: httpx.Response, now: datetime) -> Diagnosis:
    server_time = parse_http_date(response.headers.get("Date", ""))
    if server_time is None:
        return Diagnosis("clock", "not checked", "the server's response has no date")
    skew = (now - server_time).total_seconds()
    if abs(skew) <= _MAX_CLOCK_SKEW:
        return Diagnosis("clock", "ok", "agrees with the server's")
    direction = "ahead of" if skew > 0 else "behind"
    words = f"{format_duration(abs(skew))} {direction} the server's: correct it, since certificates depend on the time"
    return Diagnosis("clock", "warning", words)


def _check_token(session: Session, clients: list[Client]) -> Iterator[Diagnosis]:
    """Find the token, and add a client with it: a client refuses a token that no header can hold."""
    token = session.find_token()
    clients.append(Client(token.value, str(session.server.base_url), retry_strategy=_NO_RETRIES))
    yield Diagnosis("token", "ok", f"from {token.source}")


def _check_account(client: Client) -> Iterator[Diagnosis]:
    yield Diagnosis("account", "ok", f"the token belongs to {account_of(client)['user']}")


def _check_schema(client: Client) -> Iterator[Diagnosis]:
    changes = client.check_schema().changes
    if changes:
        words = f"{counted(len(changes), 'difference')} from the one of this release, harmless by itself:"
        yield Diagnosis("schema", "note", "\n".join([words, *changes]))
    else:
        yield Diagnosis("schema", "ok", "identical to the one of this release")


def _check_storage(client: Client, *, upload: bool) -> Iterator[Diagnosis]:
    if upload:
        client.uploads.upload_fileobj(fileobj=BytesIO(b"0"), filename="gcapi-doctor.txt")
        yield Diagnosis("storage", "ok", "one byte was uploaded")
    else:
        words = "its address is known after an upload; --upload sends one byte, which the server deletes after a day"
        yield Diagnosis("storage", "not checked", words)
