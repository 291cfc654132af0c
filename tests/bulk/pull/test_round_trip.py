"""Pull, push and pull again give the same cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from pydicom import dcmread

from gcapi import Client, SocketValueSpec
from gcapi.bulk import Row, diff, pull, push, read_manifest, verify, write_manifest
from gcapi.bulk._tables.formats import TableFormat
from gcapi.bulk.cells import value_cell
from gcapi_sandbox import Sandbox
from tests.support.data import DEADLINE, unique, voxels
from tests.support.pull import (
    add_archive,
    add_sockets,
    contents,
    copy_image,
    from_storage,
    image_of,
    real_cases,
)


def digests(row: Row, slug: str) -> list[str]:
    """Return the SHA-256 of the files of a value, without their names."""
    note = row.notes[f"sha256:{slug}"]
    return sorted(json.loads(note).values()) if note.startswith("{") else [note]


def pixels(home: Path, row: Row, slug: str) -> list[bytes]:
    """Return the pixels of the instances of a DICOM image set."""
    return sorted(dcmread(path).PixelData for path in (home / row.cells[slug]).glob("*.dcm"))


def rows_of(home: Path) -> dict[str, Any]:
    """Return the rows of a pulled folder by title."""
    return {row.title: row for row in read_manifest(home / "manifest.csv").rows}


def test_an_archive_goes_round(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Real cases are the same after a pull, a verification, a second pull, a push elsewhere and a pull from there."""
    sockets = add_sockets(sandbox)
    (tmp_path / "sources").mkdir()
    cases = real_cases(sockets, tmp_path / "sources")
    first = add_archive(sandbox, client, cases)
    homes = tmp_path / "first", tmp_path / "second"
    report = pull(client, f"archive:{first}", homes[0])
    assert (report.cases, verify(homes[0]), diff(client, homes[0])) == (len(cases), [], [])
    sandbox.requests.clear()
    assert pull(client, f"archive:{first}", homes[0], existing="skip").files == 0
    assert from_storage(sandbox) == 0

    second = sandbox.add_archive(unique("second"))
    pushed = push(
        client,
        report.manifest,
        f"archive:{second}",
        journal=tmp_path / "journal",
        wait=True,
        timeout=DEADLINE,
    )
    assert (len(pushed.done), pushed.is_complete) == (len(cases), True)
    assert pull(client, f"archive:{second}", homes[1]).cases == len(cases)
    assert verify(homes[1]) == []
    here, there = map(rows_of, homes)
    assert here.keys() == there.keys() == cases.keys()
    for title, row in here.items():
        assert row.cells.keys() == there[title].cells.keys()
        for slug in row.cells.keys() - {sockets.dicom, sockets.image}:
            assert digests(row, slug) == digests(there[title], slug)
        for slug in row.cells.keys() & {sockets.text, sockets.number, sockets.anything}:
            assert row.cells[slug] == there[title].cells[slug]
    # The server converts images when it imports them, so their voxels are compared.
    images = [
        voxels(home / row.cells[sockets.image])
        for home, rows in zip(homes, (here, there), strict=True)
        for row in rows.values()
        if sockets.image in row.cells
    ]
    assert np.array_equal(*images)
    dicom = [
        pixels(home, rows["DICOM"], sockets.dicom)
        for home, rows in zip(homes, (here, there), strict=True)
    ]
    assert dicom[0] == dicom[1]
    assert len(dicom[0]) == 3


