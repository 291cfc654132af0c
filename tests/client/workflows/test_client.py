"""Clients: construction, version check, TLS and closing."""

from __future__ import annotations

import inspect
import os
import ssl
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
import pytest
import trustme

import gcapi
from gcapi import Client
from gcapi.exceptions import (
    AuthenticationError,
    ConfigurationError,
    GCAPIError,
    StatusError,
    UnexpectedAnswer,
    UnsupportedVersionError,
)
from gcapi.retries import BaseRetryStrategy, SelectiveBackoffStrategy
from gcapi_sandbox import Sandbox
from grand_challenge_api.api.archives import archives_list
from tests.support.servers.loopback import TOKEN, VERSION, Answer, Loopback, connect, in_turn

EMPTY_PAGE = {"count": 0, "next": None, "previous": None, "results": []}
VARIABLE = "GRAND_CHALLENGE_AUTHORIZATION"


class NoRetries(BaseRetryStrategy):
    """A strategy that never retries."""

    def get_delay(self, latest_response: httpx.Response) -> None:
        """Return no delay."""


def version_checks(sandbox: Sandbox) -> list[str]:
    """Return the Authorization header of each version check."""
    return [
        request.authorization for request in sandbox.requests if request.path == "/api/v1/gcapi/"
    ]


# ---------------------------------------------------------------- how it is made


