"""Compare a folder that was pulled with its manifest, and its manifest with the server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gcapi._transfer.file_names import inside
from gcapi.bulk._pull.answers import count_answers, read_answers
from gcapi.bulk._pull.folders import ANSWERS_JSONL, LEDGER, OWN_NAMES
from gcapi.bulk._pull.listing import find_source, iterate_cases
from gcapi.bulk._pull.local_files import files_below, sha256_of
from gcapi.bulk._pull.manifest_notes import (
    OUTPUT_PKS,
    OUTPUTS,
    PK,
    SOURCE,
    STATUS,
    VALUE_PKS,
    digests_of,
    manifest_in,
    note_of,
)
from gcapi.bulk.differences import Difference
from gcapi.bulk.manifest import Manifest, read_manifest
from gcapi.bulk.targets import Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from gcapi.bulk._pull.listing import Case, Source, Value
    from gcapi.bulk.manifest import Row
    from gcapi.client import Client


def verify(folder: str | Path) -> list[Difference]:
    """Compare a folder with the manifest that was pulled into it, by the SHA-256 of each file; nothing is sent.

    Returns:
        The files that are missing, that were changed, and that neither the manifest nor the answers name.

    Raises:
        FileNotFoundError: There is no manifest.
        ManifestError: It cannot be read.
        UnsafeName: It names a file that is not below the folder.
    """
    root = Path(folder).absolute()
    expected = _expected(root)
    found = {path.relative_to(root).as_posix() for path in files_below(root)} - OWN_NAMES
    differences = [_checked(root, path, sha256) for path, sha256 in sorted(expected.items())]
    unexpected = [
        Difference("unexpected", path, "neither the manifest nor the answers name it")
        for path in sorted(found - expected.keys())
    ]
    return [one for one in differences if one is not None] + unexpected


def _expected(root: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that should be there."""
    expected: dict[str, str] = {}
    for row in read_manifest(manifest_in(root)).rows:
        expected |= digests_of(row)
    for answer in read_answers(root):
        expected |= answer["files"]
    return expected


def _checked(root: Path, path: str, sha256: str) -> Difference | None:
    target = inside(root, path)
    if not target.is_file():
        return Difference("missing", path, "it is not there")
    if sha256_of(target) != sha256:
        return Difference("changed", path, "its SHA-256 is another than when it was pulled")
    return None


def diff(client: Client, folder: str | Path) -> list[Difference]:
    """Compare the manifest of a folder that was pulled with what the server has now, without fetching any file.

    Values are compared by their keys, since what replaces a value has another, and by what the cell of a JSON value
    says.

    Args:
        client: Reads the server.
        folder: What a pull made.

    Returns:
        Cases and values that only the folder or only the server has, those that are not the same, and whether there are
        other answers.

    Raises:
        FileNotFoundError: There is no manifest.
        ManifestError: It cannot be read.
        ObjectNotFound: What was pulled is gone, or you have no access.
    """
    root = Path(folder).absolute()
    manifest = read_manifest(manifest_in(root))
    source = find_source(client, _source_of(root, manifest))
    rows = {str(row.notes[PK]): row for row in manifest.rows if PK in row.notes}
    differences: list[Difference] = []
    for case in iterate_cases(client, source):
        row = rows.pop(case.pk, None)
        differences += [_only_there(case)] if row is None else _of_case(row, case)
    differences += [
        Difference("only here", row.title or pk, "the server no longer has this case")
        for pk, row in rows.items()
    ]
    return differences + list(_of_answers(client, source, root))


def _source_of(root: Path, manifest: Manifest) -> Target:
    """Return what was pulled; a manifest without rows does not tell."""
    for row in manifest.rows:
        if SOURCE in row.notes:
            return Target.parse(str(row.notes[SOURCE]))
    with (root / LEDGER).open(encoding="utf-8") as ledger:
        return Target.parse(json.loads(ledger.readline())["source"])


def _only_there(case: Case) -> Difference:
    return Difference("only there", case.title or case.pk, "this case was not pulled")


def _of_case(row: Row, case: Case) -> Iterator[Difference]:
    name = row.title or case.pk
    if row.title != case.title:
        yield Difference("changed", name, f"its title on the server is {case.title!r}")
    if row.order != case.order:
        yield Difference(
            "changed", name, f"its order is {row.order}, and {case.order} on the server"
        )
    if row.notes.get(STATUS, "") != case.status:
        yield Difference("changed", name, f"its status on the server is {case.status!r}")
    values = [value for value in case.values if value.role == "value"]
    outputs = [value for value in case.values if value.role == "output"]
    yield from _of_values(name, note_of(row, VALUE_PKS), row.cells, values)
    yield from _of_values(name, note_of(row, OUTPUT_PKS), note_of(row, OUTPUTS), outputs)


def _of_values(
    name: str, pks: dict[str, str], cells: Mapping[str, Any], values: list[Value]
) -> Iterator[Difference]:
    for value in values:
        subject = f"{name}: {value.slug}"
        pk = pks.pop(value.slug, None)
        if pk is None:
            yield Difference("only there", subject, "this value was not pulled")
        elif pk != value.pk:
            yield Difference("changed", subject, "the server has another value now")
        elif value.is_inline and cells.get(value.slug) != value.as_cell():
            yield Difference("changed", subject, "the manifest has another value")
    for slug in pks:
        yield Difference("only here", f"{name}: {slug}", "the server no longer has this value")


def _of_answers(client: Client, source: Source, root: Path) -> Iterator[Difference]:
    if source.study is None:
        return
    here, there = sum(1 for _ in read_answers(root)), count_answers(client, source.pk)
    if here != there:
        yield Difference("changed", ANSWERS_JSONL, f"it has {here} answers, and the server {there}")
