"""`doctor` finds problems, gives advice, and reveals no secrets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from gcapi._api.schema_diff import published_schema
from gcapi_sandbox import Sandbox
from tests.support.programs.cli_program import VARIABLE, Program, Result
from tests.support.servers.loopback import TOKEN, VERSION, Answer, Loopback, Seen

ALL = {"versions", "extras", "proxy", "certificates", "disk", "API", "clock", "token"}
PROFILE = {
    "user": {"username": "somebody"},
    "mugshot": "",
    "institution": "",
    "department": "",
    "location": "",
    "website": "",
}
WITH_TOKEN = ALL | {"account", "schema", "storage"}


def found(run: Result) -> dict[str, tuple[str, str]]:
    """Return the level and the text of each check."""
    return {finding["check"]: (finding["level"], finding["words"]) for finding in run.json}


def test_all_is_well(ready: Program, sandbox: Sandbox) -> None:
    """If all checks pass, each says so, nothing is uploaded, and the exit code is 0."""
    sandbox.requests.clear()
    run = ready("doctor", "--json")
    assert run.code == 0
    levels = {check: level for check, (level, _) in found(run).items()}
    assert levels.keys() == WITH_TOKEN
    assert {check for check, level in levels.items() if level != "ok"} == {"storage"}
    assert levels["storage"] == "not checked"
    assert {one.method for one in sandbox.requests} == {"GET"}
    told = ready("doctor")
    assert told.code == 0
    assert all(f" {check}: " in told.out for check in WITH_TOKEN)
    assert f"{VARIABLE}" in told.out


def test_storage_is_checked_when_asked(ready: Program, sandbox: Sandbox) -> None:
    """With --upload, one byte is sent to the object store, without the token."""
    sandbox.requests.clear()
    assert found(ready("doctor", "--upload", "--json"))["storage"][0] == "ok"
    (put,) = [one for one in sandbox.requests if one.method == "PUT"]
    assert (put.origin, put.body_size, put.authorization) == ("storage", 1, "")


@pytest.mark.parametrize("as_json", [False, True])
def test_reports_have_no_secrets(
    ready: Program, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, *, as_json: bool
) -> None:
    """A report contains neither the token nor the password of a proxy, whether the proxy works or not."""
    arguments = ["--json"] if as_json else []
    fine = ready("doctor", "--upload", *arguments)
    assert fine.code == 0
    with Loopback(lambda _: Answer()) as server:
        gone = server.origin.removeprefix("http://")
    for name in ("NO_PROXY", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", f"http://somebody:geheim@{gone}")
    # https, which nobody serves there; a sandbox is never reached through a proxy
    where = ("--base-url", sandbox.base_url.replace("http:", "https:"), "--token", sandbox.token)
    broken = ready("doctor", "--debug", *where, *arguments)
    assert broken.code == 5
    assert f"is reached through http://{gone}" in broken.out
    assert f"could not be reached through the proxy {gone}" in broken.out
    for secret in (sandbox.token, "geheim", "X-Amz-Signature"):
        assert secret not in fine.out + fine.err + broken.out + broken.err


@pytest.mark.parametrize(
    ("check", "variable", "value"),
    [
        ("proxy", "HTTPS_PROXY", "http://me:se#cret@proxy.example"),
        ("proxy", "HTTPS_PROXY", "http://proxy example"),
        ("proxy", "ALL_PROXY", "socks4://proxy.example"),
        ("certificates", "SSL_CERT_FILE", "/no/such/bundle.pem"),
        ("certificates", "SSL_CERT_FILE", "/"),
        ("certificates", "SSL_CERT_DIR", "/no/such/folder"),
        ("API", "GCAPI_BASE_URL", "gc.example"),
        ("API", "GCAPI_PROFILE", "unknown"),
    ],
)
def test_settings_that_cannot_be_used(
    ready: Program, monkeypatch: pytest.MonkeyPatch, check: str, variable: str, value: str
) -> None:
    """A setting that cannot be used is found by the check of its kind, and the other checks go on."""
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(variable, value)
    run = ready("doctor", "--json")
    assert run.code == 2
    level, words = found(run)[check]
    assert level == "failure"
    assert "Traceback" not in run.err
    assert value in words or variable in words
    assert {"disk", "API"} <= found(run).keys()
    if variable != "GCAPI_PROFILE":
        assert variable in ready("whoami").err
        assert ready("whoami").code == 2


def test_no_token_and_a_wrong_one(ready: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing or invalid token is a failure with exit code 8."""
    wrong = ready("doctor", "--json", "--token", TOKEN)
    assert wrong.code == 8
    assert found(wrong)["account"][0] == "failure"
    monkeypatch.delenv(VARIABLE)
    missing = ready("doctor", "--json")
    assert missing.code == 8
    assert found(missing)["API"][0] == "ok"
    assert found(missing)["token"][0] == "failure"


def test_another_server_than_grand_challenge(gcapi: Program) -> None:
    """A login page in the place of the API is recognized."""
    page = Answer(body=b"<html>Log in</html>", headers={"Content-Type": "text/html"})
    with Loopback(lambda _: page, with_version=False) as server:
        run = gcapi("doctor", "--json", "--base-url", server.base_url, "--token", TOKEN)
    assert run.code == 2
    assert "login page" in found(run)["API"][1]


def script(**answers: Answer) -> Callable[[Seen], Answer]:
    """Return a script that answers by the last path segment; by default, with a valid account and this schema."""
    usual = {
        "gcapi": Answer(body=VERSION),
        "interfaces": Answer(body={"count": 0, "next": None, "previous": None, "results": []}),
        "self": Answer(body=PROFILE),
        "schema": Answer(body=published_schema()),
    }

    def answer(seen: Seen) -> Answer:
        end = seen.path.partition("?")[0].rstrip("/").rpartition("/")[2]
        return {**usual, **answers}[end]

    return answer


@pytest.mark.parametrize(("seconds", "words"), [(-300, "ahead of"), (300, "behind")])
def test_wrong_clocks(gcapi: Program, seconds: int, words: str) -> None:
    """A clock that is minutes off is a warning, not a failure."""
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    answers = script(gcapi=Answer(body=VERSION, headers={"Date": then}))
    with Loopback(answers, with_version=False) as server:
        run = gcapi("doctor", "--json", "--base-url", server.base_url, "--token", TOKEN)
    level, told = found(run)["clock"]
    assert (run.code, level) == (0, "warning")
    assert words in told


def test_schemas_that_differ(gcapi: Program) -> None:
    """Differences of the server's schema are a note: shortened in text, complete in JSON."""
    schema: Any = copy.deepcopy(published_schema())
    for name in list(schema["components"]["schemas"])[:30]:
        schema["components"]["schemas"][name].setdefault("properties", {})["brand_new"] = {
            "type": "string"
        }
    with Loopback(script(schema=Answer(body=schema)), with_version=False) as server:
        where = ("--base-url", server.base_url, "--token", TOKEN)
        run, told = gcapi("doctor", "--json", *where), gcapi("doctor", *where)
    level, words = found(run)["schema"]
    assert (run.code, level) == (0, "note")
    assert words.count("brand_new") >= 20
    assert 0 < told.out.count("brand_new") <= 10
    assert "more: see --json" in told.out
