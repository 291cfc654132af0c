"""Measure the benchmark's server with bare sockets, to show that it does not limit the clients.

`run.py` runs it in a process of its own: `ceiling.py upload|download`, with a JSON object on standard input.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from http.client import HTTPSConnection
from urllib.parse import urlsplit

import pattern
from sizes import CONNECTIONS, LARGE

_SHARE = LARGE // CONNECTIONS
_PIECE = 256 * 1024


class Bare:
    """A connection to the object store."""

    def __init__(self, url: str, context: ssl.SSLContext) -> None:
        parts = urlsplit(url)
        self._connection = HTTPSConnection(parts.hostname or "", parts.port, context=context)

    def upload(self, _: int) -> None:
        """Send a share of the large file."""
        body = pattern.stretch(0, _SHARE, _PIECE)
        self._connection.request("PUT", "/scratch", body, {"Content-Length": str(_SHARE)})
        self._finish(200)

    def download(self, number: int) -> None:
        """Receive a share of the large file."""
        first = number * _SHARE
        wanted = {"Range": f"bytes={first}-{first + _SHARE - 1}"}
        self._connection.request("GET", "/media/from-0.mha", headers=wanted)
        self._finish(206)

    def _finish(self, expected: int) -> None:
        response = self._connection.getresponse()
        if response.status != expected:
            raise SystemExit(f"The server answered {response.status} in place of {expected}.")
        buffer = bytearray(_PIECE)
        while response.readinto(buffer):
            pass
        self._connection.close()


def measure(work: str, url: str, authority: str) -> float:
    """Return the seconds that all connections together need."""
    context = ssl.create_default_context(cadata=authority)
    threads = [
        threading.Thread(target=getattr(Bare(url, context), work), args=(number,))
        for number in range(CONNECTIONS)
    ]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


if __name__ == "__main__":
    print(json.dumps({"seconds": measure(sys.argv[1], **json.load(sys.stdin))}))
