"""Help texts, wrong command lines and messages, also in narrow terminals."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from gcapi import Client, SocketValueSpec
from gcapi._util.messages import counted
from gcapi.cli.app import PROGRAM, app
from gcapi.cli.help_texts import EXAMPLES
from gcapi.cli.messages import tell, wrapped
from gcapi_sandbox import Sandbox
from tests.cli.test_app import leaves
from tests.support.programs.cli_program import Program

WIDTHS = (40, 80)
LEAVES = dict(leaves(app))


class Terminal(io.StringIO):
    """A terminal of the width that COLUMNS says."""

    def isatty(self) -> bool:
        return True


# ---------------------------------------------------------------- help


@pytest.mark.parametrize("width", WIDTHS)
def test_help_fits(gcapi: Program, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """The help of the program, of each group and of each command fits, and cuts no summary."""
    monkeypatch.setenv("COLUMNS", str(width))
    paths = {(), *LEAVES, *(path[:1] for path in LEAVES)}
    for path in paths:
        run = gcapi(*path, "--help")
        assert run.code == 0
        text = run.out.partition("\nExample:\n")[0]
        assert "..." not in re.sub(r"(PK|URL|ARGS\])\.\.\.|\[ARGS\]\.\.\.", "", text), path
        # Names of options with their choices are not broken.
        lines = [line for line in text.splitlines() if not line.startswith("  -")]
        assert [line for line in lines if len(line) > width] == []


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_examples(
    gcapi: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, path: tuple[str, ...]
) -> None:
    """The help of each command ends with an example, which can be parsed."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "scans").mkdir()
    example = EXAMPLES[" ".join(path)]
    assert gcapi(*path, "--help").out.endswith(f"\nExample:\n  {example}\n")
    words = example.partition(" > ")[0].split()[1:]
    assert tuple(words[: len(path)]) == path
    context = click.Context(app, info_name=PROGRAM)
    LEAVES[path].make_context(path[-1], words[len(path) :], parent=context).close()


# ---------------------------------------------------------------- wrong command lines

WRONG = {
    "archves list": "No such command 'archves'. Did you mean 'archives'?",
    "archives lst": "No such command 'lst'. Did you mean 'list'?",
    "archives list --jsn": "No such option '--jsn'. Did you mean '--json'",
    "archives list --zzz": "No such option '--zzz'.\n",
    "push m.csv archive:x --existing updat": "'updat' is not one of 'skip', 'update', 'error'. Did you mean 'update'?",
    "--json archives list": "--json belongs after the command: gcapi archives list --json",
    "-q whoami": "-q belongs after the command: gcapi whoami -q",
    "archives --csv list": "--csv belongs after the command: gcapi archives list --csv",
    "--token SECRET whoami --json": "--token belongs after the command: gcapi whoami --token TOKEN --json",
    "--token=SECRET whoami": "--token belongs after the command: gcapi whoami --token TOKEN",
}


@pytest.mark.parametrize("line", WRONG)
def test_wrong_command_lines(gcapi: Program, line: str) -> None:
    """A wrong command line is 2, with what was meant or where the option belongs, and without secrets."""
    run = gcapi(*line.split())
    assert (run.code, run.out) == (2, "")
    assert WRONG[line] in run.err
    assert "SECRET" not in run.err


def test_command_without_arguments(gcapi: Program) -> None:
    """A group without a command shows its help."""
    run = gcapi("archives")
    assert run.code == 2
    assert run.err.startswith("Usage: gcapi archives ")


# ---------------------------------------------------------------- messages


@pytest.mark.parametrize("width", WIDTHS)
def test_messages_wrap_at_words(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """In a terminal, messages wrap at words; calls to copy and long words are kept, and pipes get whole lines."""
    monkeypatch.setenv("COLUMNS", str(width))
    words = " ".join(["word"] * 40)
    message = f"gcapi: {words}\n    client.uploads.resume(pk='0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d', file='ct.mha')"
    monkeypatch.setattr(sys, "stderr", Terminal())
    tell(message)
    *lines, call = sys.stderr.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= width
    assert " ".join(lines) == f"gcapi: {words}"
    assert call == message.splitlines()[1]
    assert wrapped(message, io.StringIO()) == message
    assert wrapped("a\n\nb", Terminal()) == "a\n\nb"


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2000, "2,000 rows")])
def test_plurals(count: int, text: str) -> None:
    """Counts are in the singular or the plural."""
    assert counted(count, "row") == text


FILES = {
    "a manifest": ("push", "nofile.csv", "archive:x"),
    "a manifest to check": ("manifest", "check", "nofile.csv"),
    "a file to send": ("api", "POST", "archives/", "--data", "@nofile.csv"),
}


@pytest.mark.parametrize("name", FILES)
def test_missing_files(
    ready: Program, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """A file that does not exist is 4, and named in a sentence."""
    monkeypatch.chdir(tmp_path)
    run = ready(*FILES[name])
    assert run.code == 4
    assert re.search(
        r"nofile.csv cannot be read.*: No such file or directory. Check the path\.", run.err
    )


def test_doctor_does_not_recommend_itself(gcapi: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that cannot be reached is told by doctor without the advice to run it."""
    monkeypatch.setenv("GCAPI_BASE_URL", "http://127.0.0.1:9/api/v1/")
    run = gcapi("doctor", "--token", "token")
    assert run.code == 5
    assert "could not be reached" in run.out
    assert "gcapi doctor" not in run.out + run.err


def test_jobs_have_the_title_of_their_algorithm(
    ready: Program, sandbox: Sandbox, client: Client
) -> None:
    """The list of jobs has the title of each algorithm, which is requested once."""
    socket = sandbox.add_socket("Words Score", "Float")
    slug = sandbox.add_algorithm("Words Algorithm", interfaces=[((socket,), ())], run=print)
    for value in (1, 2):
        client.start_algorithm_job(
            algorithm_slug=slug, inputs=[SocketValueSpec(socket, value=value)]
        )
    sandbox.requests.clear()
    lines = ready("jobs", "list", "--algorithm", slug).out.splitlines()
    assert [line.split("\t")[2] for line in lines] == ["Words Algorithm"] * 2
    read = [
        one for one in sandbox.requests if re.search(r"/algorithms/[0-9a-f-]{36}/$", str(one.path))
    ]
    assert len(read) == 1


QUIET: dict[str, Any] = {
    "whoami": ("whoami",),
    "a list": ("archives", "list"),
    "a dry run": ("pull", "archive:quiet", "folder", "--dry-run"),
    "a pull": ("pull", "archive:quiet", "folder"),
    "a check": ("verify", "folder"),
}


def test_quiet(
    ready: Program, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With -q, nothing but errors goes to standard error."""
    monkeypatch.chdir(tmp_path)
    sandbox.add_archive("Quiet")
    for name, line in QUIET.items():
        run = ready(*line, "-q")
        assert (run.code, run.err) == (0, ""), name
    assert ready("archives", "show", "none", "-q").err.startswith("gcapi: There is no archive")
