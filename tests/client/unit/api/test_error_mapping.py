"""The exception and the message for each error response."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi import exceptions
from gcapi._api.error_mapping import status_error
from gcapi.exceptions import (
    AuthenticationError,
    NotFoundError,
    ObjectNotFound,
    PermissionDenied,
    StatusError,
    StorageError,
)
from tests.support.error_responses import ANY_JSON, API, PRESIGNED, SECRET, answer, html


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
    assert type(error) is getattr(exceptions, name)
    assert isinstance(error, exceptions.LimitReached)
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
    assert not isinstance(status_error(answer(status, body)), exceptions.LimitReached)


@pytest.mark.parametrize("parent", ["archive", "reader_study"])
def test_taken_titles_are_recognised_by_their_message(parent: str) -> None:
    """The refusal of a title raises TitleTaken, which is also a status error and a ValueError."""
    words = f"The fields title, {parent} must make a unique set."
    error = status_error(answer(400, {"non_field_errors": [words]}, method="POST"))
    assert type(error) is exceptions.TitleTaken
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


def test_empty_answer_adds_no_colon() -> None:
    """Without a body, the message ends after the status."""
    assert str(status_error(answer(502))) == f"GET {API} was answered 502 Bad Gateway"


@settings(max_examples=200)
@given(
    content=st.binary() | ANY_JSON.map(lambda body: json.dumps(body).encode()),
    kind=st.sampled_from(
        ["application/json", "text/html", "text/plain; charset=hex", "", "x/y+json"]
    )
    | st.text(st.characters(max_codepoint=127), max_size=8).filter(str.isprintable),
    status=st.sampled_from([301, 400, 401, 403, 404, 405, 429, 500, 503, 599]),
    storage=st.booleans(),
)
def test_any_error_body_makes_an_error(
    content: bytes, kind: str, status: int, storage: bool
) -> None:
    """Any bytes with any content type make a status error with one printable line."""
    request = httpx.Request("GET", "https://gc.localhost/api/v1/x/")
    response = httpx.Response(
        status, content=content, headers={"Content-Type": kind}, request=request
    )
    error = status_error(response, storage=storage)
    assert isinstance(error, StatusError)
    assert error.status_code == status
    assert f"was answered {status}" in str(error)
    assert str(error).isprintable()
