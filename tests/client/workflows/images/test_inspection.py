"""The inspection of files by each method of `Client` that sends them."""

from __future__ import annotations

import inspect as python_inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import FileInspectionError, FileWarning
from gcapi.findings import Finding
from gcapi_sandbox import Sandbox
from tests.support.data import (
    CaseCollection,
    Sockets,
    add_collection,
    nothing_written,
    unique,
    writes,
    written,
)
from tests.support.file_findings import FILES


def calls(
    sandbox: Sandbox, client: Client, spec: SocketValueSpec, folder: Path
) -> dict[str, Callable[..., Any]]:
    """Return a call of each method that sends files, which takes what to do about findings."""
    archive, study = (add_collection(sandbox, client, kind) for kind in ("archive", "study"))
    item, display_set = archive.add().pk, study.add().pk
    algorithm = sandbox.add_algorithm(
        unique("algorithm"), interfaces=[([spec.socket_slug], [])], run="math:sqrt"
    )
    endpoint = sandbox.add_endpoint(algorithm)
    return {
        "add_case_to_archive": lambda **said: archive.add(spec, **said),
        "add_case_to_reader_study": lambda **said: study.add(spec, **said),
        "update_archive_item": lambda **said: archive.update(item, spec, **said),
        "update_display_set": lambda **said: study.update(display_set, spec, **said),
        "start_algorithm_job": lambda **said: client.start_algorithm_job(
            algorithm_slug=algorithm, inputs=[spec], **said
        ),
        "run_algorithm": lambda **said: client.run_algorithm(
            algorithm_slug=algorithm, inputs=[spec], output_directory=folder, **said
        ),
        "invoke_algorithm_endpoint": lambda **said: client.invoke_algorithm_endpoint(
            endpoint_pk=endpoint, inputs=[spec], **said
        ),
    }


def test_nothing_is_sent_of_a_value_with_errors(
    sandbox: Sandbox, client: Client, sockets: Sockets, tmp_path: Path
) -> None:
    """Each method that sends files refuses an empty image before anything is written to the server."""
    empty = written(tmp_path / "empty.mha", "")
    spec = SocketValueSpec(sockets.image, file=empty)
    every_call = calls(sandbox, client, spec, tmp_path / "outputs")
    for call in every_call.values():
        with nothing_written(sandbox), pytest.raises(FileInspectionError) as caught:
            call()
        assert str(caught.value) == (
            f"Socket {sockets.image!r} (Image): {empty}: the file is empty. Copy or export it again."
        )
        (finding,) = caught.value.findings
        assert finding == Finding("error", "the file is empty", "Copy or export it again", empty)
    takers = {
        name
        for name, method in vars(Client).items()
        if callable(method) and "inspect" in python_inspect.signature(method).parameters
    }
    assert every_call.keys() == takers


def test_errors_of_all_values_are_listed(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """One error has the findings of all values of a call."""
    values = [
        SocketValueSpec(sockets.image, file=written(tmp_path / "empty.mha", "")),
        SocketValueSpec(sockets.json, file=written(tmp_path / "half.json", "[1,")),
    ]
    with nothing_written(collection.sandbox), pytest.raises(FileInspectionError) as caught:
        collection.add(*values)
    assert [finding.file for finding in caught.value.findings] == [spec.paths[0] for spec in values]
    first, second = str(caught.value).splitlines()
    assert "empty.mha: the file is empty" in first
    assert "half.json: it is not valid JSON" in second


def test_errors_become_warnings_at_the_users_line(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """With inspect="warn", a file with errors is sent, and a warning points at the line that sends it."""
    spec = SocketValueSpec(sockets.json, file=written(tmp_path / "half.json", "[1,"))
    with pytest.warns(FileWarning, match=r"half\.json: it is not valid JSON") as caught:
        collection.add(spec, inspect="warn")
    assert [Path(warning.filename).name for warning in caught] == ["data.py"]


def test_files_are_sent_without_inspection(
    collection: CaseCollection, sockets: Sockets, tmp_path: Path
) -> None:
    """With inspect="off", a file with errors is sent without a word."""
    spec = SocketValueSpec(sockets.json, file=written(tmp_path / "half.json", "[1,"))
    collection.sandbox.requests.clear()
    with warnings.catch_warnings(action="error"):
        collection.add(spec, inspect="off")
    assert any(request.startswith("PUT ") for request in writes(collection.sandbox))


def test_unknown_mode_is_refused(collection: CaseCollection, sockets: Sockets) -> None:
    """An inspect= that does not exist is refused before anything is sent."""
    with (
        nothing_written(collection.sandbox),
        pytest.raises(ValueError, match="inspect='never' must be 'error', 'warn' or 'off'"),
    ):
        collection.add(SocketValueSpec(sockets.number, value=1), inspect="never")


def test_server_stores_what_has_no_errors(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """Of the files that the server parses, those without errors are stored, and those with errors are not."""
    collection = add_collection(sandbox, client, "archive")
    slugs: dict[str, str] = {}
    cases = {}
    for name, (kind, content, _) in FILES.items():
        if kind not in slugs:
            in_files = {"store_in_database": False} if kind in {"Anything", "Float"} else {}
            slugs[kind] = sandbox.add_socket(unique("file"), kind, **in_files)
        path = written(tmp_path / f"{len(cases)}.bin", content)
        spec = SocketValueSpec(slugs[kind], file=path)
        cases[name] = collection.add(spec, inspect="off").pk
    sandbox.wait_idle()
    stored = {item.pk for item in collection.all() if item.values}
    parsed = {"Anything", "Float", "BIOM format", "Newick tree-format file"}
    for name, (kind, _, finding) in FILES.items():
        if name == "Newick with quotes":
            continue  # the sandbox counts parentheses in labels, the server's parser does not
        is_refused = finding.startswith("error") and kind in parsed
        assert (cases[name] in stored) != is_refused, name
