"""The sources of the token, its storage, and its secrecy."""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
from pathlib import Path

import pytest

from gcapi._http.configuration import find_server
from gcapi.cli.credentials import store_token
from gcapi_sandbox import Sandbox
from tests.support.programs.cli_program import DEADLINE, VARIABLE, Program, command_line
from tests.support.servers.loopback import TOKEN

#: A keyring that nobody has unlocked.
LOCKED = """
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

class Locked(KeyringBackend):
    priority = 1

    def get_password(self, service, username):
        raise KeyringLocked("closed")

    set_password = delete_password = get_password
"""

posix = pytest.mark.skipif(os.name != "posix", reason="other systems have no modes")

#: A keyring as some system may have it, kept in a file.
BACKEND = """
import json, os
from pathlib import Path
from keyring.backend import KeyringBackend

class Filed(KeyringBackend):
    priority = 1
    path = Path(os.environ["KEYRING_FILE"])

    def _all(self):
        return json.loads(self.path.read_text()) if self.path.exists() else {}

    def get_password(self, service, username):
        return self._all().get(f"{service} {username}")

    def set_password(self, service, username, password):
        self.path.write_text(json.dumps({**self._all(), f"{service} {username}": password}))

    def delete_password(self, service, username):
        kept = self._all()
        del kept[f"{service} {username}"]
        self.path.write_text(json.dumps(kept))
"""


