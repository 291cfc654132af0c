"""Draw the chart of the documentation's page on performance from the figures in README.md.

    chart.py [TARGET]

`run.py` calls it after it has written the figures; `tests/docs/test_site.py` checks that the chart shows them.
"""

from __future__ import annotations

import re
import sys
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIGURES = ROOT / "benchmarks" / "README.md"
CHART = ROOT / "docs" / "images" / "performance.svg"
#: A row over the link: the work, and the seconds and the ratio of both clients.
_ROW = re.compile(
    r"^\| (?P<work>[^|]+) \| link \| (?P<published>[\d.]+) [^|]*\| (?P<this>[\d.]+) [^|]*\| \*\*(?P<ratio>[\d.]+)\*\*",
    re.MULTILINE,
)
_WIDTH, _LABEL, _ROW_HEIGHT, _TOP = 720, 275, 52, 46
_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-labelledby="t" \
font-family="system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif" font-size="13" fill="#1b2127">
<title id="t">Seconds for each work over a link of 30 ms: gcapi 0.16.1 and this client</title>
<rect width="{width}" height="{height}" rx="12" fill="#f4f6f8"/>
<rect x="20" y="17" width="12" height="12" fill="#9aa5b1"/><text x="38" y="28">gcapi 0.16.1</text>
<rect x="140" y="17" width="12" height="12" fill="#0b6e8f"/><text x="158" y="28">this client</text>
<text x="{right}" y="28" text-anchor="end">seconds over a link of 30 ms; less is better</text>
"""


def chart(figures: str) -> str:
    """Return the chart of a table of figures as SVG."""
    rows = list(_ROW.finditer(figures))
    longest = max(float(row["published"]) for row in rows)
    scale = (_WIDTH - _LABEL - 90) / longest
    height = _TOP + _ROW_HEIGHT * len(rows) + 8
    lines = [_HEAD.format(width=_WIDTH, height=height, right=_WIDTH - 20)]
    for number, row in enumerate(rows):
        top = _TOP + _ROW_HEIGHT * number
        work = escape(row["work"].replace("`", ""))
        lines.append(f'<text x="{_LABEL - 10}" y="{top + 24}" text-anchor="end">{work}</text>')
        for offset, column, color in ((4, "published", "#9aa5b1"), (23, "this", "#0b6e8f")):
            length = float(row[column]) * scale
            words = row[column] + (f" s · {row['ratio']} ×" if column == "this" else " s")
            lines.append(
                f'<rect x="{_LABEL}" y="{top + offset}" width="{length:.1f}" height="16" fill="{color}"/>'
                f'<text x="{_LABEL + length + 7:.1f}" y="{top + offset + 13}">{words}</text>'
            )
    return "\n".join([*lines, "</svg>\n"])


def main() -> None:
    """Write the chart."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else CHART
    target.write_text(chart(FIGURES.read_text(encoding="utf-8")), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
