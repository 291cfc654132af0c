"""`make generate`: reproducible, and strict about the overlay."""

import copy
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.support.generated import PUBLISHED, ROOT, generate, require, tiny_project

GenerationError, Layout = generate.GenerationError, generate.Layout
REAL = Layout(ROOT)
OVERLAY = YAML(typ="safe", pure=True).load(REAL.overlay)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generate the real package once, in a temporary folder."""
    target = tmp_path_factory.mktemp("built") / generate.PACKAGE
    generate.build(REAL, generate.load(REAL), target)
    return target


@pytest.fixture
def tiny(tmp_path: Path) -> Layout:
    """Return a project that is generated quickly."""
    tiny_project(tmp_path)
    return Layout(tmp_path)


def test_checked_in_package_is_reproduced(built: Path) -> None:
    """Generating reproduces the checked-in files byte for byte."""
    assert generate.differing(built, REAL.package) == []


def test_every_file_has_a_header(built: Path) -> None:
    """The first line of each file says that it is generated, and by which command."""
    files = [path for path in built.rglob("*") if path.is_file()]
    assert len(files) > len(PUBLISHED["paths"])
    for path in files:
        first = path.read_text("utf-8").partition("\n")[0]
        assert "`make generate`" in first, path


def test_files_name_no_machine(built: Path) -> None:
    """The package contains no paths or addresses of the machine that generated it."""
    for path in built.rglob("*"):
        assert path.is_dir() or " object at 0x" not in path.read_text("utf-8")
        assert path.is_dir() or str(ROOT) not in path.read_text("utf-8")


def test_the_package_carries_both_schemas(built: Path) -> None:
    """The package contains the snapshot and the schema that the overlay makes of it."""
    published = generate.load(REAL)
    corrected, _ = generate.correct(published, OVERLAY)
    generate.describe(corrected, generate.meanings(REAL))
    assert (built / "schema_published.json").read_text("utf-8") == generate._headed(published)
    assert (built / "schema.json").read_text("utf-8") == generate._headed(corrected)
    assert (built / "py.typed").is_file()


def test_check_lists_differences(built: Path, tmp_path: Path) -> None:
    """The check lists changed, missing and additional files, and ignores caches."""
    copied = shutil.copytree(built, tmp_path / "copied")
    (copied / "models" / "answer.py").write_bytes(b"#" + (copied / "types.py").read_bytes())
    (copied / "errors.py").unlink()
    (copied / "own.py").touch()
    (copied / "__pycache__").mkdir(exist_ok=True)
    (copied / "__pycache__" / "types.pyc").touch()
    assert generate.differing(built, copied) == ["errors.py", "models/answer.py", "own.py"]


def test_check_writes_nothing(tiny: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """The check lists differing files and fails, and passes after `make generate`."""
    assert generate.main(["--check"], tiny) == 1
    assert "types.py differs; run `make generate`" in capsys.readouterr().out
    assert not tiny.package.exists()
    assert generate.main([], tiny) == 0
    skipped = capsys.readouterr().out
    assert "skipped" in skipped
    assert "Checksums stay strings." in skipped
    assert generate.main(["--check"], tiny) == 0
    assert "differs;" not in capsys.readouterr().out


def test_differences_of_templates_are_counted(
    tiny: Layout, capsys: pytest.CaptureFixture[str]
) -> None:
    """Generation prints how many lines of each template differ from the pinned generator's."""
    upstream = (generate.UPSTREAM_TEMPLATES / "literal_enum.py.jinja").read_text("utf-8")
    (tiny.templates / "literal_enum.py.jinja").write_text(
        "{# One more line. #}\n" + upstream, "utf-8"
    )
    lines = generate.template_report(tiny.templates)
    assert "  literal_enum.py.jinja: 1" in lines
    assert lines[0].endswith(f" openapi-python-client {generate.GENERATOR_VERSION}:")
    assert generate.main([], tiny) == 0
    assert "\n".join(lines) in capsys.readouterr().out


def test_templates_are_few_lines_with_a_reason() -> None:
    """Each template begins with its reason, and all have fewer than 310 lines."""
    texts = [path.read_text("utf-8") for path in REAL.templates.rglob("*.jinja")]
    assert all(text.startswith("{# ") for text in texts)
    assert sum(len(text.splitlines()) for text in texts) < 310


def test_generation_replaces_the_package(tiny: Layout) -> None:
    """Generating removes files that are not generated, and leaves no temporary files."""
    tiny.package.mkdir(parents=True)
    (tiny.package / "by_hand.py").touch()
    generate.generate(tiny)
    assert (tiny.package / "models" / "user_upload.py").is_file()
    assert not (tiny.package / "by_hand.py").exists()
    assert [path.name for path in tiny.package.parent.iterdir()] == [generate.PACKAGE]


