"""The exception tree, and the attributes and pickles of exceptions."""

import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import exceptions
from gcapi._api.error_mapping import status_error
from gcapi.exceptions import (
    GCAPIError,
    ObjectNotFound,
    StatusError,
)
from gcapi.findings import Finding
from tests.support.error_responses import API, SECRET, answer

CLASSES: dict[str, Any] = {
    name: cls
    for name, cls in vars(exceptions).items()
    if isinstance(cls, type) and issubclass(cls, GCAPIError)
}


# ---------------------------------------------------------------- the tree


def tree() -> dict[str, tuple[str, set[str]]]:
    """Return the parent and the bracketed bases of each class in the docstring's tree."""
    found: dict[str, tuple[str, set[str]]] = {}
    above: list[str] = []
    for line in (exceptions.__doc__ or "").splitlines():
        drawing, _, text = line.rpartition("── ")
        if not drawing and text.strip() != "GCAPIError":
            continue
        name, _, others = text.strip().partition(" ")
        depth = len(drawing) // 4 if drawing else 0
        above[depth:] = [name]
        brackets = {part.strip() for part in others.strip("[]").split(",") if part.strip()}
        found.setdefault(name, (above[depth - 1] if depth else "", brackets))
    return found


def test_docstring_names_every_class_and_no_other() -> None:
    """The tree in the module's docstring lists exactly the classes of the module."""
    assert set(tree()) == set(CLASSES)


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"GCAPIError"}))
def test_docstring_shows_the_bases(name: str) -> None:
    """The tree shows each class below its base, with its other bases in brackets."""
    parent, brackets = tree()[name]
    bases = {base.__name__ for base in CLASSES[name].__bases__}
    shown = {parent, *(bracket.removeprefix("httpx.") for bracket in brackets)}
    # An error with a parent that already is an OSError may name the narrower built-in beside it.
    assert bases == shown


@pytest.mark.parametrize("name", sorted(set(CLASSES) - {"GCAPIError"}))
def test_every_class_says_when_it_is_raised(name: str) -> None:
    """Each exception class has its own docstring, which begins "Raised when"."""
    assert (CLASSES[name].__doc__ or "").startswith("Raised when ")


@pytest.mark.parametrize(
    ("name", "builtin"),
    [
        ("ConfigurationError", RuntimeError),
        ("InvalidTarget", RuntimeError),
        ("MissingExtra", ImportError),
        ("SpecError", ValueError),
        ("SpecTypeError", TypeError),
        ("SpecTypeError", ValueError),
        ("SpecFileError", OSError),
        ("SpecFileError", ValueError),
        ("SpecFileNotFound", FileNotFoundError),
        ("SpecFileNotFound", ValueError),
        ("FileInspectionError", OSError),
        ("FileInspectionError", ValueError),
        ("DeidentificationError", ValueError),
        ("InterfaceMismatch", ValueError),
        ("SocketNotFound", ValueError),
        ("SocketNotFound", ObjectNotFound),
        ("StatusError", httpx.HTTPStatusError),
        ("NotFoundError", httpx.HTTPStatusError),
        ("NotFoundError", ObjectNotFound),
        ("StorageError", httpx.HTTPStatusError),
        ("UnreachableHostError", httpx.ConnectError),
        ("ConnectTimeoutError", httpx.ConnectTimeout),
        ("ProxyRefusalError", httpx.ProxyError),
        ("ImportTimeout", TimeoutError),
        ("JobTimeout", TimeoutError),
    ],
)
def test_errors_are_also_what_callers_catch(name: str, builtin: type[Exception]) -> None:
    """Each exception also derives from the built-in or httpx class that callers may already catch."""
    assert issubclass(CLASSES[name], builtin)


# ---------------------------------------------------------------- pickling