def test_arguments_are_in_the_published_order() -> None:
    """The published parameters are positional, in the published order."""
    parameters = list(inspect.signature(Client).parameters.values())
    positional = [one.name for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert positional == [
        "token",
        "base_url",
        "verify",
        "timeout",
        "retry_strategy",
        "max_concurrent_uploads",
        "max_concurrent_downloads",
    ]
    client = Client("t", "https://gc.localhost/api/v1/", False, 5.0, NoRetries, 3, 4)
    assert client.base_url == httpx.URL("https://gc.localhost/api/v1/")
    assert (client.max_concurrent_uploads, client.max_concurrent_downloads) == (3, 4)


def test_defaults_are_the_published_ones() -> None:
    """The defaults are the published ones; an empty base URL is that of the public server, unless one is configured."""
    defaults = {
        name: one.default
        for name, one in inspect.signature(Client).parameters.items()
        if one.kind is one.POSITIONAL_OR_KEYWORD
    }
    assert defaults == {
        "token": "",
        "base_url": "",
        "verify": True,
        "timeout": 60.0,
        "retry_strategy": None,
        "max_concurrent_uploads": 10,
        "max_concurrent_downloads": 10,
    }


def test_other_options_are_keyword_only() -> None:
    """The other parameters are keyword-only."""
    with pytest.raises(TypeError):
        Client("t", "https://gc.localhost/", True, 5.0, None, 3, 4, print)  # type: ignore[misc]


def test_construction_sends_nothing(sandbox: Sandbox) -> None:
    """Construction sends no request."""
    sandbox.requests.clear()
    Client(token=sandbox.token, base_url=sandbox.base_url).close()
    assert len(sandbox.requests) == 0


def test_construction_opens_no_file_and_no_socket() -> None:
    """Construction opens no socket, and no file other than code."""
    script = """
import sys
from gcapi.client import Client
seen = []
sys.addaudithook(lambda event, given: seen.append((event, str(given[0]) if given else "")))
Client(token="t")
opened = [what for event, what in seen if event == "open" and not what.endswith((".py", ".pyc"))]
sockets = [event for event, _ in seen if event.startswith("socket.")]
sys.exit(", ".join(opened + sockets) or 0)
"""
    run = subprocess.run([sys.executable, "-B", "-c", script], check=False, stderr=subprocess.PIPE)
    assert (run.returncode, run.stderr) == (0, b"")


@pytest.mark.parametrize("given", ["abc", " abc \n", "Bearer abc", "TOKEN  abc", "any\tabc"])
def test_token_is_the_last_of_at_most_two_words(given: str) -> None:
    """Blanks are trimmed, and the first of two words is dropped, whatever it is."""
    with (
        Loopback(in_turn(Answer(body=EMPTY_PAGE))) as server,
        Client(token=given, base_url=server.base_url) as client,
    ):
        client.archives.count()
    assert server.seen[0].header("Authorization") == "Bearer abc"


def test_token_comes_from_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the argument, the token of the environment variable is used."""
    monkeypatch.setenv(VARIABLE, f"Bearer {sandbox.token}")
    with Client(base_url=sandbox.base_url) as client:
        assert client.profiles.self().user.username == "sandbox"


def test_token_argument_wins_over_the_environment(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The argument takes precedence over the environment variable."""
    monkeypatch.setenv(VARIABLE, "ff")
    with Client(sandbox.token, base_url=sandbox.base_url) as client:
        assert client.profiles.self().user.username == "sandbox"


@pytest.mark.parametrize("given", ["", "  ", "Bearer abc s3cret"])
def test_no_token_or_too_many_words_are_refused(given: str) -> None:
    """A missing token, or one of more than two words, is a RuntimeError that does not quote it."""
    with pytest.raises(ConfigurationError) as caught:
        Client(token=given)
    assert isinstance(caught.value, RuntimeError)
    assert "s3cret" not in str(caught.value)


def test_missing_token_says_where_one_comes_from() -> None:
    """The error for a missing token names the argument and the environment variable."""
    with pytest.raises(ConfigurationError, match=rf"token=.*{VARIABLE}.*API tokens"):
        Client()


@pytest.mark.parametrize("wrong", ["ff" * 32, "not-hexadecimal", "f"])
def test_wrong_token_says_what_to_do(sandbox: Sandbox, wrong: str) -> None:
    """A token that the server refuses gives an error with advice."""
    client = Client(token=wrong, base_url=sandbox.base_url)
    with client, pytest.raises(AuthenticationError) as caught:
        client.archives.count()
    assert caught.value.status_code == 401
    assert "Invalid token." in str(caught.value)
    assert (
        f"Create a new one on your Grand Challenge profile under 'API tokens' and set it as {VARIABLE}"
        in str(caught.value)
    )


@pytest.mark.parametrize(
    "base_url",
    [
        "http://grand-challenge.org/api/v1/",
        "http://127.0.0.1.example.org/",
        "http://localhost.example.org/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "grand-challenge.org/api/v1/",
        "https://",
        "https://[::1",
    ],
)
def test_base_url_without_https_is_refused(base_url: str) -> None:
    """A base URL that is neither https nor loopback is a RuntimeError."""
    with pytest.raises(ConfigurationError) as caught:
        Client(token="t", base_url=base_url)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize(
    "base_url",
    [
        "https://gc.example.org/api/v1/",
        "http://localhost:8000/api/v1/",
        "http://127.0.0.1/api/v1/",
        "http://127.8.8.8/api/v1/",
        "http://[::1]:8000/api/v1/",
    ],
)
def test_base_url_of_https_or_loopback_is_taken(base_url: str) -> None:
    """An https URL, or an http URL of loopback, is valid, with or without a trailing slash."""
    assert str(Client(token="t", base_url=base_url).base_url) == base_url
    assert str(Client(token="t", base_url=base_url.rstrip("/")).base_url) == base_url


@pytest.mark.parametrize(
    "factory",
    [
        object(),
        SelectiveBackoffStrategy,
        lambda: None,
        lambda: 3,
        NoRetries(),
        "exponential",
    ],
)
def test_what_makes_no_strategy_is_refused(factory: object) -> None:
    """An invalid retry strategy is a RuntimeError at construction."""
    with pytest.raises(RuntimeError, match="retry_strategy="):
        Client(token="t", retry_strategy=factory)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "factory", [NoRetries, partial(NoRetries), SelectiveBackoffStrategy(0.1, 2), None]
)
def test_strategy_classes_and_factories_are_accepted(
    factory: Callable[[], BaseRetryStrategy] | None,
) -> None:
    """A strategy class, a function and a callable instance are valid retry strategies."""
    Client(token="t", retry_strategy=factory)


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": "60"},
        {"max_concurrent_uploads": 0},
        {"max_concurrent_downloads": 2.5},
        {"verify": "/no/such/bundle.pem"},
    ],
)
def test_invalid_settings_are_refused(options: dict[str, object]) -> None:
    """An invalid number or path is named before anything is sent."""
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        Client(token="t", **options)  # type: ignore[arg-type]


