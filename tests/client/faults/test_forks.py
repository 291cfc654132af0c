"""Clients in forked processes: connections and locks."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections import defaultdict

import pytest

from tests.support.servers.loopback import TOKEN, VERSION, Answer, Loopback, Seen, path_as_json

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

PREPARED = """
import gc, os, sys, threading, urllib.request
from gcapi import Client

base_url, token = sys.argv[1:]
client = Client(token, base_url)

def end_of(child):
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
"""


def run(base_url: str, program: str) -> None:
    """Run a program with a client in a process of its own."""
    whole = PREPARED + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-c", whole, base_url, TOKEN],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def connections_of(server: Loopback) -> dict[str, set[int]]:
    """Return the connections that each process used, by the first part of the paths that it asked for."""
    used: dict[str, set[int]] = defaultdict(set)
    for seen in server.seen:
        used[seen.path.split("/")[3]].add(seen.connection)
    return used


ASK = """
def ask(who, times=3):
    for number in range(times):
        path = f"{who}/{number}/"
        assert client(path=path) == "/api/v1/" + path
"""


def test_child_makes_connections_of_its_own() -> None:
    """The child uses new connections, and its end leaves the parent's open."""
    program = """
        ask("parent")
        child = os.fork()
        if not child:
            ask("child")
            client.close()
            gc.collect()
            os._exit(0)
        end_of(child)
        ask("parent")
        client.close()
    """
    with Loopback(path_as_json) as server:
        run(server.base_url, ASK + textwrap.dedent(program))
    used = connections_of(server)
    assert len(server.seen) == 9
    assert len(used["parent"]) == len(used["child"]) == 1
    assert used["parent"] != used["child"]


def test_what_was_taken_from_the_client_before_follows() -> None:
    """The generated client and namespaces from before the fork use the child's connections."""
    program = """
        raw, archives = client.raw, client.archives
        ask("parent")
        child = os.fork()
        if not child:
            for _ in range(2):
                assert raw.get_httpx_client().request("GET", "/api/v1/child/").json() == "/api/v1/child/"
            os._exit(0)
        end_of(child)
        ask("parent")
    """
    with Loopback(path_as_json) as server:
        run(server.base_url, ASK + textwrap.dedent(program))
    used = connections_of(server)
    assert used["child"].isdisjoint(used["parent"])
    assert len(used["parent"]) == 1


def test_workers_of_a_pool_share_nothing() -> None:
    """The processes of a forked pool share no connection."""
    program = """
        import multiprocessing
        ask("parent")

        def work(_):
            ask(f"worker-{os.getpid()}", 4)

        with multiprocessing.get_context("fork").Pool(3) as pool:
            pool.map(work, range(12), chunksize=1)
        ask("parent")
    """
    with Loopback(path_as_json) as server:
        run(server.base_url, ASK + textwrap.dedent(program))
    used = connections_of(server)
    assert len(server.seen) == 6 + 12 * 4
    connections = [number for numbers in used.values() for number in numbers]
    assert len(connections) == len(set(connections))


def test_locks_of_the_parents_threads_are_free_in_the_child() -> None:
    """A lock that another thread held during the fork is unlocked in the child."""
    arrived, released = threading.Event(), threading.Event()
    checks: list[str] = []

    def script(seen: Seen) -> Answer:
        if seen.path == "/arrived/":
            assert arrived.wait(30)
        if seen.path == "/api/v1/gcapi/":
            checks.append(seen.path)
            arrived.set()
            if len(checks) == 1:
                # The parent's thread keeps the lock until the child has come through.
                assert released.wait(30)
            released.set()
            return Answer(body=VERSION)
        return Answer(body={"count": 7, "next": None, "previous": None, "results": []})

    program = """
        thread = threading.Thread(target=client.archives.count)
        thread.start()
        urllib.request.urlopen(base_url.replace("api/v1/", "arrived/")).read()
        child = os.fork()
        if not child:
            assert client.archives.count() == 7
            os._exit(0)
        end_of(child)
        thread.join()
        assert client.archives.count() == 7
    """
    with Loopback(script, with_version=False) as server:
        run(server.base_url, program)
    assert len(checks) == 2


def test_child_of_a_child_works() -> None:
    """A fork of a forked process works."""
    program = """
        ask("parent")
        child = os.fork()
        if not child:
            ask("child")
            grandchild = os.fork()
            if not grandchild:
                ask("grandchild")
                os._exit(0)
            end_of(grandchild)
            ask("child")
            os._exit(0)
        end_of(child)
    """
    with Loopback(path_as_json) as server:
        run(server.base_url, ASK + textwrap.dedent(program))
    used = connections_of(server)
    assert {who: len(numbers) for who, numbers in used.items()} == {
        "parent": 1,
        "child": 1,
        "grandchild": 1,
    }
    assert len(set.union(*used.values())) == 3
