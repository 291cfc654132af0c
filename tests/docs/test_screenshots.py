"""The notebook, the screenshots and the chart of the documentation, which must show what the programs show."""

from __future__ import annotations

import json
import re

from benchmarks import chart
from tests.support.documentation.blocks import ROOT

IMAGES = ROOT / "docs" / "images"


def test_the_page_has_the_cells_of_the_notebook() -> None:
    """The page of the notebook has its cells in order; `make screenshots` writes it."""
    notebook = json.loads((ROOT / "examples" / "reader_study.ipynb").read_text(encoding="utf-8"))
    page = (ROOT / "docs" / "notebook.md").read_text(encoding="utf-8")
    cells = ["".join(one["source"]) for one in notebook["cells"] if one["cell_type"] == "code"]
    assert re.findall(r"```python\n(.*?)\n```", page, re.DOTALL) == cells
    assert page.count("data:image/png;base64,") > 2
    assert page.count("![Output") == 2


def test_the_chart_shows_the_figures() -> None:
    """The chart of the page on performance has the figures of the last benchmark."""
    figures = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert (IMAGES / "performance.svg").read_text(encoding="utf-8") == chart.chart(figures)


def test_every_picture_is_used() -> None:
    """Every picture of the documentation is on a page, and has a description."""
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "docs").rglob("*.md"))
    shown = re.findall(r"!\[([^]]+)\]\(images/([\w.-]+)\)", pages)
    assert {name for _, name in shown} == {path.name for path in IMAGES.iterdir()}
