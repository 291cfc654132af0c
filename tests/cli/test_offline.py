"""Command lines without a network, a home, a terminal, UTF-8 and standard output."""

from __future__ import annotations

import errno
import io
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gcapi.cli import main

#: Command lines and their exit codes without a network and without a token.
LINES = {
    "--version": 0,
    "--help": 0,
    "jobs --help": 0,
    "push --help": 0,
    "completion bash": 0,
    "completion bash --json": 0,
    "logout": 0,
    "verify empty": 4,
    "manifest init scans --offline --force": 4,
    "archives": 2,
    "archives lst": 2,
    "--json archives list": 2,
    "evaluations nothing": 4,
    "archives list": 8,
    "whoami --json": 8,
    "jobs wait 0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d -q": 8,
    "push nofile.csv archive:x": 8,
    "push nofile.csv archve:x --token t": 4,
    "push nofile.csv archive:x --token t": 4,
    "pull archive x --token t": 4,
    "doctor --token t": 5,
}


class Terminal(io.TextIOWrapper):
    """A terminal; its width is that in COLUMNS."""

    def isatty(self) -> bool:
        return True


def stream(
    encoding: str = "utf-8", kind: type[io.TextIOWrapper] = io.TextIOWrapper
) -> io.TextIOWrapper:
    """Return an output in memory."""
    return kind(io.BytesIO(), encoding=encoding, write_through=True)


def text_of(output: io.TextIOWrapper | None) -> str:
    """Return what was written."""
    return output.buffer.getvalue().decode() if output is not None else ""  # type: ignore[attr-defined]


Streams = Callable[[], tuple[io.TextIOWrapper | None, io.TextIOWrapper | None]]
ENVIRONMENTS: dict[str, tuple[Streams, dict[str, str]]] = {
    "pipes": (lambda: (stream(), stream()), {}),
    "ASCII": (lambda: (stream("ascii"), stream("ascii")), {"LC_ALL": "C"}),
    "a terminal of 80 columns": (
        lambda: (stream(kind=Terminal), stream(kind=Terminal)),
        {"COLUMNS": "80"},
    ),
    "a terminal of 40 columns": (
        lambda: (stream(kind=Terminal), stream(kind=Terminal)),
        {"COLUMNS": "40"},
    ),
    "no standard output": (lambda: (None, stream()), {}),
    "no standard streams": (lambda: (None, None), {}),
}


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Take away the network, the home and the token, and go to a folder with files."""

    def unreachable(*_: object) -> None:
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in [name for name in os.environ if name.startswith(("GC", "GRAND", "XDG"))]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("HOME", raising=False)
    # The package keyring looks for its backend in the home directory.
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.setattr(socket, "getaddrinfo", unreachable)
    monkeypatch.setattr(socket.socket, "connect", unreachable)
    monkeypatch.chdir(tmp_path)
    for name in ("scans", "empty"):
        (tmp_path / name).mkdir()
    (tmp_path / "scans" / "läsion.txt").write_text("x")


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_command_lines(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each command line has its exit code and no traceback, an error is told, and messages fit the terminal."""
    streams, variables = ENVIRONMENTS[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    for line, code in LINES.items():
        out, err = streams()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setattr(sys, "stdin", None)
            assert main(line.split()) == code, (line, text_of(out), text_of(err))
            for opened in {sys.stdin, sys.stdout, sys.stderr} - {out, err}:
                opened.close()
        assert "Traceback" not in text_of(out) + text_of(err), line
        if code and err is not None and "doctor" not in line:
            assert text_of(err).startswith(("gcapi:", "Usage: ", "Error: ")), line
        if "COLUMNS" in variables:
            too_long = [
                one
                for one in text_of(err).splitlines()
                if len(one) > int(variables["COLUMNS"]) and " " in one.strip()
            ]
            assert too_long == [], line
