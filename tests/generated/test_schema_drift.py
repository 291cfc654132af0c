"""`Client.check_schema`: the differences between two schemas."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest
from tests.support.generated import PUBLISHED, tiny_schema

from gcapi._api.schema_diff import (
    SchemaDrift,
    describe,
    published_schema,
    schema_differences,
    schema_drift,
    schema_problem,
)
from gcapi.exceptions import UnexpectedAnswer


def copied(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of a schema."""
    again: dict[str, Any] = json.loads(json.dumps(schema))
    return again


def test_the_schema_of_the_release_is_package_data() -> None:
    """A server is compared with the snapshot that `generated/` was made from."""
    held = {key: value for key, value in published_schema().items() if key != "x-generated"}
    assert held == {key: value for key, value in PUBLISHED.items() if key != "x-generated"}


def test_equal_schema_has_no_drift() -> None:
    """An equal schema gives a result that is false and says so."""
    same = schema_drift(copied(PUBLISHED))
    assert (same.changes, bool(same)) == ((), False)
    assert "equals the schema of this gcapi release" in str(same)


def test_drift_is_described_in_lines() -> None:
    """A result with differences is true, has a line for each change, and can be pickled."""
    newer = copied(PUBLISHED)
    newer["paths"]["/api/v1/colours/"] = {"get": {"operationId": "colours_list"}}
    newer["components"]["schemas"]["UserUpload"]["properties"]["size"] = {"type": "integer"}
    drifted = schema_drift(newer)
    assert drifted.changes == (
        "+ operation colours_list: GET /api/v1/colours/",
        "+ model UserUpload, size: integer",
    )
    assert drifted
    assert str(drifted).splitlines()[1:] == list(drifted.changes)
    assert pickle.loads(pickle.dumps(drifted)) == drifted


def test_descriptions_are_no_drift() -> None:
    """Changed descriptions are not a difference."""
    reworded = copied(PUBLISHED)
    reworded["info"]["version"] = "9"
    for model in reworded["components"]["schemas"].values():
        model["description"] = "Reworded."
    assert schema_drift(reworded) == SchemaDrift(())


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ({}, "any"),
        ({"type": "array", "items": {"type": "string", "format": "uuid"}}, "array[string(uuid)]"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "map[string]"),
        ({"allOf": [{"$ref": "#/components/schemas/A"}], "nullable": True}, "A nullable"),
        ({"oneOf": [{"$ref": "#/c/A"}, {"$ref": "#/c/B"}]}, "A|B"),
        ({"type": "string", "maxLength": 3, "description": "x"}, "string maxLength=3"),
    ],
)
def test_types_are_described_in_a_line(definition: dict[str, Any], expected: str) -> None:
    """A type, its flags and its limits are described in one line."""
    assert describe(definition) == expected


@pytest.mark.parametrize(
    "operation",
    [
        {},
        {"operationId": "x", "tags": []},
        {"operationId": "x", "parameters": [{"$ref": "#/components/parameters/Page"}]},
        {"operationId": "x", "requestBody": {"$ref": "#/components/requestBodies/X"}},
        {"operationId": "x", "responses": {"200": {"$ref": "#/components/responses/X"}}},
    ],
)
def test_sparse_definitions_are_compared(operation: dict[str, Any]) -> None:
    """Definitions without optional parts are compared."""
    newer = tiny_schema()
    newer["paths"]["/api/v1/x/"] = {"get": operation, "parameters": []}
    (line,) = schema_differences(tiny_schema(), newer)
    assert line.endswith("GET /api/v1/x/")


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "not an OpenAPI 3 document"),
        ([], "not an OpenAPI 3 document"),
        ({"detail": "Not found."}, "not an OpenAPI 3 document"),
        ({"openapi": "2.0"}, "not an OpenAPI 3 document"),
        ({"openapi": "3.0.3"}, "no paths or no models"),
        ({"openapi": "3.0.3", "paths": {}, "components": []}, "no paths or no models"),
        ({"openapi": "3.0.3", "paths": {}, "components": {"schemas": {}}}, "/api/v1/"),
    ],
)
def test_other_documents_are_not_schemas(document: Any, reason: str) -> None:
    """A document that is not a schema of this API is refused with a reason."""
    assert reason in schema_problem(document)
    with pytest.raises(UnexpectedAnswer, match=reason):
        schema_drift(document)


@pytest.mark.parametrize(
    "broken", [None, 3, {"get": None}, {"get": {"parameters": 3}}, {"get": {"responses": []}}]
)
def test_malformed_schema_is_refused(broken: Any) -> None:
    """A malformed schema raises `UnexpectedAnswer`."""
    document = {**tiny_schema(), "paths": {"/api/v1/x/": broken}}
    with pytest.raises(UnexpectedAnswer, match="cannot be read"):
        schema_drift(document)
