"""The exception tree, and the attributes, messages and pickles of exceptions."""

import json
import pickle
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi import exceptions
from gcapi._api.error_mapping import status_error
from gcapi._util.messages import QUOTE_LIMIT, describe_body, is_json, parsed_body, shown_url
from gcapi.exceptions import (
    AuthenticationError,
    GCAPIError,
    NotFoundError,
    ObjectNotFound,
    PermissionDenied,
    StatusError,
    StorageError,
)
from gcapi.findings import Finding

API = "https://gc.example/api/v1/"
SECRET = "s3cret"
PRESIGNED = f"https://store.example/uploads/1/abc?X-Amz-Signature={SECRET}&partNumber=1#{SECRET}"

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
CLASSES: dict[str, Any] = {
    name: cls
    for name, cls in vars(exceptions).items()
    if isinstance(cls, type) and issubclass(cls, GCAPIError)
}


def answer(
    status: int = 400, body: Any = None, *, method: str = "GET", url: str = API, **options: Any
) -> httpx.Response:
    """Return a response to a request that had the token."""
    headers = {"Authorization": f"Bearer {SECRET}", "Accept": "application/json"}
    request = httpx.Request(method, url, headers=headers, json={"private": SECRET})
    content = {"json": body} if body is not None else {}
    return httpx.Response(status, request=request, **content, **options)


def html(status: int) -> httpx.Response:
    """Return an HTML error page."""
    return answer(status, html="<!DOCTYPE html>\n<title>Sorry</title>" + "<p>words</p>" * 500)


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


# ---------------------------------------------------------------- which error, and its advice


@pytest.mark.parametrize(
    ("status", "cls", "advice"),
    [
        (302, StatusError, ""),
        (400, StatusError, ""),
        (401, AuthenticationError, "GRAND_CHALLENGE_AUTHORIZATION"),
        (403, PermissionDenied, "ask an editor"),
        (404, NotFoundError, "Not found, or no access"),
        (405, StatusError, ""),
        (429, StatusError, ""),
        (500, StatusError, ""),
        (503, StatusError, ""),
    ],
)
def test_status_decides_the_class_and_the_advice(
    status: int, cls: type[StatusError], advice: str
) -> None:
    """Each status has its own class, and the message has advice if there is any."""
    error = status_error(answer(status, {"detail": "No."}))
    assert type(error) is cls
    assert str(error).startswith(f"GET {API} was answered {status} ")
    assert ": No." in str(error)
    assert advice in str(error)


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        (403, {"detail": "Upload limit reached"}, "UploadLimitReached"),
        (
            400,
            {"non_field_errors": ["You have created too many uploads. Please try again later."]},
            "TooManyUploads",
        ),
        (400, ["You have created too many uploads. Please try again later."], "TooManyUploads"),
        (
            400,
            {
                "non_field_errors": [
                    "Too many files uploaded. A maximum of 100 files may be uploaded per session."
                ]
            },
            "TooManyFiles",
        ),
        (
            400,
            ["You currently have 16 active image post processing tasks. Please wait."],
            "TooManyImports",
        ),
        (
            400,
            {
                "non_field_errors": [
                    "You have too many active jobs, please try again after they have completed"
                ]
            },
            "TooManyActiveJobs",
        ),
        (400, {"non_field_errors": ["You have run out of algorithm credits"]}, "OutOfCredits"),
    ],
)
def test_limits_are_recognised_by_their_messages(status: int, body: Any, name: str) -> None:
    """Each of the server's messages about a limit has its own exception class, which quotes it."""
    error = status_error(answer(status, body, method="POST"))
    assert type(error) is CLASSES[name]
    assert isinstance(error, CLASSES["LimitReached"])
    assert error.words in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"detail": "Upload limit reached"}),
        (403, {"non_field_errors": ["You have run out of algorithm credits"]}),
        (400, {"title": ["You have run out of algorithm credits"]}),
        (400, {"non_field_errors": ["No: You have too many active jobs"]}),
        (500, {"non_field_errors": ["You have too many active jobs"]}),
    ],
)
def test_other_answers_are_no_limits(status: int, body: Any) -> None:
    """The same words with another status, about a field or inside other words are not a limit."""
    assert not isinstance(status_error(answer(status, body)), CLASSES["LimitReached"])


