"""Findings about files that are no images, by the kind of their socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi._inspect.inspector import inspect_files
from gcapi.findings import Finding
from tests.support.data import written
from tests.support.file_findings import FILES
from tests.support.specs import make_socket


@pytest.mark.parametrize(("kind", "content", "expected"), FILES.values(), ids=FILES)
def test_findings(kind: str, content: bytes, expected: str, tmp_path: Path) -> None:
    """A file has the finding that is right for the kind of its socket, and what to do about it."""
    path = written(tmp_path / "given", content)
    findings = inspect_files([path], make_socket("File", kind))
    assert len(findings) == bool(expected)
    for finding in findings:
        assert f"{finding.level}: {finding.what}".startswith(expected)
        assert finding == Finding(finding.level, finding.what, finding.fix, path)
        assert finding.fix


def test_file_without_errors_is_read_once(tmp_path: Path) -> None:
    """A warning is repeated for the same file, and not for a file that took its place."""
    path = written(tmp_path / "a.csv", b"M\xfcller")
    socket = make_socket("File", "CSV file")
    first, second = inspect_files([path], socket), inspect_files([path], socket)
    assert first == second
    assert [each.level for each in first] == ["warning"]
    written(path, "Müller")
    assert inspect_files([path], socket) == []