def test_strings_go_round(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Strings that look like something else, and JSON of every shape, are unchanged by a pull and a push."""
    text, anything = (
        sandbox.add_socket(unique("text"), "String"),
        sandbox.add_socket(unique("anything"), "Anything"),
    )
    texts = [
        "",
        " a ",
        '"quoted"',
        "1",
        "null",
        "[1]",
        "a;b,c\r\nd",
        "a.json",
        "=1+1",
        "ü" * 200,
        "x/../y",
    ]
    values = [*texts, 0, False, [], {}, 1.5, {"a": [None, "ü"]}]
    slugs = [sandbox.add_archive(unique("archive")) for _ in range(2)]
    for index, value in enumerate(values):
        specs = [SocketValueSpec(anything, value=value)]
        if index < len(texts):
            specs.append(SocketValueSpec(text, value=value))
        client.add_case_to_archive(archive_slug=slugs[0], title=str(index), values=specs)
    report = pull(client, f"archive:{slugs[0]}", tmp_path / "home")
    pushed = push(client, report.manifest, f"archive:{slugs[1]}", journal=tmp_path / "journal")
    assert pushed.is_complete
    pk = client.archives.detail(slug=slugs[1]).pk
    items = {item.title: item for item in client.archive_items.iterate_all({"archive": pk})}
    for index, value in enumerate(values):
        found = {one.interface.slug: one.value for one in items[str(index)].values}
        assert json.dumps(found.pop(anything)) == json.dumps(value)
        assert found == ({text: value} if index < len(texts) else {})


TITLES = [
    *("قضية ١", "病例，一", 'with "quotes"; and, signs', "two\nlines", "=1+1", "'=1", "-5", "+a"),
    *("@name", "TRUE", "007", "1e5", "Zoë", "#N/A", "_x000D_", "1,5"),
]
VALUES: list[tuple[str, list[Any]]] = [
    ("String", [*TITLES, "", "\r", "\r\n", "\ttab", '"quoted"', "2024-05-01", "true", "7.0"]),
    ("Bool", [True, False]),
    ("Float", [0.1, 1 / 3, -1e-300, 1.7976931348623157e308, 0.30000000000000004, -0.0, 5.0]),
    ("Integer", [0, -7, 12345678901234567890]),
    ("Anything", ["TRUE", True, False, "1,5", {"ü": [1, "=1", 0.1]}, ["a\n"], 3.0, "x" * 300]),
    ("Point", [{"type": "Point", "point": [0.1, 2, 3], "version": {"major": 1, "minor": 0}}]),
]


@pytest.mark.parametrize("table_format", get_args(TableFormat))
def test_every_format_goes_round(
    sandbox: Sandbox, client: Client, tmp_path: Path, table_format: TableFormat
) -> None:
    """Titles and values that tables could change are the same after a pull, a push and a pull in each format."""
    pytest.importorskip({"parquet": "pyarrow", "xlsx": "openpyxl"}.get(table_format, "csv"))
    sockets = {kind: sandbox.add_socket(unique("value"), kind) for kind, _ in VALUES}
    slugs = [sandbox.add_archive(unique("archive")) for _ in range(2)]
    count = max(len(values) for _, values in VALUES)
    rows = [
        Row(
            index,
            TITLES[index] if index < len(TITLES) else f"case {index}",
            cells={
                sockets[kind]: value_cell(kind, values[index])
                for kind, values in VALUES
                if index < len(values)
            },
        )
        for index in range(count)
    ]
    source = tmp_path / f"source.{table_format}"
    write_manifest(source, rows)
    assert push(client, source, f"archive:{slugs[0]}", journal=tmp_path / "a").is_complete
    report = pull(client, f"archive:{slugs[0]}", tmp_path / "home", table_format=table_format)
    assert report.manifest.name == f"manifest.{table_format}"
    assert (verify(tmp_path / "home"), diff(client, tmp_path / "home")) == ([], [])
    pushed = push(client, report.manifest, f"archive:{slugs[1]}", journal=tmp_path / "b")
    assert pushed.is_complete

    for slug in slugs:
        pk = client.archives.detail(slug=slug).pk
        items = {item.title: item for item in client.archive_items.iterate_all({"archive": pk})}
        assert items.keys() == {row.title for row in rows}
        for index, row in enumerate(rows):
            found = {one.interface.slug: one.value for one in items[row.title].values}
            expected = {
                sockets[kind]: values[index] for kind, values in VALUES if index < len(values)
            }
            assert repr(sorted(found.items())) == repr(sorted(expected.items()))


def test_jobs_go_round(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """The manifest of pulled jobs starts the same jobs of another algorithm."""
    image = sandbox.add_socket("Scan", relative_path="images/scan")
    number = sandbox.add_socket("Number", "Float", relative_path="number.json")
    sockets = [image, number]
    slugs = [
        sandbox.add_algorithm(unique("algorithm"), interfaces=[(sockets, sockets)], run=copy_image)
        for _ in range(2)
    ]
    inputs = [SocketValueSpec(image, file=image_of(tmp_path)), SocketValueSpec(number, value=1.5)]
    client.start_algorithm_job(algorithm_slug=slugs[0], inputs=inputs)
    sandbox.wait_idle(DEADLINE)
    homes = tmp_path / "first", tmp_path / "second"
    report = pull(client, f"algorithm:{slugs[0]}", homes[0])
    pushed = push(
        client,
        report.manifest,
        f"algorithm:{slugs[1]}",
        journal=tmp_path / "journal",
        wait=True,
        timeout=DEADLINE,
    )
    assert (len(pushed.done), pushed.is_complete) == (1, True)
    pull(client, f"algorithm:{slugs[1]}", homes[1])
    assert verify(homes[1]) == []
    assert sorted(contents(homes[0]).values()) == sorted(contents(homes[1]).values())
