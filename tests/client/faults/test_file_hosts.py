"""The hosts that the server names for files: none of them is inside a private network, unless the server is."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gcapi import Client
from gcapi._http.file_hosts import is_private
from gcapi.exceptions import InvalidTarget
from gcapi.models import ImageFile
from tests.support.api_objects import PK
from tests.support.servers.loopback import (
    NO_RETRIES,
    TOKEN,
    Answer,
    Loopback,
    Seen,
    connect,
    in_turn,
)
from tests.support.servers.private_network import API_HOST, STORE_HOST, Authority, Proxy

#: What a hostile server must not learn.
SECRET = b"secret of this machine"


class PublicApi:
    """An API that seems to be on the internet, since a proxy leads to it, and that redirects files anywhere.

    Attributes:
        location: Where the files are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        (folder / "ca.pem").write_bytes(self.authority.pem)
        self.location = ""
        self.api = Loopback(self._script, tls=self.authority.server_context())
        self.internal = Loopback(in_turn(Answer(body=SECRET)), with_version=False)
        self.internal_tls = Loopback(
            in_turn(Answer(body=SECRET)), tls=self.authority.server_context(), with_version=False
        )

    def _script(self, _: Seen) -> Answer:
        return Answer(status=302, headers={"Location": self.location})

    def download(self) -> bytes:
        """Download a file, and return its content."""
        base_url = self.api.base_url.replace("localhost", API_HOST)
        root = base_url.partition("/api/")[0]
        fields: dict[str, Any] = {"pk": PK, "image": PK, "image_type": "MHD"}
        file = ImageFile.from_dict({**fields, "file": f"{root}/media/a.mha"})
        with Client(
            TOKEN, base_url, verify=self.folder / "ca.pem", retry_strategy=NO_RETRIES
        ) as client:
            (path,) = client.images.download(
                files=[file], output_directory=self.folder, filename="a"
            )
        return path.read_bytes()


@pytest.fixture
def public(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublicApi]:
    """Give an API behind a proxy, and two services of this machine that are not behind it."""
    world = PublicApi(tmp_path)
    with world.api, world.internal, world.internal_tls, Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.origin)
        monkeypatch.setenv("NO_PROXY", f"localhost,127.0.0.1,{STORE_HOST}")
        yield world


def test_internal_services_are_not_read_for_a_public_server(public: PublicApi) -> None:
    """A file at an address of this machine is not requested, whether http or https."""
    for service in (public.internal, public.internal_tls):
        public.location = f"{service.origin}/secret"
        with pytest.raises(InvalidTarget, match="is not fetched"):
            public.download()
        assert service.seen == []


def test_names_are_checked_after_they_are_resolved(
    public: PublicApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A public name that resolves to an address of this machine is connected to, and nothing is sent."""
    resolve = socket.getaddrinfo

    def answer(host: Any, *args: Any, **options: Any) -> Any:
        return resolve(
            "127.0.0.1" if host in {STORE_HOST, STORE_HOST.encode()} else host, *args, **options
        )

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    public.location = public.internal_tls.origin.replace("localhost", STORE_HOST) + "/secret"
    with pytest.raises(
        InvalidTarget, match=r"127\.0\.0\.1 is an address of this machine"
    ) as caught:
        public.download()
    assert public.internal_tls.seen == []
    # Only the user can say that this is a private endpoint of the store.
    assert f"GCAPI_PRIVATE_FILE_HOSTS={STORE_HOST}" in str(caught.value)
    monkeypatch.setenv("GCAPI_PRIVATE_FILE_HOSTS", f"localhost, {STORE_HOST}")
    assert public.download() == SECRET
    (public.folder / "a.mha").unlink()
    public.location = f"{public.internal_tls.origin}/secret"
    with pytest.raises(InvalidTarget):
        public.download()


def test_every_hop_is_checked(public: PublicApi) -> None:
    """A store that redirects further is checked like the first one."""
    away = Answer(status=302, headers={"Location": f"{public.internal.origin}/secret"})
    tls = public.authority.server_context("cdn.example.test")
    with Loopback(in_turn(away), tls=tls, with_version=False) as store:
        # A name that only the proxy resolves, so that the first hop is taken.
        public.location = store.origin.replace("localhost", "cdn.example.test") + "/file"
        with pytest.raises(InvalidTarget, match="not https"):
            public.download()
    assert public.internal.seen == []


def test_a_server_of_this_machine_may_name_its_own_store(tmp_path: Path) -> None:
    """If the base URL is on this machine, so may be its files."""
    with Loopback(in_turn(Answer(body=b"content")), with_version=False) as store:
        away = Answer(status=302, headers={"Location": f"{store.origin}/file"})
        with Loopback(in_turn(away)) as api, connect(api) as client:
            fields = {"pk": PK, "image": PK, "image_type": "MHD"}
            file = ImageFile.from_dict({**fields, "file": f"{api.origin}/media/a.mha"})
            (path,) = client.images.download(files=[file], output_directory=tmp_path, filename="a")
    assert path.read_bytes() == b"content"


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("10.1.2.3", True),
        ("169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("100.64.0.1", True),
        ("0.0.0.0", True),
        ("52.95.148.10", False),
        ("2a05:d07c:2000::1", False),
        ("files.example", False),
    ],
)
def test_private_addresses(host: str, private: bool) -> None:
    """Addresses of this machine, of private networks and of links are private."""
    assert is_private(host) == private


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "ALL_PROXY"])
def test_token_is_not_sent_to_a_proxy_in_clear(
    variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server of this machine over http is reached directly, whatever proxies the environment names."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with Proxy() as proxy, Loopback(in_turn(Answer(body={"count": 0, "results": []}))) as server:
        monkeypatch.setenv(variable, proxy.origin)
        with connect(server) as client:
            assert client.archives.count() == 0
        assert proxy.seen == []
        assert server.seen[-1].header("Authorization") == f"Bearer {TOKEN}"
