"""Models in request bodies, and operations by name."""

import copy
from typing import Any

import pytest

from gcapi._api.operations import operation_module, plain, query_parameters
from grand_challenge_api.models import ComponentInterface, HyperlinkedComponentInterfaceValue

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
    """Return a model that contains another model."""
    fields = {"interface": SOCKET, "pk": 1, "value": {"b": [2]}, "file": None, "image": None}
    return HyperlinkedComponentInterfaceValue.from_dict(fields)


@pytest.mark.parametrize("value", [None, 1, "words", True, 1.5, [], {}, {"a": [1, {"b": None}]}])
def test_plain_data_stays_as_it_is(value: Any) -> None:
    """JSON data without models stays equal."""
    assert plain(value) == value


def test_models_become_plain_data() -> None:
    """Models at any depth become plain data, including fields that are not in the schema."""
    body = {"socket": ComponentInterface.from_dict(SOCKET), "all": (make_value(), 1)}
    assert plain(body) == {
        "socket": SOCKET,
        "all": [
            {"interface": SOCKET, "pk": 1, "value": {"b": [2]}, "file": None, "image": None},
            1,
        ],
    }


def test_own_objects_are_not_changed() -> None:
    """The caller's objects are not changed."""
    body = {"values": [make_value(), {"deep": [make_value()]}], "title": "t"}
    before = copy.deepcopy(body)
    made = plain(body)
    made["values"].append("more")
    made["values"][1]["deep"].clear()
    made["title"] = "other"
    assert body == before


# ---------------------------------------------------------------- operations


def test_operation_is_found_by_its_name() -> None:
    """An operation is found by its name in the schema."""
    module = operation_module("archives.archives_items_list")
    assert module.__name__ == "grand_challenge_api.api.archives.archives_items_list"


def test_query_parameters_have_their_api_names() -> None:
    """The query parameters of an operation are known by their API names."""
    assert query_parameters("algorithms.algorithms_jobs_list") >= {
        "algorithm_image__algorithm",
        "input_image",
        "limit",
        "offset",
    }
