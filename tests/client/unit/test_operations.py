"""Bodies made of models, and operations that are found by name."""

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
