"""`tests/ACCEPTANCE.md` and the docstrings of tests."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "tests" / "ACCEPTANCE.md").read_text(encoding="utf-8")
_LINK = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_NUMBERED = re.compile(r"^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", re.MULTILINE | re.DOTALL)


@cache
def docstrings_in(path: Path) -> dict[str, str | None]:
    """Return the docstrings of the tests in a file, by name."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: ast.get_docstring(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_page_has_twenty_promises_with_tests() -> None:
    """The page has twenty promises, and each names at least one test."""
    promises = _NUMBERED.findall(PAGE)
    assert [int(number) for number, _ in promises] == list(range(1, 21))
    assert [number for number, promise in promises if not _LINK.search(promise)] == []


def test_named_tests_exist() -> None:
    """Every test that the page names exists."""
    missing = [
        f"{path}::{name}"
        for path, name in _LINK.findall(PAGE)
        if not (ROOT / path).is_file() or name not in docstrings_in(ROOT / path)
    ]
    assert missing == []


def test_every_test_has_a_docstring() -> None:
    """Every test of the project has a docstring."""
    silent = [
        f"{path.name}::{name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name, docstring in docstrings_in(path).items()
        if not docstring
    ]
    assert silent == []
