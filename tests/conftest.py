"""What all tests share: a sandbox for each module, a client on it, and a scripted server for what no sandbox does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi import Client
    from gcapi_sandbox import Sandbox


@pytest.fixture(autouse=True)
def _no_token_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a developer's own token out of every test."""
    monkeypatch.delenv("GRAND_CHALLENGE_AUTHORIZATION", raising=False)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Give a Grand Challenge of the module's own."""
    from gcapi_sandbox import Sandbox

    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Give a client of the sandbox's default user."""
    from gcapi import Client

    with Client(token=sandbox.token, base_url=sandbox.base_url) as connected:
        yield connected
