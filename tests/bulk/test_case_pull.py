"""Pulling a case from stores without MD5, without ranges, or with another size."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi.bulk._pull.case_pull import CasePull, PulledCase, PullPolicy
from gcapi.bulk._pull.pull_index import CaseRecord
from gcapi.bulk._pull.remote_cases import RemoteCase, RemoteValue
from gcapi.exceptions import StorageError
from tests.support.api_objects import socket_value
from tests.support.servers.api_and_store import served, store_answer
from tests.support.servers.loopback import Answer, Seen, connect

CONTENT = b"0123456789"


def of_store(seen: Seen) -> Answer:
    """Answer like a store whose ETag is not an MD5."""
    return store_answer(seen, CONTENT)


def without_ranges(_: Seen) -> Answer:
    """Answer every request with the whole file and no ETag."""
    return Answer(body=CONTENT)


def of_nothing(_: Seen) -> Answer:
    """Answer that the file does not exist."""
    return Answer(status=404, body=b"<Error><Code>NoSuchKey</Code></Error>")


def pulled(
    script: object, root: Path, policy: PullPolicy, known: CaseRecord | None = None
) -> PulledCase:
    """Pull a case of one file from a scripted store."""
    with served(script) as pair, connect(pair.api) as client:
        content = socket_value("age.csv", file=f"{pair.api.origin}/media/age.csv").to_dict()
        value = RemoteValue("value", "age", "1", "CSV file", content)
        case = RemoteCase(kind="answer", pk="0", values=(value,))
        return CasePull(case, root, "case", policy, known).run(client)


@pytest.mark.parametrize("script", [of_store, without_ranges])
def test_without_an_md5_or_a_record_a_file_is_fetched(script: object, tmp_path: Path) -> None:
    """Without a checksum or a record, "verify" downloads a file, and "skip" keeps one of the same size."""
    target = tmp_path / "case" / "age.csv"
    target.parent.mkdir()
    target.write_bytes(CONTENT[::-1])
    assert (pulled(script, tmp_path, "skip").files, target.read_bytes()) == (0, CONTENT[::-1])
    first = pulled(script, tmp_path, "verify")
    assert (first.files, first.size, target.read_bytes()) == (1, len(CONTENT), CONTENT)
    again = pulled(script, tmp_path, "verify", first.record)
    assert (again.files, again.record) == (0, first.record)


@pytest.mark.parametrize("script", [of_store, without_ranges])
def test_another_length_is_another_file(script: object, tmp_path: Path) -> None:
    """A file of another size fails its case with "skip", and is downloaded with "verify"."""
    target = tmp_path / "case" / "age.csv"
    target.parent.mkdir()
    target.write_bytes(CONTENT + b"!")
    with pytest.raises(FileExistsError, match="differs from the server's file"):
        pulled(script, tmp_path, "skip")
    assert pulled(script, tmp_path, "verify").files == 1
    assert target.read_bytes() == CONTENT


def test_a_store_that_has_lost_a_file(tmp_path: Path) -> None:
    """A file that the store has lost is an error, and the local file is kept."""
    target = tmp_path / "case" / "age.csv"
    target.parent.mkdir()
    target.write_bytes(CONTENT)
    with pytest.raises(StorageError):
        pulled(of_nothing, tmp_path, "verify")
    assert target.read_bytes() == CONTENT
