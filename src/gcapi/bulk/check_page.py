"""The report of a check as one page: a card for each case, with thumbnails of its images and what was found.

The page needs no script and no other file, and its content security policy allows neither. Text from the manifest, from
file names and from headers reaches it through `_element` only, which escapes it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, tostring

from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi._pictures.thumbnails import Thumbnail, draw_thumbnail
from gcapi._util.messages import printable
from gcapi.bulk._push.rows import RowReader
from gcapi.bulk._text_files import write_parts
from gcapi.bulk.check import CheckReport
from gcapi.bulk.manifest import Manifest, Problem, Row, column_of, parse_manifest
from gcapi.client import Client
from gcapi.progress import Progress, given_up_on_error
from gcapi.sockets import SocketValueSpec

#: The longer side of a picture in pixels.
_PICTURE_SIDE = 192
#: The largest number of pictures; a page of so many has up to 100 MB if they are grey.
_MAX_PICTURES = 2000
#: The largest number of findings that can be chosen.
_MAX_CHOICES = 40
#: The longest text of a value, in characters.
_MAX_VALUE = 200
#: The order of cards.
_RANKS = {"error": 0, "warning": 1, "good": 2}
#: What differs between findings of one kind: quoted text, paths and numbers.
_DETAIL = re.compile(r"'[^']*'|\"[^\"]*\"|\S*[/\\]\S*|(?<![\w-])\d[\d.,]*")


def write_check_page(
    client: Client, manifest: Manifest | Path, report: CheckReport, path: Path
) -> Path:
    """Write the report of a check as one HTML page.

    The page has a card for each row, those with errors first: the findings, and of each image the middle slice, the
    shape, the spacing and the modality. Nothing else of DICOM headers is shown, and no pixels that may include text.
    Without SimpleITK (the extra `images`), there are no pictures, and the page says so.

    One image is read at a time, which takes what `draw_thumbnail` says: about 0.1 s for a slice, and a few seconds for
    the largest files. An image with errors and all after the first 2,000 get no picture. A grey picture has up to 50 KB
    in the page, a colored one three times as much. The memory is that of the manifest and of one image: at most 1 GiB.
    The client's `progress` is called for each row.

    Args:
        client: Finds sockets; it has them already if it made the report.
        manifest: The rows, or the file that they are in.
        report: What `check_manifest` returned for it.
        path: The page; a file of this name is replaced.

    Returns:
        The page.

    Raises:
        ManifestError: The manifest is not a table at all.
        OSError: The page cannot be written.
    """
    if not isinstance(manifest, Manifest):
        manifest, _ = parse_manifest(manifest)
    path = Path(path)
    page = _Page(client, manifest, report)
    return write_parts(path, page.parts(path.name))


# ---------------------------------------------------------------- HTML


def _element(name: str, /, *children: Element | str, **attributes: str) -> Element:
    """Return an element; text is escaped, and characters that are not printable are replaced."""
    element = Element(name, {key.rstrip("_"): printable(text) for key, text in attributes.items()})
    for child in children:
        if not isinstance(child, str):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + printable(child)
        else:
            element.text = (element.text or "") + printable(child)
    return element


def _html(element: Element) -> str:
    return tostring(element, encoding="unicode", method="html")


def _definitions(pairs: Iterable[tuple[str, str]], class_: str) -> Element:
    groups = (_element("div", _element("dt", name), _element("dd", text)) for name, text in pairs)
    return _element("dl", *groups, class_=class_)


def _head(title: str, style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n<meta name="robots" content="noindex">\n'
        f"<title>{escape(printable(title))}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


# ---------------------------------------------------------------- page


@dataclass(frozen=True)
class _Choice:
    """A filter of the cards.

    Attributes:
        name: The class of the cards that it shows.
        text: Its text.
        level: The class of the text.
        count: The number of cards.
    """

    name: str
    text: str
    level: str
    count: int


@dataclass
class _Card:
    """The content of a card, without its pictures.

    Attributes:
        row: The row; `None` for what concerns the whole manifest.
        problems: What was found.
    """

    row: Row | None
    problems: list[Problem] = field(default_factory=list[Problem])

    @property
    def level(self) -> str:
        """The worst level of the problems; ``"good"`` if there are none."""
        return min((problem.level for problem in self.problems), default="good")


class _Page:
    """The parts of the page.

    Args:
        client: Finds sockets.
        manifest: The rows.
        report: What was found.
    """

    def __init__(self, client: Client, manifest: Manifest, report: CheckReport) -> None:
        self._lookup = client.workflows.lookup
        self._listener = client.workflows.listener
        self._reader = RowReader(self._lookup, manifest)
        self._manifest = manifest
        self._report = report
        self._cards = _cards(manifest.rows, report.problems)
        kinds = Counter(
            kind for card in self._cards for kind in set(map(_finding_kind, card.problems))
        )
        common = kinds.most_common(_MAX_CHOICES)
        #: The classes of cards, by the kind of a problem.
        self._classes = {kind: f"k{number}" for number, (kind, _) in enumerate(common)}
        self._choices = [*self._choices_by_level(), *self._choices_by_kind(dict(common))]
        self._can_draw = find_spec("SimpleITK") is not None
        self._pictures = 0

    def _choices_by_level(self) -> Iterator[_Choice]:
        yield _Choice("card", "All", "", len(self._cards))
        for level, text in (
            ("error", "With errors"),
            ("warning", "With warnings"),
            ("good", "Without findings"),
        ):
            count = sum(level in _levels(card) for card in self._cards)
            if count:
                yield _Choice(level, text, level, count)

    def _choices_by_kind(self, counts: Mapping[tuple[str, str], int]) -> Iterator[_Choice]:
        for kind, count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1])):
            level, text = kind
            yield _Choice(self._classes[kind], f"{level.title()}: {text}", level, count)

    def parts(self, name: str) -> Iterator[str]:
        """Yield the page, one card at a time.

        Args:
            name: The name of the page, for progress.
        """
        path = self._manifest.path
        title = f"Check of {self._manifest.folder.name if path is None else path.name}"
        style = resources.files("gcapi.bulk").joinpath("check_page.css").read_text("utf-8")
        hide = "body:has(#only-{0}:checked) .card:not(.{0}) {{ display: none; }}\n"
        style += "".join(hide.format(choice.name) for choice in self._choices)
        yield _head(title, f"\n{style}")
        yield _html(self._header(title))
        yield '\n<main class="cards">\n'
        progress = Progress(self._listener, "check", name, len(self._cards))
        with given_up_on_error([progress]):
            for card in self._cards:
                yield _html(self._card(card)) + "\n"
                progress.add(1)
        yield "</main>\n</body>\n</html>\n"

    def _header(self, title: str) -> Element:
        report = self._report
        facts = {
            "Errors": f"{len(report.errors):,}",
            "Warnings": f"{len(report.warnings):,}",
            "Rows": f"{report.rows:,}",
            "Files": f"{report.files:,}",
            "Size": f"{report.bytes / 1e6:,.1f} MB",
            "Checked": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        }
        notes = [*report.notes]
        if not self._can_draw:
            notes.append("There are no thumbnails. They need SimpleITK: pip install '.[images]'")
        return _element(
            "header",
            _element("h1", _element("bdi", title)),
            _definitions(facts.items(), "facts"),
            *(_element("p", note, class_="faint") for note in notes),
            _element("fieldset", _element("legend", "Show"), *map(_choice, self._choices)),
        )

    # ------------------------------------------------------------ cards

    def _card(self, card: _Card) -> Element:
        kinds = {self._classes.get(_finding_kind(problem), "") for problem in card.problems}
        classes = ("card", "whole" if card.row is None else "", *_levels(card), *sorted(kinds))
        article = _element("article", class_=" ".join(filter(None, classes)))
        if card.row is None:
            article.append(_element("h2", "The manifest as a whole"))
        else:
            article.append(_element("h2", _element("bdi", card.row.title or "Without title")))
            noun = "Row" if self._manifest.origin.sheet else "Line"
            article.append(_element("p", f"{noun} {card.row.line}", class_="faint"))
        if card.problems:
            findings = (self._finding(card, problem) for problem in card.problems)
            article.append(_element("ul", *findings, class_="findings"))
        if card.row is not None:
            article.extend(self._values(card.row, card.problems))
        return article

    def _finding(self, card: _Card, problem: Problem) -> Element:
        text = str(problem).removeprefix("warning: ")
        if card.row is not None:  # which shows its line
            text = re.sub(r"^line \d+(?:, |: )", "", text)
        # Paths start from the folder of the manifest.
        text = text.replace(str(self._manifest.folder / "_")[:-1], "")
        label = _element("b", f"{problem.level.title()}:")
        return _element("li", label, f" {text}", class_=problem.level)

    def _values(self, row: Row, problems: Iterable[Problem]) -> Iterator[Element]:
        parsed, _ = self._reader.read_valid(row)
        images = {spec.socket_slug: spec for spec in parsed.specs if self._is_image(spec)}
        wrong = {problem.column for problem in problems if problem.level == "error"}
        if images:
            figures: list[Element] = []
            for slug, spec in images.items():
                obstacle = "" if self._can_draw else "SimpleITK is not installed"
                obstacle = "see the error" if column_of(slug) in wrong else obstacle
                figures.append(self._figure(spec, obstacle))
            yield _element("div", *figures, class_="pictures")
        others = {column_of(slug): cell for slug, cell in row.cells.items() if slug not in images}
        if others:
            yield _definitions(((name, _shown(cell)) for name, cell in others.items()), "values")

    def _is_image(self, spec: SocketValueSpec) -> bool:
        socket = self._lookup.socket(spec.socket_slug)
        is_image = storage_kind(socket) in {StorageKind.IMAGE, StorageKind.DICOM}
        is_thumbnail = str(socket.kind).casefold().startswith("thumbnail")
        return bool(spec.paths) and (is_image or is_thumbnail)

    def _figure(self, spec: SocketValueSpec, obstacle: str) -> Element:
        slug, paths = spec.socket_slug, spec.paths
        if self._pictures == _MAX_PICTURES:
            obstacle = obstacle or f"the page has {_MAX_PICTURES:,} already"
        thumbnail = Thumbnail(reason=obstacle) if obstacle else draw_thumbnail(paths, _PICTURE_SIDE)
        self._pictures += bool(thumbnail.png)
        if thumbnail.png:
            source = f"data:image/png;base64,{base64.b64encode(thumbnail.png).decode()}"
            image = _element("img", src=source, alt=f"Middle slice of {slug}", decoding="async")
            frame = _element("div", image, class_="frame")
        else:
            frame = _element("div", f"No picture: {thumbnail.reason}", class_="frame empty")
        # The names of DICOM files often include those of patients.
        is_dicom = storage_kind(self._lookup.socket(slug)) == StorageKind.DICOM
        names = paths[0].name if len(paths) == 1 and not is_dicom else f"{len(paths):,} files"
        facts = (thumbnail.modality, *_geometry(thumbnail), names)
        lines = (_element("div", fact) for fact in facts if fact)
        caption = _element("figcaption", _element("b", column_of(slug)), *lines)
        return _element("figure", frame, caption)


def _cards(rows: Sequence[Row], problems: Iterable[Problem]) -> list[_Card]:
    """Return the cards: of the whole manifest, then by level and line; each problem is on those of its lines."""
    by_line = {row.line: _Card(row) for row in reversed(rows) if row.line}
    whole = _Card(None)
    for problem in problems:
        for line in problem.lines or (problem.line,):
            by_line.get(line, whole).problems.append(problem)
    cards = [by_line[row.line] if row.line else _Card(row) for row in rows]
    return [
        *([whole] if whole.problems else []),
        *sorted(cards, key=lambda card: _RANKS[card.level]),
    ]


def _levels(card: _Card) -> list[str]:
    """Return the classes of a card's levels, the worst first."""
    return sorted({problem.level for problem in card.problems}) or ["good"]


