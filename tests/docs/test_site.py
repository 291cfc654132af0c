"""The website of `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.documentation.blocks import ROOT
from tests.support.documentation.site import build_site

PAGES = [page.relative_to(ROOT / "docs") for page in sorted((ROOT / "docs").rglob("*.md"))]
BROKEN = """# Broken

[a page](nowhere.md), [a heading](index.md#nowhere) and [a symbol][gcapi.client.Nobody]
"""
_PLACE = re.compile(r"\[ (\S+\.md):\d+:\d+ \]")
#: The attributes of a picture, where a line break keeps them from being read as such.
_SHOWN_ATTRIBUTES = re.compile(r">\s*\{\s*(?:\.screenshot|width=)")
_FETCHED = re.compile(r'<(?:script|link|img)[^>]*\s(?:src|href)="?(https?:[^"\s>]*)')


def test_site_is_built_strictly(tmp_path: Path) -> None:
    """A broken link fails the build, and no page shows the attributes of a picture or loads from another host."""
    code, talk = build_site(tmp_path, {"broken.md": BROKEN})
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
