"""Plans of values: JSON and text, given in Python or in a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from gcapi._workflows.inspection import Inspection
from gcapi._workflows.plans import (
    Content,
    Upload,
    plan_value,
)
from gcapi.exceptions import (
    SpecError,
    SpecTypeError,
)
from gcapi.models import ComponentInterface
from gcapi.sockets import SocketValueSpec
from grand_challenge_api.types import UNSET
from tests.support.socket_kinds import (
    INVALID,
    TEXT_SUFFIXES,
    VALID,
)
from tests.support.specs import (
    make_existing,
    make_socket,
)

# ---------------------------------------------------------------- values


@pytest.mark.parametrize("kind", VALID)
def test_null_is_refused_at_a_value_socket(kind: str) -> None:
    """None is refused for a Value socket, because the API cannot store null."""
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", value=None), make_socket("Value", kind))


def test_null_is_a_json_file() -> None:
    """A JSON file can hold null."""
    plan = plan_value(SocketValueSpec("a-socket", value=None), make_socket("File", "Anything"))
    assert plan == Upload("a-socket", (Content(b"null", "made.json"),))


def test_null_in_a_file_is_refused_at_a_value_socket(tmp_path: Path) -> None:
    """A JSON file with null is refused for a Value socket."""
    path = tmp_path / "a.json"
    path.write_text("null")
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", file=path), make_socket("Value", "Anything"))


@pytest.mark.parametrize("value", [None, UNSET])  # UNSET stands for a value that was not sent
def test_existing_null_is_refused(value: Any) -> None:
    """An existing value of null cannot be reused."""
    socket = make_socket("Value", "Anything")
    existing = make_existing(socket, value=value)
    with pytest.raises(SpecError, match="null cannot be stored"):
        plan_value(SocketValueSpec("a-socket", existing_socket_value=existing), socket)


@pytest.mark.parametrize("kind", TEXT_SUFFIXES)
@pytest.mark.parametrize("value", [1, None, True, ["a", "b"], {"a": 1}, b"a,b"])
def test_text_is_a_str(kind: str, value: Any) -> None:
    """The value of a text socket must be a str."""
    with pytest.raises(SpecTypeError, match="must be the text itself, a str"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket("File", kind))


@pytest.mark.parametrize("text", ["", "a,b\r\n1,ü\n", '"quoted"'])
def test_text_is_stored_as_it_is(text: str) -> None:
    """Text is encoded as UTF-8 and otherwise unchanged."""
    plan = plan_value(SocketValueSpec("a-socket", value=text), make_socket("File", "CSV file"))
    assert plan == Upload("a-socket", (Content(text.encode(), "made.csv"),))


def test_unpaired_surrogate_is_refused() -> None:
    """Text with an unpaired surrogate is refused."""
    with pytest.raises(SpecError, match="cannot be stored as UTF-8"):
        plan_value(SocketValueSpec("a-socket", value="\ud800"), make_socket("File", "CSV file"))


@pytest.mark.parametrize(
    ("relative_path", "name"),
    [("a.json", "a.json"), ("deep/in/there.json", "there.json"), ("", "a-socket")],
)
def test_upload_is_named_after_the_socket(relative_path: str, name: str) -> None:
    """A value is uploaded under the last part of the socket's path, or under its slug."""
    socket = make_socket("File", "Integer", relative_path=relative_path)
    plan = plan_value(SocketValueSpec("a-socket", value=1), socket)
    assert plan == Upload("a-socket", (Content(b"1", name),))


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "a\x00b", "\ud800", {1, 2}, b"bytes", object()]
)
def test_value_that_cannot_be_sent_is_refused(super_kind: str, value: Any) -> None:
    """NaN, NUL and values that are not JSON are refused."""
    with pytest.raises(SpecError, match=r"'a-socket' .*: the value cannot be sent"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket(super_kind, "Anything"))


ONE_WRONG_EACH = list(
    {kind: (kind, value) for kind, value in INVALID if value is not None}.values()
)


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(("kind", "value"), ONE_WRONG_EACH)
def test_value_must_have_the_shape_of_its_kind(super_kind: str, kind: str, value: Any) -> None:
    """A value of another shape than its kind requires is refused."""
    with pytest.raises(SpecError, match=rf"\({kind}\): the value"):
        plan_value(SocketValueSpec("a-socket", value=value), make_socket(super_kind, kind))


@pytest.mark.parametrize("super_kind", ["Value", "File"])
@pytest.mark.parametrize(("kind", "value"), ONE_WRONG_EACH)
def test_json_file_must_have_the_shape_of_its_kind(
    super_kind: str, kind: str, value: Any, tmp_path: Path
) -> None:
    """A JSON file of another shape than its kind requires is refused, because the server reports nothing."""
    path = tmp_path / "given.json"
    path.write_text(json.dumps(value))
    with pytest.raises(SpecError, match=rf"\({kind}\): .*the value"):
        plan_and_inspect(SocketValueSpec("a-socket", file=path), make_socket(super_kind, kind))


def plan_and_inspect(spec: SocketValueSpec, socket: ComponentInterface) -> None:
    """Plan a value, and inspect its files."""
    Inspection().inspect([plan_value(spec, socket)], {socket.slug: socket})


def test_message_says_where_and_how_much(tmp_path: Path) -> None:
    """The message names the file, the place of the first problem, and the number of others."""
    path = tmp_path / "given.json"
    path.write_text("[1, 2, 3]")
    with pytest.raises(SpecError) as caught:
        plan_and_inspect(
            SocketValueSpec("a-socket", file=path), make_socket("File", "Multiple choice")
        )
    assert str(caught.value) == (
        f"Socket 'a-socket' (Multiple choice): {path}: the value[0] must be a string, not 1"
        " (and 2 more). Correct the file."
    )
