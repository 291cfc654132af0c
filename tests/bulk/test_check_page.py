"""The page of a check: complete, safe against what a manifest contains, and usable on every screen and on paper."""

from __future__ import annotations

import base64
import re
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi import Client
from gcapi.bulk import CheckReport, Row, check_manifest, write_check_page, write_manifest
from gcapi.bulk.manifest import Manifest, Problem
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.browser import problems
from tests.support.data import BINARY_FILES, noise, series, unique, volume, written

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

#: Elements without an end tag.
VOID = frozenset({"meta", "input", "img"})
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style></article></main>&lt;b&gt;",
    "left \u202e right",
    "\x1b[31mred\x1b]0;title\x07",
    "{{ 7 * 7 }} ${7} %s \\",
)


@dataclass
class Card:
    """A card as a reader sees it: its classes, heading, findings, pictures and whole text."""

    classes: set[str]
    title: str = ""
    findings: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    text: str = ""


class Page(HTMLParser):
    """A page, which must be well-formed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.cards: list[Card] = []
        self.header = ""
        self.style = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attrs}
        classes = set(known.get("class", "").split())
        self.elements[tag] += 1
        self.attributes += known.items()
        if "card" in classes:
            self.cards.append(Card(classes))
        if tag == "li":
            self.cards[-1].findings.append((known["class"], ""))
        if tag == "img":
            self.cards[-1].pictures.append(known["src"])
        if tag not in VOID:
            self.open.append((tag, known))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        inside = [tag for tag, _ in self.open]
        if "style" in inside:
            self.style += data
        elif "header" in inside:
            self.header += data
        elif "article" in inside:
            card = self.cards[-1]
            card.text += data
            if "h2" in inside:
                card.title += data
            if "li" in inside:
                level, text = card.findings[-1]
                card.findings[-1] = (level, text + data)


@dataclass
class World:
    """A client, and a socket of each kind that the tests use."""

    client: Client
    scan: str
    mask: str
    slices: str
    score: str
    table: str
    thumbnail: str


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> Iterator[World]:
    """Yield a client and its sockets."""
    kinds = ("Image", "Segmentation", "DICOM Image Set", "Float", "CSV file", "Thumbnail png")
    slugs = [sandbox.add_socket(unique(kind), kind) for kind in kinds]
    with Client(sandbox.token, sandbox.base_url) as client:
        yield World(client, *slugs)


def written_page(world: World, folder: Path, rows: list[Row]) -> tuple[Page, CheckReport]:
    """Check rows, and return the page and the report."""
    path = folder / "m.csv"
    write_manifest(path, rows)
    report = check_manifest(world.client, path, None)
    page = write_check_page(world.client, path, report, folder / "report.html")
    return Page(page.read_text("utf-8")), report


def add_files(folder: Path) -> None:
    """Write an image, a label map, a DICOM series and files with errors."""
    noise(folder / "scan.mha", 100)
    mask = sitk.Image([20, 30, 5], sitk.sitkUInt8)
    mask[5:10, 5:20, :] = 1
    mask.SetSpacing([0.5, 0.5, 2.0])
    sitk.WriteImage(mask, str(folder / "mask.nii.gz"))
    (folder / "DOE_JOHN").mkdir()
    series(folder / "DOE_JOHN", 3)
    written(folder / "empty.mha", "")
    written(folder / "image.csv", BINARY_FILES["Thumbnail png"])
    written(folder / "latin.csv", b"name\nM\xfcller\n")


def test_cards_show_images_and_findings(world: World, tmp_path: Path) -> None:
    """Each row has a card with pictures, geometry, values and findings; those with errors are first, then warnings."""
    add_files(tmp_path)
    rows = [
        Row(0, "Good", None, {world.scan: "scan.mha", world.mask: "mask.nii.gz"}),
        Row(0, "Series", None, {world.slices: "DOE_JOHN", world.score: "1.5"}),
        Row(0, "Doubtful", None, {world.table: "latin.csv"}),
        Row(0, "Bad", None, {world.scan: "empty.mha", world.table: "image.csv"}),
        Row(0, "Missing", None, {world.scan: "missing.mha", world.mask: "mask.nii.gz"}),
        Row(0, "Unknown", None, {"no-such-socket": "1", world.score: "1"}),
    ]

    page, report = written_page(world, tmp_path, rows)

    titles = [card.title for card in page.cards]
    first, *others = titles
    assert first == "The manifest as a whole"
    assert others == ["Bad", "Missing", "Doubtful", "Good", "Series", "Unknown"]
    cards = {card.title: card for card in page.cards}
    assert [len(card.pictures) for card in page.cards] == [0, 0, 1, 0, 2, 1, 0]
    assert "20 × 30 × 5" in cards["Good"].text
    assert "0.5 × 0.5 × 2 mm" in cards["Good"].text
    assert "mask.nii.gz" in cards["Good"].text
    for fact in ("CT", "128 × 128 × 3", "0.661 × 0.661 × 1 mm", "3 files", "1.5"):
        assert fact in cards["Series"].text
    assert "No picture: see the error" in cards["Bad"].text
    assert [level for level, _ in cards["Bad"].findings] == ["error", "error"]
    words = "empty.mha: the file is empty. Copy or export it again."
    assert [text.endswith(words) for _, text in cards["Bad"].findings].count(True) == 1
    assert cards["Doubtful"].findings[0][0] == "warning"
    # Every problem of the check is on the page once, with paths from the manifest's folder.
    shown = [finding for card in page.cards for finding in card.findings]
    assert Counter(level for level, _ in shown) == Counter(each.level for each in report.problems)
    assert f"Errors{len(report.errors)}Warnings{len(report.warnings)}Rows6" in page.header
    for problem in report.problems:
        what = problem.what.replace(f"{tmp_path}/", "")
        assert sum(what in text for _, text in shown) == 1
    assert str(tmp_path) not in (tmp_path / "report.html").read_text("utf-8")


def test_a_problem_of_several_rows_is_on_each_card(world: World, tmp_path: Path) -> None:
    """A problem that the check reports once for several rows is counted once, and shown on the card of each."""
    cells = {"a": "1", "b": "x", "c": "x", "d": "1"}
    rows = [Row(0, title, None, {world.score: cell}) for title, cell in cells.items()]
    page, report = written_page(world, tmp_path, rows)
    (problem,) = report.problems
    assert problem.lines == (3, 4)
    assert "Errors1Warnings0" in page.header
    assert [(card.title, len(card.findings)) for card in page.cards] == [
        ("b", 1),
        ("c", 1),
        ("a", 0),
        ("d", 0),
    ]


def test_pictures_are_png(world: World, tmp_path: Path) -> None:
    """Pictures are PNGs of at most 192 pixels in the page itself, and not blank."""
    add_files(tmp_path)
    row = Row(0, "a", None, {world.mask: "mask.nii.gz", world.slices: "DOE_JOHN"})
    page, _ = written_page(world, tmp_path, [row])
    sizes = []
    for source in page.cards[0].pictures:
        start, _, data = source.partition(",")
        assert start == "data:image/png;base64"
        path = written(tmp_path / "shown.png", base64.b64decode(data, validate=True))
        shown = sitk.ReadImage(str(path))
        sizes.append(shown.GetSize())
        assert len(set(sitk.GetArrayFromImage(shown).ravel().tolist())) > 1
    assert sorted(sizes) == [(128, 192), (192, 192)]


def test_nothing_identifies_a_patient(world: World, tmp_path: Path) -> None:
    """The page has nothing of DICOM headers beside modality and geometry, and not the names of the files."""
    add_files(tmp_path)
    row = Row(0, "a", None, {world.slices: "DOE_JOHN"})
    written_page(world, tmp_path, [row])
    text = (tmp_path / "report.html").read_text("utf-8")
    text = re.sub(r"base64,[^\"]*|sha256-[^']*|<style>.*?</style>", "", text, flags=re.DOTALL)
    for secret in ("CompressedSamples", "1CT1", "2004", "JFK", "1.3.6.1", "DOE", "slice-"):
        assert secret not in text


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_text(world: World, tmp_path: Path, text: str) -> None:
    """Titles, cells, columns and file names are shown as text, without control characters."""
    name = f"{text.replace('/', '∕')}.mha"
    noise(tmp_path / "a.mha").rename(tmp_path / name)
    rows = [
        Row(2, text, None, {world.scan: [name], world.score: text}),
        Row(3, "", None, {text: text, world.table: f"{text}.csv"}),
    ]
    manifest = Manifest(tuple(rows), tmp_path, tmp_path / f"{name}.csv")
    report = check_manifest(world.client, manifest, None)
    report.notes.append(text)
    report.problems.append(Problem(7, text, text, text, "warning"))
    target = tmp_path / "report.html"
    write_check_page(world.client, manifest, report, target)

    content = target.read_text("utf-8")
    page = Page(content)

    shown = "".join(each if each.isprintable() else "�" for each in text)
    (card,) = (card for card in page.cards if "Line 2" in card.text)
    assert card.title == shown
    assert f"{shown.replace('/', '∕')}.mha" in card.text
    assert len(card.pictures) == page.elements["img"] == 1
    assert "script" not in page.elements
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert all(each.isprintable() or each == "\n" for each in content)


def test_page_is_self_contained(world: World, tmp_path: Path) -> None:
    """The page refers to nothing outside it, and its policy allows its own style and pictures only."""
    add_files(tmp_path)
    cells = {world.scan: "scan.mha", world.score: "https://example.org/"}
    page, _ = written_page(world, tmp_path, [Row(0, "http://example.org", None, cells)])
    assert not page.elements.keys() & {"script", "link", "iframe", "object", "base", "a"}
    values = dict(page.attributes)
    assert not [value for _, value in page.attributes if "//" in value and "base64," not in value]
    assert not re.search(r"url\(|@import|//", page.style)
    assert "style" not in values
    policies = [value for name, value in page.attributes if value.startswith("default-src")]
    assert policies[0].startswith("default-src 'none'; img-src data:; style-src 'sha256-")


def test_missing_extra_is_said(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without SimpleITK the page has everything but pictures and geometry, and says what to install."""
    add_files(tmp_path)
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    page, _ = written_page(world, tmp_path, [Row(0, "a", None, {world.scan: "scan.mha"})])
    assert "pip install '.[images]'" in page.header
    assert page.cards[0].pictures == []
    assert "scan.mha" in page.cards[0].text
    assert "No picture: SimpleITK is not installed" in page.cards[0].text


