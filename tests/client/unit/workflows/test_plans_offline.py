"""Planning reads local files and does nothing else, as an audit hook sees it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gcapi._workflows.plans import plan_value
from gcapi.exceptions import SpecError
from gcapi.sockets import SocketValueSpec
from grand_challenge_api.models import ComponentInterface
from tests.support.audit import recorded_events
from tests.support.specs import ANY_SOCKET, any_source


def is_harmless(event: str, arguments: tuple[Any, ...]) -> bool:
    """Return whether an event writes nothing and contacts nobody."""
    if event == "open":
        flags = arguments[2]
        return not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
    families = ("socket.", "subprocess.", "os.", "shutil.", "tempfile.", "urllib.", "http.")
    return event in {"os.listdir", "os.scandir"} or not event.startswith(families)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a few files."""
    directory = tmp_path_factory.mktemp("files")
    for name in ("good.json", "null.json", "nan.json", "text.csv"):
        (directory / name).write_text("1")
    return directory


def test_audit_hook_sees_sockets_and_writes() -> None:
    """The audit hook reports a socket and a file that is opened for writing."""
    with recorded_events() as events:
        socket.socket().close()
        Path(os.devnull).open("w").close()
    assert [event for event, arguments in events if not is_harmless(event, arguments)] == [
        "socket.__new__",
        "open",
    ]


@settings(max_examples=300)
@given(socket=ANY_SOCKET, data=st.data())
def test_any_specification_is_planned_without_leaving_the_machine(
    socket: ComponentInterface, data: st.DataObject, files: Path
) -> None:
    """Planning any specification opens no socket, starts no process and writes no file."""
    said = data.draw(any_source(files))
    with recorded_events() as events, suppress(SpecError):
        plan_value(SocketValueSpec("a-socket", **said), socket)
    assert [event for event, arguments in events if not is_harmless(event, arguments)] == []
