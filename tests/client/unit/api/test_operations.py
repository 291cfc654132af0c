"""Models in request bodies, and operations as values."""

import copy
from typing import Any

import pytest

from gcapi._api.operations import plain
from gcapi.resources import Archives
from grand_challenge_api import api
from grand_challenge_api.models import ComponentInterface, HyperlinkedComponentInterfaceValue
from tests.support.generated import TAGS

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


def test_operations_are_imported_on_first_use() -> None:
    """An operation is an attribute of `api` by its operation id, and its query parameters have the API's names."""
    assert api.archives_items_list.name == "archives.archives_items_list"
    assert {"algorithm_image__algorithm", "input_image", "limit", "offset"} <= set(
        api.algorithms_jobs_list.query_parameters
    )
    with pytest.raises(AttributeError, match="no attribute 'archive_list'"):
        api.archive_list  # noqa: B018
    assert set(dir(api)) == set(TAGS)


def test_a_namespace_resolves_its_operations_lazily() -> None:
    """A namespace gives the operation itself, on the class as on the instance."""
    assert Archives.list_operation is api.archives_list
