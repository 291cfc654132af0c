"""The policies for files that exist: an error before any transfer, kept, or replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi._transfer.parts import MEBI
from gcapi._transfer.range_reader import FIRST_RANGE
from gcapi.exceptions import StatusError
from gcapi.jobs import AlgorithmRun
from gcapi_sandbox import Sandbox
from tests.support.api_objects import DICOM_IMAGE, PK, image_file, socket_value
from tests.support.data import everything_below
from tests.support.servers.api_and_store import asked, served, store_answer
from tests.support.servers.loopback import Answer, Loopback, Seen, connect, in_turn

LARGE = bytes(FIRST_RANGE + MEBI)
WORDS = "must be 'error', 'skip' or 'overwrite'"


@pytest.mark.parametrize("word", ["replace", "", None, True, ["skip"]])
def test_other_policies_are_refused(tmp_path: Path, word: Any) -> None:
    """Every method that downloads refuses other policies with a ValueError before it sends a request."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/a.mha")]
        value = socket_value("a.json", file=f"{server.origin}/media/a.json")
        with pytest.raises(ValueError, match=WORDS):
            client.images.download(files=files, output_directory=tmp_path, existing=word)
        with pytest.raises(ValueError, match=WORDS):
            client.download_socket_value(value, output_directory=tmp_path, existing=word)
        with pytest.raises(ValueError, match=WORDS):
            client.run_algorithm(
                algorithm_slug="a", inputs=[], output_directory=tmp_path, existing=word
            )
    assert server.seen == []
    assert everything_below(tmp_path) == set()


def test_target_that_appears_during_the_download_is_kept(tmp_path: Path) -> None:
    """A file that someone else creates during the transfer is not replaced."""

    def script(_: Seen) -> Answer:
        (tmp_path / "x.mha").write_text("precious")
        return Answer(body=b"content")

    with Loopback(script) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/a.mha")]
        with pytest.raises(FileExistsError):
            client.images.download(files=files, output_directory=tmp_path, filename="x")
    assert everything_below(tmp_path) == {"x.mha"}
    assert (tmp_path / "x.mha").read_text() == "precious"


@pytest.mark.parametrize("source", ["file", "value"])
def test_existing_file_of_a_value(tmp_path: Path, source: str) -> None:
    """A value's file is an error by default, kept without a transfer, or replaced."""
    target = tmp_path / "a.json"
    target.write_bytes(b"old")
    with Loopback(in_turn(Answer(body=b"3"))) as server, connect(server) as client:
        given: Any = f"{server.origin}/media/a.json" if source == "file" else 3
        value = socket_value("a.json", **{source: given})
        with pytest.raises(FileExistsError):
            client.download_socket_value(value, output_directory=tmp_path)
        paths = client.download_socket_value(value, output_directory=tmp_path, existing="skip")
        assert (paths, target.read_bytes(), server.seen) == ([target], b"old", [])
        client.download_socket_value(value, output_directory=tmp_path, existing="overwrite")
    assert target.read_bytes() == b"3"
    assert everything_below(tmp_path) == {"a.json"}


