"""Misspelt names; objects for slugs, arrays for values, and folders for files."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcapi import Client, SocketValueSpec, models
from gcapi.exceptions import (
    ObjectNotFound,
    SocketNotFound,
    SpecError,
    SpecTypeError,
    UnknownFilterWarning,
)
from gcapi_sandbox import Sandbox
from tests.support.data import ct_slice


@dataclass(frozen=True)
class World:
    """The objects that the tests name."""

    archive: models.Archive
    study: models.ReaderStudy
    score: models.ComponentInterface
    image: models.ComponentInterface


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> World:
    """Add an object of each kind."""
    archive, study = sandbox.add_archive("Lung CT"), sandbox.add_reader_study("Lung Readers")
    score, image = sandbox.add_socket("Lung Score", "Anything"), sandbox.add_socket("CT", "Image")
    with Client(sandbox.token, sandbox.base_url) as client:
        return World(
            client.archives.detail(slug=archive),
            client.reader_studies.detail(slug=study),
            client.interfaces.detail(slug=score),
            client.interfaces.detail(slug=image),
        )


MISSPELT: dict[str, tuple[Callable[[Client], object], str]] = {
    "archive": (
        lambda client: client.archives.detail(slug="lung-tc"),
        "There is no archive with slug='lung-tc', or no access to it. Did you mean 'lung-ct'?",
    ),
    "reader study": (
        lambda client: client.reader_studies.detail(slug="lung-reader"),
        "There is no reader study with slug='lung-reader', or no access to it. Did you mean 'lung-readers'?",
    ),
    "socket": (
        lambda client: client.interfaces.detail(slug="lung-scor"),
        "There is no socket with slug='lung-scor', or no access to it. Did you mean 'lung-score'?",
    ),
    "case": (
        lambda client: client.add_case_to_archive(archive_slug="lung-tc", values=[]),
        "There is no archive 'lung-tc', or no access to it. Did you mean 'lung-ct'?",
    ),
}


@pytest.mark.usefixtures("world")
@pytest.mark.parametrize("name", MISSPELT)
def test_similar_slugs(client: Client, name: str) -> None:
    """A slug that does not exist is an error that calls the object as its user does, and names a similar slug."""
    call, message = MISSPELT[name]
    with pytest.raises(ObjectNotFound) as caught:
        call(client)
    assert str(caught.value) == message


def test_similar_filters(client: Client) -> None:
    """The warning for a filter that the server ignores, and the error of detail, name a similar one."""
    ignored: Any = {"slgu": "x"}
    with pytest.warns(UnknownFilterWarning, match="Did you mean 'slug'"):
        client.archives.page(params=ignored)
    with pytest.raises(
        SpecTypeError, match=r"cannot find one archive by 'slgu'. Did you mean 'slug'"
    ):
        client.archives.detail(**ignored)


def test_objects_in_the_place_of_their_slugs(client: Client, world: World) -> None:
    """Everywhere an object can be given in the place of its slug or its primary key."""
    values = [SocketValueSpec(world.score, value=1)]
    item = client.add_case_to_archive(archive_slug=world.archive, values=values)
    client.add_case_to_reader_study(reader_study_slug=world.study, values=values)
    found: Any = client.archives
    assert found.detail(slug=world.archive) == found.detail(pk=world.archive) == world.archive
    items: Any = client.archive_items
    assert item.pk in {one.pk for one in items.iterate_all({"archive": world.archive})}


def test_objects_without_a_slug(client: Client, world: World) -> None:
    """An object that has no slug is refused in plain words."""
    values = [SocketValueSpec(world.score, value=1)]
    item: Any = client.add_case_to_archive(archive_slug=world.archive, values=values)
    with pytest.raises(
        SpecTypeError, match="must be a text or an object that has one, not an ArchiveItem"
    ):
        client.add_case_to_archive(archive_slug=item, values=values)
    with pytest.raises(SpecTypeError, match="not 3"):
        client.archives.detail(slug=3)
    with pytest.raises(SpecTypeError, match="must be a string or a socket"):
        SocketValueSpec(item, value=1)


ARRAYS = {
    "scalar": (np.float32(1.5), 1.5),
    "integer": (np.int64(7), 7),
    "boolean": (np.bool_(True), True),
    "array": (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    "nested": ({"a": [np.int8(1), "x"], "b": (np.array(2.0),)}, {"a": [1, "x"], "b": [2.0]}),
}


def test_values_of_numpy(client: Client, world: World) -> None:
    """Scalars and arrays of NumPy arrive as numbers and lists, wherever they are in a value."""
    for given, expected in ARRAYS.values():
        item = client.add_case_to_archive(
            archive_slug=world.archive, values=[SocketValueSpec(world.score, value=given)]
        )
        (value,) = client.archive_items.detail(pk=item.pk).values
        assert value.value == expected


def test_values_that_are_kept() -> None:
    """A value without arrays stays the same object, and one that contains itself is refused later."""
    value: list[Any] = [{"a": [1.5, None, "x"]}]
    assert SocketValueSpec("score", value=value).value is value
    value.append(value)
    assert SocketValueSpec("score", value=value).value is value


@pytest.mark.parametrize("wrap", [str, Path, lambda path: [path]])
def test_a_folder_of_files(
    client: Client, world: World, tmp_path: Path, wrap: Callable[[Path], Any]
) -> None:
    """A folder stands for its files, without subfolders and hidden files."""
    folder = tmp_path / "scan"
    (folder / "more").mkdir(parents=True)
    (folder / ".DS_Store").touch()
    shutil.copy(ct_slice(), folder / "a.dcm")
    spec = SocketValueSpec(world.image, files=wrap(folder))
    assert spec.paths == (folder / "a.dcm",)
    (folder / "a.dcm").unlink()
    with pytest.raises(SpecError, match="a folder without files"):
        client.add_case_to_archive(archive_slug=world.archive, values=[spec])


def test_unknown_socket_of_a_value(client: Client, world: World) -> None:
    """The error for a socket that does not exist has the similar slug."""
    with pytest.raises(SocketNotFound, match="Did you mean 'lung-score'"):
        client.add_case_to_archive(
            archive_slug=world.archive, values=[SocketValueSpec("lungscore", value=1)]
        )
