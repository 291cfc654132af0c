"""The answers of a reader study with the texts of questions and the titles of cases, for programs and for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gcapi._http.urls import last_segment
from gcapi._transfer.atomic_file import ExistingFile, write_atomically
from gcapi._transfer.file_names import case_folded, folder_name, full_suffix
from gcapi._util.file_digests import sha256_of
from gcapi._workflows.outputs import OutputFile
from gcapi.bulk._pull.case_folders import ANSWERS, ANSWERS_JSONL
from gcapi.bulk._pull.json_lines import invalid_file, read_json_lines
from gcapi.bulk._pull.remote_cases import RemoteCase, RemoteValue
from gcapi.bulk._tables.delimited import csv_lines
from gcapi.bulk._tables.formats import TableFormat, encoder_of
from gcapi.bulk._tables.table import as_text
from gcapi.bulk._tables.workbook import MAX_CELL_LENGTH
from gcapi.bulk._text_files import write_parts
from gcapi.client import Client
from gcapi.resources._answer_rows import COLUMNS
from gcapi.resources.answer_table import AnswerTable

#: What stands for a socket in the masks of answers.
MASK_SOCKET: Final = "answer"
#: The number of characters of a case, a question and a reader in the name of a mask.
_MAX_NAME_PART = 60
#: The characters that are kept of a cell that is too long for a workbook; the rest says so.
_KEPT_CHARACTERS = MAX_CELL_LENGTH - 267


def mask_of(answer: Mapping[str, Any]) -> RemoteCase | None:
    """Return the mask of an answer as a case to pull; `None` if the answer has none."""
    image = answer.get("answer_image")
    if not image:
        return None
    # In the index the pk of a mask is the path of its folder.
    key = f"{ANSWERS}/{answer['pk']}"
    value = RemoteValue("answer", MASK_SOCKET, last_segment(image), "", {"image": image})
    api_url = str(answer.get("api_url") or "")
    return RemoteCase(kind="answer", pk=key, api_url=api_url, values=(value,))


def is_mask(key: str) -> bool:
    """Return whether a key of the index is that of a mask."""
    return key.startswith(f"{ANSWERS}/")


def write_answers(
    folder: Path, rows: Iterable[Mapping[str, Any]], table_format: TableFormat = "csv"
) -> None:
    """Write the rows as JSON Lines and as a table for people, each atomically.

    Memory: a row, or all rows for a workbook or Parquet.
    """
    target = folder / f"{ANSWERS}.{table_format}"
    records = folder / ANSWERS_JSONL
    write_parts(records, (json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
    shown: Iterable[Mapping[str, Any]] = map(_flat, read_json_lines(records))
    if table_format in {"csv", "tsv"}:
        write_parts(target, csv_lines(COLUMNS, shown, "\t" if table_format == "tsv" else ","))
    elif table_format != "jsonl":
        if table_format == "xlsx":
            shown = (cut_cells(row, f"see {ANSWERS_JSONL}") for row in shown)
        write_atomically(target, encoder_of(target)(COLUMNS, shown), existing="overwrite")


def read_answer_files(folder: Path) -> list[dict[str, str]]:
    """Return the SHA-256 of the files of each answer in a folder, by path; nothing if it has no reader study.

    Raises:
        PulledFolderError: The answers are damaged.
    """
    path = folder / ANSWERS_JSONL
    try:
        return [answer["files"] for answer in read_json_lines(path)] if path.is_file() else []
    except KeyError as error:
        raise invalid_file(path) from error


def encode_answers(
    columns: Sequence[str], rows: Iterable[Mapping[str, Any]], suffix: TableFormat
) -> bytes:
    """Return a table of answers as the content of a file, in a format; cells too long for a workbook are cut."""
    records = rows if suffix == "jsonl" else map(_flat, rows)
    if suffix == "xlsx":
        records = (cut_cells(row, "use another format") for row in records)
    return encoder_of(Path(f"answers.{suffix}"))(columns, records)


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with the paths of masks as text, without their checksums."""
    return {**row, "files": ";".join(row.get("files") or ())}


def cut_cells(row: Mapping[str, Any], remedy: str) -> dict[str, Any]:
    """Return a row whose cells fit into a workbook; the end of one that was cut says so, and what to do."""
    return {name: _cut(cell, remedy) for name, cell in row.items()}


def _cut(cell: Any, remedy: str) -> Any:
    text = "" if cell is None else as_text(cell)
    if len(text) <= MAX_CELL_LENGTH:
        return cell
    end = f" … [the first {_KEPT_CHARACTERS:,} of {len(text):,} characters; {remedy}]"
    return text[:_KEPT_CHARACTERS] + end


def save_answers(
    path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]], suffix: TableFormat
) -> None:
    """Write a table of answers atomically, replacing the file if it exists."""
    write_atomically(path, encode_answers(columns, rows, suffix), existing="overwrite")


def download_masks(
    client: Client, table: AnswerTable, folder: Path, *, existing: ExistingFile = "skip"
) -> None:
    """Download the masks among answers, named after case, question and reader, and fill `files` in their rows.

    Args:
        client: The client.
        table: The answers.
        folder: The folder, created if missing.
        existing: What happens to files that exist.

    Raises:
        FileExistsError: A file exists, and `existing` is ``"error"``; nothing was downloaded.
    """
    outputs, planned = client.workflows.outputs, dict[str, list[OutputFile]]()
    taken: set[str] = set()
    for row in table.rows:
        if row["pk"] not in table.masks:
            continue
        stem = mask_name(row)
        if case_folded(stem) in taken:
            stem = f"{stem}_{row['pk']}"
        taken.add(case_folded(stem))
        sources = outputs.files_of_image(table.masks[row["pk"]], folder)
        planned[row["pk"]] = [
            (source, folder / f"{stem}{f'_{number}' if number else ''}{full_suffix(target.name)}")
            for number, (source, target) in enumerate(sources)
        ]
    outputs.write([file for files in planned.values() for file in files], existing=existing)
    for row in table.rows:
        targets = [target for _, target in planned.get(row["pk"], ())]
        row["files"] = {str(target): sha256_of(target) for target in targets}


def mask_name(row: Mapping[str, Any]) -> str:
    """Return the name of the mask of an answer: its case, question and reader."""
    names = (row["display_set"] or row["display_set_pk"], row["question"], row["creator"])
    return "_".join(folder_name(str(name))[:_MAX_NAME_PART] for name in names)
