"""The JSON shape of each socket kind, and reading and writing of JSON."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gcapi._inspect.socket_kinds import JSON_KINDS, SHOWN_LIMIT, decode, encode, shape_problems
from tests.support.socket_kinds import ALSO_VALID, INVALID, POINT, VALID, singular

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None, categories=None)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


def test_table_has_every_json_kind() -> None:
    """The table has a shape for each JSON kind of the server, and for nothing else."""
    assert set(JSON_KINDS) == {kind.casefold() for kind in VALID}


@pytest.mark.parametrize(("kind", "value"), [*VALID.items(), *ALSO_VALID])
def test_fitting_values_have_no_problem(kind: str, value: Any) -> None:
    """A value of the shape that the server requires has no problems."""
    assert list(shape_problems(kind, value)) == []


@pytest.mark.parametrize(("kind", "value"), INVALID)
def test_other_values_have_problems(kind: str, value: Any) -> None:
    """A value that the server would refuse, often silently, is reported."""
    found = list(shape_problems(kind, value))
    assert found
    assert all(isinstance(words, str) for words in found)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("Integer", True, "the value must be a whole number, not true"),
        ("Point", {**singular("Point"), "x": 1}, "the value has 'x', which is not allowed"),
        (
            "Point",
            {**singular("Point"), "point": [1, 2]},
            "the value.point must be a list of 3, not [1, 2]",
        ),
        (
            "2D bounding box",
            {**singular("2D bounding box"), "corners": [POINT, POINT, [1, 2, "3"], POINT]},
            'the value.corners[2][2] must be a number, not "3"',
        ),
        (
            "Multiple points",
            {
                "type": "Multiple points",
                "version": {"major": 1, "minor": 0},
                "points": [{"point": POINT, "probability": 1.1}],
            },
            "the value.points[0].probability must be a number from 0 to 1, not 1.1",
        ),
        (
            "Point",
            {"type": "Point", "version": {"major": 1, "minor": 0}},
            "the value lacks 'point'",
        ),
    ],
)
def test_problem_says_where_and_what(kind: str, value: Any, words: str) -> None:
    """A problem names the place in the value, the expected content and the actual one."""
    assert list(shape_problems(kind, value)) == [words]


def test_every_problem_is_found() -> None:
    """All problems are reported, not only the first."""
    assert len(list(shape_problems("Multiple choice", [1, "left", 2]))) == 2


def test_long_values_are_cut() -> None:
    """A message shows only the beginning of an invalid value."""
    (words,) = shape_problems("Integer", "x" * 5000)
    assert len(words) < 100 + SHOWN_LIMIT


@pytest.mark.parametrize("kind", ["integer", "INTEGER", "Integer"])
def test_case_of_a_kind_does_not_matter(kind: str) -> None:
    """Kinds are compared case-insensitively."""
    assert [len(list(shape_problems(kind, value))) for value in (1, "1")] == [0, 1]


@pytest.mark.parametrize("value", [1, "words", None, {"a": []}])
def test_unknown_kind_is_left_to_the_server(value: Any) -> None:
    """A kind that is newer than this package accepts any value."""
    assert list(shape_problems("Holographic sketch", value)) == []


@given(st.sampled_from(sorted(VALID)), JSON_VALUES)
def test_any_json_value_fits_or_does_not(kind: str, value: Any) -> None:
    """Any JSON value can be checked against any kind without an exception."""
    assert all(isinstance(words, str) for words in shape_problems(kind, value))


# ---------------------------------------------------------------- writing


def holding_itself() -> list[Any]:
    """Return a list that contains itself."""
    value: list[Any] = []
    value.append(value)
    return value


def nested(depth: int) -> list[Any]:
    """Return a deeply nested list."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "no NaN"),
        (float("inf"), "no infinity"),
        ({"a": [1, float("-inf")]}, "no infinity"),
        (1e400, "no infinity"),
        ("a\x00b", "NUL"),
        (["\x00"], "NUL"),
        ({"a\x00": 1}, "NUL"),
        ("\ud800", "surrogate"),
        ({"a": ["\udc00"]}, "surrogate"),
        ("\ud83d\ude00", "surrogate"),
        (b"bytes", "not a JSON value"),
        ({1, 2}, "not a JSON value"),
        (object(), "not a JSON value"),
        ({("a", "b"): 1}, "not a JSON value"),
        (holding_itself(), "circular"),
        (nested(100_000), "not a JSON value"),
    ],
)
def test_what_the_server_cannot_store_is_refused(value: Any, words: str) -> None:
    """NaN, infinities, NUL, unpaired surrogates and values that are not JSON are refused."""
    with pytest.raises(ValueError, match=words):
        encode(value)


@pytest.mark.parametrize(
    "value", ["\\u0000", "\\ud800", "😀", "naïve", "", 0, None, [], {}, 10**400, ["\\", "\x01"]]
)
def test_what_only_looks_odd_is_written(value: Any) -> None:
    """Literal escapes, characters outside the first plane and large numbers are accepted."""
    assert decode(encode(value)) == value


@given(JSON_VALUES)
def test_what_is_written_reads_back(value: Any) -> None:
    """Encoding and decoding a value gives an equal value."""
    try:
        content = encode(value)
    except ValueError:
        return
    assert decode(content) == value


@given(JSON_VALUES)
def test_only_the_unstorable_is_refused(value: Any) -> None:
    """A JSON value is refused if and only if it has a number or character that the server cannot store."""
    try:
        encode(value)
    except ValueError:
        assert not is_storable(value)
    else:
        assert is_storable(value)


def is_storable(value: Any) -> bool:
    """Return whether JSON and the server's database can store a value."""
    if isinstance(value, dict):
        return all(is_storable(part) for pair in value.items() for part in pair)
    if isinstance(value, list):
        return all(map(is_storable, value))
    if isinstance(value, str):
        return not any(part == "\x00" or "\ud800" <= part <= "\udfff" for part in value)
    return not isinstance(value, float) or math.isfinite(value)


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "content",
    [
        b"NaN",
        b"[1, Infinity]",
        b'{"a": -Infinity}',
        b"1e400",
        b"[-1e400]",
        b"",
        b"{",
        b"[1,]",
        b"{'a': 1}",
        b"1 2",
        b'"\xff"',
        b"\xff\xfe1\x00",
        b"[" * 100_000,
    ],
)
def test_invalid_json_is_refused(content: bytes) -> None:
    """NaN, infinities, malformed JSON and bytes that are not UTF-8 raise a ValueError."""
    with pytest.raises(ValueError, match=r"."):
        decode(content)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"1.0", 1.0),
        (b"\xef\xbb\xbf[1]", [1]),
        (b' {"a": null}\r\n', {"a": None}),
        ('"naïve"'.encode(), "naïve"),
        (b"1e308", 1e308),
        (b"1e-400", 0.0),
    ],
)
def test_json_is_read(content: bytes, value: Any) -> None:
    """JSON is decoded, with or without a byte order mark."""
    assert decode(content) == value


@given(st.binary() | st.text().map(str.encode))
def test_any_bytes_are_json_or_a_value_error(content: bytes) -> None:
    """Decoding arbitrary bytes returns a value or raises a ValueError."""
    try:
        value = decode(content)
    except ValueError:
        return
    assert json.loads(json.dumps(value, allow_nan=False)) == value
