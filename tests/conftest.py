"""Fixtures for all tests: a sandbox for each module, and a client of it; and what skips tests of an older schema."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.browser import chromium as chromium

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gcapi import Client
    from gcapi_sandbox import Sandbox


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    """Skip a test if a fixture calls an operation that the schema does not have."""
    return (yield from _skip_without_operation())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    """Skip a test if it calls an operation that the schema does not have."""
    return (yield from _skip_without_operation())


def _skip_without_operation() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except AttributeError as error:
        from tests.support.generated import require
        from tests.support.generated_responses import RESPONSES

        missing = re.search(r"'grand_challenge_api\.api' has no attribute '(\w+)'", str(error))
        if missing and missing[1] in RESPONSES:  # not a misspelt name
            require(missing[1])
        raise


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
