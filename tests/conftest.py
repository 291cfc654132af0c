"""Fixtures for all tests: a sandbox for each module, and a client of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi import Client
    from gcapi_sandbox import Sandbox


@pytest.fixture(autouse=True)
def _no_token_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide a developer's token from all tests."""
    monkeypatch.delenv("GRAND_CHALLENGE_AUTHORIZATION", raising=False)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Run a sandbox for the module."""
    from gcapi_sandbox import Sandbox

    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Connect as the sandbox's default user."""
    from gcapi import Client

    with Client(token=sandbox.token, base_url=sandbox.base_url) as connected:
        yield connected
