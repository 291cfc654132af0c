"""Fixtures for the tests of the sandbox, which use plain HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.servers.raw_http import Web, image_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi_sandbox import Sandbox


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[Web]:
    """Return a plain HTTP client of the default user."""
    user = Web(sandbox)
    yield user
    user.close()


@pytest.fixture
def stranger(sandbox: Sandbox) -> Iterator[Web]:
    """Return a plain HTTP client of a user without any role."""
    user = Web(sandbox, sandbox.add_user("stranger"))
    yield user
    user.close()


@pytest.fixture
def scan() -> bytes:
    """Return the bytes of a small image."""
    return image_bytes()