@pytest.fixture
def server(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return a sandbox that the program talks to, without a token."""
    monkeypatch.setenv("GCAPI_BASE_URL", sandbox.base_url)
    return sandbox


def test_login_keeps_a_token_that_works(gcapi: Program, server: Sandbox, config: Path) -> None:
    """`login` checks and stores the token of a server, and `whoami` shows its user and source."""
    login = gcapi("login", "--json", stdin=f"Bearer {server.token}\n")
    path = find_server(server.base_url).token_path
    assert login.code == 0
    assert login.json["user"] == "sandbox"
    assert path.read_text() == f"{server.token}\n"
    assert config in path.parents
    who = gcapi("whoami", "--json")
    assert who.json == {
        "user": "sandbox",
        "server": server.base_url,
        "server_from": "the environment variable GCAPI_BASE_URL",
        "token_from": f"the file {path}",
    }
    assert server.token not in login.out + login.err + who.out + who.err


@posix
def test_login_asks_without_echo(server: Sandbox) -> None:
    """In a terminal, `login` asks for the token without echoing it."""
    import pty

    master, slave = pty.openpty()
    process = subprocess.Popen(
        command_line("login", "--json"),
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # away from the terminal that the tests run in
    )
    assert process.stderr is not None
    prompt = "API token (not shown): "
    assert process.stderr.read(len(prompt)) == prompt
    os.write(master, f"{server.token}\n".encode())
    out, err = process.communicate(timeout=DEADLINE)
    os.set_blocking(master, False)
    echoed = os.read(master, 1000).decode() if select.select([master], [], [], 0)[0] else ""
    os.close(master)
    os.close(slave)
    assert process.returncode == 0
    assert json.loads(out)["user"] == "sandbox"
    assert server.token not in echoed + out + err


def test_login_replaces_what_was_kept(gcapi: Program, server: Sandbox) -> None:
    """A second `login` replaces the stored token."""
    other = server.add_user("another")
    for token in (server.token, other):
        assert gcapi("login", stdin=token).code == 0
    assert gcapi("whoami", "--json").json["user"] == "another"
    assert [path.name for path in find_server(server.base_url).token_path.parent.iterdir()] == [
        find_server(server.base_url).token_path.name
    ]


def test_a_wrong_token_is_not_kept(gcapi: Program, server: Sandbox) -> None:
    """A token that the server does not accept is not stored, and the earlier one stays."""
    gcapi("login", stdin=server.token)
    refused = gcapi("login", stdin=TOKEN)
    assert (refused.code, refused.out) == (8, "")
    assert find_server(server.base_url).token_path.read_text() == f"{server.token}\n"


def test_nothing_is_no_token(
    gcapi: Program, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty input is refused, even if the environment has a token."""
    monkeypatch.setenv(VARIABLE, server.token)
    refused = gcapi("login", stdin="\n")
    assert refused.code == 8
    assert not find_server(server.base_url).token_path.exists()
    assert f"{VARIABLE} is also set" in gcapi("login", stdin=server.token).err


@posix
def test_kept_tokens_are_private(gcapi: Program, server: Sandbox) -> None:
    """The token file has mode 0600 and its folder 0700, for any umask."""
    before = os.umask(0)
    try:
        assert gcapi("login", stdin=server.token).code == 0
    finally:
        os.umask(before)
    path = find_server(server.base_url).token_path
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_exposed_tokens_are_not_used(gcapi: Program, server: Sandbox, mode: int) -> None:
    """A token file that other users can read or change is refused with the command that fixes it, wherever it is."""
    store_token(find_server(server.base_url), server.token, in_keyring=False)
    path = find_server(server.base_url).token_path
    path.chmod(mode)
    options: list[list[str | Path]] = [[], ["--token-file", path]]
    for arguments in options:
        run = gcapi("whoami", *arguments)
        assert run.code == 8
        assert "chmod 600" in run.err
        assert server.token not in run.err


def test_the_order_of_sources(
    gcapi: Program, server: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line precedes the environment, and that the stored token; `whoami` names the source."""
    names = ["kept", "variable", "file", "option", "stdin"]
    tokens = {name: server.add_user(name) for name in names}
    store_token(find_server(server.base_url), tokens["kept"], in_keyring=False)
    file = tmp_path / "token"
    file.write_text(tokens["file"] + "\nwhat follows is not read")
    file.chmod(0o600)

    def who(*arguments: str | Path, stdin: str = "") -> tuple[str, str]:
        shown = gcapi("whoami", "--json", *arguments, stdin=stdin).json
        return shown["user"], shown["token_from"]

    assert who() == ("kept", f"the file {find_server(server.base_url).token_path}")
    monkeypatch.setenv(VARIABLE, tokens["variable"])
    assert who() == ("variable", f"the environment variable {VARIABLE}")
    assert who("--token-file", file) == ("file", f"the file {file}")
    assert who("--token", tokens["option"]) == ("option", "the option --token")
    assert who("--token", "-", stdin=tokens["stdin"]) == ("stdin", "standard input")


def test_each_server_has_its_own(gcapi: Program, server: Sandbox) -> None:
    """The stored token of a server is not sent to another."""
    store_token(find_server(server.base_url), server.token, in_keyring=False)
    assert gcapi("whoami").code == 0
    assert gcapi("whoami", "--base-url", "http://127.0.0.1:1/api/v1/").code == 8


def test_names_of_servers() -> None:
    """The name of a server is its host in lower case, and its port if that is not the default one."""
    assert find_server("https://Grand-Challenge.org:443/api/v1/").name == "grand-challenge.org"
    assert find_server("http://[::1]:8000/").name == "[::1]:8000"
    assert ":" not in find_server("http://[::1]:8000/").token_path.name


def test_logout_removes_it(gcapi: Program, server: Sandbox) -> None:
    """`logout` removes the stored token and names its place; without one it succeeds."""
    store_token(find_server(server.base_url), server.token, in_keyring=False)
    path = find_server(server.base_url).token_path
    assert gcapi("logout", "--json").json["removed_from"] == [f"the file {path}"]
    assert not path.exists()
    again = gcapi("logout")
    assert again.code == 0
    assert "No token was stored" in again.err
    assert gcapi("whoami").code == 8


def test_the_keyring_keeps_it(gcapi: Program, server: Sandbox, tmp_path: Path) -> None:
    """With --keyring, the token is stored in the system's keyring and in no file."""
    (tmp_path / "filed_keyring.py").write_text(BACKEND)
    system = {
        "PYTHONPATH": str(tmp_path),
        "PYTHON_KEYRING_BACKEND": "filed_keyring.Filed",
        "KEYRING_FILE": str(tmp_path / "kept.json"),
    }
    store_token(find_server(server.base_url), TOKEN, in_keyring=False)
    login = gcapi.apart("login", "--keyring", "--json", stdin=server.token, **system)
    assert login.json["kept_in"] == "the keyring"
    assert not find_server(server.base_url).token_path.exists()
    assert gcapi.apart("whoami", "--json", **system).json["token_from"] == "the keyring"
    assert gcapi.apart("logout", "--json", **system).json["removed_from"] == ["the keyring"]
    assert gcapi.apart("whoami", **system).code == 8


@pytest.mark.usefixtures("server")
def test_keyrings_that_fail(gcapi: Program, tmp_path: Path) -> None:
    """If the keyring is locked, the error for the missing token says so, with advice."""
    (tmp_path / "locked_keyring.py").write_text(LOCKED)
    system = {"PYTHONPATH": str(tmp_path), "PYTHON_KEYRING_BACKEND": "locked_keyring.Locked"}
    run = gcapi.apart("whoami", **system)
    assert run.code == 8
    assert "KeyringLocked: closed" in run.err
    assert "Unlock it" in run.err


def test_without_a_keyring(gcapi: Program, server: Sandbox) -> None:
    """On a system without a keyring, --keyring is an error, and nothing is stored."""
    run = gcapi("login", "--keyring", stdin=server.token)
    assert run.code == 2
    assert "Leave --keyring out" in run.err
    assert not find_server(server.base_url).token_path.exists()


def test_profiles(gcapi: Program, server: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--profile` before or after the command, and `GCAPI_PROFILE`, select the server and token of a login."""
    other = server.add_user("another")
    first = gcapi("--profile", "lumc", "login", "--base-url", server.base_url, stdin=other)
    assert first.code == 0
    assert gcapi("login", stdin=server.token).code == 0
    monkeypatch.setenv("GCAPI_BASE_URL", "http://127.0.0.1:1/api/v1/")
    for arguments in (["--profile", "lumc", "whoami"], ["whoami", "--profile", "lumc"]):
        who = gcapi(*arguments, "--json").json
        assert who["user"] == "another"
        assert (who["server"], who["server_from"]) == (server.base_url, "the profile lumc")
    monkeypatch.setenv("GCAPI_PROFILE", "default")
    assert gcapi("whoami", "--json").json["user"] == "sandbox"
    monkeypatch.setenv("GCAPI_PROFILE", "lumc")
    assert gcapi("logout").code == 0
    unknown = gcapi("whoami")
    assert unknown.code == 2
    assert "gcapi --profile lumc login" in unknown.err


def test_login_is_used_by_later_commands(
    gcapi: Program, server: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a login at another server, commands without options go there, until the logout."""
    monkeypatch.delenv("GCAPI_BASE_URL")
    login = gcapi(
        "login", "--base-url", server.base_url.removesuffix("api/v1/"), stdin=server.token
    )
    assert login.code == 0
    who = gcapi("whoami", "--json").json
    assert (who["server"], who["server_from"]) == (server.base_url, "the last gcapi login")
    assert gcapi("logout").code == 0
    assert "No API token for grand-challenge.org" in gcapi("whoami").err


@pytest.mark.parametrize("source", ["standard input", "a file"])
def test_byte_order_marks(gcapi: Program, server: Sandbox, tmp_path: Path, source: str) -> None:
    """A token that Windows wrote with a byte order mark is read."""
    file = tmp_path / "token"
    file.write_text(f"{server.token}\n", encoding="utf-8-sig")
    file.chmod(0o600)
    where = ("--token", "-") if source == "standard input" else ("--token-file", file)
    run = gcapi("whoami", *where, stdin=file.read_text(encoding="utf-8"))
    assert run.code == 0


def test_missing_token_file(gcapi: Program, tmp_path: Path) -> None:
    """A token file that does not exist, or is empty, is no token."""
    (tmp_path / "empty").touch(mode=0o600)
    for name in ("missing", "empty"):
        run = gcapi("whoami", "--token-file", tmp_path / name)
        assert run.code == 8
        assert str(tmp_path / name) in run.err
