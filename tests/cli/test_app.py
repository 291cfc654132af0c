"""The start and the end of the program."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from gcapi.cli.app import app
from tests.support.programs.cli_program import DEADLINE, VARIABLE, Program, command_line
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Seen

#: What costs import time, and a help text needs none of.
HEAVY = ["attr", "dateutil", "grand_challenge_api", "httpx", "keyring", "sqlite3", "ssl"]

#: So many modules beyond bare Python, of which click brings sixty, are a start that nobody feels.
MOST_MODULES = 150


def leaves(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command after its path."""
    context = click.Context(group)
    for name in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [name])
        assert command is not None
        assert command.help
        if isinstance(command, click.Group):
            yield from leaves(command, (*path, name))
        else:
            yield (*path, name), command


@pytest.mark.parametrize(
    "variables",
    [{}, {"_GCAPI_COMPLETE": "bash_complete", "COMP_WORDS": "gcapi d", "COMP_CWORD": "1"}],
    ids=["help", "completion"],
)
def test_help_loads_nothing_heavy(variables: dict[str, str]) -> None:
    """`gcapi --help` and the completion of commands load few modules, and neither the HTTP library nor the models."""
    code = "import sys; bare = len(sys.modules); from gcapi.cli import main; main(['--help'])"
    shown = f"print('LOADED', sorted(set({HEAVY}) & set(sys.modules)), len(sys.modules) - bare)"
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", f"{code}; {shown}"],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stderr == ""
    assert "doctor" in run.stdout
    loaded = run.stdout.split("LOADED")[1].split()
    assert loaded[0] == "[]"
    assert int(loaded[1]) < MOST_MODULES


def test_help_of_commands_loads_no_client() -> None:
    """The help of every command, and the completion of its options, load neither the HTTP library nor the client."""
    lines = [[*path, "--help"] for path, _ in leaves(app)]
    code = f"""
import os, sys
from gcapi.cli import main
assert [main(line) for line in {lines}] == [0] * {len(lines)}
os.environ |= {{"_GCAPI_COMPLETE": "bash_complete", "COMP_WORDS": "gcapi jobs list --alg", "COMP_CWORD": "3"}}
main([])
print("LOADED", sorted({{"gcapi.client", "gcapi.exceptions", *{HEAVY}}} & set(sys.modules)))
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.endswith("plain,--algorithm\nLOADED ['dateutil']\n")


def test_the_summaries_are_those_of_the_commands() -> None:
    """The summary of a command in `gcapi --help` is the first paragraph of its own help."""
    context = click.Context(app)
    for name in app.list_commands(context):
        listed = app.get_command(context, name)
        _, command, _ = app.resolve_command(context, [name])
        assert listed is not None
        assert command is not None
        assert str(command.help).partition("\n")[0] == listed.help, name


def test_every_command_has_its_words(gcapi: Program) -> None:
    """Every command has a help text and takes --json and -q."""
    commands = dict(leaves(app))
    assert ("archives", "list") in commands
    for path, command in commands.items():
        assert command.help, path
        options = {option for param in command.params for option in param.opts}
        assert {"--json", "-q", "--quiet", "--debug"} <= options, path
        assert gcapi(*path, "--help").code == 0


def test_the_documentation_has_every_command() -> None:
    """The documentation names every command."""
    text = (Path(__file__).parents[2] / "docs" / "command-line.md").read_text(encoding="utf-8")
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    names = set(re.findall(r"[a-z]+", " ".join(re.findall(r"`([^`]+)`", prose))))
    assert {name for path in leaves(app) for name in path[0]} <= names


def test_version(gcapi: Program) -> None:
    """The program prints its version, as a module and as an installed script."""
    script = os.path.join(os.path.dirname(sys.executable), "gcapi")  # noqa: PTH118, PTH120
    installed = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert installed.stdout == gcapi("--version").out == gcapi.apart("--version").out
    assert installed.stdout.startswith("gcapi ")


def test_without_the_extra() -> None:
    """Without click, the program prints one line with the `pip install` to run."""
    code = "import sys; sys.modules['click'] = None; from gcapi.cli import main; sys.exit(main())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert run.stdout == ""
    assert "pip install '.[cli]'" in run.stderr
    assert len(run.stderr.splitlines()) == 1


def test_no_command_is_usage(gcapi: Program) -> None:
    """An unknown command or option is a usage error, on standard error."""
    for arguments in (["nonsense"], ["archives", "list", "--nonsense"], ["archives", "show"]):
        run = gcapi(*arguments)
        assert (run.code, run.out) == (2, "")
        assert "Usage: gcapi" in run.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(gcapi: Program, shell: str) -> None:
    """The script for each shell calls this program."""
    run = gcapi("completion", shell)
    assert run.code == 0
    assert f"_GCAPI_COMPLETE={shell}_complete" in run.out


def test_completion_knows_commands_and_options(gcapi: Program) -> None:
    """Commands, commands of groups, and options are completed."""
    asked = {"_GCAPI_COMPLETE": "bash_complete"}
    top = gcapi.apart(**asked, COMP_WORDS="gcapi arch", COMP_CWORD="1")
    inner = gcapi.apart(**asked, COMP_WORDS="gcapi jobs ", COMP_CWORD="2")
    option = gcapi.apart(**asked, COMP_WORDS="gcapi jobs list --alg", COMP_CWORD="3")
    assert [top.out, option.out] == ["plain,archives\n", "plain,--algorithm\n"]
    assert {"plain,list", "plain,wait", "plain,pull"} <= set(inner.out.splitlines())


@pytest.mark.skipif(os.name != "posix", reason="other systems have no signals")
@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["archives", "list"], ""),
        (["pull", "archive:x", "folder"], " To continue, run the command again."),
    ],
    ids=["list", "pull"],
)
def test_interrupted(arguments: list[str], advice: str, tmp_path: Path) -> None:
    """Ctrl-C ends a run with 130 and one line, which says how to continue a pull."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(DEADLINE)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/api/v1/"
        process = subprocess.Popen(
            command_line(*arguments, "--base-url", url),
            env={**os.environ, VARIABLE: TOKEN},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        connection, _ = server.accept()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
        connection.close()
    assert (process.returncode, out, err) == (130, "", f"gcapi: interrupted.{advice}\n")


def _pages(_: Seen) -> Answer:
    one = {"pk": "x" * 1000}
    return Answer(body={"count": 10_000, "next": None, "previous": None, "results": [one] * 1000})


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such pipes")
def test_whoever_reads_may_stop() -> None:
    """A closed pipe (`gcapi … | head`) ends a run without a message."""
    with Loopback(_pages) as server:
        process = subprocess.Popen(
            command_line("api", "GET", "things/", "--paginate", "--base-url", server.base_url),
            env={**os.environ, VARIABLE: TOKEN},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b'{"pk": "xxx')
        process.stdout.close()
        err = process.stderr.read()
        process.stderr.close()
        code = process.wait(DEADLINE)
    assert (code, err) == (141, b"")