def test_client_is_not_an_httpx_client() -> None:
    """A client does not inherit methods of httpx that would bypass its checks."""
    client = Client(token="t")
    assert not isinstance(client, httpx.Client)
    assert not {"get", "post", "send", "request", "headers"} & set(dir(client))


def test_settings_can_be_read_and_not_changed() -> None:
    """The base URL and the limits are read-only."""
    client = Client(token="t")
    for name in ("base_url", "max_concurrent_uploads", "max_concurrent_downloads"):
        with pytest.raises(AttributeError):
            setattr(client, name, 1)


def test_imports_that_people_wrote_keep_working() -> None:
    """Published names are the same objects, wherever they are imported from."""
    from gcapi.check_version import UnsupportedVersionError as OfThePublished
    from gcapi.client import Client as ClientOfThePublished
    from gcapi.create_strategies import SocketValueSpec

    assert ClientOfThePublished is gcapi.Client
    assert SocketValueSpec is gcapi.SocketValueSpec
    assert OfThePublished is gcapi.exceptions.UnsupportedVersionError
    assert issubclass(gcapi.retries.SelectiveBackoffStrategy, gcapi.retries.BaseRetryStrategy)
    assert gcapi.models.ImageTypeEnum.MHD == "MHD"


# ---------------------------------------------------------------- how it ends


CALLS: dict[str, Callable[[Client], object]] = {
    "namespace": lambda client: client.archives.count(),
    "raw call": lambda client: client(path="archives/"),
    "generated": lambda client: archives_list.sync_detailed(client=client.raw),
    "iteration": lambda client: list(client.archives.iterate_all()),
    "upload": lambda client: client.uploads.create(filename="a"),
}


@pytest.mark.parametrize("call", CALLS)
def test_use_after_close_is_an_error(sandbox: Sandbox, call: str) -> None:
    """Every use of a closed client is an error, and sends nothing."""
    with Client(token=sandbox.token, base_url=sandbox.base_url) as client:
        CALLS[call](client)
    sandbox.requests.clear()
    with pytest.raises(RuntimeError, match="closed"):
        CALLS[call](client)
    assert len(sandbox.requests) == 0


def test_closing_twice_does_no_harm(sandbox: Sandbox) -> None:
    """A client can be closed twice, and before it is used."""
    client = Client(token=sandbox.token, base_url=sandbox.base_url)
    client.close()
    client.close()


def test_context_manager_gives_the_client_and_closes_it(sandbox: Sandbox) -> None:
    """The context manager returns the client, and closes it."""
    client = Client(token=sandbox.token, base_url=sandbox.base_url)
    with client as entered:
        assert entered is client
    with pytest.raises(RuntimeError, match="closed"):
        client.archives.count()


# ---------------------------------------------------------------- the version check


def test_version_is_checked_once_with_the_first_request(sandbox: Sandbox) -> None:
    """The version is checked once, before the first request and without the token."""
    sandbox.requests.clear()
    with Client(token=sandbox.token, base_url=sandbox.base_url) as client:
        client.archives.count()
        client(path="archives/")
        archives_list.sync_detailed(client=client.raw)
    assert sandbox.requests[0].path == "/api/v1/gcapi/"
    assert version_checks(sandbox) == [""]


