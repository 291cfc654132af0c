"""The token is sent to the API only, and never shown."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import GCAPIError
from gcapi.models import ImageFile
from gcapi_sandbox import Sandbox
from grand_challenge_api.api.archives import archives_list
from tests.support.servers.loopback import TOKEN, Answer, Loopback, Seen, connect, in_turn

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
EMPTY = Answer(body={"count": 0, "next": None, "previous": None, "results": []})


def shown(thing: object) -> str:
    """Return all representations of an object."""
    return f"{thing!r} {thing!s} {thing:}"


# ---------------------------------------------------------------- what shows


def test_client_and_its_parts_show_no_token() -> None:
    """No representation of a client or its attributes contains the token."""
    with Loopback(in_turn(EMPTY)) as server, connect(server) as client:
        client.archives.count()
        parts = [client, client.raw, client._settings, client._transport, client._calls]
        parts += [client._transport.api, client._transport.storage, client.archives, vars(client)]
        assert TOKEN not in " ".join(map(shown, parts))


FAILURES: dict[str, Answer] = {
    "401": Answer(status=401, body={"detail": "Invalid token."}),
    "403": Answer(status=403, body={"detail": "No."}),
    "404": Answer(status=404, body=b"<!doctype html>"),
    "500": Answer(status=500, body=b"<!doctype html>"),
    "a redirect": Answer(status=301, headers={"Location": "/api/v1/elsewhere/"}),
    "a redirect away": Answer(status=302, headers={"Location": "http://example.org/"}),
    "broken JSON": Answer(body=b"{", headers={"Content-Type": "application/json"}),
    "a broken connection": Answer(reset=True),
    "half an answer": Answer(body=b"{}", length=10, headers={"Content-Type": "application/json"}),
}
CALLS: dict[str, Callable[[Client], object]] = {
    "namespace": lambda client: client.archives.count(),
    "raw call": lambda client: client("POST", path="archives/", json={"a": "b"}),
    "followed": lambda client: client(path="archives/", follow_redirects=True),
}


def failure(call: str, answer: Answer) -> Exception:
    """Return the error of a call that fails."""
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        with pytest.raises((GCAPIError, httpx.TransportError, RuntimeError)) as caught:
            CALLS[call](client)
        return caught.value


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", FAILURES)
def test_errors_show_no_token(call: str, how: str) -> None:
    """Errors, their tracebacks and requests do not contain the token."""
    error = failure(call, FAILURES[how])
    text = shown(error) + "".join(traceback.format_exception(error)) + repr(vars(error))
    for holder in (error, getattr(error, "response", None)):
        request = getattr(holder, "_request", None)
        text += repr(getattr(request, "headers", {})) + str(dict(getattr(request, "headers", {})))
    assert TOKEN not in text


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", FAILURES)
def test_pickled_errors_hold_no_token(call: str, how: str) -> None:
    """Pickled errors keep their message and do not contain the token."""
    error = failure(call, FAILURES[how])
    pickled = pickle.dumps(error)
    assert TOKEN.encode() not in pickled
    again = pickle.loads(pickled)
    assert (type(again), str(again)) == (type(error), str(error))


def test_copied_errors_hold_no_token() -> None:
    """The request of a copied error has neither an Authorization header nor a body."""
    error: Any = copy.copy(failure("raw call", FAILURES["403"]))
    assert "authorization" not in error.request.headers
    assert "authorization" not in error.response.request.headers
    assert error.request.read() == b""


def test_connections_that_fail_show_no_token() -> None:
    """The request of a connection error does not contain the token."""
    with Loopback(in_turn(EMPTY)) as server:
        pass
    with connect(server) as client, pytest.raises(httpx.ConnectError) as caught:
        client.archives.count()
    assert "authorization" not in caught.value.request.headers
    assert TOKEN.encode() not in pickle.dumps(caught.value)


def test_refused_addresses_show_no_token() -> None:
    """The error for a request that was not sent does not contain the token."""
    with Client(TOKEN) as client, pytest.raises(RuntimeError) as caught:
        client(url="https://example.org/")
    assert TOKEN not in shown(caught.value)
    assert TOKEN.encode() not in pickle.dumps(caught.value)


def test_wrong_settings_show_no_token() -> None:
    """An error of the constructor does not contain the token."""
    with pytest.raises(RuntimeError) as caught:
        Client(f"{TOKEN} {TOKEN} {TOKEN}")
    assert TOKEN not in shown(caught.value)
    with pytest.raises(RuntimeError) as caught:
        Client(TOKEN, base_url="http://example.org/")
    assert TOKEN not in shown(caught.value)


# ---------------------------------------------------------------- whole workflows


def workflow(sandbox: Sandbox, client: Client, folder: Path, name: str) -> None:
    """Upload and import a case, run a job, and download the result."""
    archive = sandbox.add_archive(f"{name} archive")
    image = sandbox.add_socket(f"{name} image")
    table = sandbox.add_socket(f"{name} table", "CSV file")
    count = sandbox.add_socket(f"{name} count", "Integer")

    def run(_: Path, output: Path) -> None:
        (output / f"{count}.json").write_text("3")

    algorithm = sandbox.add_algorithm(
        f"{name} algorithm", interfaces=[([image], [count])], run=run, users=["sandbox"]
    )
    (folder / "a.csv").write_text("a;b")
    header = b"ObjectType = Image\nNDims = 2\nDimSize = 2 2\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    (folder / "a.mha").write_bytes(header + b"\0\1\2\3")
    values = [
        SocketValueSpec(image, file=folder / "a.mha"),
        SocketValueSpec(table, file=folder / "a.csv"),
    ]
    item = client.add_case_to_archive(archive_slug=archive, values=values, title=name)
    filled = client.wait_for_values(item, values=values, timeout=60)
    for value in filled.values:
        assert client.download_socket_value(value, output_directory=folder / name)
    url = next(value.image for value in filled.values if value.image)
    client.images.download(url=url, output_directory=folder, filename=name)
    inputs = [SocketValueSpec(image, existing_image_api_url=url)]
    result = client.run_algorithm(
        algorithm_slug=algorithm, inputs=inputs, output_directory=folder / "out", timeout=60
    )
    assert result.job.status == "Succeeded"
    client.uploads.upload_fileobj(fileobj=io.BytesIO(b"x"), filename="x")


def test_storage_sees_no_token_in_a_whole_workflow(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """No request to the object store has an Authorization header."""
    sandbox.requests.clear()
    workflow(sandbox, client, tmp_path, "Quiet")
    storage = [seen for seen in sandbox.requests if seen.origin == "storage"]
    assert {seen.authorization for seen in storage} == {""}
    assert {seen.method for seen in storage} == {"GET", "PUT"}
    api = [seen for seen in sandbox.requests if seen.origin == "api"]
    bare = {seen.path for seen in api if seen.authorization != "Bearer"}
    assert bare <= {"/api/v1/gcapi/"}


def test_logs_show_no_token(
    sandbox: Sandbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """No log record of any library contains the token, at any level."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "gcapi"):
        caplog.set_level(logging.DEBUG, logger=name)
    with Client(sandbox.token, sandbox.base_url) as client:
        workflow(sandbox, client, tmp_path, "Talkative")
        with pytest.raises(GCAPIError):
            client(path="no/such/page/")
    talked = {record.name.partition(".")[0] for record in caplog.records}
    assert {"httpx", "httpcore"} <= talked
    records = " ".join(f"{record.getMessage()} {record.args!r}" for record in caplog.records)
    assert sandbox.token not in records


