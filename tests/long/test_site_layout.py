"""The pages of the website in a browser, on a screen and on a phone, in the light and in the dark."""

from __future__ import annotations

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.documentation.site import build_site

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
#: The least contrast of text that WCAG 2 asks for at level AA.
CONTRAST = 4.5
#: Returns the faults of a page: what leaves it, words that are broken, and text with little contrast.
FAULTS = r"""
const least = arguments[0], found = [], page = document.querySelector(".md-content") ?? document.body;
const root = document.scrollingElement;
if (root.scrollWidth > root.clientWidth) found.push(`${root.scrollWidth} pixels wide`);
for (const table of page.querySelectorAll(".md-typeset__scrollwrap"))
  if (!table.closest(".output") && table.scrollWidth > table.clientWidth + 1)
    found.push(`a table of ${table.scrollWidth} pixels: ${table.textContent.trim().slice(0, 40)}`);
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const rgba = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const over = ([...upper], lower) => upper.slice(0, 3).map((value, index) =>
  lower[index] + (value - lower[index]) * upper[3] / 255);
const luminance = (color) => color.map((value) => value / 255)
  .map((value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4)
  .reduce((sum, value, index) => sum + value * [0.2126, 0.7152, 0.0722][index], 0);
const background = (element) => element === null
  ? [255, 255, 255]
  : over(rgba(getComputedStyle(element).backgroundColor), background(element.parentElement));
const range = document.createRange(), texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const text = texts.currentNode, element = text.parentElement;
  if (!text.data.trim() || element.closest("script, style, .headerlink, .md-code__nav")) continue;
  range.selectNodeContents(text);
  if (!range.getClientRects().length) continue;
  for (const word of text.data.matchAll(/[A-Za-z]{2,}/g)) {
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    const lines = [...range.getClientRects()];
    if (Math.abs(lines.at(0)?.top - lines.at(-1)?.top) > 3) found.push(`${word[0]} is broken`);
  }
  const below = background(element), color = over(rgba(getComputedStyle(element).color), below);
  const [dark, light] = [luminance(color), luminance(below)].sort((one, other) => one - other);
  const contrast = (light + 0.05) / (dark + 0.05);
  if (contrast < least) found.push(`${text.data.trim().slice(0, 40)}: contrast ${contrast.toFixed(2)}`);
}
return [...new Set(found)];
"""


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Serve the site, and yield the address of each page by its name."""
    folder = tmp_path_factory.mktemp("site")
    code, talk = build_site(folder, {})
    assert code == 0, talk
    handler = functools.partial(_Quiet, directory=str(folder / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        names = [page.parent.relative_to(folder / "site").as_posix() for page in _pages(folder)]
        yield {name: f"http://127.0.0.1:{server.server_port}/{name}/" for name in names}
        server.shutdown()
        thread.join()


def _pages(folder: Path) -> list[Path]:
    return sorted((folder / "site").rglob("index.html"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_pages_are_whole_and_legible(
    chromium: Chrome, site: dict[str, str], width: int, scheme: str
) -> None:
    """Nothing leaves a page, no word is broken, and all text has the contrast that WCAG asks for."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    scheme_feature = {"name": "prefers-color-scheme", "value": scheme}
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme_feature]})
    faults = {}
    for name, address in site.items():
        chromium.get(address)
        if not faults:  # the site keeps the scheme of the first visit
            chromium.execute_script("localStorage.clear()")
            chromium.get(address)
        shown = chromium.execute_script("return document.body.dataset.mdColorScheme")
        assert shown == {"light": "default", "dark": "slate"}[scheme]
        faults[name] = chromium.execute_script(FAULTS, CONTRAST)
    assert {name: found for name, found in faults.items() if found} == {}
    assert len(faults) > 30