def _finding_kind(problem: Problem) -> tuple[str, str]:
    """Return the level of a problem, and its text without what differs between files and rows."""
    return problem.level, _DETAIL.sub("…", problem.what).removeprefix("… ")


def _choice(choice: _Choice) -> Element:
    attributes = {"checked": "checked"} if choice.name == "card" else {}
    name = f"only-{choice.name}"
    button = _element("input", type="radio", name="show", id=name, **attributes)
    text = _element("span", choice.text, class_=choice.level)
    return _element("label", button, text, _element("b", f"{choice.count:,}"))


def _geometry(thumbnail: Thumbnail) -> Iterator[str]:
    if thumbnail.shape:
        components = f", {thumbnail.components} components" * (thumbnail.components > 1)
        yield " × ".join(map(str, thumbnail.shape)) + components
    if thumbnail.spacing:
        yield " × ".join(f"{step:.3g}" for step in thumbnail.spacing) + " mm"


def _shown(cell: Any) -> str:
    """Return the beginning of a cell as one line."""
    text = cell if isinstance(cell, str) else json.dumps(cell, ensure_ascii=False, default=str)
    line = " ".join(text[: 10 * _MAX_VALUE].split())
    return line if len(line) <= _MAX_VALUE else f"{line[: _MAX_VALUE - 1]}…"
