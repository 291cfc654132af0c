"""Versions held against each other, and bodies made of models."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._api.operations import (
    compare_versions,
    operation_module,
    plain,
    query_parameters,
    version_key,
)
from gcapi.exceptions import GCAPIError, UnexpectedAnswer, UnsupportedVersionError
from grand_challenge_api.models import ComponentInterface, HyperlinkedComponentInterfaceValue

# ---------------------------------------------------------------- versions


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.0.0a1", "1.0.0"),
        ("1.0.0b2", "1.0.0"),
        ("1.0.0rc1", "1.0.0"),
        ("1.0.0.dev3", "1.0.0"),
        ("0.16.1", "1.0.0a1"),
        ("0.16", "0.16.1"),
        ("0.9.9", "0.10.0"),
        ("0.16.9", "0.16.10"),
        ("1.0.0", "1.0.1a1"),
        ("1.9", "2"),
    ],
)
def test_versions_are_ordered(older: str, newer: str) -> None:
    """Numbers are compared as numbers, and a pre-release comes before its release."""
    assert version_key(older) < version_key(newer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.16", "0.16.0"),
        ("1", "1.0.0"),
        ("v1.0.0", "1.0.0"),
        (" 1.0.0\n", "1.0.0"),
        ("1.0.0+local", "1.0.0"),
    ],
)
def test_versions_are_equal(one: str, other: str) -> None:
    """Zeros at the end, a leading v and blanks make no difference."""
    assert version_key(one) == version_key(other)


@pytest.mark.parametrize("version", ["", "latest", "None", ".1", "a1.0"])
def test_garbage_is_no_version(version: str) -> None:
    """What is no version is an answer that the API does not promise."""
    with pytest.raises(UnexpectedAnswer, match="which is none"):
        version_key(version)


@settings(derandomize=True, deadline=None)
@given(st.text() | st.from_regex(r"v?\d+(\.\d+)*\w*"))
def test_any_text_is_a_version_or_none(text: str) -> None:
    """Whatever a server says has an order or is an UnexpectedAnswer."""
    try:
        key = version_key(text)
    except UnexpectedAnswer:
        return
    assert key <= version_key(text)


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=4), st.integers(0, 3))
def test_zeros_at_the_end_are_nothing(numbers: list[int], zeros: int) -> None:
    """A release is the same however many zeros are written after it."""
    version = ".".join(map(str, numbers))
    assert version_key(version + ".0" * zeros) == version_key(version)


def versions(lowest: str, latest: str) -> dict[str, str]:
    """Return what the server says."""
    return {"lowest_supported_version": lowest, "latest_version": latest}


@pytest.mark.parametrize(
    ("current", "lowest", "latest"),
    [
        ("1.0.0a1", "0.13.0", "0.16.1"),
        ("0.16.1", "0.13.0", "0.16.1"),
        ("0.16.0", "0.16", "0.16"),
        ("1.0.0", "1.0.0a1", "1.0.0"),
    ],
)
def test_new_enough_version_is_silent(current: str, lowest: str, latest: str) -> None:
    """A version that is the latest, or newer than the server knows, draws no word."""
    compare_versions(current, versions(lowest, latest))


@pytest.mark.parametrize("current", ["0.13.0", "0.16.0", "0.16.1a1"])
def test_version_below_the_latest_draws_a_warning(current: str) -> None:
    """An older version that is still supported is told of the latest."""
    with pytest.warns(UserWarning, match=rf"This is gcapi {current}; version 0\.16\.1 is out"):
        compare_versions(current, versions("0.13.0", "0.16.1"))


@pytest.mark.parametrize("current", ["0.12.9", "0.13.0a1", "0.1"])
def test_version_below_the_lowest_is_refused(current: str) -> None:
    """A version that the server no longer talks to is an error that says what to do."""
    with pytest.raises(UnsupportedVersionError, match=r"supports 0\.13\.0 and newer. Upgrade"):
        compare_versions(current, versions("0.13.0", "0.16.1"))


@pytest.mark.parametrize(("lowest", "latest"), [("soon", "1.0"), ("0.1", "later")])
def test_server_that_names_no_version_is_told(lowest: str, latest: str) -> None:
    """A server that answers with garbage is no reason to upgrade, but no API either."""
    with pytest.raises(UnexpectedAnswer) as caught:
        compare_versions("1.0.0", versions(lowest, latest))
    assert isinstance(caught.value, GCAPIError)


# ---------------------------------------------------------------- bodies

SOCKET = {
    "title": "A socket",
    "slug": "a-socket",
    "kind": "Anything",
    "pk": 7,
    "super_kind": "Value",
    "relative_path": "a.json",
    "look_up_table": None,
    "default_value": {"a": [1]},
    "newer_field": 1,
}


def make_value() -> HyperlinkedComponentInterfaceValue:
    """Return a model with another one in it."""
    fields = {"interface": SOCKET, "pk": 1, "value": {"b": [2]}, "file": None, "image": None}
    return HyperlinkedComponentInterfaceValue.from_dict(fields)


@pytest.mark.parametrize("value", [None, 1, "words", True, 1.5, [], {}, {"a": [1, {"b": None}]}])
def test_plain_data_stays_as_it_is(value: Any) -> None:
    """JSON data comes back equal."""
    assert plain(value) == value


def test_models_become_plain_data() -> None:
    """A model, wherever it is, becomes what JSON can say, with the fields that the schema does not know."""
    body = {"socket": ComponentInterface.from_dict(SOCKET), "all": (make_value(), 1)}
    assert plain(body) == {
        "socket": SOCKET,
        "all": [
            {"interface": SOCKET, "pk": 1, "value": {"b": [2]}, "file": None, "image": None},
            1,
        ],
    }


def test_own_objects_are_not_changed() -> None:
    """Neither the caller's dicts and lists nor the models in them change."""
    body = {"values": [make_value(), {"deep": [make_value()]}], "title": "t"}
    before = copy.deepcopy(body)
    made = plain(body)
    made["values"].append("more")
    made["values"][1]["deep"].clear()
    made["title"] = "other"
    assert body == before


# ---------------------------------------------------------------- operations


def test_operation_is_found_by_its_name() -> None:
    """An operation is named as the schema names it."""
    module = operation_module("archives.archives_items_list")
    assert module.__name__ == "grand_challenge_api.api.archives.archives_items_list"


def test_query_parameters_have_their_api_names() -> None:
    """What the server honours is known by the names that the API has."""
    assert query_parameters("algorithms.algorithms_jobs_list") >= {
        "algorithm_image__algorithm",
        "input_image",
        "limit",
        "offset",
    }
