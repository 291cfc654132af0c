"""Pickles and copies of clients and of their errors, for other processes."""

from __future__ import annotations

import copy
import inspect
import pickle
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client
from gcapi._http.configuration import TOKEN_VARIABLE
from gcapi.exceptions import (
    ConfigurationError,
    StatusError,
)
from gcapi.progress import ProgressEvent
from tests.support.api_objects import image_file
from tests.support.retried_calls import EMPTY, NoRetries
from tests.support.servers.loopback import (
    NO_RETRIES,
    TOKEN,
    Answer,
    Loopback,
    Seen,
    connect,
    in_turn,
)
from tests.support.servers.private_network import Authority

KEY = "X-Amz-Signature=s3cret"


# ---------------------------------------------------------------- pickles and copies


def test_pickled_client_reads_the_token_where_it_is_loaded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A pickled client reads the token from the environment of the process that loads it."""
    bundle = tmp_path / "ca.pem"
    bundle.write_bytes(Authority().pem)
    with Loopback(in_turn(EMPTY)) as server:
        client = connect(
            server,
            verify=bundle,
            timeout=7.5,
            retry_strategy=NoRetries,
            max_concurrent_uploads=3,
            max_concurrent_downloads=4,
            on_limit="raise",
        )
        client.archives.count()
        pickled = pickle.dumps(client)
        client.close()
        assert TOKEN.encode() not in pickled
        monkeypatch.setenv(TOKEN_VARIABLE, "another")
        with pickle.loads(pickled) as loaded:
            loaded.archives.count()
    assert [seen.header("Authorization") for seen in server.seen] == [
        f"Bearer {TOKEN}",
        "Bearer another",
    ]
    assert loaded.__getstate__() == client.__getstate__()
    assert loaded._transport.strategy_factory is NoRetries


def test_pickle_has_every_setting() -> None:
    """A pickle has every argument of the constructor except the token."""
    state = Client(TOKEN).__getstate__()
    assert set(state) == set(inspect.signature(Client).parameters) - {"token"}


def test_pickled_client_needs_a_token_where_it_is_loaded() -> None:
    """Loading a pickle without a token in the environment raises an error that says so."""
    pickled = pickle.dumps(Client(TOKEN))
    with pytest.raises(ConfigurationError, match=f"No API token.*{TOKEN_VARIABLE}"):
        pickle.loads(pickled)


@pytest.mark.parametrize(("progress", "kept"), [(True, True), (None, False), (print, False)])
def test_pickles_keep_no_listener(
    monkeypatch: pytest.MonkeyPatch, progress: Any, kept: bool
) -> None:
    """A pickle keeps the built-in progress bar, and no other listener."""
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    loaded = pickle.loads(pickle.dumps(Client(progress=progress)))
    assert loaded.__getstate__()["progress"] is kept


def test_context_cannot_be_pickled() -> None:
    """The error of pickling a client with an `ssl.SSLContext` says what to use instead."""
    client = Client(TOKEN, verify=ssl.create_default_context())
    with pytest.raises(TypeError, match="SSLContext cannot be pickled") as caught:
        pickle.dumps(client)
    assert TOKEN not in str(caught.value)


PARTS: dict[str, Callable[[Client], Any]] = {
    "namespace": lambda client: client.archives,
    "method": lambda client: client.archives.detail,
    "raw": lambda client: client.raw,
    "HTTP client": lambda client: client._transport.api,
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("how", [pickle.dumps, copy.deepcopy])
def test_parts_of_a_client_cannot_be_pickled(how: Callable[[Any], Any], part: str) -> None:
    """The error of pickling a part of a client says to pickle the whole client."""
    with Loopback(in_turn(EMPTY)) as server, connect(server) as client:
        client.archives.count()
        with pytest.raises(TypeError):
            how(PARTS[part](client))


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_copies_are_clients_of_their_own(how: Callable[[Client], Client]) -> None:
    """A copy of a client has the same settings and connections of its own."""
    heard: list[ProgressEvent] = []
    with Loopback(in_turn(EMPTY)) as server:
        client = connect(server, progress=heard.append, max_concurrent_uploads=2)
        client.archives.count()
        with how(client) as twin:
            client.close()
            twin.archives.count()
            twin.workflows.listener(ProgressEvent("upload", "a.mha", 0, 1))
            assert len(heard) == 1
            assert twin.workflows.settings == client.workflows.settings
    assert {seen.header("Authorization") for seen in server.seen} == {f"Bearer {TOKEN}"}


# ---------------------------------------------------------------- errors


def broken(answer: Answer) -> Exception:
    """Make a call that breaks, and return its error."""
    with (
        Loopback(in_turn(answer)) as server,
        connect(server, retry_strategy=NO_RETRIES, timeout=0.2) as client,
        pytest.raises(Exception) as caught,  # noqa: PT011 - what it is, the test says
    ):
        client("PATCH", path="archives/", json={"a": 1})
    return caught.value


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(reset=True), httpx.TransportError),
        (Answer(body=b"{}", length=10), httpx.RemoteProtocolError),
        (Answer(status=400, body=b"{}", length=10), httpx.RemoteProtocolError),
    ],
)
def test_transport_errors_go_to_other_processes(
    answer: Answer, kind: type[httpx.TransportError]
) -> None:
    """A pickled connection error has its request without the token and the body."""
    error = broken(answer)
    assert isinstance(error, kind)
    pickled = pickle.dumps(error)
    assert TOKEN.encode() not in pickled
    again = pickle.loads(pickled)
    assert (type(again), str(again)) == (type(error), str(error))
    assert (again.request.method, again.request.url) == (error.request.method, error.request.url)
    assert "authorization" not in again.request.headers
    assert again.request.read() == b""


def test_timeouts_go_to_other_processes() -> None:
    """A pickled timeout has its request without the token and the body."""
    waiting = threading.Event()

    def script(_: Seen) -> Answer:
        waiting.wait(30)
        return EMPTY

    with (
        Loopback(script) as server,
        connect(server, retry_strategy=NO_RETRIES, timeout=0.2) as client,
        pytest.raises(httpx.ReadTimeout) as caught,
    ):
        client("PATCH", path="archives/", json={})
    waiting.set()
    assert TOKEN.encode() not in pickle.dumps(caught.value)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), httpx.ReadTimeout)


def test_answers_that_are_handed_out_hold_no_token() -> None:
    """The request of a response that the raw call returns has no Authorization header."""
    with Loopback(in_turn(Answer(body=b"text"))) as server, connect(server) as client:
        response = client(path="archives/")
    assert response.content == b"text"
    assert "authorization" not in response.request.headers
    assert TOKEN.encode() not in pickle.dumps(response)


def test_errors_of_the_store_hold_no_key(tmp_path: Path) -> None:
    """The request of a store's error has no presigned query."""
    with Loopback(in_turn(Answer(status=403, body=b"<Error/>"))) as store:
        away = Answer(status=302, headers={"Location": f"{store.origin}/a.mha?{KEY}"})
        with (
            Loopback(in_turn(away)) as server,
            connect(server) as client,
            pytest.raises(StatusError) as caught,
        ):
            client.images.download(
                files=[image_file(f"{server.origin}/a.mha")], output_directory=tmp_path
            )
    assert str(caught.value.request.url) == f"{store.origin}/a.mha"
    assert b"s3cret" not in pickle.dumps(caught.value)
