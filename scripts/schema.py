"""Pull the schema of a server, say what changed, and generate the low-level package anew.

`make schema` runs it. The source is the first argument or `SCHEMA_URL`, an address or the path of a
file, JSON or YAML; by default it is the public server. Nothing is replaced when the overlay no
longer fits, or when operations or models that `gcapi` uses are gone; with `FORCE=1` or `--force`
the latter is said and done all the same.
"""

import argparse
import ast
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import generate
import httpx
from generate import GenerationError, Json, Layout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

DEFAULT_SOURCE = "https://grand-challenge.org/api/schema/"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MODELS = ("grand_challenge_api.models", "gcapi.models")

Facts = dict[str, dict[str, str]]
"""For each operation or model, what is said about it, by what it is said of."""


class SchemaError(Exception):
    """The schema cannot be taken over; the message says why."""


def fetch(source: str) -> str:
    """Return the text of a schema.

    Args:
        source: An http(s) address, or the path of a file.

    Raises:
        SchemaError: There is nothing to be had there.
    """
    try:
        if not source.startswith(("http://", "https://")):
            return Path(source).read_text(encoding="utf-8")
        address = httpx.URL(source).copy_merge_params({"format": "json"})
        accept = {"Accept": "application/json"}
        answer = httpx.get(address, headers=accept, follow_redirects=True, timeout=60)
        return answer.raise_for_status().text
    except (OSError, UnicodeDecodeError, httpx.HTTPError, httpx.InvalidURL) as error:
        raise SchemaError(f"Cannot read {source}: {error}") from error


def read(text: str) -> Any:
    """Return what a JSON or YAML text says.

    Raises:
        SchemaError: It is neither.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:  # through JSON, so that statuses, which YAML reads as numbers, become strings
        return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))
    except (YAMLError, TypeError) as error:
        raise SchemaError(f"This is neither JSON nor YAML: {text[:60]!r}") from error


def validate(pulled: Any, known: Json) -> None:
    """Make sure that this is a schema of the API, and not that of another site.

    Args:
        pulled: What was read.
        known: The snapshot.

    Raises:
        SchemaError: It is not.
    """
    if not isinstance(pulled, dict) or not str(pulled.get("openapi", "")).startswith("3."):
        raise SchemaError("This is not an OpenAPI 3 document.")
    if not isinstance(pulled.get("paths"), dict) or "schemas" not in pulled.get("components", {}):
        raise SchemaError("This OpenAPI document has no paths or no models.")
    if not any(path.startswith("/api/v1/") for path in pulled["paths"]):
        raise SchemaError("This OpenAPI document has no paths below /api/v1/.")
    names, found = operation_names(known), operation_names(pulled)
    if 2 * len(names & found) < len(names):
        raise SchemaError(
            f"This is the schema of another API: it has {len(names & found)} of the "
            f"{len(names)} operations that we know."
        )


def operations(schema: Json) -> Iterator[tuple[str, str, Json]]:
    """Yield the method, the path and the definition of each operation."""
    for path, methods in sorted(schema["paths"].items()):
        for method in METHODS:
            if method in methods:
                yield method.upper(), path, methods[method]


def operation_names(schema: Json) -> set[str]:
    """Return each operation as `gcapi` names it, `<tag>.<operation id>`."""
    return {
        f"{tag.replace('-', '_')}.{operation['operationId']}"
        for _, _, operation in operations(schema)
        for tag in operation["tags"][:1]
    }


def operation_facts(schema: Json) -> Facts:
    """Return what the schema says about each operation, in words that can be compared."""
    return {
        operation["operationId"]: dict(_facts_of(method, path, operation))
        for method, path, operation in operations(schema)
    }


def _facts_of(method: str, path: str, operation: Json) -> Iterator[tuple[str, str]]:
    yield "address", f"{method} {path}"
    yield "tag", ", ".join(operation["tags"])
    for parameter in operation.get("parameters", []):
        need = " required" if parameter.get("required") else ""
        yield (
            f"{parameter['in']} parameter {parameter['name']}",
            describe(parameter["schema"]) + need,
        )
    body = operation.get("requestBody", {})
    for kind, content in body.get("content", {}).items():
        need = " required" if body.get("required") else ""
        yield f"body as {kind}", describe(content.get("schema", {})) + need
    for status, answer in operation["responses"].items():
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


def used(source: Path) -> tuple[set[str], set[str]]:
    """Find what a package refers to.

    Args:
        source: The folder of its modules.

    Returns:
        Every string that could name an operation, `<tag>.<operation id>`, and the name of every
        model that is imported from, or looked up in, the models.
    """
    names: set[str] = set()
    models: set[str] = set()
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and re.fullmatch(
                r"[a-z_]+\.[a-z_]+", str(node.value)
            ):
                names.add(str(node.value))
            elif isinstance(node, ast.ImportFrom) and _is_models(node.module or "", node.level):
                models.update(alias.name for alias in node.names)
            elif isinstance(node, ast.Attribute) and _is_models(ast.unparse(node.value), 1):
                models.add(node.attr)
    return names, models


def _is_models(module: str, level: int) -> bool:
    return module in MODELS or (level > 0 and module == "models")


def gone(was: Json, now: Json, source: Path) -> list[str]:
    """Say which operations and models the package in `source` uses and the new schema lacks."""
    names, models = used(source)
    lost_names = operation_names(was) - operation_names(now)
    lost_models = model_facts(was).keys() - model_facts(now).keys()
    return [
        *(f"operation {name}" for name in sorted(names & lost_names)),
        *(f"model {name}" for name in sorted(models & lost_models)),
    ]


def update(source: str, layout: Layout, *, force: bool = False) -> None:
    """Take over the schema at `source`: print what changed, replace the snapshot, and generate.

    Args:
        source: An http(s) address, or the path of a file.
        layout: Where everything is.
        force: Go on although something that `gcapi` uses is gone.

    Raises:
        SchemaError: The schema cannot be taken over; nothing is replaced.
        GenerationError: The overlay does not fit; nothing is replaced.
    """
    known, pulled = generate.load(layout), read(fetch(source))
    validate(pulled, known)
    changes = differences(known, pulled)
    print("\n".join(changes) or "No operation, model or field has changed.")
    missing = gone(known, pulled, layout.root / "src" / "gcapi")
    if missing:
        print("gcapi uses what this schema lacks:", *missing, sep="\n  ")
        if not force:
            raise SchemaError("Nothing was replaced. Change gcapi first, or go on with FORCE=1.")
    for line in generate.generate(layout, pulled):
        print(line)
    _replace(layout.snapshot, pulled)


def _replace(path: Path, schema: Json) -> None:
    """Write the snapshot under another name first, so that it is never half there."""
    text = json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)


def main(arguments: list[str] | None = None, layout: Layout | None = None) -> int:
    """Pull and generate; return the exit code."""
    parser = argparse.ArgumentParser(description="Pull the schema of a server, and generate anew.")
    default = os.environ.get("SCHEMA_URL") or DEFAULT_SOURCE
    parser.add_argument("source", nargs="?", default=default, help="an address, or a file")
    parser.add_argument("--force", action="store_true", default=os.environ.get("FORCE") == "1")
    options = parser.parse_args(arguments)
    try:
        update(options.source, layout or Layout(), force=options.force)
    except (SchemaError, GenerationError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
