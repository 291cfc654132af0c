"""From a row to specifications and an identity: the same code for a check, a dry run and a push.

A row whose values or files changed between two runs is another row. If it has a title, the server already has a case
of that title: ``existing="skip"`` leaves that as it is, and says so; ``"update"`` changes it. A row without a title
gets a new generated title, and becomes another case.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._api.quota import MAX_USER_UPLOADS
from gcapi._transfer.local_files import check_local_file
from gcapi._workflows.checks import check_interface, check_order, check_title
from gcapi._workflows.inspection import Inspection
from gcapi._workflows.plans import Plan, Upload
from gcapi._workflows.prepare import ValuePreparer
from gcapi._workflows.slug_lookup import Lookup
from gcapi.bulk._pull.pulled_cells import PulledCells
from gcapi.bulk._push.identity import RowIdentity
from gcapi.bulk._unicode_paths import existing_paths
from gcapi.bulk.cells import CellError, spec_of_cell
from gcapi.bulk.manifest import Manifest, Row, column_of
from gcapi.exceptions import SocketNotFound, SpecError
from gcapi.findings import Finding, InspectMode
from gcapi.sockets import MAX_IMAGE_NAME, SocketValueSpec

#: Begins the note column that names a DICOM image set; its socket's slug follows.
IMAGE_NAME_PREFIX = "name:"
#: What to do about a column that is no socket.
COLUMN_FIX = "Name the column after a socket's slug, or put a colon in it to make it a note"


@dataclass(frozen=True)
class ParsedRow:
    """A row and the specifications that its cells mean.

    Attributes:
        row: The row.
        specs: Its values.
        identity: Identifies the row in the journal.
        findings: What a person should know of its paths, by socket slug.
    """

    row: Row
    specs: tuple[SocketValueSpec, ...]
    identity: RowIdentity
    findings: Mapping[str, Finding]

    @property
    def fingerprint(self) -> bytes:
        """The key of the row in the journal."""
        return self.identity.fingerprint

    @property
    def title(self) -> str:
        """The title of its case on the server: its own in NFC, or one generated from its content."""
        return _nfc(self.row.title.strip()) or self.identity.generated_title

    @property
    def slugs(self) -> frozenset[str]:
        """The sockets that it has a value for."""
        return frozenset(spec.socket_slug for spec in self.specs)


@dataclass(frozen=True)
class RowPlanner:
    """Plans the values of rows, and inspects their files: the same for a check, a dry run and a push.

    Attributes:
        values: Plans values.
        inspect: What to do about findings.
        warn: Called with each finding that does not stop its row.
        deep: Whether to read all of the files' content.
    """

    values: ValuePreparer
    inspect: InspectMode
    warn: Callable[[Row, models.ComponentInterface, Finding], None]
    deep: bool = False

    def plan(self, row: ParsedRow, slugs: frozenset[str]) -> list[Plan]:
        """Return the plans of a row's values of some sockets.

        Raises:
            SpecError: Values cannot be sent, or their files have errors; see `inspect`. The error has all of them.
        """
        plans, errors = self.plan_valid(row, slugs)
        _raise_all(errors)
        return plans

    def check(self, row: ParsedRow, errors: Sequence[tuple[str, Exception]]) -> None:
        """Check that a row has no errors; if it has, the errors of its valid cells are added, as a check does.

        Raises:
            SpecError: It has errors.
        """
        if errors:
            _raise_all([*errors, *self.plan_valid(row, row.slugs)[1]])

    def plan_valid(
        self, row: ParsedRow, slugs: frozenset[str]
    ) -> tuple[list[Plan], list[tuple[str, Exception]]]:
        """Return the plans of a row's values of some sockets, and the errors of the others by column."""
        warn = partial(self.warn, row.row)
        for slug, finding in row.findings.items():
            if slug in slugs:
                warn(self.values.lookup.socket(slug), finding)
        inspection = Inspection(self.inspect, self.deep, warn)
        plans: list[Plan] = []
        errors: list[tuple[str, Exception]] = []
        for spec in row.specs:
            if spec.socket_slug in slugs:
                with _collected(errors, column_of(spec.socket_slug)):
                    plans += self.values.plan([spec], inspection)
        with _collected(errors, ""):
            check_file_count(upload_sizes(plans))
        return plans, errors


