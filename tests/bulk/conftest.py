"""Archives to pull and the folder to pull into, and collections to push to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import CaseCollection, add_collection
from tests.support.pull import (
    Sockets,
    add_archive,
    add_sockets,
    many_cases,
    real_cases,
)
from tests.support.push import Sockets as PushSockets
from tests.support.push import make_sockets


@pytest.fixture(scope="module")
def sockets(sandbox: Sandbox) -> Sockets:
    """Return a socket of each kind."""
    return add_sockets(sandbox)


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox, sockets: Sockets, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an archive of real cases that no test changes."""
    with Client(sandbox.token, sandbox.base_url) as client:
        cases = real_cases(sockets, tmp_path_factory.mktemp("cases"))
        return add_archive(sandbox, client, cases)


@pytest.fixture
def small(sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path) -> str:
    """Return an archive of two small cases for one test."""
    (tmp_path / "sources").mkdir()
    return add_archive(sandbox, client, many_cases(tmp_path / "sources", sockets, 2))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a folder to pull into."""
    return tmp_path / "home"


@pytest.fixture(params=["archive", "reader study"])
def collection(request: pytest.FixtureRequest, sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive to push to, and then a reader study."""
    return add_collection(sandbox, client, request.param)


@pytest.fixture
def empty_archive(sandbox: Sandbox, client: Client) -> CaseCollection:
    """Return an archive to push to."""
    return add_collection(sandbox, client, "archive")


@pytest.fixture
def push_sockets(sandbox: Sandbox) -> PushSockets:
    """Return the sockets of a case of one value and one file."""
    return make_sockets(sandbox)