@pytest.mark.parametrize("parent", ["archive", "reader_study"])
def test_taken_titles_are_recognised_by_their_message(parent: str) -> None:
    """The refusal of a title raises TitleTaken, which is also a status error and a ValueError."""
    words = f"The fields title, {parent} must make a unique set."
    error = status_error(answer(400, {"non_field_errors": [words]}, method="POST"))
    assert type(error) is CLASSES["TitleTaken"]
    assert isinstance(error, ValueError)
    assert words in str(error)


def test_store_errors_are_not_limits() -> None:
    """An error of the object store is never a limit of the API."""
    error = status_error(answer(403, {"detail": "Upload limit reached"}), storage=True)
    assert type(error) is StorageError


def test_not_found_can_be_caught_both_ways() -> None:
    """A 404, with JSON or HTML, is both an ObjectNotFound and an httpx.HTTPStatusError."""
    error = status_error(html(404))
    assert isinstance(error, ObjectNotFound)
    assert isinstance(error, httpx.HTTPStatusError)
    assert "(an HTML page) Not found, or no access" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 503])
def test_storage_has_one_class(status: int) -> None:
    """Every error of the object store is a StorageError, without advice about tokens and roles."""
    error = status_error(answer(status, method="PUT", url=PRESIGNED), storage=True)
    assert type(error) is StorageError
    assert "token" not in str(error)


@pytest.mark.parametrize("storage", [False, True])
def test_messages_hold_no_presigned_query(storage: bool) -> None:
    """A presigned URL is shown without its query, which is a credential."""
    error = status_error(answer(403, method="PUT", url=PRESIGNED), storage=storage)
    assert str(error).startswith("PUT https://store.example/uploads/1/abc was answered 403 ")
    assert SECRET not in f"{error}{error!r}"


def test_messages_hold_no_query_that_the_store_repeats() -> None:
    """A signed request that the object store repeats is not quoted in the message."""
    text = (
        '<?xml version="1.0" encoding="UTF-8"?><Error><Code>SignatureDoesNotMatch</Code>'
        "<Message>The signature does not match.</Message>"
        f"<CanonicalRequest>PUT\n/a\nX-Amz-Credential={SECRET}</CanonicalRequest></Error>"
    )
    response = answer(403, method="PUT", url=PRESIGNED, text=text)
    error = status_error(response, storage=True)
    assert str(error).endswith(
        "403 Forbidden: SignatureDoesNotMatch: The signature does not match."
    )
    assert error.body == text


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (PRESIGNED, "https://store.example/uploads/1/abc"),
        (f"https://user:{SECRET}@gc.example:8443/a/", "https://gc.example:8443/a/"),
        (f"https://gc.example/a#{SECRET}", "https://gc.example/a"),
        ("https://gc.example/", "https://gc.example/"),
    ],
)
def test_shown_url_has_no_secret(url: str, shown: str) -> None:
    """A URL is shown without its query, fragment and user."""
    assert shown_url(url) == shown
    assert shown_url(httpx.URL(url)) == shown


def test_empty_answer_adds_no_colon() -> None:
    """Without a body, the message ends after the status."""
    assert str(status_error(answer(502))) == f"GET {API} was answered 502 Bad Gateway"


