"""Servers that are newer or older than this release."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import AuthenticationError, GCAPIError, NotFoundError, UnexpectedAnswer
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, Seen, connect
from tests.support.servers.relay import relay

#: Fields with arbitrary content: the user's values, and URLs by part number.
_MAPS = frozenset({"value", "answer", "presigned_urls", "view_content"})
#: A change to each JSON object of a response.
Change = Callable[[dict[str, Any]], dict[str, Any]]


def everywhere(body: Any, change: Change) -> Any:
    """Change every object of a JSON body, inner objects first."""
    if isinstance(body, dict):
        inner = {
            key: item if key in _MAPS else everywhere(item, change) for key, item in body.items()
        }
        return change(inner)
    return [everywhere(item, change) for item in body] if isinstance(body, list) else body


@contextmanager
def drifted(sandbox: Sandbox, change: Change, gone: str = "") -> Iterator[Client]:
    """Return a client of a relay that makes the sandbox look newer or older.

    Args:
        sandbox: The sandbox behind the relay.
        change: The change to the objects of its responses.
        gone: Part of the paths of endpoints that do not exist.
    """

    def drift(seen: Seen, answer: Answer) -> Answer:
        if gone and gone in seen.path:
            return Answer(404, b"<!doctype html>", {"Content-Type": "text/html"})
        if answer.status >= 400 or "json" not in answer.headers.get("content-type", ""):
            return answer
        body = _objects(json.loads(answer.content()), change)
        return replace(answer, body=json.dumps(body).encode())

    with relay(sandbox, drift) as server, connect(server, token=sandbox.token) as client:
        yield client


def _objects(body: Any, change: Change) -> Any:
    """Change the objects of a response, but not the page around them."""
    if isinstance(body, dict) and "results" in body:
        return {**body, "results": everywhere(body["results"], change)}
    return everywhere(body, change)


# ---------------------------------------------------------------- what people do


@pytest.fixture(scope="module")
def world(sandbox: Sandbox) -> Sandbox:
    """Return a sandbox with most kinds of objects."""

    def run(_: Path, outputs: Path) -> None:
        (outputs / "answer.json").write_text("42")

    sandbox.add_socket("number", "Float")
    sandbox.add_socket("table", "CSV file")
    sandbox.add_socket("answer", "Integer")
    sandbox.add_algorithm("adder", interfaces=[(["number", "table"], ["answer"])], run=run)
    sandbox.add_archive("cases")
    question = {"question_text": "Well?", "answer_type": "Text", "socket": None}
    sandbox.add_reader_study("study", questions=[question])
    sandbox.add_endpoint("adder")
    return sandbox


_numbers = iter(range(1, 1_000_000))


def values() -> list[SocketValueSpec]:
    """Return new values: one sent in the request, and one uploaded."""
    fresh = next(_numbers)
    return [
        SocketValueSpec("number", value=float(fresh)),
        SocketValueSpec("table", value=f"a;{fresh}"),
    ]


def fill_a_case(client: Client, directory: Path) -> None:
    """Add a case to an archive, wait for its values, update it and download its files."""
    given = values()
    item = client.add_case_to_archive(archive_slug="cases", values=given)
    case = client.wait_for_values(item, values=given, timeout=20)
    assert len(case.values) == 2
    client.update_archive_item(archive_item_pk=item.pk, values=given[:1])
    for value in case.values:
        client.download_socket_value(value, output_directory=directory)
    assert len(list(directory.iterdir())) == 2


def fill_a_display_set(client: Client, directory: Path) -> None:
    """Add a case to a reader study and wait for its values."""
    given = values()
    item = client.add_case_to_reader_study(reader_study_slug="study", values=given)
    assert len(client.wait_for_values(item, values=given, timeout=20).values) == 2
    assert not directory.exists() or not list(directory.iterdir())


def run_a_job(client: Client, directory: Path) -> None:
    """Run an algorithm and download its output."""
    run = client.run_algorithm(
        algorithm_slug="adder", inputs=values(), output_directory=directory, timeout=20
    )
    assert run.job.status == "Succeeded"
    assert json.loads((directory / "answer.json").read_text()) == 42


def look_at_everything(client: Client, directory: Path) -> None:
    """List most kinds of objects, and retrieve one of each by primary key."""
    assert directory
    for namespace in (
        client.archives,
        client.archive_items,
        client.algorithms,
        client.algorithm_images,
        client.algorithm_jobs,
        client.images,
        client.interfaces,
        client.reader_studies,
        client.reader_studies.display_sets,
        client.reader_studies.questions,
        client.reader_studies.answers,
        client.uploads,
        client.raw_image_upload_sessions,
    ):
        found = list(namespace.iterate_all())
        assert len(found) == namespace.count()
        for one in found[:1]:
            assert namespace.detail(pk=one.pk).pk == one.pk


WORK: dict[str, Callable[[Client, Path], None]] = {
    work.__name__: work for work in (fill_a_case, fill_a_display_set, run_a_job, look_at_everything)
}


# ---------------------------------------------------------------- newer


def newer(found: dict[str, Any]) -> dict[str, Any]:
    """Add unknown fields and unknown enum values to an object."""
    enums = {
        name: "HOLOGRAM"
        for name in ("color_space", "eye_choice", "field_of_view", "patient_sex", "answer_type")
        if name in found
    }
    return {**found, **enums, "added_later": {"deep": [1]}, "and_this": None}


@pytest.mark.parametrize("work", WORK)
def test_newer_servers_work(world: Sandbox, tmp_path: Path, work: str) -> None:
    """Everything works with unknown fields and unknown enum values in every object."""
    with drifted(world, newer) as client:
        WORK[work](client, tmp_path / "out")


def test_unknown_fields_are_kept_at_every_depth(world: Sandbox, tmp_path: Path) -> None:
    """Unknown fields at any depth can be read, and survive to_dict()."""
    with drifted(world, newer) as client:
        fill_a_case(client, tmp_path / "out")
        item = next(client.archive_items.iterate_all())
        assert item["added_later"] == {"deep": [1]}
        assert item.values[0].interface["and_this"] is None
        assert item.to_dict()["values"][0]["interface"]["added_later"] == {"deep": [1]}


# ---------------------------------------------------------------- older


def older(found: dict[str, Any]) -> dict[str, Any]:
    """Remove the fields that only servers from July 2026 have."""
    return {
        key: item
        for key, item in found.items()
        if key not in {"socket", "score", "descriptions_map_safe", "algorithms"}
    }


@pytest.mark.parametrize("work", WORK)
def test_older_servers_work(world: Sandbox, tmp_path: Path, work: str) -> None:
    """Everything works without the fields and endpoints of July 2026."""
    with drifted(world, older, gone="/algorithms/endpoints/") as client:
        WORK[work](client, tmp_path / "out")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.algorithm_endpoints.page(),
        lambda client: client.algorithm_endpoints.create(algorithm="https://gc.localhost/a/"),
        lambda client: client.invoke_algorithm_endpoint(endpoint_pk="x", inputs=values()),
    ],
)
def test_missing_endpoints_are_not_found(world: Sandbox, call: Callable[[Client], object]) -> None:
    """An endpoint that an older server lacks raises a NotFoundError with its URL."""
    with (
        drifted(world, older, gone="/algorithms/endpoints/") as client,
        pytest.raises(NotFoundError, match="/algorithms/endpoints/"),
    ):
        call(client)


# ---------------------------------------------------------------- null

#: Fields that the calls need, so that null is an error.
NEEDED = frozenset(
    {"pk", "slug", "api_url", "interface", "interfaces", "inputs", "values", "kind", "super_kind"}
    | {"status", "presigned_urls", "s3_upload_id", "file", "relative_path", "outputs", "value"}
    | {"image", "filename"}
)


def fields_of(sandbox: Sandbox, work: str, directory: Path) -> set[str]:
    """Return the names of all fields in the responses to some calls."""
    names: set[str] = set()

    def note(found: dict[str, Any]) -> dict[str, Any]:
        names.update(found)
        return found

    with drifted(sandbox, note) as client:
        WORK[work](client, directory)
    return names


def without(names: frozenset[str]) -> Change:
    """Return a change that sets fields to null."""
    return lambda found: {key: None if key in names else item for key, item in found.items()}


@pytest.mark.parametrize("work", WORK)
def test_null_in_fields_that_are_not_needed_works(
    world: Sandbox, tmp_path: Path, work: str
) -> None:
    """Everything works with null in every field that it does not need."""
    spare = fields_of(world, work, tmp_path / "first") - NEEDED
    assert {"title", "description"} <= spare
    with drifted(world, without(frozenset(spare))) as client:
        WORK[work](client, tmp_path / "second")


@pytest.mark.parametrize("field", ["interfaces", "inputs", "kind", "super_kind", "interface"])
def test_null_in_a_field_that_is_needed_is_an_error(
    world: Sandbox, tmp_path: Path, field: str
) -> None:
    """Null in a field that is needed is an error of this package."""
    with drifted(world, without(frozenset({field}))) as client, pytest.raises(GCAPIError):
        run_a_job(client, tmp_path)


# ---------------------------------------------------------------- asking


def test_the_sandbox_has_not_drifted(world: Sandbox) -> None:
    """The sandbox's schema equals the schema of this release."""
    world.requests.clear()
    with connect_to(world) as client:
        drift = client.check_schema()
    assert (bool(drift), drift.changes) == (False, ())
    (asked,) = [one for one in world.requests if one.path == "/api/schema/"]
    assert asked.query == "format=json"


