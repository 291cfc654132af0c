"""Fault injection: every fault, the seed, and protection from web pages."""

from __future__ import annotations

import json
import socket
import time
from contextlib import contextmanager
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import pytest

from gcapi_sandbox import Faults, RecordedRequest, Rule, Sandbox
from tests.support.servers.raw_http import Web, image_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ITEMS = "/api/v1/archives/items/"


@pytest.fixture(autouse=True)
def _clear(sandbox: Sandbox) -> Iterator[None]:
    """Clear the faults before and after each test, and add a socket for files."""
    if sandbox.is_new:
        sandbox.add_socket("Table", "CSV file")
        sandbox.add_socket("Picture")
    yield
    sandbox.faults = Faults()


@pytest.fixture
def control(sandbox: Sandbox) -> Iterator[httpx.Client]:
    """Return an HTTP client without a token for the faults."""
    with httpx.Client(base_url=sandbox.base_url.removesuffix("/api/v1/")) as client:
        yield client


def faults_with(**rule: Any) -> Faults:
    """Return faults with one rule."""
    return Faults(rules=(Rule(**rule),))


def count_items(web: Web) -> int:
    """Return the number of archive items."""
    return web.get("archives/items/", archive=web.archive("cases")["pk"])["count"]


def create(web: Web) -> httpx.Response:
    """Create an archive item."""
    return web.api.post("archives/items/", json={"archive": web.archive("cases")["api_url"]})


def stored(web: Web, content: bytes) -> str:
    """Return the presigned URL of a file."""
    path = web.item()
    web.patch(path, {"interface": "table", "user_upload": web.upload("a.csv", content)})
    return web.api.get(web.values(path)["table"]["file"]).headers["Location"]


def raw_response(url: str) -> tuple[bytes, bytes, type[OSError] | None]:
    """Return the head and the body of a response as received, and the error that ended it."""
    parts = urlsplit(url)
    request = f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        connection.sendall(request.encode())
        data = b""
        try:
            while piece := connection.recv(65536):
                data += piece
        except ConnectionResetError as error:
            return *_split(data), type(error)
        return *_split(data), None


