"""Specifications of socket values, checked without the server and without the disk."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path
from typing import Any, overload

import pytest

import gcapi
from gcapi.exceptions import SpecError, SpecTypeError
from gcapi.sockets import SOURCES, SocketValueSpec

GIVEN: dict[str, Any] = {
    "value": 1.9,
    "file": "no-such-file.json",
    "files": ["no-such-file-1.dcm", Path("no-such-file-2.dcm")],
    "existing_socket_value": object(),
    "existing_image_api_url": "https://gc.example/api/v1/cases/images/1/",
}


class Paths(Sequence[str]):
    """A sequence type that the user defined."""

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        """Return what a list of two items would."""
        return ["a.dcm", "b.dcm"][index]

    def __len__(self) -> int:
        return 2


class BytesPath:
    """A path made of bytes."""

    def __fspath__(self) -> bytes:
        return b"a.dcm"


# ---------------------------------------------------------------- sources


@pytest.mark.parametrize("source", SOURCES)
def test_one_source_makes_a_specification(source: str) -> None:
    """One source is enough, and its files need not exist yet."""
    spec = SocketValueSpec("ct-image", **{source: GIVEN[source]})
    assert (spec.socket_slug, spec.source, getattr(spec, source)) == (
        "ct-image",
        source,
        GIVEN[source],
    )


@pytest.mark.parametrize("pair", list(combinations(SOURCES, 2)), ids="+".join)
def test_two_sources_are_refused(pair: tuple[str, str]) -> None:
    """Any two sources are refused, and the error names both."""
    with pytest.raises(SpecError, match=f"exactly one of .*{pair[0]} and {pair[1]} are given"):
        SocketValueSpec("ct-image", **{source: GIVEN[source] for source in pair})


@pytest.mark.parametrize("other", [source for source in SOURCES if source != "value"])
def test_none_counts_as_a_value(other: str) -> None:
    """None is a value, so it cannot be combined with another source."""
    with pytest.raises(SpecError, match="exactly one"):
        SocketValueSpec("ct-image", value=None, **{other: GIVEN[other]})


def test_no_source_is_refused() -> None:
    """A specification without a source is a ValueError that lists the sources."""
    with pytest.raises(ValueError, match=r"exactly one of value, file, files, .* none is given"):
        SocketValueSpec("ct-image")


@pytest.mark.parametrize("value", [None, False, 0, "", [], {}])
def test_empty_values_are_values(value: Any) -> None:
    """None and other false values can be the value."""
    spec = SocketValueSpec("lung-volume", value=value)
    assert (spec.source, spec.value) == ("value", value)


def test_slug_goes_by_position_and_by_name() -> None:
    """The slug can be a positional or a keyword argument."""
    by_position = SocketValueSpec("lung-volume", value=1)
    assert by_position == SocketValueSpec(socket_slug="lung-volume", value=1)


@pytest.mark.parametrize(
    ("slug", "error"), [("", SpecError), (None, SpecTypeError), (7, TypeError)]
)
def test_slug_is_a_string(slug: Any, error: type[Exception]) -> None:
    """A slug is a string that is not empty."""
    with pytest.raises(error, match="socket_slug"):
        SocketValueSpec(slug, value=1)


# ---------------------------------------------------------------- files


@pytest.mark.parametrize("file", ["a.json", Path("a.json")])
def test_file_is_a_path(file: str | Path) -> None:
    """A file can be a str or a path object."""
    assert SocketValueSpec("report", file=file).paths == (Path("a.json"),)


@pytest.mark.parametrize(
    "files",
    [
        ["a.dcm", "b.dcm"],
        ("a.dcm", Path("b.dcm")),
        deque(["a.dcm", "b.dcm"]),
        Paths(),
    ],
)
def test_files_are_any_sequence_of_paths(files: Sequence[str | Path]) -> None:
    """Files can be a list, a tuple or any other sequence."""
    assert SocketValueSpec("ct", files=files).paths == (Path("a.dcm"), Path("b.dcm"))


@pytest.mark.parametrize("files", [[], (), range(0)])
def test_empty_files_are_a_source(files: Sequence[str]) -> None:
    """An empty list of files is accepted here and refused when the call is planned."""
    spec = SocketValueSpec("ct", files=files)
    assert (spec.source, spec.paths) == ("files", ())


def generated() -> Iterator[str]:
    """Yield a path."""
    yield "a.dcm"


@pytest.mark.parametrize(
    "files",
    [b"a.dcm", None, 7, {"a.dcm"}, {"a.dcm": 1}, generated()],
)
def test_files_are_a_list_or_a_folder(files: Any) -> None:
    """An unordered collection, and anything else but a list or a path, is refused with a hint to use file=."""
    with pytest.raises(SpecTypeError, match=r"files must be a list of paths.*Use file="):
        SocketValueSpec("ct", files=files)


@pytest.mark.parametrize("files", [[1], ["a.dcm", None], [b"a.dcm"], range(3), [BytesPath()]])
def test_files_hold_nothing_but_paths(files: Any) -> None:
    """An item of files that is not a path is named in the error."""
    with pytest.raises(SpecTypeError, match="which is not a path"):
        SocketValueSpec("ct", files=files)


@pytest.mark.parametrize("file", [None, 7, b"a.json", ["a.json"], BytesPath()])
def test_file_is_not_something_else(file: Any) -> None:
    """A file that is not a single path is refused."""
    with pytest.raises(SpecTypeError, match="file must be a path"):
        SocketValueSpec("report", file=file)


@pytest.mark.parametrize("source", ["value", "existing_image_api_url"])
def test_other_sources_have_no_paths(source: str) -> None:
    """Sources other than files have no paths."""
    assert SocketValueSpec("ct", **{source: GIVEN[source]}).paths == ()


def test_disk_is_not_touched(tmp_path: Path) -> None:
    """A specification can be made for a file that does not exist yet, and for a directory."""
    specs = [SocketValueSpec("ct", file=path) for path in (tmp_path / "later.mha", tmp_path)]
    assert [spec.paths for spec in specs] == [(tmp_path / "later.mha",), (tmp_path,)]


# ---------------------------------------------------------------- image name


@pytest.mark.parametrize("source", ["file", "files"])
@pytest.mark.parametrize("name", ["x", "x" * 255, "Chest CT, 1 mm", " padded "])
def test_image_name_goes_with_files(source: str, name: str) -> None:
    """An image name of 1 to 255 characters is accepted with files."""
    assert SocketValueSpec("ct", image_name=name, **{source: GIVEN[source]}).image_name == name


@pytest.mark.parametrize("name", ["", "   ", "x" * 256, " " * 254 + "xy"])
def test_image_name_has_limits(name: str) -> None:
    """A blank image name, or one of more than 255 characters, is refused, because the server reports nothing."""
    with pytest.raises(SpecError, match="image_name must have 1 to 255 characters"):
        SocketValueSpec("ct", files=["a.dcm"], image_name=name)


@pytest.mark.parametrize("name", [None, 7, b"name"])
def test_image_name_is_a_string(name: Any) -> None:
    """An image name is a string."""
    with pytest.raises(SpecTypeError, match="image_name must be a string"):
        SocketValueSpec("ct", files=["a.dcm"], image_name=name)


@pytest.mark.parametrize("source", ["value", "existing_socket_value", "existing_image_api_url"])
def test_image_name_goes_with_nothing_else(source: str) -> None:
    """An image name is refused with other sources than files."""
    with pytest.raises(SpecError, match=f"cannot go with {source}"):
        SocketValueSpec("ct", image_name="CT", **{source: GIVEN[source]})


# ---------------------------------------------------------------- as a value


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        ({"value": None}, "value=None"),
        ({"value": "words"}, "value='words'"),
        ({"files": ["a.dcm"], "image_name": "CT"}, "files=['a.dcm'], image_name='CT'"),
    ],
)
def test_repr_shows_what_was_given(arguments: dict[str, Any], shown: str) -> None:
    """A specification is printed as the call that makes it, without omitted arguments."""
    spec = SocketValueSpec("ct", **arguments)
    assert repr(spec) == f"SocketValueSpec(socket_slug='ct', {shown})"
    assert eval(repr(spec)) == spec


def test_specification_is_frozen() -> None:
    """A checked specification cannot be changed."""
    spec = SocketValueSpec("ct", value=1)
    with pytest.raises(AttributeError):
        spec.value = 2  # type: ignore[misc]


def test_message_order_does_not_matter() -> None:
    """The error for two sources is the same in whatever order they are given."""
    messages = set()
    for pair in permutations(("file", "value")):
        with pytest.raises(SpecError) as caught:
            SocketValueSpec("ct", **{source: GIVEN[source] for source in pair})
        messages.add(str(caught.value))
    assert len(messages) == 1


def test_specification_is_public() -> None:
    """The class can be imported from the package."""
    assert gcapi.SocketValueSpec is SocketValueSpec
