"""The environment of a client: proxies, certificate authorities, event loops, threads, pickles and logs."""

from __future__ import annotations

import asyncio
import copy
import inspect
import io
import logging
import pickle
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi._http.configuration import TOKEN_VARIABLE
from gcapi.exceptions import (
    ConfigurationError,
    ProxyRefusalError,
    StatusError,
    UnreachableHostError,
)
from gcapi.models import ImageFile
from gcapi.progress import ProgressEvent
from gcapi.retries import BaseRetryStrategy, SelectiveBackoffStrategy
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Seen, connect, in_turn
from tests.support.servers.private_network import API_HOST, STORE_HOST, Authority, Proxy

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
EMPTY = Answer(body={"count": 0, "next": None, "previous": None, "results": []})
KEY = "X-Amz-Signature=s3cret"
#: Nothing is repeated: what fails here fails for good.
ONCE = SelectiveBackoffStrategy(backoff_factor=0.0, maximum_number_of_retries=0)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own proxies and certificates out of these tests."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


class World:
    """An API and an object store over TLS, whose certificates a private authority made.

    Args:
        folder: Where the authority's certificate is, and where downloads go.
        store_authority: Who made the store's certificate; `None` for the same.
    """

    def __init__(self, folder: Path, store_authority: Authority | None = None) -> None:
        self.folder = folder
        self.authority = Authority()
        self.bundle = folder / "ca.pem"
        self.bundle.write_bytes(self.authority.pem)
        self.store = Loopback(
            in_turn(Answer(body=b"content")),
            tls=(store_authority or self.authority).server_context(),
        )
        self.api = Loopback(self._script, tls=self.authority.server_context())
        self.store_host = "localhost"

    def _script(self, seen: Seen) -> Answer:
        if not seen.path.startswith("/media/"):
            return EMPTY
        away = self.store.origin.replace("localhost", self.store_host)
        return Answer(status=302, headers={"Location": f"{away}/a.mha?{KEY}"})

    def visit(self, *, host: str = "localhost", **options: Any) -> None:
        """Call the API, and download a file from the store."""
        base_url = self.api.base_url.replace("localhost", host)
        with Client(TOKEN, base_url, retry_strategy=ONCE, **options) as client:
            client.archives.count()
            file = f"{base_url.partition('/api/')[0]}/media/a.mha"
            fields = {"pk": PK, "image": PK, "file": file, "image_type": "MHD"}
            (path,) = client.images.download(
                files=[ImageFile.from_dict(fields)], output_directory=self.folder, filename="a"
            )
            assert path.read_bytes() == b"content"

    def __enter__(self) -> Self:
        self.store.__enter__()
        self.api.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.api.__exit__(None, None, None)
        self.store.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Give an API and a store over TLS."""
    with World(tmp_path) as running:
        yield running


# ---------------------------------------------------------------- proxies


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_proxy_serves_api_and_storage(
    world: World, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """With `HTTPS_PROXY`, all requests use the proxy, which sees neither the token nor presigned URLs."""
    with Proxy() as proxy:
        monkeypatch.setenv(variable, proxy.origin)
        world.store_host = STORE_HOST
        world.visit(host=API_HOST, verify=str(world.bundle))
        assert proxy.targets == {API_HOST, STORE_HOST}
        assert {seen.method for seen in proxy.seen} == {"CONNECT"}
        assert TOKEN not in repr(proxy.seen)
        assert "s3cret" not in repr(proxy.seen)
    assert {seen.header("Authorization") for seen in world.store.seen} == {""}


def test_no_proxy_goes_around_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`NO_PROXY` is honoured for the API and the store separately."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        monkeypatch.setenv("NO_PROXY", "localhost,127.0.0.1")
        world.store_host = STORE_HOST
        world.visit(verify=world.bundle)
        assert proxy.targets == {STORE_HOST}
        proxy.seen.clear()
        (world.folder / "a.mha").unlink()
        monkeypatch.setenv("NO_PROXY", "*")
        world.store_host = "localhost"
        world.visit(verify=world.bundle)
        assert proxy.seen == []


def test_password_of_a_proxy_goes_to_the_proxy_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The credentials of a proxy are sent to the proxy only."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin.replace("//", "//me:w0rd@"))
        world.visit(verify=world.bundle)
        assert all(seen.header("Proxy-Authorization").startswith("Basic ") for seen in proxy.seen)
    behind = [*world.api.seen, *world.store.seen]
    assert {seen.header("Proxy-Authorization") for seen in behind} == {""}


def test_proxy_that_refuses_is_a_transport_error(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that refuses the tunnel raises httpx's error with the proxy's words."""
    with Proxy(refusal=Answer(407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        with pytest.raises(httpx.ProxyError, match="407 Proxy Authentication Required") as caught:
            world.visit(verify=world.bundle)
    assert world.api.seen == []
    again = pickle.loads(pickle.dumps(caught.value))
    assert (type(again), str(again)) == (ProxyRefusalError, str(caught.value))


def test_proxy_that_is_down_is_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a connection through a proxy names the host, its port and the proxy."""
    with Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
    with pytest.raises(
        UnreachableHostError, match="could not be reached through the proxy"
    ) as caught:
        world.visit(verify=world.bundle)
    base = httpx.URL(world.api.base_url)
    assert (caught.value.host, caught.value.port) == (base.host, base.port)
    assert f"{base.host}:{base.port} could not be reached" in str(caught.value)
    assert caught.value.proxy == httpx.URL(proxy.origin).netloc.decode()
    assert f"the proxy {caught.value.proxy} (" in str(caught.value)


# ---------------------------------------------------------------- certificates


WAYS: dict[str, Callable[[World], Any]] = {
    "a path": lambda world: world.bundle,
    "a path as text": lambda world: str(world.bundle),
    "a context": lambda world: world.authority.client_context(),
    "no check": lambda _: False,
}


@pytest.mark.parametrize("way", WAYS)
def test_private_authority_is_trusted_where_it_is_given(world: World, way: str) -> None:
    """Every form of `verify` applies to the API and the store."""
    world.visit(verify=WAYS[way](world))
    assert world.api.seen
    assert world.store.seen


def test_authority_of_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """`SSL_CERT_FILE` names the default bundle."""
    monkeypatch.setenv("SSL_CERT_FILE", str(world.bundle))
    world.visit()
    assert world.store.seen


def test_what_is_given_holds_rather_than_the_environment(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A bundle in `verify` overrides `SSL_CERT_FILE`."""
    monkeypatch.setenv("SSL_CERT_FILE", str(world.bundle))
    other = tmp_path / "other.pem"
    other.write_bytes(Authority().pem)
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        world.visit(verify=other)


def test_unknown_authorities_are_refused(world: World) -> None:
    """Nothing is sent to an API with an untrusted certificate."""
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        world.visit()
    assert world.api.seen == []


@pytest.mark.parametrize("context", [False, True])
def test_store_of_an_unknown_authority_is_refused(tmp_path: Path, context: bool) -> None:
    """Nothing is downloaded from a store with an untrusted certificate."""
    with World(tmp_path, store_authority=Authority()) as world:
        verify = world.authority.client_context() if context else world.bundle
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            world.visit(verify=verify)
        assert world.store.seen == []
    assert not list(tmp_path.glob("*.mha"))


# ---------------------------------------------------------------- event loops and threads


def work(client: Client, archive: str, name: str, folder: Path) -> None:
    """Make a case with a value and a file, read it back, and upload something else."""
    path = folder / f"{name}.csv"
    path.write_text(f"{name};1\n")
    values = [SocketValueSpec("word", value=name), SocketValueSpec("table", file=path)]
    item = client.add_case_to_archive(archive_slug=archive, values=values, title=name)
    filled = client.wait_for_values(item, values=values, timeout=60)
    found = {value.interface.slug: value for value in filled.values}
    assert found["word"].value == name
    (table,) = client.download_socket_value(found["table"], output_directory=folder / name)
    assert table.read_text() == f"{name};1\n"
    content = name.encode() * 1000
    upload = client.uploads.upload_fileobj(fileobj=io.BytesIO(content), filename=name)
    assert client.uploads.detail(pk=upload.pk).filename == name
    assert item.pk in {found.pk for found in client.archive_items.iterate_all()}


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox) -> str:
    """Give an archive and the sockets that `work` fills."""
    sandbox.add_socket("word", "String")
    sandbox.add_socket("table", "CSV file")
    return sandbox.add_archive("Environment")


def test_works_inside_a_running_event_loop(client: Client, archive: str, tmp_path: Path) -> None:
    """The client works inside a running event loop and in the loop's threads, as in a notebook."""

    async def main() -> None:
        work(client, archive, "inside", tmp_path)
        await asyncio.gather(
            *(
                asyncio.to_thread(work, client, archive, f"beside {number}", tmp_path)
                for number in range(3)
            )
        )

    asyncio.run(main())


def test_one_client_serves_sixteen_threads(sandbox: Sandbox, archive: str, tmp_path: Path) -> None:
    """Sixteen threads can share one client."""
    start = threading.Barrier(16)

    def run(number: int) -> None:
        start.wait(timeout=30)
        work(client, archive, f"thread {number}", tmp_path)

    with Client(sandbox.token, sandbox.base_url) as client, ThreadPoolExecutor(16) as pool:
        assert list(pool.map(run, range(16))) == [None] * 16
        titles = [str(item.title) for item in client.archive_items.iterate_all()]
    assert sorted(title for title in titles if "thread" in title) == sorted(
        f"thread {number}" for number in range(16)
    )


# ---------------------------------------------------------------- pickles and copies


class Impatient(BaseRetryStrategy):
    """Takes every answer as it is."""

    def get_delay(self, latest_response: httpx.Response) -> None:  # noqa: ARG002 - the name is published
        """Never wait."""
        return


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
            retry_strategy=Impatient,
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
    assert loaded._transport.strategy_factory is Impatient


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
        connect(server, retry_strategy=ONCE, timeout=0.2) as client,
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
        connect(server, retry_strategy=ONCE, timeout=0.2) as client,
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
        with Loopback(in_turn(away)) as server, connect(server) as client:
            fields = {"pk": PK, "image": PK, "file": f"{server.origin}/a.mha", "image_type": "MHD"}
            with pytest.raises(StatusError) as caught:
                client.images.download(
                    files=[ImageFile.from_dict(fields)], output_directory=tmp_path
                )
    assert str(caught.value.request.url) == f"{store.origin}/a.mha"
    assert b"s3cret" not in pickle.dumps(caught.value)


# ---------------------------------------------------------------- logs


def test_presigned_addresses_are_in_no_log(
    client: Client, archive: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No log record of the HTTP libraries has a presigned query, even at level DEBUG."""
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    work(client, archive, "logged", tmp_path)
    lines = [record.getMessage() for record in caplog.records]
    assert [line for line in lines if "X-Amz-" in line] == []
    assert any("PUT" in line and "?… " in line for line in lines if line.startswith("HTTP Request"))
    assert any("(b'location', b'http" in line.lower() and "?…" in line for line in lines)


def test_other_log_records_stay_what_they_are(caplog: pytest.LogCaptureFixture) -> None:
    """Log records of other users of the HTTP library without a secret are not changed."""
    caplog.set_level(logging.DEBUG, logger="httpx")
    with Loopback(in_turn(EMPTY)) as server, connect(server) as client:
        client.archives.count()
        caplog.clear()
        with httpx.Client(verify=False) as other:
            for query in ("?limit=1&signature_of=me", f"?{KEY}"):
                other.get(server.origin + query)
    assert [record.getMessage() for record in caplog.records] == [
        f'HTTP Request: GET {server.origin}?limit=1&signature_of=me "HTTP/1.1 200 OK"',
        f'HTTP Request: GET {server.origin}?… "HTTP/1.1 200 OK"',
    ]
    assert isinstance(caplog.records[0].args, tuple)
    assert isinstance(caplog.records[0].args[1], httpx.URL)
