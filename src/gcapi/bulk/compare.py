"""Compare a pulled folder with its manifest, and the manifest with the server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gcapi._inspect.folders import is_litter
from gcapi._transfer.file_names import inside
from gcapi._util.file_digests import sha256_of
from gcapi._util.scheduler import cancel_scope
from gcapi.bulk._pull.answers import read_answer_files
from gcapi.bulk._pull.case_folders import ANSWERS_JSONL, RESERVED_NAMES
from gcapi.bulk._pull.file_records import files_below
from gcapi.bulk._pull.pull_index import read_source
from gcapi.bulk._pull.pulled_manifest import (
    PulledRow,
    case_pk,
    find_pulled_manifest,
    source_of,
    without_files,
)
from gcapi.bulk._pull.remote_cases import RemoteCase, find_source, iterate_cases
from gcapi.bulk.differences import Difference
from gcapi.bulk.manifest import Row
from gcapi.bulk.targets import Target
from gcapi.client import Client
from gcapi.resources.reader_studies import STUDY_PARAMETER


def verify(folder: str | Path) -> list[Difference]:
    """Compare the files of a pulled folder with its manifest by SHA-256, without a connection.

    Returns:
        The files that are missing, were changed, or are in neither the manifest nor the answers; litter that systems
        leave in folders, such as ``.DS_Store``, is ignored.

    Raises:
        FileNotFoundError: There is no manifest.
        ManifestError: The manifest cannot be read.
        PulledFolderError: The notes of the manifest, or the answers, are damaged.
        UnsafeName: The manifest names a file outside the folder.
    """
    root = Path(folder).absolute()
    expected: dict[str, str] = {}
    manifest = find_pulled_manifest(root)
    for row in manifest.rows():
        expected |= manifest.parse(row).sha256
    for files in read_answer_files(root):
        expected |= files
    differences: list[Difference] = []
    for path, sha256 in sorted(expected.items()):
        target = inside(root, path)
        if not target.is_file():
            differences.append(Difference("missing", path, "the file does not exist"))
        elif sha256_of(target) != sha256:
            text = "its SHA-256 differs from that of the pulled file"
            differences.append(Difference("changed", path, text))
    found = {path.relative_to(root).as_posix() for path in files_below(root)} - RESERVED_NAMES
    return differences + [
        Difference("unexpected", path, "it is in neither the manifest nor the answers")
        for path in sorted(found - expected.keys())
        if not any(map(is_litter, path.split("/")))
    ]


def diff(client: Client, folder: str | Path) -> list[Difference]:
    """Compare the manifest of a pulled folder with the server, without downloading files.

    Values are compared by their pks, which change when a value is replaced; JSON values also by their cells.

    Args:
        client: The client.
        folder: The pulled folder.

    Returns:
        The cases and values that only one side has or that differ, and whether the number of answers differs.

    Raises:
        FileNotFoundError: There is no manifest.
        ManifestError: The manifest cannot be read.
        PulledFolderError: The notes of the manifest, or the answers, are damaged.
        ObjectNotFound: The source no longer exists, or you have no access.
    """
    root = Path(folder).absolute()
    manifest = find_pulled_manifest(root)
    target = ""
    rows: dict[str, Row] = {}
    for row in manifest.rows():
        target = target or source_of(row)
        if pk := case_pk(row):
            rows[pk] = without_files(row)
    target = target or read_source(root)  # a manifest without rows does not name its source
    differences: list[Difference] = []
    with cancel_scope():
        source = find_source(client, Target.parse(target))
        for case in iterate_cases(client, source):
            pulled = rows.pop(case.pk, None)
            if pulled is None:
                name = case.title or case.pk
                differences.append(Difference("only there", name, "this case was not pulled"))
            else:
                differences += _compare_case(manifest.parse(pulled), case)
        differences += [
            Difference("only here", row.title or pk, "the server no longer has this case")
            for pk, row in rows.items()
        ]
        if source.study is not None:
            here = len(read_answer_files(root))
            there = client.reader_studies.answers.count({STUDY_PARAMETER: source.pk})
            if here != there:
                text = f"there are {here} answers here and {there} on the server"
                differences.append(Difference("changed", ANSWERS_JSONL, text))
        return differences


def _compare_case(pulled: PulledRow, case: RemoteCase) -> Iterator[Difference]:
    row = pulled.row
    name = row.title or case.pk
    if row.title != case.title:
        yield Difference("changed", name, f"the title is {case.title!r} on the server")
    if row.order != case.order:
        text = f"the order is {row.order} here and {case.order} on the server"
        yield Difference("changed", name, text)
    if pulled.status != case.status:
        yield Difference("changed", name, f"the status is {case.status!r} on the server")
    unmatched = dict(pulled.value_pks)
    for value in case.values:
        subject = f"{name}: {value.slug}"
        pk = unmatched.pop(value.key, None)
        if pk is None:
            yield Difference("only there", subject, "this value was not pulled")
        elif pk != value.pk:
            yield Difference("changed", subject, "the server has another value now")
        elif value.is_inline and pulled.cells.get(value.key) != value.as_cell():
            yield Difference("changed", subject, "the manifest has another value")
    for _, slug in unmatched:
        yield Difference("only here", f"{name}: {slug}", "the server no longer has this value")
