"""Very many small cases: all there, in flat memory, with a small journal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gcapi import Client
from gcapi_sandbox import Sandbox
from tests.support.data import add_collection
from tests.support.push import make_sockets, start_push, write_cases

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
COUNT = 10_000
MEBI = 1024**2


def test_ten_thousand_cases_cost_no_memory(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """10,000 cases of a file and a value are pushed in flat memory with a journal of less than 20 MB."""
    collection = add_collection(sandbox, client, "archive")
    manifest = write_cases(tmp_path, make_sockets(sandbox), COUNT)
    journal = tmp_path / "journal.sqlite3"

    process = start_push(sandbox, manifest, f"archive:{collection.slug}", journal, workers=8)
    output, errors = process.communicate()

    assert output, errors
    report = json.loads(output)
    assert (report["done"], report["failed"]) == (COUNT, [])
    # The first thousand warm up the threads, the connections and the allocator.
    if report["memory"]:
        first, *rest = report["memory"]
        assert max(rest) - first < 20 * MEBI, report["memory"]
    assert sum(path.stat().st_size for path in tmp_path.glob("journal.sqlite3*")) < 20e6
    assert (
        collection.cases.count({"archive": client.archives.detail(slug=collection.slug).pk})
        == COUNT
    )
