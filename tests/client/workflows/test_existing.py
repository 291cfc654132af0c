"""Targets that are there already: an error before any transfer, left alone, or replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.jobs import AlgorithmRun
from gcapi_sandbox import Sandbox
from tests.support.api_objects import DICOM_IMAGE, PK, image_file, socket_value
from tests.support.data import everything_below
from tests.support.loopback import Answer, Loopback, Seen, connect, in_turn

WORDS = "must be 'error', 'skip' or 'overwrite'"


@pytest.mark.parametrize("word", ["replace", "", None, True, ["skip"]])
def test_another_word_is_an_error(tmp_path: Path, word: Any) -> None:
    """Whatever downloads, another word than the three is a ValueError before anything is sent."""
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


def test_target_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    """A file that someone else writes while the transfer runs is not replaced."""

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
def test_values_that_are_there(tmp_path: Path, source: str) -> None:
    """A value's file is an error by default, left alone without a transfer, or replaced."""
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
    """Give an algorithm that counts its runs, in a number and in a file."""
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
    """A second run into the same directory stops, leaves what is there, or replaces it."""

    def run(word: str, **options: Any) -> AlgorithmRun:
        # The server makes no second job of the same inputs.
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
        # One of the two is missing, and comes with the second run.
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


def test_one_instance_that_is_there(tmp_path: Path) -> None:
    """Of a DICOM image set, only the instances that are missing are fetched with `skip`."""
    (tmp_path / "1.2.dcm").write_bytes(b"old")
    with Loopback(lambda seen: Answer(body=seen.path.encode())) as store:
        recipes = [
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
        listed = Answer(body={"image_set_id": "0" * 32, "instances": recipes})
        with Loopback(in_turn(Answer(body=DICOM_IMAGE), listed)) as server, connect(server) as one:
            paths = one.images.download(pk=PK, output_directory=tmp_path, existing="skip")
    assert [path.read_bytes() for path in paths] == [b"/1.1", b"old", b"/1.3"]
    assert sorted(seen.path for seen in store.seen) == ["/1.1", "/1.3"]
