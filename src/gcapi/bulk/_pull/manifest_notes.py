"""What a pull writes into its manifest, and how it is read again."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

from gcapi.bulk._pull.folders import MANIFEST, MANIFEST_LINES
from gcapi.bulk.manifest import Row, write_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gcapi.bulk._pull.pull_index import CaseRecord, ValueRecord

PK, API_URL, SOURCE = "gc:pk", "gc:api_url", "gc:source"
VALUE_PKS, STATUS, ALGORITHM_IMAGE = "gc:value_pks", "gc:status", "gc:algorithm_image"
OUTPUTS, OUTPUT_PKS, OUTPUT_SHA256 = "gc:outputs", "gc:output_pks", "gc:output_sha256"
SHA256 = "sha256:"


def row_of(line: int, record: CaseRecord, source: str) -> Row:
    """Return the row of a case: its values as cells, which push takes, and all else as notes."""
    values = [value for value in record.values if value.role == "value"]
    outputs = [value for value in record.values if value.role == "output"]
    notes: dict[str, Any] = {
        PK: record.pk,
        API_URL: record.api_url,
        SOURCE: source,
        STATUS: record.status,
        ALGORITHM_IMAGE: record.algorithm_image,
        VALUE_PKS: {value.slug: value.pk for value in values},
        OUTPUTS: {value.slug: value.cell for value in outputs},
        OUTPUT_PKS: {value.slug: value.pk for value in outputs},
        OUTPUT_SHA256: {file.path: file.sha256 for one in outputs for file in one.files},
        **{f"{SHA256}{value.slug}": _digests(value) for value in values},
    }
    return Row(
        line=line,
        title=record.title,
        order=record.order,
        cells={value.slug: value.cell for value in values},
        notes={name: note for name, note in notes.items() if note},
    )


def _digests(value: ValueRecord) -> str | dict[str, str]:
    """Return the SHA-256 of the one file that a cell names, else that of each file."""
    if len(value.files) == 1 and value.cell == value.files[0].path:
        return value.files[0].sha256
    return {file.path: file.sha256 for file in value.files}


def write_rows(folder: Path, rows: Sequence[Row]) -> Path:
    """Write a manifest, as CSV, or as JSON Lines where a cell is longer than what reads CSV takes; return it."""
    is_long = any(map(_is_long, rows))
    path = folder / (MANIFEST_LINES if is_long else MANIFEST)
    write_manifest(path, rows)
    (folder / (MANIFEST if is_long else MANIFEST_LINES)).unlink(missing_ok=True)
    return path


def _is_long(row: Row) -> bool:
    cells = (*row.cells.values(), *row.notes.values())
    texts = (cell if isinstance(cell, str) else json.dumps(cell) for cell in cells)
    return max(map(len, texts), default=0) > csv.field_size_limit()


def manifest_in(folder: Path) -> Path:
    """Return the manifest of a folder that was pulled."""
    lines = folder / MANIFEST_LINES
    return lines if lines.is_file() else folder / MANIFEST


def note_of(row: Row, name: str) -> dict[str, str]:
    """Return a note that is an object, which CSV has as JSON; an empty one if it is not there."""
    note: Any = row.notes.get(name) or {}
    made: dict[str, str] = json.loads(note) if isinstance(note, str) else dict(note)
    return made


def digests_of(row: Row) -> dict[str, str]:
    """Return the SHA-256 of each file of a row, by its path below the folder of the manifest."""
    found = note_of(row, OUTPUT_SHA256)
    for name, note in row.notes.items():
        slug = name.removeprefix(SHA256)
        if slug == name:
            continue
        is_one = isinstance(note, str) and not note.startswith("{")
        found |= {str(row.cells[slug]): str(note)} if is_one else note_of(row, name)
    return found
