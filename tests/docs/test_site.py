"""The website of `make docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.documentation.blocks import ROOT

#: The sources of the site.
SOURCES = (
    "docs",
    "src",
    "generated",
    "benchmarks/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "mkdocs.yml",
    "scripts/docs_links.py",
)
PAGES = [page.relative_to(ROOT / "docs") for page in sorted((ROOT / "docs").rglob("*.md"))]
BROKEN = """# Broken

[a page](nowhere.md), [a heading](index.md#nowhere) and [a symbol][gcapi.client.Nobody]
"""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_PLACE = re.compile(r"\[ (\S+\.md):\d+:\d+ \]")
#: The attributes of a picture, where a line break keeps them from being read as such.
_SHOWN_ATTRIBUTES = re.compile(r">\s*\{\s*(?:\.screenshot|width=)")
_FETCHED = re.compile(r'<(?:script|link|img)[^>]*\s(?:src|href)="?(https?:[^"\s>]*)')


def build(folder: Path) -> tuple[int, str]:
    """Build the site with an additional page that has three errors; return the exit code and the output."""
    for name in SOURCES:
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    (folder / "docs" / "broken.md").write_text(BROKEN)
    run = subprocess.run(
        [str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return run.returncode, _COLOURS.sub("", run.stdout + run.stderr)


def test_site_is_built_strictly(tmp_path: Path) -> None:
    """A broken link fails the build, and no page shows the attributes of a picture or loads from another host."""
    code, talk = build(tmp_path)
    assert code != 0
    assert _PLACE.findall(talk) == ["broken.md"] * 3
    for problem in ("page does not exist", "anchor does not exist", "unresolved autoref"):
        assert problem in talk
    pages = {page: _built(tmp_path / "site", page) for page in PAGES}
    assert [str(page) for page, place in pages.items() if not place.is_file()] == []
    texts = {place: place.read_text("utf-8") for place in pages.values()}
    assert [place for place, text in texts.items() if _SHOWN_ATTRIBUTES.search(text)] == []
    fetched = {place: _FETCHED.findall(text) for place, text in texts.items()}
    assert [place for place, addresses in fetched.items() if addresses] == []


def _built(site: Path, page: Path) -> Path:
    return site / ("index.html" if page.name == "index.md" else page.with_suffix("") / "index.html")


def test_every_page_is_in_the_navigation() -> None:
    """Every page is in the navigation."""
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [str(page) for page in PAGES if f" {page.as_posix()}\n" not in navigation] == []
