"""Pull the schema of a server, list the changes, and generate the low-level package.

`make schema` runs it. The source is the first argument or `SCHEMA_URL`: the address or path of a JSON or YAML file. The
default is the public server. Nothing is replaced if the overlay no longer fits, or if operations or models that `gcapi`
uses are gone; `FORCE=1` or `--force` overrides the latter.
"""

import argparse
import ast
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import generate
import httpx
from generate import GenerationError, Json, Layout
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from gcapi._api.schema_diff import model_facts, operation_names, schema_differences, schema_problem

DEFAULT_SOURCE = "https://grand-challenge.org/api/schema/"
MODELS = ("grand_challenge_api.models", "gcapi.models")


class SchemaError(Exception):
    """Raised when the schema cannot be used; the message says why."""


def fetch(source: str) -> str:
    """Return the text of a schema.

    Args:
        source: An http(s) address, or the path of a file.

    Raises:
        SchemaError: The source cannot be read.
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
    """Parse a JSON or YAML text.

    Raises:
        SchemaError: It is neither.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        pass
    try:  # through JSON, so that status codes, which YAML reads as numbers, become strings
        return json.loads(json.dumps(YAML(typ="safe", pure=True).load(text), default=str))
    except (YAMLError, TypeError) as error:
        raise SchemaError(f"This is neither JSON nor YAML: {text[:60]!r}") from error


def validate(pulled: Any, known: Json) -> None:
    """Check that a document is a schema of this API.

    Args:
        pulled: The parsed document.
        known: The snapshot.

    Raises:
        SchemaError: It is not.
    """
    problem = schema_problem(pulled)
    if problem:
        raise SchemaError(problem)
    names, found = operation_names(known), operation_names(pulled)
    if 2 * len(names & found) < len(names):
        raise SchemaError(
            f"This is the schema of another API: it has {len(names & found)} of the "
            f"{len(names)} operations that we know."
        )


def used(source: Path) -> tuple[set[str], set[str]]:
    """Find the operations and models that a package refers to.

    Args:
        source: The folder of its modules.

    Returns:
        Every string that could name an operation (`<tag>.<operation id>`), and the name of every model that is imported
        or accessed.
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
    """Return the operations and models that the package uses and the new schema does not have."""
    names, models = used(source)
    lost_names = operation_names(was) - operation_names(now)
    lost_models = model_facts(was).keys() - model_facts(now).keys()
    return [
        *(f"operation {name}" for name in sorted(names & lost_names)),
        *(f"model {name}" for name in sorted(models & lost_models)),
    ]


def update(source: str, layout: Layout, *, force: bool = False) -> None:
    """Print the changes of a schema, generate the package, and replace the snapshot.

    Args:
        source: An http(s) address, or the path of a file.
        layout: The paths.
        force: Continue although something that `gcapi` uses is gone.

    Raises:
        SchemaError: The schema cannot be used; nothing is replaced.
        GenerationError: The overlay does not fit; nothing is replaced.
    """
    known, pulled = generate.load(layout), read(fetch(source))
    validate(pulled, known)
    changes = schema_differences(known, pulled)
    print("\n".join(changes) or "No operation, model or field has changed.")
    missing = gone(known, pulled, layout.root / "src" / "gcapi")
    if missing:
        print("gcapi uses these, which the schema does not have:", *missing, sep="\n  ")
        if not force:
            raise SchemaError("Nothing was replaced. Change gcapi first, or set FORCE=1.")
    for line in generate.generate(layout, pulled):
        print(line)
    _replace(layout.snapshot, pulled)


def _replace(path: Path, schema: Json) -> None:
    """Replace the snapshot atomically."""
    text = json.dumps(schema, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8", newline="\n")
    fresh.replace(path)


def main(arguments: list[str] | None = None, layout: Layout | None = None) -> int:
    """Pull the schema and generate the package; return the exit code."""
    parser = argparse.ArgumentParser(
        description="Pull the schema of a server, and generate the package."
    )
    default = os.environ.get("SCHEMA_URL") or DEFAULT_SOURCE
    parser.add_argument("source", nargs="?", default=default, help="an address or a path")
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
