"""The program, isolated from the developer's environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gcapi._http.configuration import find_server
from gcapi.cli.credentials import store_token
from gcapi_sandbox import Sandbox
from tests.support.programs.cli_program import VARIABLE, Program


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide what else of the developer's environment the program reads."""
    for name in ("_GCAPI_COMPLETE", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


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
    store_token(find_server(sandbox.base_url), sandbox.token, in_keyring=False)
    with distributed.LocalCluster(
        n_workers=1, processes=False, dashboard_address=":0", protocol="tcp"
    ) as running:
        yield running.scheduler_address
