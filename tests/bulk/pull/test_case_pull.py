"""Pulling a case from stores without MD5, without ranges, or with another size."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.bulk import pull, verify
from gcapi.bulk._pull.case_pull import CasePull, PulledCase, PullPolicy
from gcapi.bulk._pull.file_records import announce_files
from gcapi.bulk._pull.pull_index import CaseRecord
from gcapi.bulk._pull.remote_cases import RemoteCase, RemoteValue
from gcapi.exceptions import StorageError
from gcapi_sandbox import Sandbox
from tests.support.api_objects import socket_value
from tests.support.data import add_collection, noise, unique, written
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


@pytest.mark.parametrize("is_case_left", [True, False])
@pytest.mark.parametrize("kind", ["CSV file", "Image"])
def test_a_file_that_a_killed_pull_wrote_is_known_as_its_own(
    sandbox: Sandbox, client: Client, tmp_path: Path, kind: str, *, is_case_left: bool
) -> None:
    """A file that was renamed before its record was written is removed if its value, or its case, is gone meanwhile."""
    slug = sandbox.add_socket(unique("value"), kind)
    archive, other = (add_collection(sandbox, client, "archive") for _ in range(2))
    first, second = (
        SocketValueSpec(
            slug,
            file=noise(tmp_path / f"{name}.mha", size)
            if kind == "Image"
            else written(tmp_path / f"{name}.csv", name),
        )
        for name, size in (("a", 8), ("b", 16))
    )
    home, source = tmp_path / "home", f"archive:{archive.slug}"
    case = archive.filled(archive.add(first, title="case").pk)
    pull(client, source, home)
    index = home / ".gcapi-pull.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    (own,) = [path for path in (home / "case").rglob("*.*") if path.is_file()]
    content = own.read_bytes()
    # The state after a kill between the rename and the record.
    index.write_bytes(b"".join(line for line in lines if b'"values"' not in line))
    own.unlink()
    announce_files(home / "case", [own.relative_to(home).as_posix()])
    own.write_bytes(content)

    if is_case_left:
        archive.filled(archive.update(case.pk, second).pk)
    else:
        other_url = client.archives.detail(slug=other.slug).api_url
        client.archive_items.partial_update(case.pk, archive=other_url)
    pull(client, source, home, existing="skip")

    assert verify(home) == []
    left = [path for path in (home / "case").rglob("*.*") if path.is_file()]
    assert len(left) == is_case_left
    assert content not in [path.read_bytes() for path in left]


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


@pytest.mark.parametrize("place", ["case", "case/images"])
@pytest.mark.parametrize("is_dangling", [True, False])
def test_planted_links_are_not_followed(
    sandbox: Sandbox, client: Client, tmp_path: Path, place: str, *, is_dangling: bool
) -> None:
    """A link in the target of a pull, in place of a folder, fails its case, and nothing is written through it."""
    slug = sandbox.add_socket(unique("image"))
    archive = add_collection(sandbox, client, "archive")
    spec = SocketValueSpec(slug, file=noise(tmp_path / "a.mha", 8))
    archive.filled(archive.add(spec, title="case").pk)
    elsewhere, link = tmp_path / "elsewhere", tmp_path / "home" / place
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    if not is_dangling:
        elsewhere.mkdir()

    report = pull(client, f"archive:{archive.slug}", tmp_path / "home", existing="verify")

    (failure,) = report.failed
    assert "is a symbolic link, which a pull does not follow" in str(failure.error)
    assert not list(elsewhere.rglob("*"))
