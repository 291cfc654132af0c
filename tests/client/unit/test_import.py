"""Imports: what `import gcapi` loads, and published import paths."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

import gcapi

HEAVY = ["attr", "attrs", "dateutil", "grand_challenge_api", "httpx", "importlib.metadata", "ssl"]
#: The beginning of most programs.
TOUCHED = "import gcapi; gcapi.Client; gcapi.SocketValueSpec"
#: The packages that it loads in addition to httpx.
LIGHT = {"gcapi", "grand_challenge_api"}
MODULES = [
    "check_version",
    "client",
    "create_strategies",
    "exceptions",
    "jobs",
    "models",
    "progress",
    "resources",
    "retries",
    "sockets",
]


def loaded(code: str) -> set[str]:
    """Return the modules that code loads in a new interpreter."""
    script = f"import sys; before = set(sys.modules); {code}; after = set(sys.modules) - before"
    shown = "import json; print(json.dumps(sorted(after)))"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{script}; {shown}"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert run.stderr == ""
    return set(json.loads(run.stdout))


def test_import_loads_nothing_heavy() -> None:
    """`import gcapi` loads neither httpx nor attrs nor the generated package."""
    assert loaded("import gcapi") & set(HEAVY) == set()


def test_the_two_classes_load_little_more_than_the_http_library() -> None:
    """`Client` and `SocketValueSpec` load only httpx and the project's own packages, and no model."""
    added = loaded(TOUCHED) - loaded("import httpx")
    packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert packages == LIGHT
    assert not [name for name in added if name.startswith("grand_challenge_api.models.")]


def test_importing_opens_nothing() -> None:
    """Importing opens no socket, and no file other than code."""
    script = f"""
import sys
seen = []
sys.addaudithook(lambda event, given: seen.append((event, str(given[0]) if given else "")))
{TOUCHED}
code = (".py", ".pyc", ".so", ".pyd")
print([what for event, what in seen if event == "open" and not what.endswith(code)])
print([event for event, _ in seen if event.startswith("socket.")])
"""
    run = subprocess.run(
        [sys.executable, "-IB", "-c", script], check=True, capture_output=True, text=True
    )
    assert run.stdout.splitlines() == ["[]", "[]"]


def test_import_of_models_loads_no_model() -> None:
    """`import gcapi.models` loads no model."""
    names = loaded("import gcapi.models")
    assert {name for name in names if name.startswith("grand_challenge_api")} == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_is_an_attribute_of_the_package(module: str) -> None:
    """Each public module is an attribute of the package after `import gcapi`."""
    assert f"gcapi.{module}" in loaded(f"import gcapi; gcapi.{module}.__name__")


@pytest.mark.parametrize(
    ("path", "home"),
    [
        ("gcapi.Client", "gcapi.client.Client"),
        ("gcapi.SocketValueSpec", "gcapi.sockets.SocketValueSpec"),
        ("gcapi.create_strategies.SocketValueSpec", "gcapi.sockets.SocketValueSpec"),
        (
            "gcapi.check_version.UnsupportedVersionError",
            "gcapi.exceptions.UnsupportedVersionError",
        ),
    ],
)
def test_published_path_leads_to_the_same_thing(path: str, home: str) -> None:
    """Old import paths give the same objects as the current ones."""
    assert resolve(path) is resolve(home)


@pytest.mark.parametrize(
    "path",
    [
        "gcapi.retries.BaseRetryStrategy",
        "gcapi.retries.SelectiveBackoffStrategy",
        "gcapi.models.Archive",
        "gcapi.models.ImageTypeEnum",
        "gcapi.exceptions.ObjectNotFound",
        "gcapi.exceptions.MultipleObjectsReturned",
        "gcapi.exceptions.SocketNotFound",
    ],
)
def test_published_path_exists(path: str) -> None:
    """Published import paths exist."""
    assert isinstance(resolve(path), type)


def resolve(path: str) -> object:
    """Return the result of `from module import name`."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_directory_lists_everything() -> None:
    """dir() lists classes and modules that are not loaded yet."""
    assert {"Client", "SocketValueSpec", *MODULES} <= set(dir(gcapi))


def test_unknown_name_is_an_attribute_error() -> None:
    """An unknown name is an AttributeError."""
    with pytest.raises(AttributeError, match="'gcapi' has no attribute 'Clint'"):
        gcapi.Clint  # noqa: B018


def test_star_import_has_the_two_classes() -> None:
    """A star import brings `Client` and `SocketValueSpec` only."""
    names = loaded("from gcapi import *; assert Client and SocketValueSpec")
    assert {"gcapi.client", "gcapi.sockets"} <= names