@pytest.fixture(scope="module")
def algorithm(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return an algorithm that outputs the number of its runs, as a value and in a file."""
    sandbox.add_socket("Word", "String")
    sandbox.add_socket("Count", "Integer")
    sandbox.add_socket("Report", "CSV file")
    runs = tmp_path_factory.mktemp("runs")

    def run(_: Path, output: Path) -> None:
        number = len(list(runs.iterdir())) + 1
        (runs / f"{number}").touch()
        (output / "count.json").write_text(json.dumps(number))
        (output / "report.csv").write_text(f"{number}")

    return sandbox.add_algorithm(
        "Counter", interfaces=[(["word"], ["count", "report"])], run=run, users=["sandbox"]
    )


@pytest.mark.parametrize("existing", ["error", "skip", "overwrite"])
def test_outputs_of_a_second_run(
    client: Client, algorithm: str, tmp_path: Path, existing: Any
) -> None:
    """A second run with the same output directory fails, keeps the files, or replaces them."""

    def run(word: str, **options: Any) -> AlgorithmRun:
        # The server creates no second job with the same inputs.
        inputs = [SocketValueSpec("word", value=f"{existing} {word}")]
        return client.run_algorithm(
            algorithm_slug=algorithm,
            inputs=inputs,
            output_directory=tmp_path,
            timeout=60,
            **options,
        )

    run("first")
    first = (tmp_path / "count.json").read_text()
    assert (tmp_path / "report.csv").read_text() == first
    if existing != "error":
        (tmp_path / "count.json").unlink()
    if existing == "error":
        with pytest.raises(FileExistsError):
            run("second")
        assert (tmp_path / "count.json").read_text() == first
    else:
        done = run("second", existing=existing)
        assert done.files["report"] == [tmp_path / "report.csv"]
        assert (tmp_path / "count.json").read_text() != first
    is_old = (tmp_path / "report.csv").read_text() == first
    assert is_old == (existing != "overwrite")
    assert everything_below(tmp_path) == {"count.json", "report.csv"}


def test_existing_instance_is_skipped(tmp_path: Path) -> None:
    """With `skip`, only the missing instances of a DICOM image set are downloaded."""
    (tmp_path / "1.2.dcm").write_bytes(b"old")
    with Loopback(lambda seen: Answer(body=seen.path.encode())) as store:
        instances = [
            {
                "sop_instance_uid": uid,
                "get_instance": {
                    "url": f"{store.origin}/{uid}",
                    "method": "GET",
                    "data": None,
                    "headers": {},
                },
            }
            for uid in ("1.1", "1.2", "1.3")
        ]
        listed = Answer(body={"image_set_id": "0" * 32, "instances": instances})
        with Loopback(in_turn(Answer(body=DICOM_IMAGE), listed)) as server, connect(server) as one:
            paths = one.images.download(pk=PK, output_directory=tmp_path, existing="skip")
    assert [path.read_bytes() for path in paths] == [b"/1.1", b"old", b"/1.3"]
    assert sorted(seen.path for seen in store.seen) == ["/1.1", "/1.3"]


@pytest.mark.parametrize("existing", ["skip", "overwrite"])
def test_existing_file_among_others(tmp_path: Path, existing: str) -> None:
    """An existing file is kept without a transfer, or replaced; the others are downloaded."""
    (tmp_path / "x.mhd").write_text("old")
    with served(lambda seen: store_answer(seen, b"new")) as pair:
        paths = pair.download(tmp_path, "a.mhd", "a.zraw", existing=existing)
        assert len(pair.store.seen) == len(pair.api.seen) == (1 if existing == "skip" else 2)
    assert [path.name for path in paths] == ["x.mhd", "x.zraw"]
    old = "old" if existing == "skip" else "new"
    assert [path.read_text() for path in paths] == [old, "new"]
    assert everything_below(tmp_path) == {"x.mhd", "x.zraw"}


def test_one_existing_file_prevents_the_transfer(tmp_path: Path) -> None:
    """By default, one existing target among several is an error before any transfer."""
    (tmp_path / "x.zraw").write_text("old")
    with served(in_turn(Answer(body=b"new"))) as pair:
        with pytest.raises(FileExistsError, match=r"x\.zraw already exists.*existing='skip'"):
            pair.download(tmp_path, "a.mhd", "a.zraw")
        assert pair.api.seen == []
    assert everything_below(tmp_path) == {"x.zraw"}


@pytest.mark.parametrize("fails", [False, True])
def test_old_file_is_kept_until_the_new_one_is_complete(tmp_path: Path, fails: bool) -> None:
    """A file is replaced only once the new one is complete."""
    target = tmp_path / "x.mha"
    target.write_text("old")
    during = []

    def script(seen: Seen) -> Answer:
        during.append(target.read_bytes())
        if fails and asked(seen) != (0, FIRST_RANGE):
            return Answer(status=500)
        return store_answer(seen, LARGE)

    with served(script) as pair:
        if fails:
            with pytest.raises(StatusError):
                pair.download(tmp_path, existing="overwrite")
        else:
            pair.download(tmp_path, existing="overwrite")
    assert set(during) == {b"old"}
    assert target.read_bytes() == (b"old" if fails else LARGE)
    assert everything_below(tmp_path) == {"x.mha"}


def test_link_is_replaced_rather_than_its_target(tmp_path: Path) -> None:
    """Overwriting a symbolic link replaces the link, not the file that it leads to."""
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "x.mha").symlink_to(tmp_path / "precious")
    with served(lambda seen: store_answer(seen, b"new")) as pair:
        pair.download(tmp_path, existing="overwrite")
    assert not (tmp_path / "x.mha").is_symlink()
    assert (tmp_path / "precious").read_text() == "precious"
