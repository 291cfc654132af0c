"""Commands that have nothing to do succeed, and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi_sandbox import Sandbox
from tests.support.data import unique
from tests.support.programs.cli_program import Program


@pytest.mark.parametrize("kind", ["archive", "study"])
def test_sources_without_cases(ready: Program, sandbox: Sandbox, tmp_path: Path, kind: str) -> None:
    """A source without cases becomes a folder with an empty manifest, which can be pushed."""
    add = sandbox.add_archive if kind == "archive" else sandbox.add_reader_study
    source = f"{kind}:{add(unique(kind))}"
    run = ready("pull", source, tmp_path / "here", "--json")
    assert (run.code, run.json["cases"], run.json["failed"]) == (0, 0, [])
    assert f"{source} has no cases; there is nothing to download." in run.err
    assert ready("verify", tmp_path / "here").code == 0
    assert ready("push", run.json["manifest"], source).code == 0


@pytest.mark.parametrize(
    ("name", "content"), [("header.csv", "title,order\n"), ("empty.jsonl", "")]
)
def test_manifests_without_rows(
    ready: Program, sandbox: Sandbox, tmp_path: Path, name: str, content: str
) -> None:
    """A manifest without rows is checked and pushed with success."""
    manifest = tmp_path / name
    manifest.write_text(content)
    target = f"archive:{sandbox.add_archive(unique('archive'))}"
    for arguments in (("manifest", "check", manifest, target), ("push", manifest, target)):
        run = ready(*arguments)
        assert run.code == 0
        assert "has no rows; there is nothing to push." in run.err
    assert ready("push", manifest, target, "--dry-run").code == 0
