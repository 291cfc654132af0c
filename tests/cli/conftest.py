"""The program, isolated from the developer's environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi.cli.credentials import store_token
from gcapi_sandbox import Sandbox
from tests.support.programs.cli_program import VARIABLE, Program


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Hide the developer's configuration, and return the folder that replaces it."""
    folder = tmp_path / "config"
    for name in ("GCAPI_BASE_URL", "_GCAPI_COMPLETE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    # No keyring, unless a test brings one.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return folder


@pytest.fixture
def gcapi(capsys: pytest.CaptureFixture[str]) -> Program:
    """Return the program, without a server and a token."""
    return Program(capsys)


@pytest.fixture
def ready(gcapi: Program, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Return the program, set up for a user of the sandbox."""
    monkeypatch.setenv("GCAPI_BASE_URL", sandbox.base_url)
    monkeypatch.setenv(VARIABLE, sandbox.token)
    return gcapi


@pytest.fixture
def cluster(sandbox: Sandbox, ready: Program, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Yield the address of a Dask cluster; the token is only in the file that `login` writes."""
    distributed = pytest.importorskip("distributed")
    del ready
    monkeypatch.delenv(VARIABLE)
    store_token(sandbox.base_url, sandbox.token, in_keyring=False)
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=":0", protocol="tcp"
    ) as running:
        yield running.scheduler_address