FIELDS: dict[str, dict[str, Any]] = {
    "FileInspectionError": {
        "findings": (Finding("error", "the file is empty", "Export it again", Path("a.mha")),)
    },
    "SocketNotFound": {"slug": "lung-volume"},
    "ImportFailed": {"pk": "1", "slug": "ct-image", "reason": "no image"},
    "JobFailed": {"pk": "1", "status": "Failed"},
    "IncompleteCase": {"pk": "1"},
    "UploadInterrupted": {"uploads": {"1": "a.mha", "2": "a.mha"}},
    "ImportTimeout": {"pk": "1", "slugs": ("ct-image", "mask")},
    "JobTimeout": {"pk": "1", "status": "Executing"},
}
#: The classes that need no request.
PLAIN = sorted(name for name, cls in CLASSES.items() if not issubclass(cls, httpx.HTTPError))


@pytest.mark.parametrize("name", PLAIN)
def test_errors_survive_pickling(name: str) -> None:
    """Class, message, attributes and notes of an exception survive pickling."""
    fields = FIELDS.get(name, {})
    error = CLASSES[name]("What happened.", **fields)
    error.add_note("What to do.")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.args) == (type(error), "What happened.", error.args)
    assert {key: getattr(again, key) for key in fields} == fields
    assert again.__notes__ == ["What to do."]


@pytest.mark.parametrize(
    "name", ["UnreachableHostError", "ConnectTimeoutError", "ProxyRefusalError"]
)
def test_unreachable_hosts_survive_pickling(name: str) -> None:
    """Message, host, port, proxy and request of an unreachable host survive pickling."""
    error = CLASSES[name](
        "What happened.",
        host="gc.localhost",
        port=443,
        proxy="proxy.localhost:3128",
        was_reached=False,
        request=httpx.Request("GET", "https://gc.localhost/"),
    )
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (type(error), "What happened.")
    assert (again.host, again.port, again.proxy) == ("gc.localhost", 443, "proxy.localhost:3128")
    assert (again.was_reached, again.request.url) == (False, error.request.url)


STATUS_CLASSES = sorted(name for name, cls in CLASSES.items() if issubclass(cls, StatusError))


@pytest.mark.parametrize("name", STATUS_CLASSES)
def test_status_errors_survive_pickling(name: str) -> None:
    """Request, response, body and words of a status error survive pickling."""
    body = {"detail": "No."}
    error = CLASSES[name]("What happened.", response=answer(418, body, method="POST"))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, StatusError)
    assert type(again) is CLASSES[name]
    assert (str(again), again.body, again.words, again.status_code) == (
        "What happened.",
        body,
        "No.",
        418,
    )
    assert (again.request.method, str(again.request.url)) == ("POST", API)


def secrets_in(error: StatusError) -> list[str]:
    """Return the parts of an error that contain the token or the body of the request."""
    requests = [error.request, error.response.request, error.response.next_request]
    kept = [request for request in requests if request is not None]
    shown = [f"{request.headers.raw}{request.read()!r}" for request in kept]
    return [text for text in [*shown, str(error), repr(error)] if SECRET in text]


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 500])
def test_status_errors_keep_no_secret(status: int) -> None:
    """A status error contains neither the token nor the request body, before and after pickling."""
    error = status_error(answer(status, {"detail": "No."}))
    again = pickle.loads(pickle.dumps(error))
    assert (secrets_in(error), secrets_in(again)) == ([], [])
    assert SECRET.encode() not in pickle.dumps(error)


def test_refused_redirect_keeps_no_secret() -> None:
    """A status error does not keep the request for a redirect, which has the token too."""
    redirect = httpx.MockTransport(lambda _: httpx.Response(302, headers={"Location": "/there/"}))
    with httpx.Client(transport=redirect) as client:
        response = client.get(API, headers={"Authorization": f"Bearer {SECRET}"})
    error = status_error(response)
    assert secrets_in(error) == []
    assert SECRET.encode() not in pickle.dumps(error)


def test_other_headers_stay() -> None:
    """Other headers of the request stay readable."""
    assert status_error(answer()).request.headers["Accept"] == "application/json"
