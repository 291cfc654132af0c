"""The sources of a client's server and token, their order, and the servers that a token is never sent to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gcapi import Client
from gcapi._http.configuration import BASE_URL_VARIABLE as BASE_URL
from gcapi._http.configuration import PROFILE_VARIABLE as PROFILE
from gcapi._http.configuration import TOKEN_VARIABLE as VARIABLE
from gcapi._http.configuration import decode_line, find_server, find_token
from gcapi._http.urls import DEFAULT_BASE_URL
from gcapi.cli.credentials import remove_token, store_token
from gcapi.exceptions import ConfigurationError, TokenError
from tests.support.servers.loopback import NO_TLS, Answer, Loopback, in_turn

EMPTY = Answer(body={"count": 0, "next": None, "previous": None, "results": []})


@pytest.fixture
def home() -> Iterator[Loopback]:
    """Run a server that the environment or a login names."""
    with Loopback(in_turn(EMPTY)) as running:
        yield running


@pytest.fixture
def other() -> Iterator[Loopback]:
    """Run another server."""
    with Loopback(in_turn(EMPTY)) as running:
        yield running


def login(server: Loopback, token: str, profile: str = "") -> None:
    """Store a token as `gcapi login` does."""
    where = find_server(server.base_url, profile)
    store_token(where, token, in_keyring=False)


def call(token: str = "", base_url: str = "", *, profile: str = "") -> None:
    """Send a request with a client of these arguments."""
    with Client(token, base_url, NO_TLS, profile=profile) as client:
        client.archives.count()


def tokens_of(server: Loopback) -> list[str]:
    """Return the tokens that a server received, and forget them."""
    tokens = [seen.header("Authorization").removeprefix("Bearer ") for seen in server.seen]
    server.seen.clear()
    return tokens


def test_order_of_sources(home: Loopback, other: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument precedes the environment, and that the last login."""
    login(home, "stored")
    call()
    assert tokens_of(home) == ["stored"]
    monkeypatch.setenv(BASE_URL, other.origin)  # the host alone is enough
    monkeypatch.setenv(VARIABLE, " Bearer from-environment ")
    call()
    call("argument")
    assert tokens_of(other) == ["from-environment", "argument"]
    call("argument", home.base_url)
    assert (tokens_of(home), other.seen) == (["argument"], [])


def test_token_without_an_address_is_of_the_public_server(
    home: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token of an argument or of the environment is not sent to the server of the last login."""
    login(home, "stored")
    assert str(Client("argument").base_url) == DEFAULT_BASE_URL
    monkeypatch.setenv(VARIABLE, "from-environment")
    assert str(Client().base_url) == DEFAULT_BASE_URL


def test_stored_token_is_sent_to_its_server_only(home: Loopback, other: Loopback) -> None:
    """A stored token is never sent to another server, whether a profile is named or not."""
    login(home, "stored")
    login(home, "lumc", "lumc")
    for profile in ("", "lumc"):
        with pytest.raises(TokenError, match=f"No API token for {other.origin[7:]}"):
            call(base_url=other.base_url, profile=profile)
    with pytest.raises(TokenError, match=r"No API token for grand-challenge\.org"):
        Client(base_url=DEFAULT_BASE_URL)
    assert (home.seen, other.seen) == ([], [])


def test_token_of_the_environment_belongs_to_its_server(
    home: Loopback, other: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an address in the environment, its token is sent to no other server; without one, to the argument's."""
    monkeypatch.setenv(VARIABLE, "from-environment")
    monkeypatch.setenv(BASE_URL, home.base_url)
    with pytest.raises(TokenError, match=f"belongs to the server in {BASE_URL}"):
        call(base_url=other.base_url)
    assert other.seen == []
    login(other, "stored")
    call(base_url=other.base_url)
    assert tokens_of(other) == ["stored"]
    monkeypatch.delenv(BASE_URL)
    call(base_url=other.base_url)
    assert tokens_of(other) == ["from-environment"]


def test_named_profiles(home: Loopback, other: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile that is named, by argument or environment, replaces the address and token of the environment."""
    login(home, "mine")
    login(home, "ours", "ours")
    login(other, "lumc", "lumc")
    monkeypatch.setenv(BASE_URL, home.base_url)
    monkeypatch.setenv(VARIABLE, "from-environment")
    call(profile="lumc")
    assert (tokens_of(other), home.seen) == (["lumc"], [])
    call(profile="ours")
    call(profile="default")
    monkeypatch.setenv(PROFILE, "ours")
    call()
    assert tokens_of(home) == ["ours", "mine", "ours"]
    call(profile="lumc")
    assert tokens_of(other) == ["lumc"]


def test_login_of_a_removed_profile(home: Loopback) -> None:
    """After a logout, the profile is unknown, and other profiles of the server stay."""
    login(home, "ours", "ours")
    login(home, "lumc", "lumc")
    remove_token(find_server(profile="lumc"))
    with pytest.raises(ConfigurationError, match=r"no profile 'lumc' \(the profiles are: ours\)"):
        Client(profile="lumc")
    call(profile="ours")
    assert tokens_of(home) == ["ours"]


@pytest.mark.parametrize("name", ["../lumc", "a b", ".hidden", "C:", "x" * 65, "é"])
def test_names_of_profiles(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that is not a plain file name is refused."""
    with pytest.raises(ConfigurationError, match="not the name of a profile"):
        Client(profile=name)
    monkeypatch.setenv(PROFILE, name)
    with pytest.raises(ConfigurationError, match="not the name of a profile"):
        Client("argument")


def test_bad_address_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for an address that cannot be used names the variable."""
    monkeypatch.setenv(BASE_URL, "gc.example")
    with pytest.raises(ConfigurationError, match=f"must be https.*{BASE_URL}"):
        Client("argument")


def test_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error for a missing token names the argument, the variable and the command."""
    monkeypatch.setenv(VARIABLE, "  ")
    with pytest.raises(TokenError, match=f"token=.*{VARIABLE}.*gcapi login") as caught:
        Client()
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_byte_order_marks(encoding: str, home: Loopback) -> None:
    """A token file may begin with a byte order mark, as Windows writes it."""
    login(home, "stored")
    server = find_server(home.base_url)
    marks = {"utf-16-le": "\ufeff", "utf-16-be": "\ufeff"}
    line = f"{marks.get(encoding, '')}t0ken\r\nanother line".encode(encoding)
    server.token_path.write_bytes(line)
    assert find_token(server).value == "t0ken"
    assert decode_line(line.partition(b"\n")[0] + b"\n") == "t0ken"


def test_folder_in_the_place_of_a_token_file(home: Loopback) -> None:
    """A token file that cannot be read is named."""
    path = find_server(home.base_url).token_path
    path.mkdir(parents=True)
    with pytest.raises(TokenError, match=f"{path} cannot be read"):
        Client(base_url=home.base_url)