# ---------------------------------------------------------------- the server's words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"detail": "Invalid token."}, "Invalid token."),
        (
            {"title": ["This field is required."], "order": ["Too low.", "Too odd."]},
            "title: This field is required.; order: Too low.; order: Too odd.",
        ),
        ({"non_field_errors": ["Too many uploads."]}, "Too many uploads."),
        (["Values can only be added via update"], "Values can only be added via update"),
        (
            {"values": [{}, {"non_field_errors": ["An interface must be specified"]}]},
            "values[1]: An interface must be specified",
        ),
        (
            {"values": [{}, {"user_upload": ["Invalid hyperlink - No URL match."]}]},
            "values[1].user_upload: Invalid hyperlink - No URL match.",
        ),
        (
            {"values": [{"__all__": ["JSON does not fulfill schema: instance"]}]},
            "values[0]: JSON does not fulfill schema: instance",
        ),
        ({"part_numbers": {"0": ["Too low."]}}, "part_numbers[0]: Too low."),
        (
            {"parts": [{"PartNumber": ["Too low."]}]},
            "parts[0].PartNumber: Too low.",
        ),
        (
            {"values": {"non_field_errors": ['Expected a list of items but got type "str".']}},
            'values: Expected a list of items but got type "str".',
        ),
        ({"status": "Evaluation is not claimed."}, "status: Evaluation is not claimed."),
        ({"status": 3, "done": None}, "status: 3; done: null"),
        ("plain  words\n over lines ", "plain words over lines"),
        ({"detail": "words\nover\r\nlines"}, "words over lines"),
        ("", ""),
        ({}, "{}"),
        ([], "[]"),
        (None, "null"),
        ("<!DOCTYPE html>\n<title>Sorry</title>", "(an HTML page)"),
        ("\n <HTML lang=en><body>", "(an HTML page)"),
        (
            '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code><Message>Expired</Message></Error>',
            "AccessDenied: Expired",
        ),
        ("<Error><Code>SlowDown</Code></Error>", "SlowDown"),
        ("<Error></Error>", ""),
    ],
)
def test_every_shape_of_error_body_is_quoted(body: Any, words: str) -> None:
    """Each shape of the server's error bodies becomes one line with the place and the message."""
    assert describe_body(body) == words


@pytest.mark.parametrize("body", ["x" * 5000, {"detail": "x" * 5000}, ["x" * 3000] * 2])
def test_long_words_are_cut(body: Any) -> None:
    """A quote has at most QUOTE_LIMIT characters and ends in an ellipsis if it was cut."""
    words = describe_body(body)
    assert (len(words), words[-2:]) == (QUOTE_LIMIT, "x…")


def test_words_at_the_limit_are_whole() -> None:
    """A quote of exactly QUOTE_LIMIT characters is not cut."""
    assert describe_body("x" * 1024) == "x" * 1024


@given(JSON_VALUES)
def test_any_json_body_is_one_line(body: Any) -> None:
    """Any JSON body becomes one line of limited length."""
    words = describe_body(body)
    assert isinstance(words, str)
    assert len(words) <= QUOTE_LIMIT
    assert len(words.splitlines()) <= 1


@given(status=st.integers(300, 599), content=st.binary(), kind=st.sampled_from(["json", "html"]))
def test_any_answer_makes_an_error(status: int, content: bytes, kind: str) -> None:
    """Any body with an error status gives a StatusError that names the status."""
    headers = {"Content-Type": f"application/{kind}"}
    response = httpx.Response(
        status, content=content, headers=headers, request=httpx.Request("GET", API)
    )
    error = status_error(response)
    assert error.status_code == status
    assert f"was answered {status}" in str(error)


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("text/html", False),
        ("application/jsonlines", False),
        ("", False),
    ],
)
def test_json_is_recognised_by_the_content_type(content_type: str, expected: bool) -> None:
    """JSON is recognised by its content type, with or without parameters."""
    assert is_json(httpx.Response(200, headers={"Content-Type": content_type})) is expected


@pytest.mark.parametrize(
    ("content_type", "text", "body"),
    [
        ("application/json", '{"detail": "No."}', {"detail": "No."}),
        ("application/json", '{"detail": ', '{"detail": '),
        ("text/plain", json.dumps({"a": 1}), '{"a": 1}'),
    ],
)
def test_body_is_parsed_where_it_can_be(content_type: str, text: str, body: Any) -> None:
    """A valid JSON body is parsed, and any other body is kept as text."""
    response = httpx.Response(400, headers={"Content-Type": content_type}, text=text)
    response.headers["Content-Type"] = content_type
    assert parsed_body(response) == body