def _split(data: bytes) -> tuple[bytes, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    return head, body


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("failure", ["status", "reset"])
def test_failures_before_and_after_acting(web: Web, failure: str, when: str, created: int) -> None:
    """A failure happens instead of the operation, or instead of its response."""
    create(web)
    before = count_items(web)
    web.sandbox.faults = faults_with(
        path=ITEMS, method="POST", failure=failure, when=when, status=429, retry_after=7, times=1
    )
    if failure == "status":
        reply = create(web)
        assert (reply.status_code, reply.headers["Retry-After"]) == (429, "7")
        assert reply.headers["Content-Type"].startswith("text/html")
    else:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            create(web)
    assert (web.sandbox.struck, count_items(web)) == ([1], before + created)
    assert create(web).status_code == 201


def test_truncated_responses(web: Web) -> None:
    """A truncated body ends early, and one that is reset midway ends with a TCP reset."""
    content = bytes(range(256)) * 1000
    url = stored(web, content)
    web.sandbox.faults = faults_with(origin="storage", failure="truncate")
    head, body, error = raw_response(url)
    assert b"content-length: 256000" in head.lower()
    assert (body, error) == (content[:128_000], None)
    web.sandbox.faults = faults_with(origin="storage", failure="reset midway")
    head, body, error = raw_response(url)
    assert error is ConnectionResetError
    assert len(body) <= 128_000
    assert content.startswith(body)
    web.sandbox.faults = Faults()
    assert httpx.get(url).content == content


def test_empty_responses_are_not_sent(web: Web) -> None:
    """If the response has no body, the operation is carried out and the connection ends without a response."""
    upload, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    web.sandbox.faults = faults_with(origin="storage", failure="truncate", times=1)
    with pytest.raises(httpx.RemoteProtocolError):
        web.storage.put(url, content=b"part")
    (part,) = web.get(f"{path}list-parts/")["parts"]
    assert (part["Size"], upload["status"]) == (4, "Initialized")


def test_latency_and_rate(web: Web) -> None:
    """A request is delayed by the latency, and the rate limits the transfer in both directions."""
    url = stored(web, bytes(20_000))
    _, path = web.create_upload()
    target = web.presign(path, 1)["1"]
    for rule, ask, least in (
        ({"latency": 0.3}, lambda: web.storage.get(url), 0.3),
        ({"rate": 50_000}, lambda: web.storage.get(url), 0.4),
        ({"rate": 50_000}, lambda: web.storage.put(target, content=bytes(20_000)), 0.4),
    ):
        web.sandbox.faults = faults_with(**rule)
        begin = time.monotonic()
        assert ask().status_code == 200
        assert time.monotonic() - begin >= least
        web.sandbox.faults = Faults()
    assert web.storage.get(url).content == bytes(20_000)


def test_expired_links(web: Web) -> None:
    """Presigned URLs in a struck response are expired, and the next ones are valid."""
    url = stored(web, b"a,b")
    key = urlsplit(url).path.removeprefix("/")
    _, path = web.create_upload()
    web.sandbox.faults = faults_with(origin="api", links="expired", times=2)
    expired = [
        web.storage.put(web.presign(path, 1)["1"], content=b"x"),
        web.storage.get(
            httpx.get(
                f"{web.sandbox.base_url.removesuffix('api/v1/')}{key}",
                headers=web.api.headers,
            ).headers["Location"]
        ),
    ]
    assert [reply.status_code for reply in expired] == [403, 403]
    assert all("Request has expired" in reply.text for reply in expired)
    assert web.put(web.presign(path, 1)["1"], b"x")


def test_limits_apply_while_faults_are_set(web: Web, control: httpx.Client) -> None:
    """A limit of the faults applies as long as they are set."""
    assert control.post("/_sandbox/faults", json={"limits": {"uploads_per_user": 0}}).is_success
    refused = web.api.post("uploads/", json={"filename": "a"})
    assert "too many uploads" in refused.text
    assert web.sandbox.limits.uploads_per_user == 0
    assert control.delete("/_sandbox/faults").json() == {"faults": Faults().as_json(), "struck": []}
    assert web.api.post("uploads/", json={"filename": "a"}).status_code == 201


def test_imports_are_delayed(tmp_path: Path) -> None:
    """Imports are delayed, and the next sandbox finishes an import that was waiting at the end."""
    with Sandbox(tmp_path) as first:
        first.add_socket("Picture")
        web = Web(first)
        path, upload = web.item(), web.upload("scan.mha", image_bytes())
        first.faults = Faults(import_seconds=3600)
        web.patch(path, {"interface": "picture", "user_uploads": [upload]})
        with pytest.raises(TimeoutError):
            first.wait_idle(0.3)
        assert web.get(path)["values"] == []
        web.close()
    with Sandbox(tmp_path) as second:
        web = Web(second)
        assert web.values(path).keys() == {"picture"}
        web.close()


def test_the_seed_decides(web: Web) -> None:
    """The same seed strikes the same requests, another seed others, and skipped requests pass."""

    def schedule(seed: int) -> list[int]:
        rule = Rule(path="*/gcapi/", failure="status", status=502, probability=0.5, skip=3)
        web.sandbox.faults = Faults(seed=seed, rules=(rule,))
        return [web.api.get("gcapi/").status_code for _ in range(30)]

    first = schedule(1)
    assert first[:3] == [200, 200, 200]
    assert {200, 502} == set(first[3:])
    assert first.count(502) == web.sandbox.struck[0]
    assert schedule(1) == first
    assert schedule(2) != first


def test_rules_add_up(web: Web) -> None:
    """A rule selects by origin, method and path; all rules that strike apply, with the first failure."""
    web.sandbox.faults = Faults(
        rules=(
            Rule(origin="storage", failure="status", status=500),
            Rule(method="DELETE", failure="status", status=501),
            Rule(path="/api/v1/gcapi/", latency=0.01),
            Rule(path="*/gcapi/*", failure="status", status=502),
            Rule(failure="status", status=503),
        )
    )
    assert web.api.get("gcapi/").status_code == 502
    assert web.api.get("archives/").status_code == 503
    assert web.sandbox.struck == [0, 0, 1, 1, 2]


def test_half_a_body_ends_like_a_whole_one(web: Web) -> None:
    """Half of a response has the length of the half, and its connection goes on."""
    whole = web.api.get("gcapi/").content
    web.sandbox.faults = faults_with(failure="half", times=1)
    half, again = (web.api.get("gcapi/") for _ in range(2))
    assert (half.status_code, half.content) == (200, whole[: len(whole) // 2])
    assert again.content == whole


@pytest.mark.parametrize("failure", ["status", "reset"])
def test_requests_that_are_carried_out_later(web: Web, failure: str) -> None:
    """A request is carried out after its failure, and counts as background work until then."""
    before = count_items(web)
    web.sandbox.faults = faults_with(
        path=ITEMS, method="POST", failure=failure, when="later", status=504, latency=0.2
    )
    if failure == "status":
        assert create(web).status_code == 504
    else:
        with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
            create(web)
    assert count_items(web) == before
    web.sandbox.wait_idle()
    assert count_items(web) == before + 1


def test_stale_responses(web: Web) -> None:
    """A stale response is that to the same request before; without one, the response is a new one."""
    web.sandbox.faults = faults_with(
        path=ITEMS, method="GET", failure="stale", per="kind", skip=1, times=1
    )
    before = count_items(web)
    create(web)
    assert [count_items(web) for _ in range(2)] == [before, before + 1]
    web.sandbox.faults = faults_with(path=ITEMS, method="GET", failure="stale")
    assert count_items(web) == before + 1


def test_responses_in_place_of_the_servers(web: Web) -> None:
    """A failure `status` can have any body, as that of a login page or of an error of the API."""
    web.sandbox.faults = Faults(
        rules=(
            Rule(failure="status", status=200, body="<h1>Log in</h1>", times=1),
            Rule(failure="status", status=403, body='{"detail": "No."}', content_type="text/json"),
        )
    )
    login, refusal = (web.api.get("gcapi/") for _ in range(2))
    assert (login.status_code, login.text) == (200, "<h1>Log in</h1>")
    assert (refusal.status_code, refusal.json()) == (403, {"detail": "No."})
    assert refusal.headers["Content-Type"] == "text/json; charset=utf-8"


def test_kinds_of_requests_are_counted_apart(web: Web) -> None:
    """A rule per kind meets each kind of request in the same way, in whatever order they arrive."""
    paths = ["gcapi/", f"uploads/{web.create_upload()[0]['pk']}/", "archives/"]
    rule = Rule(origin="api", per="kind", failure="status", probability=0.5, skip=1, times=3)

    def statuses(order: list[str]) -> dict[str, list[int]]:
        web.sandbox.faults = Faults(seed=3, rules=(rule,))
        found: dict[str, list[int]] = {path: [] for path in paths}
        for path in order:
            found[path].append(web.api.get(path).status_code)
        return found

    one_by_one = statuses([path for path in paths for _ in range(20)])
    assert all(each[0] == 200 and each.count(503) == 3 for each in one_by_one.values())
    assert len({tuple(each) for each in one_by_one.values()}) > 1
    assert web.sandbox.struck == [9]
    assert statuses(paths * 20) == one_by_one
    other = web.create_upload()[0]["pk"]
    assert web.api.get(f"uploads/{other}/").status_code == 200  # of the same kind as the first


def test_the_budget_limits_failures_but_not_delays(web: Web) -> None:
    """After as many failing requests as the budget has, no request fails, and delays go on."""
    rules = (Rule(latency=0.001), Rule(failure="status", times=1), Rule(failure="reset", skip=1))
    web.sandbox.faults = Faults(budget=2, rules=rules)
    assert web.api.get("gcapi/").status_code == 503
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        web.api.get("gcapi/")
    assert web.api.get("gcapi/").status_code == 200
    assert web.sandbox.struck == [3, 1, 1]


def test_the_clock_jumps(web: Web) -> None:
    """The server's times follow its clock: those of responses and of objects, and the ends of lifetimes."""

    def server_time(reply: httpx.Response) -> datetime:
        return parsedate_to_datetime(reply.headers["Date"])

    def jump(seconds: float) -> datetime:
        web.sandbox.faults = faults_with(clock_jump=seconds, times=1)
        return server_time(web.api.get("gcapi/"))

    day = timedelta(days=1)
    before, _ = web.create_upload()
    _, path = web.create_upload()
    url = web.presign(path, 1)["1"]
    start = server_time(web.api.get("gcapi/"))
    assert abs(jump(-day.total_seconds()) - (start - day)) < timedelta(minutes=1)
    earlier, _ = web.create_upload()
    assert datetime.fromisoformat(earlier["created"]) < start - day / 2
    assert abs(jump(2 * 3600) - (start + day / 12)) < timedelta(minutes=1)
    assert web.storage.put(url, content=b"late").status_code == 403
    jump(86_400 + 60)
    assert web.api.get(before["api_url"]).status_code == 404
    web.sandbox.faults = Faults(clock_offset=-60)
    assert server_time(web.api.get("gcapi/")) < start
    web.sandbox.faults = Faults()
    assert start <= server_time(web.api.get("gcapi/")) < start + timedelta(minutes=1)


def test_a_struck_request_is_shown_before_its_fault(web: Web) -> None:
    """A function is called with each rule and its request, which waits for it, and can pause the faults."""
    seen: list[tuple[str, int, int]] = []
    rule = Rule(method="POST", path=ITEMS, failure="status", when="after")

    def on_strike(struck: Rule, request: RecordedRequest) -> None:
        assert struck is rule
        web.sandbox.are_faults_paused = True
        seen.append((request.path, request.status, count_items(web)))
        assert create(web).status_code == 201
        web.sandbox.are_faults_paused = False

    before = count_items(web)
    web.sandbox.faults, web.sandbox.on_strike = Faults(rules=(rule,)), on_strike
    assert create(web).status_code == 503
    web.sandbox.on_strike = None
    assert (seen, count_items(web)) == ([(ITEMS, 0, before)], before + 2)
    assert [one.faults for one in web.sandbox.requests if one.method == "POST"][-2:] == [
        (rule,),
        (),
    ]


def test_http_and_python_are_equivalent(sandbox: Sandbox, control: httpx.Client) -> None:
    """Faults set over HTTP equal those set in Python, and are returned unchanged."""
    faults = Faults(
        seed=7, rules=(Rule(times=0, path="/x"), Rule(rate=5, times=0)), limits={"credits": 3}
    )
    reply = control.post("/_sandbox/faults", json=faults.as_json())
    assert reply.json() == {"faults": faults.as_json(), "struck": [0, 0]}
    assert sandbox.faults == faults
    assert control.get("/_sandbox/faults").json() == reply.json()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "must be a mapping"),
        (
            {"rule": []},
            "rule: is unknown; known are seed, rules, budget, import_seconds, clock_offset, limits",
        ),
        ({"rules": {}}, "rules: must be a list"),
        ({"rules": [{}, {"failure": "explode"}]}, "rules[1].failure: must be one of 'none'"),
        ({"rules": [{"status": "502"}]}, "rules[0].status: must be an integer, is '502'"),
        ({"rules": [{"status": 199}]}, "rules[0]: status must be from 200 to 599"),
        ({"rules": [{"per": "path"}]}, "rules[0].per: must be one of 'rule', 'kind'"),
        ({"rules": [{"clock_jump": -1e10}]}, "clock_jump must be at most 1000000000 s either way"),
        ({"budget": -1}, "budget must be at least 0"),
        ({"clock_offset": 1e10}, "clock_offset must be at most 1000000000 s either way"),
        ({"rules": [{"probability": 2}]}, "probability must be at most 1"),
        ({"rules": [{"times": True}]}, "rules[0].times: must be an integer"),
        ({"rules": [{"rate": 0}]}, "rate must be at least 1"),
        ({"limits": {"patience": 1}}, "limits.patience is unknown; known are uploads_per_user"),
        ({"import_seconds": float("inf")}, "import_seconds: must be finite"),
    ],
)
def test_invalid_faults_are_refused(control: httpx.Client, body: Any, message: str) -> None:
    """Invalid faults are refused with their key path and the allowed values, and change nothing."""
    headers = {"Content-Type": "application/json"}
    reply = control.post("/_sandbox/faults", content=json.dumps(body), headers=headers)
    assert reply.status_code == 400
    assert message in reply.json()["detail"]
    assert control.get("/_sandbox/faults").json()["faults"] == Faults().as_json()


@contextmanager
def _nothing_set(control: httpx.Client) -> Iterator[None]:
    yield
    assert control.get("/_sandbox/faults").json()["faults"] == Faults().as_json()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
        ({"Origin": "https://example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Host": "rebound.example.org"}, 403),
        ({"Host": "127.0.0.1.example.org:80"}, 403),
        ({"Host": "localhost:1@example.org"}, 403),
    ],
)
def test_web_pages_cannot_set_faults(
    control: httpx.Client, headers: dict[str, str], status: int
) -> None:
    """A request that a web page can send is refused, and a CORS preflight is not allowed."""
    body = json.dumps(faults_with(latency=60).as_json())
    with _nothing_set(control):
        headers = {"Content-Type": "application/json", **headers}
        reply = control.post("/_sandbox/faults", content=body, headers=headers)
        assert reply.status_code == status
        preflight = control.options("/_sandbox/faults", headers=headers)
        assert preflight.status_code in (403, 405)
        assert not [name for name in preflight.headers if name.startswith("access-control")]
