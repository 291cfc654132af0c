"""`make schema`: lists the changes, and stops before it removes something that gcapi uses."""

import fnmatch
import inspect
import json
import re
import shutil
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from grand_challenge_api import models
from tests.support.generated import (
    CORRECTED,
    PACKAGE,
    PUBLISHED,
    ROOT,
    generate,
    require,
    schema,
    tiny_project,
    tiny_schema,
)
from tests.support.generated_responses import RESPONSES
from tests.support.servers.loopback import Answer, Loopback, in_turn
from tests.support.type_checks import copy_mypy_cache

Layout = generate.Layout


@pytest.fixture(autouse=True)
def _shared_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Let mypy read the packages that gcapi uses once for all tests, if `make check` has not read them already."""
    cache = tmp_path_factory.getbasetemp() / "mypy-cache"
    if not cache.exists():
        copy_mypy_cache(cache)
    monkeypatch.setattr(schema, "CACHE_DIRECTORY", cache)


@pytest.fixture
def tiny(tmp_path: Path) -> Layout:
    """Return a project that is generated quickly."""
    tiny_project(tmp_path / "project")
    return Layout(tmp_path / "project")


@pytest.fixture
def server() -> Iterator[Loopback]:
    """Serve the tiny schema."""
    with Loopback(in_turn(Answer(body=tiny_schema()))) as serving:
        yield serving


def write(path: Path, content: Any) -> str:
    """Write JSON to a file; return its path."""
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


def changed_schema() -> dict[str, Any]:
    """Return the tiny schema of a newer server."""
    pulled = tiny_schema()
    upload = pulled["components"]["schemas"]["UserUpload"]
    upload["properties"]["status"]["nullable"] = True
    upload["properties"]["size"] = {"type": "integer", "minimum": 0}
    del upload["properties"]["key"]
    upload["required"].remove("key")
    del pulled["components"]["schemas"]["Follow"]
    pulled["components"]["schemas"]["Colour"] = {"type": "string", "enum": ["red"]}
    pulled["paths"]["/api/v1/uploads/{id}/"]["get"]["parameters"].append(
        {"in": "query", "name": "brief", "schema": {"type": "boolean"}}
    )
    pulled["paths"]["/api/v1/colours/"] = {
        "get": {
            "operationId": "colours_list",
            "tags": ["colours"],
            "responses": {"204": {"description": "No response body"}},
        }
    }
    return pulled


CHANGES = """\
+ operation colours_list: GET /api/v1/colours/
+ operation uploads_retrieve, query parameter brief: boolean
+ model Colour
- model Follow
- model UserUpload, key: was string readOnly required
~ model UserUpload, status: was string readOnly required, is string nullable readOnly required
+ model UserUpload, size: integer minimum=0
""".splitlines()


def test_changes_are_listed() -> None:
    """Each added, removed or changed operation, model and field has a line."""
    assert schema.schema_differences(tiny_schema(), changed_schema()) == CHANGES
    assert schema.schema_differences(tiny_schema(), tiny_schema()) == []


def test_all_kinds_of_changes_are_listed() -> None:
    """Changed addresses, responses, bodies and enum values are listed too."""
    now = json.loads(json.dumps(PUBLISHED))
    paths = now["paths"]
    paths["/api/v1/profiles/me/"] = paths.pop("/api/v1/profiles/users/self/")
    answer = paths["/api/v1/gcapi/"]["get"]["responses"]["200"]["content"]
    answer["application/json"]["schema"]["$ref"] = "#/components/schemas/User"
    del paths["/api/v1/uploads/"]["post"]["requestBody"]["content"]["multipart/form-data"]
    now["components"]["schemas"]["ImageTypeEnum"]["enum"] = ["MHD", "TIFF", "OME"]
    assert schema.schema_differences(PUBLISHED, now) == [
        "~ operation gcapi_retrieve, answer 200 as application/json: was GCAPIVersion, is User",
        (
            "~ operation profiles_users_self_retrieve, address: "
            "was GET /api/v1/profiles/users/self/, is GET /api/v1/profiles/me/"
        ),
        (
            "- operation uploads_create, body as multipart/form-data: "
            "was UserUploadCreateRequest required"
        ),
        "- model ImageTypeEnum, value 'DZI'",
        "+ model ImageTypeEnum, value 'OME'",
    ]


def test_schema_from_a_server(
    tiny: Layout, server: Loopback, capsys: pytest.CaptureFixture[str]
) -> None:
    """The schema is requested as JSON, and the snapshot stays as it is without changes."""
    before = tiny.snapshot.read_bytes()
    assert schema.main([f"{server.origin}/api/schema/"], tiny) == 0
    [seen] = server.seen
    assert seen.path == "/api/schema/?format=json"
    assert seen.header("Accept") == "application/json"
    assert "No operation, model or field has changed." in capsys.readouterr().out
    assert tiny.snapshot.read_bytes() == before
    assert (tiny.package / "models" / "user_upload.py").is_file()


def test_schema_from_a_yaml_file(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A YAML file is accepted, its changes are printed, and the snapshot and the package are updated."""
    text = StringIO()
    YAML(typ="safe", pure=True).dump(changed_schema(), text)
    source = tmp_path / "schema.yaml"
    source.write_text(text.getvalue(), encoding="utf-8")
    assert schema.main([str(source)], tiny) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[: len(CHANGES)] == CHANGES
    assert "skipped" in printed[len(CHANGES)]
    assert json.loads(tiny.snapshot.read_text("utf-8")) == changed_schema()
    assert "size: int" in (tiny.package / "models" / "user_upload.py").read_text("utf-8")
    assert {path.name for path in tiny.snapshot.parent.iterdir()} == {
        "base.py",
        "generator.yaml",
        "grand-challenge.json",
        "meanings.yaml",
        "overlay.yaml",
        "templates",
    }


