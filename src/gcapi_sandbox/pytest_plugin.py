"""Fixtures for tests of programs that use Grand Challenge: a sandbox, and a client for it.

pytest loads this module in every run where the package is installed, so it imports the sandbox only when it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

    from gcapi import Client
    from gcapi_sandbox import Sandbox

    Scope = Literal["session", "package", "module", "class", "function"]

_SCOPE = "gcapi_sandbox_scope"
_INSTALL_HINT = "pip install"  # part of the message about the missing extra


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting for the scope of the sandbox."""
    parser.addini(
        _SCOPE,
        "scope of the fixture gcapi_sandbox: session (the default), package, module, class or function",
        default="session",
    )


def _scope(fixture_name: str, config: pytest.Config) -> Scope:  # noqa: ARG001  # pytest's signature
    return cast("Scope", config.getini(_SCOPE))


@pytest.fixture(scope=_scope)
def gcapi_sandbox() -> Iterator[Sandbox]:
    """Return a running sandbox, which is empty at first and shared by the whole session.

    With `gcapi_sandbox_scope = "function"` in pytest's settings every test has its own sandbox.
    Tests are skipped if the extra `sandbox` is not installed.
    """
    from gcapi_sandbox import Sandbox

    sandbox = Sandbox()
    try:
        sandbox.start()
    except ModuleNotFoundError as missing:
        if _INSTALL_HINT not in str(missing):
            raise
        pytest.skip(str(missing))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def gcapi_client(gcapi_sandbox: Sandbox) -> Iterator[Client]:
    """Return a client of the default user, who edits all objects that are added to the sandbox."""
    from gcapi import Client

    with Client(token=gcapi_sandbox.token, base_url=gcapi_sandbox.base_url) as client:
        yield client
