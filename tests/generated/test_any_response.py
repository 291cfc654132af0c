"""Generated responses: everything that the schema allows is parsed."""

from __future__ import annotations

import json
import math
from functools import cache
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grand_challenge_api import AuthenticatedClient
from tests.support.generated import CORRECTED, TAGS, module_of, operations

SCHEMAS: dict[str, Any] = CORRECTED["components"]["schemas"]
#: Text without surrogates, which JSON cannot encode.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
ANY_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
FORMATS: dict[str, st.SearchStrategy[str]] = {
    "date-time": st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat())
    | st.sampled_from(["2026-11-22T00:56:50Z", "2026-11-22T00:56:50.008000Z"]),
    "date": st.dates().map(str),
    "decimal": st.decimals(allow_nan=False, allow_infinity=False).map(str),
}


@cache
def named(name: str) -> st.SearchStrategy[Any]:
    """Return a strategy for a named schema, deferred because schemas can be recursive."""
    return st.deferred(lambda: allowed(SCHEMAS[name]))


def allowed(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return a strategy for the JSON that a schema allows.

    It supports the keywords of the document; a test checks that these are all.
    """
    made = _not_null(schema)
    return st.none() | made if schema.get("nullable") else made


def _not_null(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - one for each form
    if "$ref" in schema:
        return named(schema["$ref"].rpartition("/")[2])
    if "oneOf" in schema:
        return st.one_of([allowed(option) for option in schema["oneOf"]])
    if "allOf" in schema:
        (only,) = schema["allOf"]
        return allowed(only)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema)
    if kind == "array":
        return st.lists(allowed(schema["items"]), max_size=2)
    return _scalar(kind, schema)


def _object(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    properties = {name: allowed(part) for name, part in schema.get("properties", {}).items()}
    needed = set(schema.get("required", ()))
    rest = schema.get("additionalProperties", True)
    more = allowed(rest) if isinstance(rest, dict) and rest else ANY_JSON
    fixed = st.fixed_dictionaries(
        {name: part for name, part in properties.items() if name in needed},
        optional={name: part for name, part in properties.items() if name not in needed},
    )
    # Newer servers send unknown fields.
    unknown = st.dictionaries(
        TEXT.filter(lambda name: name not in properties), more, max_size=1 if properties else 3
    )
    return st.builds(lambda known, others: {**others, **known}, fixed, unknown)


def _scalar(kind: str | None, schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), TEXT)
    if kind == "integer":
        return st.integers(
            None if lowest is None else math.ceil(lowest),
            None if highest is None else math.floor(highest),
        )
    if kind == "number":
        return st.floats(lowest, highest, allow_nan=False, allow_infinity=False) | st.integers(
            int(lowest or 0), int(highest or 2**70)
        )
    return st.booleans() if kind == "boolean" else ANY_JSON


#: Each operation's successful responses: status and schema.
ANSWERS = [
    (operation["operationId"], int(status), answer["content"]["application/json"]["schema"])
    for _, _, operation in operations(CORRECTED)
    for status, answer in operation["responses"].items()
    if "content" in answer and operation["operationId"] in TAGS
]


def test_every_response_of_the_schema_is_tested() -> None:
    """Every operation with a response body is tested."""
    bare = {"notifications_destroy", "subscriptions_destroy"}
    assert {operation for operation, _, _ in ANSWERS} == set(TAGS) - {
        name for name in TAGS if name.endswith("_destroy") or name in bare
    }


def test_every_keyword_of_the_schema_is_known() -> None:
    """The strategies of this module support all keywords of the schema."""
    known = {"$ref", "oneOf", "allOf", "enum", "type", "items", "properties", "required"}
    known |= {"additionalProperties", "nullable", "minimum", "maximum", "format"}
    silent = {"description", "readOnly", "writeOnly", "deprecated", "title", "default", "example"}
    silent |= {"maxLength", "minLength", "pattern"}  # of what is sent; nothing is refused for them

    def keywords(schema: Any) -> set[str]:
        found = {key for key in schema if not key.startswith("x-")}
        parts = [*schema.get("properties", {}).values(), *schema.get("oneOf", ())]
        parts += [*schema.get("allOf", ())]
        parts += [schema[key] for key in ("items", "additionalProperties") if key in schema]
        return found.union(*(keywords(part) for part in parts if isinstance(part, dict)))

    assert set().union(*map(keywords, SCHEMAS.values())) - known - silent == set()


@pytest.mark.parametrize(
    ("operation", "status", "schema"), ANSWERS, ids=[answer[0] for answer in ANSWERS]
)
@settings(
    max_examples=10,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(data=st.data())
def test_any_response_that_the_schema_allows_is_parsed(
    operation: str, status: int, schema: dict[str, Any], data: st.DataObject
) -> None:
    """Every valid response is parsed without loss, with unknown fields and nulls."""
    body = data.draw(allowed(schema))
    module = module_of(operation)
    assert status in module.OPERATION.statuses
    parsed = module.OPERATION.parse(json.loads(json.dumps(body)))
    response = httpx.Response(status, content=json.dumps(body).encode())
    client = AuthenticatedClient("https://gc.localhost", "t", raise_on_unexpected_status=True)
    assert module._parse_response(client=client, response=response) == parsed
    kept = parsed.to_dict() if hasattr(parsed, "to_dict") else parsed
    if isinstance(body, dict):
        assert set(kept) == set(body)