def test_failure_keeps_the_package(tiny: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """If the generator fails, the old package stays and its message is shown."""
    tiny.package.mkdir(parents=True)
    (tiny.package / "old.py").touch()
    text = tiny.snapshot.read_text("utf-8")
    tiny.snapshot.write_text(
        text.replace("#/components/schemas/GCAPIVersion", "#/nowhere"), "utf-8"
    )
    assert generate.main([], tiny) == 1
    assert "openapi_python_client failed" in capsys.readouterr().err
    assert [path.name for path in tiny.package.iterdir()] == ["old.py"]


def test_failed_replacement_is_undone(tmp_path: Path) -> None:
    """If the new package cannot be moved into place, the old one is restored."""
    package = tmp_path / "package"
    package.mkdir()
    (tmp_path / "aside").mkdir()
    with pytest.raises(OSError, match="missing"):
        generate.replace(tmp_path / "aside" / "missing", package)
    assert package.is_dir()


def test_the_snapshot_has_its_normal_form() -> None:
    """The snapshot is sorted and indented, so that two versions can be compared line by line."""
    text = json.dumps(generate.load(REAL), ensure_ascii=False, indent=2, sort_keys=True)
    assert REAL.snapshot.read_text("utf-8") == text + "\n"


def test_unsupported_type_stops(tiny: Layout, capsys: pytest.CaptureFixture[str]) -> None:
    """A type that the templates do not support is an error."""
    pulled = generate.load(tiny)
    fields = pulled["components"]["schemas"]["UserUpload"]["properties"]
    fields["pk"]["format"] = fields["key"]["format"] = "uuid"
    tiny.snapshot.write_text(json.dumps(pulled), encoding="utf-8")
    assert generate.main([], tiny) == 1
    message = re.sub(r"\W+", "", capsys.readouterr().err)  # without the frame and line breaks
    assert "has_no_json_form_in_parse_jinja" in message


SMALL: dict[str, Any] = {"a": {"type": "string", "list": ["x", "y"]}}


def overlay_of(**action: Any) -> dict[str, Any]:
    """Return an overlay of one action."""
    return {"actions": [{"description": "The reason.", **action}]}


def test_action_without_match_stops() -> None:
    """An overlay action without a match stops generation and shows its reason."""
    with pytest.raises(GenerationError, match=r"(?s)matches nothing.*\$\.b.*The reason\."):
        generate.correct(SMALL, overlay_of(target="$.b", remove=True))


def test_action_without_effect_stops() -> None:
    """An overlay action without an effect stops generation and shows its reason."""
    action = overlay_of(target="$.a", update={"type": "string"})
    with pytest.raises(GenerationError, match=r"(?s)changes nothing.*\$\.a.*The reason\."):
        generate.correct(SMALL, action)


def test_conditional_action_is_skipped() -> None:
    """An action whose `x-only-if` matches nothing is skipped, with a note."""
    excused = {"target": "$.b.format", "x-only-if": "$.b", "remove": True}
    corrected, skipped = generate.correct(SMALL, overlay_of(**excused))
    assert corrected == SMALL
    assert skipped == ["skipped, as there is no $.b: The reason."]
    with_thing = SMALL | {"b": {}}
    with pytest.raises(GenerationError, match="matches nothing"):
        generate.correct(with_thing, overlay_of(**excused))


def test_published_schema_is_not_modified() -> None:
    """The overlay does not modify the published schema."""
    before = copy.deepcopy(SMALL)
    action = overlay_of(target='$.a.list[?(@ == "x")]', remove=True)
    assert generate.correct(SMALL, action)[0] == {"a": {"type": "string", "list": ["y"]}}
    assert before == SMALL


def test_every_action_has_a_reason() -> None:
    """Each overlay action has a target, a reason and a change."""
    for action in OVERLAY["actions"]:
        assert action["description"].strip()
        assert action["target"].startswith("$")
        assert len(action.keys() & {"update", "remove", "x-require-all-except"}) == 1
        assert len(action.keys() - {"x-only-if"}) == 3


def test_older_and_newer_servers_can_be_pulled() -> None:
    """The overlay applies to servers with and without the newer and the deprecated fields."""
    lacking = {
        "Question": ["algorithms", "help_text", "question_text", "empty_answer_confirmation_label"],
        "DisplaySet": ["descriptions_map_safe", "title"],
        "DisplaySetPost": ["descriptions_map_safe"],
        "ReaderStudy": ["help_text", "title"],
        "ComponentInterfaceValue": ["socket"],
        "HyperlinkedComponentInterfaceValue": ["socket"],
        "HyperlinkedImage": [name for name in _image_fields() if name.startswith(_GONE)],
    }
    schema = copy.deepcopy(PUBLISHED)
    for model, fields in lacking.items():
        definition = schema["components"]["schemas"][model]
        for field in fields:
            definition["properties"].pop(field, None)
        definition["required"] = [name for name in definition["required"] if name not in fields]
    _, skipped = generate.correct(schema, OVERLAY)
    assert len(skipped) == len([action for action in OVERLAY["actions"] if "x-only-if" in action])
    require(*(f"{model}.{field}" for model, fields in lacking.items() for field in fields))
    assert generate.correct(PUBLISHED, OVERLAY)[1] == []


_GONE = ("patient_", "study_", "series_")


def _image_fields() -> list[str]:
    return list(PUBLISHED["components"]["schemas"]["HyperlinkedImage"]["properties"])