# ---------------------------------------------------------------- where it goes


def test_cookies_are_not_kept() -> None:
    """Cookies of the API are not sent back."""
    cookie = {"Set-Cookie": "sessionid=abc; Path=/", "Content-Type": "application/json"}
    with (
        Loopback(in_turn(Answer(body=EMPTY.body, headers=cookie))) as server,
        connect(server) as client,
    ):
        client.archives.count()
        client(path="archives/")
        archives_list.sync(client=client.raw)
        client.archives.count()
        assert not client._transport.api.cookies
    assert len(server.seen) == 4
    assert [seen.header("Cookie") for seen in server.seen] == [""] * 4


def test_cookies_of_the_store_are_not_kept(tmp_path: Path) -> None:
    """Cookies of the object store are not sent back."""
    with Loopback(in_turn(Answer(body=b"x", headers={"Set-Cookie": "a=b; Path=/"}))) as store:

        def redirect(seen: Seen) -> Answer:
            return Answer(status=302, headers={"Location": store.origin + seen.path})

        with Loopback(redirect) as server, connect(server) as client:
            for number in range(2):
                fields = {"pk": PK, "image": PK, "file": f"{server.origin}/{number}.mha"}
                file = ImageFile.from_dict({**fields, "image_type": "MHD"})
                client.images.download(
                    files=[file], output_directory=tmp_path, filename=str(number)
                )
    files = [seen for seen in store.seen if seen.path.endswith(".mha")]
    assert [seen.header("Cookie") for seen in files] == ["", ""]
    assert [seen.header("Authorization") for seen in files] == ["", ""]


def test_version_check_has_no_token() -> None:
    """The version check is sent without the token."""
    refusing = Loopback(in_turn(Answer(status=404)), with_version=False)
    with refusing as server, connect(server) as client, pytest.raises(GCAPIError):
        client.archives.count()
    assert [seen.header("Authorization") for seen in server.seen] == [""]


def test_presigned_keys_show_in_no_message(tmp_path: Path) -> None:
    """No message contains the query of a presigned URL, which is a credential."""
    with Loopback(in_turn(Answer(status=403, body=b"<Error/>"))) as store:
        key = "X-Amz-Signature=s3cret"
        away = Answer(status=302, headers={"Location": f"{store.origin}/a.mha?{key}"})
        with Loopback(in_turn(away)) as server, connect(server) as client:
            fields = {"pk": PK, "image": PK, "file": f"{server.origin}/a.mha", "image_type": "MHD"}
            with pytest.raises(GCAPIError) as caught:
                client.images.download(
                    files=[ImageFile.from_dict(fields)], output_directory=tmp_path
                )
    assert "s3cret" not in str(caught.value)


def test_token_of_the_generated_client_stays_here() -> None:
    """The generated client does not send requests to other origins either."""
    with (
        Loopback(in_turn(EMPTY)) as other,
        Loopback(in_turn(EMPTY)) as server,
        connect(server) as client,
        pytest.raises(RuntimeError),
    ):
        client.raw.get_httpx_client().request("GET", f"{other.origin}/api/v1/archives/")
    assert other.seen == []
