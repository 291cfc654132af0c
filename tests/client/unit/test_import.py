"""What `import gcapi` loads, and the paths that people import from."""

import json
import subprocess
import sys
from importlib import import_module

import pytest

import gcapi

HEAVY = ["attr", "attrs", "dateutil", "grand_challenge_api", "httpx", "importlib.metadata", "ssl"]
#: The use that most programs begin with.
TOUCHED = "import gcapi; gcapi.Client; gcapi.SocketValueSpec"
#: All packages that it loads beyond httpx.
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
    """Return the modules that a fresh interpreter has loaded after some code, beyond those it starts with."""
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
    """Importing the package alone loads neither the HTTP library nor attrs nor the generated package."""
    assert loaded("import gcapi") & set(HEAVY) == set()


def test_the_two_classes_load_little_more_than_the_http_library() -> None:
    """`Client` and `SocketValueSpec` load no package beyond httpx but the project's own, and no model."""
    added = loaded(TOUCHED) - loaded("import httpx")
    packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert packages == LIGHT
    assert not [name for name in added if name.startswith("grand_challenge_api.models.")]


def test_importing_opens_nothing() -> None:
    """No socket is made, and no file is opened but those of code."""
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
    """The models are loaded one by one, when they are touched."""
    names = loaded("import gcapi.models")
    assert {name for name in names if name.startswith("grand_challenge_api")} == set()


@pytest.mark.parametrize("module", MODULES)
def test_module_is_an_attribute_of_the_package(module: str) -> None:
    """`import gcapi` alone makes each public module reachable, with nothing imported before."""
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
    """What people import from where it used to live is what lives elsewhere now."""
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
    """Names that people import are where they were."""
    assert isinstance(resolve(path), type)


def resolve(path: str) -> object:
    """Return what `from module import name` gives."""
    module, _, name = path.rpartition(".")
    return getattr(import_module(module), name)


def test_directory_lists_everything() -> None:
    """Completion in a shell finds the classes and modules that are not loaded yet."""
    assert {"Client", "SocketValueSpec", *MODULES} <= set(dir(gcapi))


def test_unknown_name_is_an_attribute_error() -> None:
    """What the package does not have is no attribute of it."""
    with pytest.raises(AttributeError, match="'gcapi' has no attribute 'Clint'"):
        gcapi.Clint  # noqa: B018


def test_star_import_has_the_two_classes() -> None:
    """A star import brings the client and the specification, and no module."""
    names = loaded("from gcapi import *; assert Client and SocketValueSpec")
    assert {"gcapi.client", "gcapi.sockets"} <= names
