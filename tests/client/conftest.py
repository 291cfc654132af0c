"""Fixtures for tests of cases, which run on an archive and on a reader study."""

from __future__ import annotations

import pytest

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import CaseCollection, Sockets, add_collection, add_each_socket


@pytest.fixture(params=["archive", "reader study"])
def collection(request: pytest.FixtureRequest, sandbox: Sandbox, client: Client) -> CaseCollection:
    """Add an archive, and then a reader study."""
    return add_collection(sandbox, client, request.param)


@pytest.fixture
def sockets(sandbox: Sandbox) -> Sockets:
    """Add a socket for each way of storing a value."""
    return add_each_socket(sandbox)