def connect_to(sandbox: Sandbox) -> Client:
    """Return a client of a sandbox."""
    return Client(token=sandbox.token, base_url=sandbox.base_url)


def test_drift_is_described(world: Sandbox) -> None:
    """Each addition, removal and change in a server's schema has a line."""
    schema = httpx.get(
        world.base_url.replace("/api/v1/", "/api/schema/"), params={"format": "json"}
    ).json()
    del schema["paths"]["/api/v1/algorithms/jobs/"]["post"]
    schema["paths"]["/api/v1/colours/"] = {"get": {"operationId": "colours_list"}}
    schema["components"]["schemas"]["ImageTypeEnum"]["enum"].append("OME")
    schema["components"]["schemas"]["Archive"]["properties"]["title"]["nullable"] = True
    headers = {"Content-Type": "application/vnd.oai.openapi+json"}
    answer = Answer(body=json.dumps(schema).encode(), headers=headers)
    with Loopback(lambda _: answer) as server, connect(server) as client:
        drift = client.check_schema()
        (seen,) = server.seen
    assert (seen.method, seen.path) == ("GET", "/api/schema/?format=json")
    assert drift
    assert [line[:1] for line in drift.changes] == ["-", "+", "~", "+"]
    assert drift.changes[0] == "- operation algorithms_jobs_create: POST /api/v1/algorithms/jobs/"
    assert drift.changes[1] == "+ operation colours_list: GET /api/v1/colours/"
    assert drift.changes[2].startswith("~ model Archive, title: was string ")
    assert drift.changes[3] == "+ model ImageTypeEnum, value 'OME'"
    assert str(drift).endswith("\n".join(drift.changes))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(body=b"<!doctype html>", headers={"Content-Type": "text/html"}), UnexpectedAnswer),
        (Answer(body={"openapi": "3.0.3"}), UnexpectedAnswer),
        (Answer(body=b"openapi: 3.0.3", headers={"Content-Type": "text/yaml"}), UnexpectedAnswer),
        (Answer(404, {"detail": "Not found."}), NotFoundError),
        (Answer(401, {"detail": "Invalid token."}), AuthenticationError),
    ],
)
def test_unreadable_schemas_are_errors(answer: Answer, error: type[Exception]) -> None:
    """A server without a readable schema raises an error of this package."""
    with (
        Loopback(lambda _: answer) as server,
        connect(server) as client,
        pytest.raises(error),
    ):
        client.check_schema()


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_the_schema_can_only_be_read(world: Sandbox, method: str) -> None:
    """The sandbox's schema is read-only, needs no token, and refuses an invalid one."""
    url = world.base_url.replace("/api/v1/", "/api/schema/")
    assert httpx.request(method, url).status_code == 405
    document = httpx.get(url)
    assert document.headers["Content-Type"] == "application/json"
    assert "x-generated" not in document.json()
    assert httpx.get(url, headers={"Authorization": "Bearer 00"}).status_code == 401
