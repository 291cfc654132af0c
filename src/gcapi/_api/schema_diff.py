"""What differs between two OpenAPI schemas of the API, in words.

Pure: `make schema` says with it what a pulled schema changes, and
`Client.check_schema` how far a live server is from the one that this release was made from.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_object
from gcapi.exceptions import UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Iterator

Json = dict[str, Any]
#: For each operation or model, what is said about it, by what it is said of.
Facts = dict[str, dict[str, str]]

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")


@dataclass(frozen=True)
class SchemaDrift:
    """How a server's schema differs from the one that this release was made from; false if it does not.

    Attributes:
        changes: A line for each operation, model, field or value that only the server has (``+``), that it lacks
            (``-``), or that it has in another form (``~``).
    """

    changes: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def __str__(self) -> str:
        if not self:
            return "The server's schema is the one that this release of gcapi was made from."
        return "\n".join(
            (
                (
                    "The server's schema differs from the one that this release of gcapi was made from"
                    " (+ the server has more, - it lacks this, ~ it has it in another form):"
                ),
                *self.changes,
            )
        )


def drift(live: Any) -> SchemaDrift:
    """Compare a live server's schema with the one that this release was made from.

    Raises:
        UnexpectedAnswer: What is live is no schema of this API.
    """
    problem = no_schema(live)
    if problem:
        raise UnexpectedAnswer(f"The server has no schema at /api/schema/: {problem}")
    try:
        return SchemaDrift(tuple(differences(published(), live)))
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise UnexpectedAnswer(f"The server's schema cannot be read: {error!r}"[:500]) from error


def published() -> Json:
    """Return the schema that this release was made from, as the server published it."""
    text = (files("grand_challenge_api") / "schema_published.json").read_text(encoding="utf-8")
    schema: Json = json.loads(text)
    return schema


def no_schema(document: Any) -> str:
    """Return why something is not a schema of the API; empty if it is one."""
    if not is_object(document) or not str(document.get("openapi", "")).startswith("3."):
        return "This is not an OpenAPI 3 document."
    components = document.get("components")
    models = components.get("schemas") if is_object(components) else None
    paths = document.get("paths")
    if not is_object(paths) or not is_object(models):
        return "This OpenAPI document has no paths or no models."
    if not any(path.startswith("/api/v1/") for path in paths):
        return "This OpenAPI document has no paths below /api/v1/."
    return ""


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the method, the path and the definition of each operation."""
    for path, methods in sorted(schema["paths"].items()):
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def operation_names(schema: Json) -> set[str]:
    """Return each operation as `gcapi` names it, `<tag>.<operation id>`."""
    return {
        f"{tag.replace('-', '_')}.{operation.get('operationId', '')}"
        for _, _, operation in operations(schema)
        for tag in operation.get("tags", [])[:1]
    }


def operation_facts(schema: Json) -> Facts:
    """Return what the schema says about each operation, in words that can be compared."""
    return {
        operation.get("operationId", f"{method} {path}"): dict(_facts_of(method, path, operation))
        for method, path, operation in operations(schema)
    }


def _facts_of(method: str, path: str, operation: Json) -> Iterator[tuple[str, str]]:
    yield "address", f"{method} {path}"
    yield "tag", ", ".join(operation.get("tags", []))
    for parameter in operation.get("parameters", []):
        need = " required" if parameter.get("required") else ""
        name = parameter.get("name", _type(parameter))
        yield (
            f"{parameter.get('in', 'shared')} parameter {name}",
            describe(parameter.get("schema", {})) + need,
        )
    body = operation.get("requestBody", {})
    for kind, content in body.get("content", {}).items():
        need = " required" if body.get("required") else ""
        yield f"body as {kind}", describe(content.get("schema", {})) + need
    for status, answer in operation.get("responses", {}).items():
        yield f"answer {status}", "no body" if not answer.get("content") else ""
        for kind, content in answer.get("content", {}).items():
            yield f"answer {status} as {kind}", describe(content.get("schema", {}))


def model_facts(schema: Json) -> Facts:
    """Return what the schema says about each field of each model, and each value of each enum."""
    models = schema["components"]["schemas"]
    return {name: _fields(model) for name, model in sorted(models.items())}


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
    """Return a type and its limits in one line, as `array[string(uuid)] nullable maxLength=64`."""
    words = [_type(schema)]
    for key, value in sorted(schema.items()):
        if key not in {"type", "format", "$ref", "allOf", "oneOf", "anyOf", "items", *_WORDS_ONLY}:
            words.append(key if value is True else f"{key}={json.dumps(value, ensure_ascii=False)}")
    return " ".join(words)


_WORDS_ONLY = frozenset({"additionalProperties", "description", "title", "example", "examples"})


def _type(schema: Json) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key, joint in (("allOf", "&"), ("oneOf", "|"), ("anyOf", "|")):
        if key in schema:
            return joint.join(_type(part) for part in schema[key])
    if schema.get("type") == "array":
        return f"array[{describe(schema.get('items', {}))}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"map[{describe(schema['additionalProperties'])}]"
    kind = str(schema.get("type", "any"))
    return f"{kind}({schema['format']})" if "format" in schema else kind


def differences(was: Json, now: Json) -> list[str]:
    """Say what changed between two schemas.

    Returns:
        A line for each operation, model, field or value that was added (`+`), removed (`-`) or
        altered (`~`).
    """
    return [
        *_compare("operation", operation_facts(was), operation_facts(now)),
        *_compare("model", model_facts(was), model_facts(now)),
    ]


def _compare(kind: str, was: Facts, now: Facts) -> Iterator[str]:
    for name in sorted(was.keys() | now.keys()):
        if name not in now:
            yield f"- {kind} {name}{_address(was[name])}"
        elif name not in was:
            yield f"+ {kind} {name}{_address(now[name])}"
        else:
            yield from _compare_facts(f"{kind} {name}", was[name], now[name])


def _address(facts: dict[str, str]) -> str:
    return f": {facts['address']}" if "address" in facts else ""


def _compare_facts(owner: str, was: dict[str, str], now: dict[str, str]) -> Iterator[str]:
    for key in [*was, *(key for key in now if key not in was)]:
        if key not in now:
            yield f"- {owner}, {key}: was {was[key]}".removesuffix(": was ")
        elif key not in was:
            yield f"+ {owner}, {key}: {now[key]}".removesuffix(": ")
        elif was[key] != now[key]:
            yield f"~ {owner}, {key}: was {was[key]}, is {now[key]}"
