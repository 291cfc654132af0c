"""Quotes of error bodies, and durations, in messages."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings

from gcapi._util.messages import (
    QUOTE_LIMIT,
    describe_body,
    format_duration,
    is_json,
    parsed_body,
    shown_url,
)
from tests.support.error_responses import ANY_JSON, PRESIGNED, SECRET


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.05, "0.05 s"),
        (59.9, "59.9 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (3600.4, "1 h"),
        (23 * 3600, "23 h"),
        (3661, "1 h 1 min 1 s"),
        (200_000, "55 h 33 min 20 s"),
    ],
)
def test_durations_have_units(seconds: float, text: str) -> None:
    """A duration is written with the units that it has, and without those that it lacks."""
    assert format_duration(seconds) == text


# ---------------------------------------------------------------- error bodies


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


@settings(max_examples=300)
@given(ANY_JSON)
def test_any_json_body_makes_a_message(body: Any) -> None:
    """The message for a JSON body is one printable line of bounded length."""
    words = describe_body(body)
    assert len(words) <= QUOTE_LIMIT
    assert words.isprintable()
    words.encode()


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
