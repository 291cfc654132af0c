"""The list of promises, held against the tests that it names."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def promises() -> list[str]:
    """Return the lines of the list."""
    lines = (ROOT / "tests" / "ACCEPTANCE.md").read_text().splitlines()
    return [line for line in lines if line.startswith("- ")]


def test_every_promise_names_a_test() -> None:
    """Each line of the list ends with at least one link to a test."""
    assert promises()
    assert [line for line in promises() if not LINK.search(line)] == []


def test_every_test_that_is_named_exists() -> None:
    """No link of the list leads to a test that was renamed or removed."""
    links = [link for line in promises() for link in LINK.findall(line)]
    assert [link for link in links if link[1] not in names_in(link[0])] == []


def test_every_test_says_what_it_shows() -> None:
    """Each test of the project has a docstring of its own."""
    silent = [
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []
