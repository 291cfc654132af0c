"""The manifest of a pulled folder: values as cells, which push accepts, and everything else as notes."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gcapi._util.json_types import is_object
from gcapi.bulk._pull.case_folders import MANIFEST, MANIFEST_JSONL, MANIFESTS
from gcapi.bulk._pull.json_lines import invalid_file
from gcapi.bulk._pull.pull_index import CaseRecord, ValueRecord
from gcapi.bulk._pull.remote_cases import ValueKey
from gcapi.bulk._tables.formats import TableFormat
from gcapi.bulk._tables.table import as_text
from gcapi.bulk._tables.workbook import MAX_CELL_LENGTH
from gcapi.bulk.manifest import Row, iterate_manifest, write_manifest

PK, API_URL, SOURCE = "gc:pk", "gc:api_url", "gc:source"
VALUE_PKS, STATUS, ALGORITHM_IMAGE = "gc:value_pks", "gc:status", "gc:algorithm_image"
OUTPUTS, OUTPUT_PKS, OUTPUT_SHA256 = "gc:outputs", "gc:output_pks", "gc:output_sha256"
#: The kind of each value's socket when it was pulled.
KINDS = "gc:kinds"
OUTPUT_NAMES = "gc:output_names"
SHA256_PREFIX, NAME_PREFIX = "sha256:", "name:"
#: The notes that a comparison with the server needs.
_COMPARED = (STATUS, VALUE_PKS, OUTPUT_PKS, OUTPUTS)


@dataclass(frozen=True)
class PulledRow:
    """A row of the manifest of a pulled folder.

    Attributes:
        row: The row, with its title and order.
        status: The status of a job; empty for others.
        value_pks: The pk of each value.
        cells: The cell of each value.
        sha256: The SHA-256 of each file, by its path below the folder.
    """

    row: Row
    status: str
    value_pks: Mapping[ValueKey, str]
    cells: Mapping[ValueKey, Any]
    sha256: Mapping[str, str]


# ---------------------------------------------------------------- writing


def row_of_case(record: CaseRecord, source: str) -> Row:
    """Return the row of a case."""
    values = [value for value in record.values if value.role == "value"]
    outputs = [value for value in record.values if value.role == "output"]
    notes: dict[str, Any] = {
        PK: record.pk,
        API_URL: record.api_url,
        SOURCE: source,
        STATUS: record.status,
        ALGORITHM_IMAGE: record.algorithm_image,
        VALUE_PKS: {value.slug: value.pk for value in values},
        KINDS: {value.slug: value.kind for value in values if value.kind},
        OUTPUTS: {value.slug: value.cell for value in outputs},
        OUTPUT_PKS: {value.slug: value.pk for value in outputs},
        OUTPUT_SHA256: {file.path: file.sha256 for one in outputs for file in one.files},
        OUTPUT_NAMES: {value.slug: value.name for value in outputs if value.name},
        **{f"{NAME_PREFIX}{value.slug}": value.name for value in values},
        **{f"{SHA256_PREFIX}{value.slug}": _sha256_note(value) for value in values},
    }
    return Row(
        line=0,
        title=record.title,
        order=record.order,
        cells={value.slug: value.cell for value in values},
        notes={name: note for name, note in notes.items() if note},
    )


def _sha256_note(value: ValueRecord) -> str | dict[str, str]:
    """Return the SHA-256 of the one file that the cell names, else that of each file."""
    if len(value.files) == 1 and value.cell == value.files[0].path:
        return value.files[0].sha256
    return {file.path: file.sha256 for file in value.files}


def write_pulled_manifest(
    folder: Path, rows: Iterable[Row], table_format: TableFormat = "csv"
) -> Path:
    """Write the manifest, as JSON Lines if a cell is too long for the format, and return its path.

    Args:
        folder: The folder.
        rows: The rows, which are iterated three times rather than held.
        table_format: The format.
    """
    limit = {"xlsx": MAX_CELL_LENGTH, "csv": csv.field_size_limit(), "tsv": csv.field_size_limit()}
    cells = (cell for row in rows for cell in (row.title, *row.cells.values(), *row.notes.values()))
    longest = max((len(as_text(cell)) for cell in cells), default=0)
    is_long = longest > limit.get(table_format, longest)
    name = MANIFEST_JSONL if is_long else f"manifest.{table_format}"
    write_manifest(folder / name, rows)
    for other in MANIFESTS:
        # A workbook may have been made by hand; it is not read while there is another manifest.
        if other not in {name, "manifest.xlsx"}:
            (folder / other).unlink(missing_ok=True)
    return folder / name


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class PulledManifest:
    """The manifest of a pulled folder, which is read row by row to save memory.

    Attributes:
        path: Its path.
    """

    path: Path

    def rows(self) -> Iterator[Row]:
        """Yield the rows as they are in the file.

        Raises:
            ManifestError: It cannot be read.
        """
        return iterate_manifest(self.path)

    def parse(self, row: Row) -> PulledRow:
        """Return a parsed row.

        Raises:
            PulledFolderError: Its notes are damaged.
        """
        try:
            return _parse_row(row)
        except (KeyError, ValueError) as error:
            raise invalid_file(self.path) from error


def find_pulled_manifest(folder: Path) -> PulledManifest:
    """Return the manifest of a pulled folder.

    Raises:
        FileNotFoundError: There is no manifest.
    """
    paths = (folder / name for name in MANIFESTS)
    path = next((path for path in paths if path.is_file()), folder / MANIFEST)
    if not path.exists():
        raise FileNotFoundError(f"{folder} has no {MANIFEST}. Name a folder that a pull has made.")
    return PulledManifest(path)


def case_pk(row: Row) -> str:
    """Return the pk of the case of a row; empty if the row was added later."""
    return str(row.notes.get(PK, ""))


def source_of(row: Row) -> str:
    """Return the source of a row, such as ``archive:slug``; empty if the row was added later."""
    return str(row.notes.get(SOURCE, ""))


def without_files(row: Row) -> Row:
    """Return a row with the notes that a comparison with the server needs."""
    notes = {name: row.notes[name] for name in _COMPARED if name in row.notes}
    return replace(row, notes=notes)


def _parse_row(row: Row) -> PulledRow:
    sha256 = object_note(row, OUTPUT_SHA256)
    for name, note in row.notes.items():
        slug = name.removeprefix(SHA256_PREFIX)
        if slug == name:
            continue
        if isinstance(note, str) and not note.startswith("{"):
            sha256[str(row.cells[slug])] = note
        else:
            sha256 |= object_note(row, name)
    return PulledRow(
        row=row,
        status=str(row.notes.get(STATUS, "")),
        value_pks=_by_key(object_note(row, VALUE_PKS), object_note(row, OUTPUT_PKS)),
        cells=_by_key(row.cells, object_note(row, OUTPUTS)),
        sha256=sha256,
    )


def object_note(row: Row, name: str) -> dict[str, Any]:
    """Return a note that is an object, which a CSV manifest has as JSON; empty if it is missing."""
    note: Any = row.notes.get(name) or {}
    found: Any = json.loads(note) if isinstance(note, str) else note
    if not is_object(found):
        raise ValueError(name)
    return {**found}


def _by_key(values: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[ValueKey, Any]:
    found: dict[ValueKey, Any] = {("value", slug): one for slug, one in values.items()}
    found.update({("output", slug): one for slug, one in outputs.items()})
    return found
