"""Fixtures for all tests: a sandbox for each module, and a client of it; and what skips tests of an older schema."""

from __future__ import annotations

import gc
import re
import signal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from hypothesis import settings

from tests.support.browser import chromium as chromium

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from gcapi import Client
    from gcapi_sandbox import Sandbox

# Shells start background jobs with SIGINT ignored, and nohup does so with SIGHUP; the programs that tests interrupt
# would inherit it.
for name, action in {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}.items():
    number = getattr(signal, name, None)  # Windows has no SIGHUP
    if number is not None and signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, action)

# The same examples in every run, however slow the machine is.
settings.register_profile("gcapi", derandomize=True, database=None, deadline=None, max_examples=50)
settings.load_profile("gcapi")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, Any, Any]:
    """Spare the garbage collector the tests themselves, which are thousands and stay to the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


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


@pytest.fixture(scope="session", autouse=True)
def _one_authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the clients of all tests load one CA certificate: those of certifi take 15 ms for each client."""
    bundle = Path(certifi.where()).read_text(encoding="utf-8")
    certificate, end, _ = bundle.partition("-----END CERTIFICATE-----")
    path = tmp_path_factory.mktemp("authority") / "ca.pem"
    path.write_text(f"{certificate}{end}\n", encoding="utf-8")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", str(path))
        environment.delenv("SSL_CERT_DIR", raising=False)
        yield


@pytest.fixture(scope="session")
def _user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return folders that do not exist yet: most tests write no configuration, and making them takes a while."""
    root = tmp_path_factory.mktemp("users")
    return (root / str(number) for number in count())


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch, _user_folders: Iterator[Path]) -> Path:
    """Hide a developer's configuration from all tests, and return the folder that replaces it."""
    for name in ("GRAND_CHALLENGE_AUTHORIZATION", "GCAPI_BASE_URL", "GCAPI_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    # No keyring, unless a test brings one.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    folder = next(_user_folders)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return folder / "config"


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
