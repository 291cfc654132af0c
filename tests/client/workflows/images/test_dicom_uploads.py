"""Image sets are uploaded while they are de-identified, here or in other processes."""

from __future__ import annotations

import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

import pytest
from pydicom import dcmread

from gcapi import Client, SocketValueSpec
from gcapi._workflows import dicom_uploads
from gcapi._workflows.dicom import Deidentifier
from gcapi._workflows.dicom_uploads import FILES_PER_PROCESS, count_processes, deidentified
from gcapi.exceptions import DeidentificationError
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.data import add_collection, written
from tests.support.dicom_files import dicom_dataset, dicom_file, dicom_series

UPLOADS_AT_ONCE = 2


def test_copies_live_no_longer_than_their_uploads(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first slices are uploaded while the last ones are not yet clean, and few copies are on the disk at once."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    files = dicom_series(tmp_path, 12)
    copies: list[int] = []
    steps: list[str] = []

    def listen(event: ProgressEvent) -> None:
        copies.append(len(list(temporary.rglob("*.dcm"))))
        if event.total and event.done == event.total:
            steps.append(event.phase)

    with Client(
        sandbox.token,
        sandbox.base_url,
        progress=listen,
        max_concurrent_uploads=UPLOADS_AT_ONCE,
    ) as client:
        slug = sandbox.add_socket("dicom-overlapped", "DICOM Image Set")
        add_collection(sandbox, client, "archive").add(
            SocketValueSpec(slug, files=files, image_name="Case 1")
        )
    assert steps.count("de-identify") == steps.count("upload") == len(files)
    assert steps.index("upload") < len(files)
    assert 1 <= max(copies) <= 3 * UPLOADS_AT_ONCE
    assert list(temporary.iterdir()) == []


def test_refused_files_are_found_before_the_first_upload(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without an inspection, a file that would be refused is found before anything is created."""
    files = dicom_series(tmp_path, 3)
    refused = [
        written(tmp_path / "text.dcm", b"text"),
        dicom_file(tmp_path / "a.dcm", dicom_dataset(SOPClassUID="1.2.840.10008.5.1.4.1.1.66")),
        dicom_file(tmp_path / "b.dcm", dicom_dataset(SeriesInstanceUID="1.2.3")),
    ]
    with Client(sandbox.token, sandbox.base_url) as client:
        slug = sandbox.add_socket("dicom-refused", "DICOM Image Set")
        collection = add_collection(sandbox, client, "archive")
        sandbox.requests.clear()
        for path in refused:
            spec = SocketValueSpec(slug, files=[*files, path], image_name="Case 1")
            with pytest.raises(DeidentificationError, match="nothing was sent"):
                collection.add(spec, inspect="off")
        assert {request.method for request in sandbox.requests} <= {"GET"}


def test_original_is_never_uploaded(tmp_path: Path) -> None:
    """A source that is not de-identified yet has no content."""
    with deidentified(dicom_series(tmp_path, 1), tmp_path, lambda _: None) as (source,):
        with pytest.raises(RuntimeError, match="not de-identified"):
            source.check_unchanged()
        with pytest.raises(RuntimeError, match="not de-identified"):
            source.release()


@pytest.fixture
def one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let another process de-identify even a few files, on a machine with two CPUs."""
    monkeypatch.setattr(dicom_uploads, "FILES_PER_PROCESS", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)


@pytest.mark.usefixtures("one_process")
@pytest.mark.parametrize("is_killed", [False, True])
def test_processes_make_the_same_files(tmp_path: Path, is_killed: bool) -> None:
    """Another process makes the same bytes as this one, which takes its place if it is killed."""
    files = dicom_series(tmp_path, 3)
    with deidentified(files, tmp_path, lambda _: None) as sources:
        image_set = sources[0]._image_set
        cleaner, here = image_set._idle.get(), image_set._fallback
        assert isinstance(cleaner, dicom_uploads._Worker)
        assert isinstance(here, Deidentifier)
        image_set._idle.put(cleaner)
        for number, source in enumerate(sources):
            source.prepare()
            here.clean(files[number], tmp_path / "here")
            assert source._made.path.read_bytes() == (tmp_path / "here").read_bytes()
            if is_killed:
                cleaner._process.kill()
                cleaner._process.wait()
    uids = {dcmread(source._made.path).StudyInstanceUID for source in sources}
    assert len(uids) == 1
    assert cleaner._process.returncode == (-9 if is_killed else 0)


@pytest.mark.usefixtures("one_process")
def test_processes_report_what_is_wrong(tmp_path: Path) -> None:
    """A file that another process refuses, or cannot write, raises what this process would raise."""
    files = [*dicom_series(tmp_path, 1), written(tmp_path / "b.dcm", b"text")]
    files.append(dicom_file(tmp_path / "c.dcm", dicom_dataset(2, PatientID="other")))
    with deidentified(files, tmp_path, lambda _: None) as sources:
        for source, words in zip(sources[1:], ["b.dcm is not a DICOM", "PatientID"], strict=True):
            with pytest.raises(DeidentificationError, match=words):
                source.prepare()
    with (
        deidentified(files, tmp_path / "missing", lambda _: None) as sources,
        pytest.raises(FileNotFoundError, match="could not be de-identified into"),
    ):
        sources[0].prepare()


def test_processes_only_where_they_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large sets get a process for each CPU but one; a worker, or a program that is not Python, starts none."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    counts = {files: count_processes(files) for files in (1, FILES_PER_PROCESS, 200, 10_000)}
    assert counts == {1: 0, FILES_PER_PROCESS: 1, 200: 4, 10_000: 7}
    with monkeypatch.context() as one_cpu:
        one_cpu.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
        assert count_processes(10_000) == 0
    with monkeypatch.context() as embedded:
        embedded.setattr(sys, "executable", "/opt/Viewer/viewer")
        assert count_processes(10_000) == 0
    with monkeypatch.context() as daemonic:
        daemonic.setitem(multiprocessing.process.current_process()._config, "daemon", True)
        assert count_processes(10_000) == 0
