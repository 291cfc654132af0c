"""The TLS socket whose reads return all available bytes."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from gcapi._http.tls import make_context
from tests.support.servers.private_network import API_HOST, Authority

#: More than the three records that a test sends.
SIZE = 64 * 1024
RECORD = 16 * 1024
#: Seconds that nothing here takes.
LONG = 60.0


class Peer:
    """The other end: makes records, and puts on the wire what a test says.

    Args:
        authority: Who makes its certificate.
        wire: A connection to the client.
    """

    def __init__(self, authority: Authority, wire: socket.socket) -> None:
        self.wire = wire
        self._come, self._made = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = authority.server_context().wrap_bio(self._come, self._made, server_side=True)

    def shake_hands(self) -> None:
        """Complete a handshake."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self.wire.sendall(self._made.read())
                self._come.write(self.wire.recv(SIZE))
            else:
                self.wire.sendall(self._made.read())
                return

    def records(self, data: bytes) -> bytes:
        """Return bytes as they go over the wire."""
        self._tls.write(data)
        return self._made.read()

    def received(self, size: int) -> bytes:
        """Return so many bytes that came."""
        data = b""
        while len(data) < size:
            try:
                data += self._tls.read(size - len(data))
            except ssl.SSLWantReadError:
                self._come.write(self.wire.recv(SIZE))
        return data


@pytest.fixture(scope="module")
def authority() -> Authority:
    """Return the certificate authority of the other end."""
    return Authority()


@pytest.fixture
def ends(
    authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[ssl.SSLSocket, Peer]]:
    """Return a connected socket and the other end."""
    bundle = tmp_path_factory.mktemp("authority") / "ca.pem"
    bundle.write_bytes(authority.pem)
    with ExitStack() as stack:
        ours, theirs = map(stack.enter_context, socket.socketpair())
        for end in (ours, theirs):
            end.settimeout(LONG)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * SIZE)
        peer = Peer(authority, theirs)
        thread = threading.Thread(target=peer.shake_hands)
        thread.start()
        tls = make_context(str(bundle)).wrap_socket(ours, server_hostname=API_HOST)
        thread.join()
        yield stack.enter_context(tls), peer


def test_a_read_takes_all_records(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """One read returns all available records in order, up to the size that was asked for."""
    ours, peer = ends
    data = bytes(range(256)) * (3 * RECORD // 256)
    peer.wire.sendall(peer.records(data))
    assert ours.recv(SIZE) == data
    peer.wire.sendall(peer.records(data))
    assert ours.recv(RECORD + 1) == data[: RECORD + 1]
    assert ours.recv(SIZE) == data[RECORD + 1 :]


def test_a_read_does_not_wait_for_more(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """A read returns the complete records, and leaves an incomplete one to the next read."""
    ours, peer = ends
    first, second = peer.records(b"first"), peer.records(b"second")
    peer.wire.sendall(first + second[:-1])
    assert ours.recv(SIZE) == b"first"
    peer.wire.sendall(second[-1:])
    assert ours.recv(SIZE) == b"second"


def test_a_read_waits_for_something(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """A read without available bytes waits for the timeout."""
    ours, peer = ends
    peer.wire.sendall(peer.records(b"first"))
    assert ours.recv(SIZE) == b"first"
    ours.settimeout(0.01)
    with pytest.raises(TimeoutError):
        ours.recv(SIZE)
    ours.settimeout(LONG)
    later = threading.Thread(target=lambda: peer.wire.sendall(peer.records(b"second")))
    later.start()
    assert ours.recv(SIZE) == b"second"
    later.join()


def test_what_came_before_a_break_is_given(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """Data before a broken connection is returned, and the next read raises the error."""
    ours, peer = ends
    peer.wire.sendall(peer.records(b"whole") + b"no record at all")
    assert ours.recv(SIZE) == b"whole"
    with pytest.raises(ssl.SSLError):
        ours.recv(SIZE)


def test_the_end_is_an_empty_read(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """Data before the end is returned, and the next read is empty."""
    ours, peer = ends
    peer.wire.sendall(peer.records(b"whole"))
    peer.wire.close()
    assert ours.recv(SIZE) == b"whole"
    assert ours.recv(SIZE) == b""


def test_a_write_waits_for_room(ends: tuple[ssl.SSLSocket, Peer]) -> None:
    """A write waits until the other end has room."""
    ours, peer = ends
    peer.wire.sendall(peer.records(b"go on"))
    assert ours.recv(SIZE) == b"go on"
    data = bytes(64 * SIZE)
    sender = threading.Thread(target=ours.sendall, args=(data,))
    sender.start()
    assert peer.received(len(data)) == data
    sender.join()
