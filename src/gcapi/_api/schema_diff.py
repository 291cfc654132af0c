"""Differences between two OpenAPI schemas of the API, in words.

`make schema` prints the changes in a new schema, and `Client.check_schema` compares a live server's schema with that of
this release.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_object
from gcapi.exceptions import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Json = dict[str, Any]
#: For each operation or model, the aspects that are compared, with a description of each.
Facts = dict[str, dict[str, str]]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
#: Keys of a type definition that `describe` writes in another way, or that do not restrict a value.
_NOT_LIMITS = frozenset(
    {"type", "format", "$ref", "allOf", "oneOf", "anyOf", "items", "additionalProperties"}
    | {"description", "title", "example", "examples"}
)


@dataclass(frozen=True)
class SchemaDrift:
    """The differences between a server's schema and the schema of this release; false if there are none.

    Attributes:
        changes: A line for each operation, model, field or value that the server has in addition (``+``), lacks
            (``-``), or has in another form (``~``).
    """

    changes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self:
            return "The server's schema equals the schema of this gcapi release."
        return "\n".join(
            (
                "The server's schema differs from the schema of this gcapi release (+ added, - removed, ~ changed):",
                *self.changes,
            )
        )


def schema_drift(live: Any) -> SchemaDrift:
    """Compare a live server's schema with the schema of this release.

    Raises:
        UnexpectedAnswer: The live document is not a schema of this API.
    """
    problem = schema_problem(live)
    if problem:
        raise UnexpectedAnswer(f"The server has no schema at /api/schema/: {problem}")
    try:
        return SchemaDrift(tuple(schema_differences(published_schema(), live)))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"The server's schema cannot be read: {error!r}"[:500]) from error


def published_schema() -> Json:
    """Return the schema of this release, as the server published it."""
    text = (files("grand_challenge_api") / "schema_published.json").read_text(encoding="utf-8")
    schema: Json = json.loads(text)
    return schema


def schema_problem(document: Any) -> str:
    """Return why a document is not a schema of the API; empty if it is one."""
    if not is_object(document) or not str(document.get("openapi", "")).startswith("3."):
        return "This is not an OpenAPI 3 document."
    components, paths = document.get("components"), document.get("paths")
    models = components.get("schemas") if is_object(components) else None
    if not is_object(paths) or not is_object(models):
        return "This OpenAPI document has no paths or no models; it may be truncated."
    if not any(path.startswith("/api/v1/") for path in paths):
        return "This OpenAPI document has no paths below /api/v1/."
    return ""


def schema_differences(before: Json, after: Json) -> list[str]:
    """Return a line for each operation, model, field or value that was added (`+`), removed (`-`) or changed (`~`)."""
    return [
        *_compare("operation", operation_facts(before), operation_facts(after)),
        *_compare("model", model_facts(before), model_facts(after)),
    ]


def _compare(kind: str, before: Facts, after: Facts) -> Iterator[str]:
    for name in sorted(before.keys() | after.keys()):
        if name in before and name in after:
            yield from _compare_facts(f"{kind} {name}", before[name], after[name])
        else:
            sign, facts = ("-", before[name]) if name in before else ("+", after[name])
            yield f"{sign} {kind} {name}: {facts.get('address', '')}".removesuffix(": ")


def _compare_facts(
    owner: str, before: Mapping[str, str], after: Mapping[str, str]
) -> Iterator[str]:
    for aspect in {**before, **after}:
        if aspect not in after:
            yield f"- {owner}, {aspect}: was {before[aspect]}".removesuffix(": was ")
        elif aspect not in before:
            yield f"+ {owner}, {aspect}: {after[aspect]}".removesuffix(": ")
        elif before[aspect] != after[aspect]:
            yield f"~ {owner}, {aspect}: was {before[aspect]}, is {after[aspect]}"


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the method, the path and the definition of each operation."""
    for path, methods in sorted(schema["paths"].items()):
        for method in _METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def operation_names(schema: Json) -> set[str]:
    """Return the names of all operations, as `gcapi` names them: ``tag.operation_id``."""
    return {
        f"{tag.replace('-', '_')}.{operation.get('operationId', '')}"
        for _, _, operation in operations(schema)
        for tag in operation.get("tags", [])[:1]
    }


def operation_facts(schema: Json) -> Facts:
    """Return the address, tag, parameters, bodies and responses of each operation."""
    return {
        operation.get("operationId", f"{method} {path}"): dict(_facts_of(method, path, operation))
        for method, path, operation in operations(schema)
    }


def _facts_of(method: str, path: str, operation: Json) -> Iterator[tuple[str, str]]:
    yield "address", f"{method} {path}"
    yield "tag", ", ".join(operation.get("tags", []))
    for parameter in operation.get("parameters", []):
        name = parameter.get("name", _type(parameter))
        yield f"{parameter.get('in', 'shared')} parameter {name}", _with_need(parameter)
    body = operation.get("requestBody", {})
    for media_type, content in body.get("content", {}).items():
        yield f"body as {media_type}", _with_need({**content, "required": body.get("required")})
    for status, response in operation.get("responses", {}).items():
        yield f"answer {status}", "no body" if not response.get("content") else ""
        for media_type, content in response.get("content", {}).items():
            yield f"answer {status} as {media_type}", _with_need(content)


def _with_need(part: Json) -> str:
    return describe(part.get("schema", {})) + (" required" if part.get("required") else "")


def model_facts(schema: Json) -> Facts:
    """Return the fields of each model, and the values of each enum."""
    return {name: _fields(model) for name, model in sorted(schema["components"]["schemas"].items())}


def _fields(model: Json) -> dict[str, str]:
    if "enum" in model:
        return {f"value {value!r}": "" for value in model["enum"]}
    if "properties" not in model:
        return {"itself": describe(model)}
    required = model.get("required", [])
    return {
        name: describe(field) + (" required" if name in required else "")
        for name, field in model["properties"].items()
    }


def describe(schema: Json) -> str:
    """Return a type and its limits in one line, such as ``array[string(uuid)] nullable maxLength=64``."""
    limits = [
        key if value is True else f"{key}={json.dumps(value, ensure_ascii=False)}"
        for key, value in sorted(schema.items())
        if key not in _NOT_LIMITS
    ]
    return " ".join([_type(schema), *limits])


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key, separator in (("allOf", "&"), ("oneOf", "|"), ("anyOf", "|")):
        if key in schema:
            return separator.join(_type(part) for part in schema[key])
    if schema.get("type") == "array":
        return f"array[{describe(schema.get('items', {}))}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map[{describe(schema['additionalProperties'])}]"
    name = str(schema.get("type", "any"))
    return f"{name}({schema['format']})" if "format" in schema else name
