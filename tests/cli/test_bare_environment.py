"""`gcapi` without standard streams, a home directory, or a folder that can be written."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.programs.cli_program import DEADLINE, VARIABLE, Program, command_line

pytestmark = pytest.mark.skipif(os.name != "posix", reason="redirections of a POSIX shell")


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams(
    config: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    redirection: str,
) -> None:
    """Without standard streams, the work is done, and no file gets what is printed."""
    monkeypatch.setenv("GCAPI_BASE_URL", sandbox.base_url)
    file = tmp_path / "token"
    file.write_text(sandbox.token)
    file.chmod(0o600)
    command = f"{shlex.join(command_line('login', '--token-file', file))} {redirection}"
    run = subprocess.run(command, shell=True, check=False, capture_output=True, timeout=DEADLINE)
    assert run.returncode == 0
    (stored,) = (config / "gcapi" / "tokens").iterdir()
    assert stored.read_text() == f"{sandbox.token}\n"
    (profile,) = (config / "gcapi" / "profiles").iterdir()
    assert profile.read_text() == f"{sandbox.base_url}\n"
    assert b"Traceback" not in run.stderr


def test_no_home(gcapi: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home directory has no login."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    run = gcapi("whoami")
    assert run.code == 8
    assert "No API token" in run.err
    assert gcapi("logout").code == 0


def test_login_that_cannot_be_stored(
    ready: Program, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error for a folder that cannot be written names the file and two remedies."""
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    run = ready("login", stdin=sandbox.token)
    assert run.code == 2
    assert "/dev/null/gcapi/tokens" in run.err
    assert f"set XDG_CONFIG_HOME to another one, or set {VARIABLE}" in run.err


def test_journal_that_cannot_be_written(
    ready: Program, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the state folder cannot be written, the error of a push says --journal, which works."""
    monkeypatch.setenv("XDG_STATE_HOME", "/dev/null")
    sandbox.add_socket("Score", "Float")
    slug = sandbox.add_archive("Journal")
    manifest = tmp_path / "manifest.csv"
    manifest.write_text("title,score\none,0.5\n")
    refused = ready("push", manifest, f"archive:{slug}")
    assert refused.code == 4
    assert "on the command line --journal" in refused.err
    assert ready("push", manifest, f"archive:{slug}", "--journal", tmp_path / "journal").code == 0


def test_no_token_comes_first(gcapi: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the exit code is 8, also if the proxy, the certificates and the manifest cannot be used."""
    monkeypatch.setenv("HTTPS_PROXY", "http://not a proxy")
    monkeypatch.setenv("SSL_CERT_FILE", "/dev/null/ca.pem")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/dev/null")
    for command in (["whoami"], ["push", "missing.csv", "archive:none"], ["archives", "list"]):
        assert gcapi(*command).code == 8