def test_number_of_pictures_is_bounded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the largest number of pictures, cards say why they have none."""
    monkeypatch.setattr("gcapi.bulk.check_page._MAX_PICTURES", 2)
    noise(tmp_path / "a.mha")
    rows = [Row(0, f"{number}", None, {world.scan: "a.mha"}) for number in range(3)]
    page, _ = written_page(world, tmp_path, rows)
    assert [len(card.pictures) for card in page.cards] == [1, 1, 0]
    assert "No picture: the page has 2 already" in page.cards[2].text


def test_filters_are_kinds_of_findings(world: World, tmp_path: Path) -> None:
    """Findings that differ only in names and numbers are one filter, which counts the cards that have it."""
    add_files(tmp_path)
    (tmp_path / "empty.mha").rename(tmp_path / "1.mha")
    written(tmp_path / "2.mha", "")
    rows = [Row(0, f"{name}", None, {world.scan: f"{name}.mha"}) for name in (1, 2, 3, 4)]
    page, _ = written_page(world, tmp_path, [*rows, Row(0, "5", None, {world.score: "1"})])
    assert "All5With errors4Without findings1" in page.header
    assert "Error: the file is empty2" in page.header
    assert "Error: cannot be read: No such file or directory2" in page.header
    first, second = ({card.title for card in page.cards if k in card.classes} for k in ("k0", "k1"))
    assert {frozenset(first), frozenset(second)} == {frozenset("12"), frozenset("34")}


def test_page_replaces_its_predecessor_and_reports_progress(
    sandbox: Sandbox, world: World, tmp_path: Path
) -> None:
    """An older page is replaced at once, and the listener of the client hears of each card."""
    noise(tmp_path / "a.mha")
    write_manifest(tmp_path / "m.csv", [Row(0, "a", None, {world.scan: "a.mha"})])
    target = written(tmp_path / "report.html", "old")
    events: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=events.append) as client:
        write_check_page(client, tmp_path / "m.csv", CheckReport(rows=1), target)
    assert [(event.name, event.done, event.total) for event in events] == [
        ("report.html", 0, 1),
        ("report.html", 1, 1),
    ]
    assert "old" not in target.read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"a.mha", "m.csv", "report.html"}


def test_page_in_a_browser(chromium: Chrome, world: World, tmp_path: Path) -> None:
    """Filters work without script, the page fits a phone, follows the color scheme, and is light on paper."""
    add_files(tmp_path)
    (tmp_path / "brain.nii").symlink_to(volume())
    rows = [
        Row(0, "Good" + "a" * 200, None, {world.scan: "brain.nii", world.mask: "mask.nii.gz"}),
        Row(0, "Bad", None, {world.scan: "empty.mha", world.score: "1"}),
        Row(0, HOSTILE[1], None, {world.table: "latin.csv"}),
    ]
    written_page(world, tmp_path, rows)
    chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        chromium.get((tmp_path / "report.html").as_uri())

        def titles() -> list[str]:
            cards = chromium.find_elements("css selector", ".card")
            return [card.text.splitlines()[0][:4] for card in cards if card.is_displayed()]

        def ground(**media: object) -> str:
            chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
            return chromium.find_element("css selector", "body").value_of_css_property(
                "background-color"
            )

        assert titles() == ["Bad", '"><i', "Good"]
        for name, expected in (("error", "Bad"), ("warning", '"><i'), ("good", "Good")):
            chromium.find_element("id", f"only-{name}").click()
            assert titles() == [expected]
        chromium.find_element("id", "only-card").click()
        assert len(titles()) == 3

        dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
        assert "(18, 22, 26" in ground(**dark)
        assert "(255, 255, 255" in ground(media="print", **dark)

        screen = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": True}
        chromium.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        layout = chromium.execute_cdp_cmd("Page.getLayoutMetrics", {})
        assert layout["cssContentSize"]["width"] == 360
        assert problems(chromium) == []
    finally:
        chromium.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