def test_threads_that_share_a_client_check_once(sandbox: Sandbox) -> None:
    """Sixteen threads that share a client check the version once."""
    sandbox.requests.clear()
    begin = threading.Barrier(16)
    counts: list[int] = []
    with Client(token=sandbox.token, base_url=sandbox.base_url) as client:

        def count() -> None:
            begin.wait()
            counts.append(client.archives.count())

        threads = [threading.Thread(target=count) for _ in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(counts) == 16
    assert version_checks(sandbox) == [""]


def test_below_the_lowest_version_every_call_fails() -> None:
    """If the server does not support this version, every call fails without a request."""
    with (
        Sandbox(latest_version="99.0.0", lowest_supported_version="98.0.0") as sandbox,
        Client(token=sandbox.token, base_url=sandbox.base_url) as client,
    ):
        for call in CALLS.values():
            with pytest.raises(UnsupportedVersionError, match=r"98\.0\.0.*Upgrade"):
                call(client)
        assert {request.path for request in sandbox.requests} == {"/api/v1/gcapi/"}


def test_below_the_latest_version_warns_once() -> None:
    """A newer release causes one warning, and the call continues."""
    with (
        Sandbox(latest_version="99.0.0") as sandbox,
        Client(token=sandbox.token, base_url=sandbox.base_url) as client,
    ):
        with pytest.warns(UserWarning, match=r"99\.0\.0"):
            assert client.archives.count() == 0
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert client.archives.count() == 0


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (Answer(status=500, body=b"<!doctype html>"), StatusError),
        (Answer(body=b"<!doctype html><p>Log in"), UnexpectedAnswer),
        (Answer(body={"latest_version": "1.0"}), UnexpectedAnswer),
        (Answer(body=["1.0"]), UnexpectedAnswer),
        (Answer(body=VERSION | {"latest_version": "soon"}), UnexpectedAnswer),
        (Answer(reset=True), httpx.TransportError),
    ],
)
def test_failed_check_is_made_again(failure: Answer, error: type[Exception]) -> None:
    """A failed version check is repeated with the next request."""
    script = in_turn(failure, Answer(body=VERSION), Answer(body=EMPTY_PAGE))
    with (
        Loopback(script, with_version=False) as server,
        connect(server, retry_strategy=NoRetries) as client,
    ):
        with pytest.raises(error):
            client.archives.count()
        assert client.archives.count() == 0
    assert [seen.path.partition("?")[0] for seen in server.seen] == [
        "/api/v1/gcapi/",
        "/api/v1/gcapi/",
        "/api/v1/archives/",
    ]


def test_other_servers_are_recognised() -> None:
    """A login page in place of the API gives advice about the base URL."""
    with (
        Loopback(in_turn(Answer(body=b"<html>Log in")), with_version=False) as server,
        connect(server) as client,
        pytest.raises(UnexpectedAnswer, match="Check base_url"),
    ):
        client.archives.count()


# ---------------------------------------------------------------- TLS


def https_server(authority: trustme.CA) -> Loopback:
    """Return an https server on localhost with a certificate of this authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return Loopback(in_turn(Answer(body=EMPTY_PAGE)), tls=context)


def test_verify_takes_a_bundle_a_context_or_nothing(tmp_path: Path) -> None:
    """`verify` accepts the path of a CA bundle, a context and `False`."""
    authority = trustme.CA()
    bundle = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(os.fspath(bundle))
    context = ssl.create_default_context(cafile=bundle)
    with https_server(authority) as server:
        for verify in (bundle, str(bundle), context, False):
            with connect(server, verify=verify) as client:
                assert client.archives.count() == 0


def test_unknown_certificates_are_refused() -> None:
    """A certificate of an unknown authority is refused before the token is sent."""
    with https_server(trustme.CA()) as server, Client(TOKEN, server.base_url) as client:
        with pytest.raises(httpx.ConnectError):
            client.archives.count()
        assert server.seen == []


# ---------------------------------------------------------------- withdrawn


@pytest.mark.parametrize(
    ("name", "successor"),
    [
        ("add_cases_to_archive", "add_case_to_archive"),
        ("add_cases_to_reader_study", "add_case_to_reader_study"),
        ("run_external_job", "start_algorithm_job"),
    ],
)
def test_withdrawn_methods_name_their_successors(
    sandbox: Sandbox, client: Client, name: str, successor: str
) -> None:
    """A withdrawn method sends nothing, names its replacement, and is not offered by completion."""
    assert name not in dir(client)
    sandbox.requests.clear()
    with pytest.raises(NotImplementedError, match=rf"use {successor}\b"):
        getattr(client, name)("anything", at="all")
    assert len(sandbox.requests) == 0


def test_every_error_is_of_one_family() -> None:
    """All exceptions of the package are GCAPIErrors."""
    errors = [
        one
        for one in vars(gcapi.exceptions).values()
        if inspect.isclass(one)
        and issubclass(one, Exception)
        and one.__module__ == "gcapi.exceptions"
    ]
    assert all(issubclass(one, GCAPIError | Warning) for one in errors)
    assert len(errors) > 20
