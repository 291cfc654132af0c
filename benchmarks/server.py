"""The benchmark's server: an API and an object store on two loopback ports, over TLS, behind a simulated link.

`run.py` runs it. It prints a line of JSON when it is ready, responds to each line on standard input with a line of
JSON (its counts since the previous line), and ends with standard input.
"""

from __future__ import annotations

import argparse
import json
import os
import ssl
import sys
import threading

import trustme
from wire import Link, Origin
from world import API, OBJECTS, World, large_md5


def main() -> None:
    """Serve until standard input ends."""
    options = _options()
    # It ends even if the parent process is killed.
    end = threading.Timer(options.life, os._exit, (1,))
    end.daemon = True
    end.start()
    link = Link(options.latency_ms / 1000, options.rate_mb * 1e6)
    context, authority = _tls()
    api = Origin(context, link, hashes=False)
    store = Origin(context, link, hashes=True)
    world = World(api.url, store.url)
    api.handler, store.handler = world.api, world.store
    large_md5()
    for origin in (api, store):
        origin.start()
    _say(
        {
            "base_url": f"{api.url}{API}/",
            "store_url": store.url,
            "authority": authority,
            "objects": OBJECTS,
        }
    )
    for command in sys.stdin:
        # Check the uploads before responding, so that no work is left when the next client starts.
        counts = {"api": api.counts.take(), "store": store.counts.take()}
        if command.strip() == "count":
            _say(counts)
            continue
        _say({**counts, "filled": world.count_filled(), "uploads": world.take_uploads()})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="of every request")
    parser.add_argument("--rate-mb", type=float, default=0.0, help="MB/s a connection; 0: no limit")
    parser.add_argument("--life", type=float, default=3600.0, help="seconds after which it ends")
    return parser.parse_args()


def _tls() -> tuple[ssl.SSLContext, str]:
    """Return TLS settings with a throw-away certificate, and its authority as PEM."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context, authority.cert_pem.bytes().decode()


def _say(content: object) -> None:
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    main()