class RowReader:
    """Turns the rows of a manifest into specifications.

    Args:
        lookup: Finds sockets.
        manifest: The rows.
        algorithm: The algorithm whose jobs the rows are; `None` if they are cases.

    Raises:
        PulledFolderError: The manifest is that of a pulled folder, and its notes are damaged.
    """

    def __init__(
        self, lookup: Lookup, manifest: Manifest, algorithm: models.Algorithm | None = None
    ) -> None:
        self._lookup = lookup
        self._folder = manifest.folder
        self._has_decimal_commas = manifest.origin.has_decimal_commas
        self._pulled = PulledCells.of(manifest)
        self._algorithm = algorithm
        self._duplicates = _duplicates(manifest.rows)
        self._missing: dict[str, SocketNotFound] = {}

    def read(self, row: Row) -> ParsedRow:
        """Return a row whose every cell is valid.

        Raises:
            SpecError: A cell is not, or an earlier row is the same.
            SocketNotFound: The server does not have the socket of a column.
            OSError: A file cannot be read.
        """
        parsed, errors = self.read_valid(row)
        _raise_all(errors)
        return parsed

    def read_valid(self, row: Row) -> tuple[ParsedRow, list[tuple[str, Exception]]]:
        """Return the valid cells of a row, and the errors of the others by column."""
        errors: list[tuple[str, Exception]] = []
        if id(row) in self._duplicates:
            what, fix = self._duplicates[id(row)], "Give every row a title of its own"
            errors.append(("title", CellError(what=what, fix=fix)))
        elif self._algorithm is None:
            with _collected(errors, "title"):
                check_title(row.title)
            with _collected(errors, "order"):
                check_order(row.order or 0)
        specs: list[SocketValueSpec] = []
        values: dict[str, Any] = {}
        files: dict[str, dict[Path, os.stat_result]] = {}
        findings: dict[str, Finding] = {}
        for slug in sorted(row.cells):
            with _collected(errors, column_of(slug)):
                socket = self._socket(slug)
                if self._pulled is not None:
                    self._pulled.check_kind(socket)
                spec = spec_of_cell(
                    socket,
                    row.cells[slug],
                    self._folder,
                    _image_name(row, slug),
                    has_decimal_commas=self._has_decimal_commas,
                )
                if self._pulled is not None:
                    self._pulled.check_paths(spec.paths)
                if spec.paths:
                    files[slug] = {path: check_local_file(path) for path in spec.paths}
                else:
                    values[slug] = spec.value
                if finding := _finding_of_forms(spec.paths, self._folder):
                    findings[slug] = finding
                specs.append(spec)
        if self._algorithm is not None and not errors:
            with _collected(errors, ""):
                check_interface(self._algorithm, specs)
        identity = RowIdentity.of(_nfc(row.title), row.order, values, files, self._folder)
        return ParsedRow(row, tuple(specs), identity, findings), errors

    def _socket(self, slug: str) -> models.ComponentInterface:
        """Return a socket; one that is missing is looked up once, not once per row."""
        if slug not in self._missing:
            try:
                return self._lookup.socket(slug)
            except SocketNotFound as error:
                self._missing[slug] = error
        raise SocketNotFound(f"{self._missing[slug]} {COLUMN_FIX}.", slug=slug)


@contextmanager
def _collected(errors: list[tuple[str, Exception]], column: str) -> Generator[None]:
    try:
        yield
    except (SpecError, SocketNotFound, OSError) as error:
        errors.append((column, error))


def _raise_all(errors: Sequence[tuple[str, Exception]]) -> None:
    """Raise the error of a row's columns, or one error that has all of them."""
    if len(errors) == 1:
        raise errors[0][1]
    if errors:
        raise SpecError(
            " ".join(f"{column}: {error}" if column else str(error) for column, error in errors)
        )


def _image_name(row: Row, slug: str) -> str:
    """Return the name of a DICOM image set; never that of a folder, which may include a patient's name."""
    name = row.notes.get(f"{IMAGE_NAME_PREFIX}{slug}") or row.title or slug
    return str(name)[:MAX_IMAGE_NAME]


def _nfc(title: str) -> str:
    return unicodedata.normalize("NFC", title)


def _finding_of_forms(paths: Iterable[Path], folder: Path) -> Finding | None:
    """Return a warning if a path exists in several Unicode forms."""
    for path in paths:
        text = str(path.relative_to(folder) if path.is_relative_to(folder) else path)
        if not text.isascii() and len(found := existing_paths(folder, text)) > 1:
            return Finding(
                level="warning",
                what=f"{len(found)} files have this name, in different Unicode forms, and look alike",
                fix="Remove or rename those that you do not mean",
                file=Path(text),
            )
    return None


def _duplicates(rows: Iterable[Row]) -> dict[int, str]:
    """Return what is wrong with rows that are the same as an earlier one, by the id of the object."""
    seen: dict[str, Row] = {}
    found: dict[int, str] = {}
    for row in rows:
        key = _nfc(row.title) or repr((row.order, sorted(row.cells.items(), key=str)))
        first = seen.setdefault(key, row)
        if first is not row:
            same = f"has the title {row.title!r} already" if row.title else "has the same content"
            found[id(row)] = f"line {first.line} {same}"
    return found


def check_file_count(sizes: Sequence[int]) -> None:
    """Check that the server accepts as many files at once.

    Raises:
        CellError: It does not.
    """
    if len(sizes) > MAX_USER_UPLOADS:
        what = f"the row has {len(sizes)} files, and the server accepts {MAX_USER_UPLOADS} at once"
        raise CellError(what=what, fix="Pack them, for example into one .mha for an image")


def upload_sizes(plans: Iterable[Plan]) -> list[int]:
    """Return the length in bytes of each file that plans upload; 0 for a file on the server."""
    return [
        file.stat().st_size if isinstance(file, Path) else len(getattr(file, "data", b""))
        for plan in plans
        if isinstance(plan, Upload)
        for file in plan.files
    ]