def test_statuses_of_yaml_become_strings() -> None:
    """Status codes in YAML are read as strings, as in JSON."""
    assert schema.read("responses: {200: {description: x}}") == {
        "responses": {"200": {"description": "x"}}
    }


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("<html><body>Sign in</body></html>", "web page"),
        ("a: [", "neither JSON nor YAML"),
        ('{"swagger": "2.0"}', "not an OpenAPI 3 document"),
        ('{"openapi": "3.0.3"}', "no paths or no models"),
        ('{"openapi": "3.0.3", "paths": {"/x/": {}}, "components": {"schemas": {}}}', "/api/v1/"),
        (
            '{"openapi": "3.1.0", "paths": {"/api/v1/x/": {}}, "components": {"schemas": {}}}',
            "another API: it has 0 of the 2 operations",
        ),
    ],
)
def test_other_documents_are_refused(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str, reason: str
) -> None:
    """A document that is not a schema of this API is refused with a reason."""
    source = tmp_path / "pulled"
    source.write_text(content, encoding="utf-8")
    before = tiny.snapshot.read_bytes()
    assert schema.main([str(source)], tiny) == 1
    assert reason in capsys.readouterr().err
    assert tiny.snapshot.read_bytes() == before


def test_unreadable_source_is_named(tiny: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """A source that cannot be read is named."""
    assert schema.main(["no/such/file.json"], tiny) == 1
    assert "Cannot read no/such/file.json" in capsys.readouterr().err


def test_source_from_the_environment(
    tiny: Layout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Without an argument, the schema is pulled from SCHEMA_URL."""
    monkeypatch.setenv("SCHEMA_URL", str(tmp_path / "nothing.json"))
    assert schema.main([], tiny) == 1
    assert "nothing.json" in capsys.readouterr().err


def without_upload() -> dict[str, Any]:
    """Return the tiny schema of a server without an operation that gcapi uses."""
    pulled = tiny_schema()
    del pulled["paths"]["/api/v1/uploads/{id}/"]
    return pulled


def test_missing_operation_stops(
    tiny: Layout,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is replaced if an operation that gcapi uses is gone, unless FORCE is set."""
    source = write(tmp_path / "pulled.json", without_upload())
    before = tiny.snapshot.read_bytes()
    assert schema.main([source], tiny) == 1
    printed = capsys.readouterr()
    assert "- operation uploads_retrieve: GET /api/v1/uploads/{id}/" in printed.out
    assert 'calls.py:4: error: Module has no attribute "uploads_retrieve"' in printed.out
    assert "FORCE=1" in printed.err
    assert tiny.snapshot.read_bytes() == before
    assert not tiny.package.exists()
    monkeypatch.setenv("FORCE", "1")
    assert schema.main([source], tiny) == 0
    assert json.loads(tiny.snapshot.read_text("utf-8")) == without_upload()
    assert not (tiny.package / "api" / "uploads").exists()


def test_missing_model_stops(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is replaced if a model that gcapi uses is gone."""
    pulled = without_upload()
    del pulled["components"]["schemas"]["UserUpload"]
    tiny.overlay.write_text("actions: []\n", encoding="utf-8")
    with pytest.raises(schema.SchemaError, match="Nothing was replaced"):
        schema.update(write(tmp_path / "pulled.json", pulled), tiny)
    assert 'calls.py:2: error: Module "grand_challenge_api.models"' in capsys.readouterr().out


def test_missing_field_stops(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is replaced if fields are gone that gcapi uses, and the places that use them are named."""
    by_name = tiny.root / "src" / "gcapi" / "_api" / "version_check.py"
    by_name.parent.mkdir()
    by_name.write_text('BODY: dict[str, str] = {}\nLATEST = BODY["latest_version"]\n', "utf-8")
    pulled = tiny_schema()
    for model, field in (("UserUpload", "status"), ("GCAPIVersion", "latest_version")):
        del pulled["components"]["schemas"][model]["properties"][field]
        pulled["components"]["schemas"][model]["required"].remove(field)
    before = tiny.snapshot.read_bytes()
    assert schema.main([write(tmp_path / "pulled.json", pulled)], tiny) == 1
    printed = capsys.readouterr().out
    assert 'src/gcapi/calls.py:8: error: "UserUpload" has no attribute "status"' in printed
    assert 'src/gcapi/_api/version_check.py:2: error: "GCAPIVersion" has no attribute' in printed
    assert tiny.snapshot.read_bytes() == before
    assert not tiny.package.exists()


def test_next_command_is_named(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """After an update, the last line says what to run next."""
    assert schema.main([write(tmp_path / "pulled.json", changed_schema())], tiny) == 0
    assert "make check test" in capsys.readouterr().out.splitlines()[-1]


def test_all_stale_actions_are_reported_at_once(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every overlay action without an effect is reported with its reason, in one run."""
    tiny.overlay.write_text(
        "actions:\n"
        "  - {target: $.nothing, description: The first reason., remove: true}\n"
        "  - {target: $.nobody, description: The second reason., remove: true}\n",
        encoding="utf-8",
    )
    assert schema.main([write(tmp_path / "pulled.json", tiny_schema())], tiny) == 1
    printed = capsys.readouterr().err
    assert printed.index("The first reason.") < printed.index("The second reason.")
    assert "openapi/overlay.yaml" in printed.splitlines()[-1]


def test_web_pages_are_named(tiny: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """A login page in place of the schema is named, with the address of the redirect to it."""
    page = Answer(body=b"<!doctype html>", headers={"Content-Type": "text/html; charset=utf-8"})
    login = Answer(status=302, headers={"Location": "/accounts/login/?next=/api/schema/"})
    with Loopback(in_turn(login, page)) as server:
        assert schema.main([f"{server.origin}/api/schema/"], tiny) == 1
        printed = capsys.readouterr().err
        assert "answered with a web page (text/html, 200)" in printed
        assert f"redirect to {server.origin}/accounts/login/." in printed


def test_truncated_documents_are_named(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A JSON or YAML document that ends too early is named as such, wherever it ends."""
    source = tmp_path / "pulled"
    text = json.dumps(tiny_schema())
    for cut in (text[: len(text) // 2], text[:-1], *truncated_yaml()):
        source.write_text(cut, encoding="utf-8")
        assert schema.main([str(source)], tiny) == 1
        assert "truncated" in capsys.readouterr().err, cut[-80:]
    assert not tiny.package.exists()


def truncated_yaml() -> list[str]:
    """Return the tiny schema as YAML, in the server's order of sections, without its last 2, 4, … twentieths."""
    stream, tiny = StringIO(), tiny_schema()
    yaml = YAML(typ="safe", pure=True)
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.default_flow_style = False
    yaml.dump({name: tiny[name] for name in ("openapi", "info", "paths", "components")}, stream)
    text = stream.getvalue()
    return [text[: len(text) * part // 20] for part in range(2, 20, 2)]


def test_overlay_without_effect_stops(
    tiny: Layout, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the server has fixed what the overlay corrects, the reason of the action is shown."""
    pulled = tiny_schema()
    del pulled["components"]["schemas"]["UserUpload"]["properties"]["pk"]["format"]
    before = tiny.snapshot.read_bytes()
    assert schema.main([write(tmp_path / "pulled.json", pulled)], tiny) == 1
    assert "Keys stay strings." in capsys.readouterr().err
    assert tiny.snapshot.read_bytes() == before


#: Fields that mypy sees in use, by model, and a module that uses each.
TYPED = {
    ("Archive", "title"): "cli/commands/objects.py",
    ("ArchiveItem", "values"): "_workflows/cases.py",
    ("UserUpload", "created"): "cli/commands/uploads.py",
    ("HyperlinkedJob", "inputs"): "_workflows/job_start.py",
}


def test_gcapi_uses_only_what_the_package_has(tmp_path: Path) -> None:
    """Fields that are gone are named with the places that use them, and nothing else is."""
    require(*RESPONSES)
    package = shutil.copytree(PACKAGE, tmp_path / PACKAGE.name)
    for model, field in TYPED:
        path = Path(inspect.getfile(getattr(models, model)))
        copied = package / "models" / path.name
        lines = path.read_text("utf-8").splitlines(keepends=True)
        copied.write_text(
            "".join(line for line in lines if not line.startswith(f"    {field}: ")), "utf-8"
        )
    found = schema.broken_uses(Layout(ROOT), tmp_path)
    # The package itself sets the fields.
    used = [line.removeprefix("src/gcapi/") for line in found if line.startswith("src/gcapi/")]
    for (model, field), module in TYPED.items():
        mine = re.compile(rf'{module}:\d+: error: .*"{model}".* has no attribute "{field}"')
        assert any(map(mine.match, used)), (model, field)
    fields = "|".join(sorted({field for _, field in TYPED}))
    assert [line for line in used if not re.search(f'has no attribute "({fields})"', line)] == []


READS = [
    (module, *read.split("."))
    for module, reads in schema.READ_BY_NAME.items()
    for read in reads.split()
]


@pytest.mark.parametrize(("module", "model", "field"), READS, ids=map(" ".join, READS))
def test_missing_field_that_is_read_by_name_is_named(module: str, model: str, field: str) -> None:
    """A field that is read by its name, which mypy does not see, is named with the line that reads it."""
    known = CORRECTED["components"]["schemas"]
    [name, *_] = fnmatch.filter(known, model) or [model]
    require(f"{name}.{field}")
    lacking = {other: one for other, one in known[name]["properties"].items() if other != field}
    changed = {**known, name: {**known[name], "properties": lacking}}
    places = schema.broken_reads(ROOT, {"components": {"schemas": changed}})
    pattern = rf'src/gcapi/{module}:[1-9]\d*: error: "{name}" has no attribute "{field}", which is read by name'
    assert any(re.fullmatch(pattern, place) for place in places), places


def test_all_fields_that_are_read_with_getattr_are_watched() -> None:
    """Each `getattr` and `hasattr` of a field of a model is in the list of what is read by name."""
    fields = {
        field
        for one in CORRECTED["components"]["schemas"].values()
        for field in one.get("properties", ())
    }
    listed = {(module, field) for module, _, field in READS}
    # These read the keys of any model, and the content of what is uploaded.
    listed |= {
        ("_api/operations.py", "pk"),
        ("_api/operations.py", "results"),
        ("_api/pagination.py", "pk"),
        ("_api/pagination.py", "slug"),
        ("bulk/_push/rows.py", "data"),
    }
    found = {
        (path.relative_to(ROOT / "src/gcapi").as_posix(), name)
        for path in (ROOT / "src/gcapi").rglob("*.py")
        if path.name != "notebook.py"  # shows what an object has, whatever that is
        for name in re.findall(r'\b(?:getattr|hasattr)\([^"\n]*"(\w+)"', path.read_text("utf-8"))
        if name in fields
    }
    assert len(found) > 10
    assert found - listed == set()
