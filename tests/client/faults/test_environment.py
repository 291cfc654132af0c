"""The program around a client: event loops, threads, and the logs of the HTTP libraries."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi_sandbox import Sandbox
from tests.support.retried_calls import EMPTY
from tests.support.servers.loopback import Loopback, connect, in_turn

KEY = "X-Amz-Signature=s3cret"


# ---------------------------------------------------------------- event loops and threads


def work(client: Client, archive: str, name: str, folder: Path) -> None:
    """Make a case with a value and a file, read it back, and upload something else."""
    path = folder / f"{name}.csv"
    path.write_text(f"{name};1\n")
    values = [SocketValueSpec("word", value=name), SocketValueSpec("table", file=path)]
    item = client.add_case_to_archive(archive_slug=archive, values=values, title=name)
    filled = client.wait_for_values(item, values=values, timeout=60)
    found = {value.interface.slug: value for value in filled.values}
    assert found["word"].value == name
    (table,) = client.download_socket_value(found["table"], output_directory=folder / name)
    assert table.read_text() == f"{name};1\n"
    content = name.encode() * 1000
    upload = client.uploads.upload_fileobj(fileobj=io.BytesIO(content), filename=name)
    assert client.uploads.detail(pk=upload.pk).filename == name
    assert item.pk in {found.pk for found in client.archive_items.iterate_all()}


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox) -> str:
    """Give an archive and the sockets that `work` fills."""
    sandbox.add_socket("word", "String")
    sandbox.add_socket("table", "CSV file")
    return sandbox.add_archive("Environment")


def test_works_inside_a_running_event_loop(client: Client, archive: str, tmp_path: Path) -> None:
    """The client works inside a running event loop and in the loop's threads, as in a notebook."""

    async def main() -> None:
        work(client, archive, "inside", tmp_path)
        await asyncio.gather(
            *(
                asyncio.to_thread(work, client, archive, f"beside {number}", tmp_path)
                for number in range(3)
            )
        )

    asyncio.run(main())


def test_one_client_serves_sixteen_threads(sandbox: Sandbox, archive: str, tmp_path: Path) -> None:
    """Sixteen threads can share one client."""
    start = threading.Barrier(16)

    def run(number: int) -> None:
        start.wait(timeout=30)
        work(client, archive, f"thread {number}", tmp_path)

    with Client(sandbox.token, sandbox.base_url) as client, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(run, range(16))) == [None] * 16
        titles = [str(item.title) for item in client.archive_items.iterate_all()]
    assert sorted(title for title in titles if "thread" in title) == sorted(
        f"thread {number}" for number in range(16)
    )


# ---------------------------------------------------------------- logs


def test_presigned_addresses_are_in_no_log(
    client: Client, archive: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No log record of the HTTP libraries has a presigned query, even at level DEBUG."""
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    work(client, archive, "logged", tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "X-Amz-" in line] == []
    assert any("PUT" in line and "?… " in line for line in lines if line.startswith("HTTP Request"))
    assert any("(b'location', b'http" in line.lower() and "?…" in line for line in lines)


def test_other_log_records_stay_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """Log records of other users of the HTTP library without a secret are not changed."""
    caplog.set_level(logging.DEBUG, logger="httpx")
    with Loopback(in_turn(EMPTY)) as server, connect(server) as client:
        client.archives.count()
        caplog.clear()
        with httpx.Client(verify=False) as other:
            for query in ("?limit=1&signature_of=me", f"?{KEY}"):
                other.get(server.origin + query)
    assert [record.getMessage() for record in caplog.records] == [
        f'HTTP Request: GET {server.origin}?limit=1&signature_of=me "HTTP/1.1 200 OK"',
        f'HTTP Request: GET {server.origin}?… "HTTP/1.1 200 OK"',
    ]
    assert isinstance(caplog.records[0].args, tuple)
    assert isinstance(caplog.records[0].args[1], httpx.URL)
