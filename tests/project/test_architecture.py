"""The pages for developers name files that exist, and the layers that are checked."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("CONTRIBUTING.md", "SECURITY.md", "docs/architecture.md", "docs/generated.md")
#: A path in backticks; the paths of layers, such as `_http/urls.py`, are below src/gcapi.
_PATH = re.compile(r"`((?:src|tests|docs|openapi|generated|benchmarks|_[a-z]+)/[\w./-]+)`")
_NAME = re.compile(r"`([A-Z][A-Z_]+|_[A-Z]+)` (?:in|of) `(\S+\.py)`")


def read(page: str) -> str:
    """Return the text of a page."""
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    """Every path that a page for developers names exists."""
    paths = _PATH.findall(read(page))
    assert paths
    missing = [
        path
        for path in paths
        if not ((ROOT / path).exists() or (ROOT / "src/gcapi" / path).exists())
    ]
    assert missing == []


def test_picture_and_table_have_all_layers() -> None:
    """The picture and the table of layers have every package of gcapi that import-linter knows."""
    settings = tomllib.loads(read("pyproject.toml"))
    (contract,) = [
        one
        for one in settings["tool"]["importlinter"]["contracts"]
        if one["type"] == "layers" and one["containers"] == ["gcapi"]
    ]
    layers = {name for line in contract["layers"] for name in re.findall(r"\w+", line)}
    packages = {name for name in layers if (ROOT / "src/gcapi" / name).is_dir()}
    table, picture = read("docs/architecture.md"), read("docs/images/layers.svg")
    assert {name for name in packages if f"`{name}`" not in table} == set()
    assert {name for name in packages if f">{name}<" not in picture} == set()
