"""Fixtures for tests of programs that use Grand Challenge: a sandbox, and a client on it.

pytest loads this module in every run where the package is installed, so it imports nothing that no test asks for.
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
_HINT = "pip install"  # what the sandbox's own refusal says when its extra is missing


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a project choose how many tests share a sandbox."""
    parser.addini(
        _SCOPE,
        "what shares one sandbox: session (the default), package, module, class or function",
        default="session",
    )


def _scope(fixture_name: str, config: pytest.Config) -> Scope:  # noqa: ARG001  # pytest's signature
    return cast("Scope", config.getini(_SCOPE))


@pytest.fixture(scope=_scope)
def gcapi_sandbox() -> Iterator[Sandbox]:
    """Give a running sandbox, empty at first; the whole session shares it.

    With `gcapi_sandbox_scope = "function"` in pytest's settings every test has one of its own.
    Tests are skipped where the extra `sandbox` is not installed.
    """
    from gcapi_sandbox import Sandbox

    sandbox = Sandbox()
    try:
        sandbox.start()
    except ModuleNotFoundError as missing:
        if _HINT not in str(missing):
            raise
        pytest.skip(str(missing))
    yield sandbox
    sandbox.stop()


@pytest.fixture
def gcapi_client(gcapi_sandbox: Sandbox) -> Iterator[Client]:
    """Give a client of the sandbox's default user, who edits whatever is added to it."""
    from gcapi import Client

    with Client(token=gcapi_sandbox.token, base_url=gcapi_sandbox.base_url) as client:
        yield client
