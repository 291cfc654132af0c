"""Responses with a field that is missing, null or of another type, for every operation of the schema."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from tests.support.generated import TAGS, module_of
from tests.support.generated_responses import RESPONSES

from grand_challenge_api.base import AbsentFieldError, Model, to_json
from grand_challenge_api.types import UNSET

MISSING = object()
OTHER_TYPE = object()
#: Operations whose response has a body with fields or items.
BODIES = {name: RESPONSES[name][1] for name in RESPONSES.keys() & TAGS.keys() if RESPONSES[name][1]}


def parse(operation: str, body: Any) -> Any:
    """Return the parsed response of an operation."""
    return module_of(operation).OPERATION.parse(body)


def of_another_type(value: Any) -> Any:
    """Return a value of another JSON type."""
    if isinstance(value, str):
        return {"unexpected": [1]}
    return ["unexpected"] if isinstance(value, dict) else "unexpected"


def places(body: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each field and item, at every depth."""
    children = body.items() if isinstance(body, dict) else enumerate(body)
    for key, value in children:
        yield (key,)
        if isinstance(value, (dict, list)):
            yield from ((key, *path) for path in places(value))


def changed(body: Any, path: tuple[Any, ...], change: Any) -> Any:
    """Return a copy of a body with one field changed."""
    body = copy.deepcopy(body)
    parent = body
    for key in path[:-1]:
        parent = parent[key]
    if change is MISSING:
        del parent[path[-1]]
    else:
        parent[path[-1]] = of_another_type(parent[path[-1]]) if change is OTHER_TYPE else change
    return body


@pytest.mark.parametrize("operation", sorted(BODIES))
@pytest.mark.parametrize(
    "change", [MISSING, None, OTHER_TYPE], ids=["missing", "null", "of another type"]
)
def test_any_field_can_differ(operation: str, change: Any) -> None:
    """A response is parsed without loss, whichever of its fields is missing, null or of another type."""
    for path in places(BODIES[operation]):
        body = changed(BODIES[operation], path, change)
        parsed = parse(operation, body)
        assert to_json(parsed) == body, path
        assert repr(parsed), path
        for twin in (
            parse(operation, body),
            copy.copy(parsed),
            copy.deepcopy(parsed),
            pickle.loads(pickle.dumps(parsed)),
        ):
            assert twin == parsed, path
            assert to_json(twin) == body, path


@pytest.mark.parametrize(
    "operation",
    sorted(name for name, body in BODIES.items() if isinstance(parse(name, body), Model)),
)
def test_absent_fields_are_named_when_they_are_read(operation: str) -> None:
    """Reading a missing field raises an error if the schema requires it, and gives UNSET otherwise."""
    whole = parse(operation, BODIES[operation])
    for name, key in whole._FIELDS.items():
        body = {other: value for other, value in BODIES[operation].items() if other != key}
        parsed = parse(operation, body)
        if name not in whole._REQUIRED:
            assert getattr(parsed, name) is UNSET
            continue
        assert parsed.absent_fields == [key]
        assert not hasattr(parsed, name)
        with pytest.raises(
            AbsentFieldError, match=rf"{type(whole).__name__} .*'{key}'.*check_schema\(\)"
        ):
            getattr(parsed, name)


def test_absent_fields_are_a_difference() -> None:
    """A model without a field differs from the same model with it, and a field can be set later."""
    body = BODIES["archives_retrieve"]
    whole = parse("archives_retrieve", body)
    lacking = parse("archives_retrieve", changed(body, ("title",), MISSING))
    assert lacking != whole
    lacking.title = whole.title
    assert lacking == whole
    assert lacking.to_dict() == body
