"""The two schemas, the generated modules, the scripts, and a tiny project to generate."""

import json
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import grand_challenge_api

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import generate  # noqa: E402
import schema  # noqa: E402

__all__ = ["generate", "schema"]  # the scripts are not a package

PACKAGE = Path(grand_challenge_api.__file__).parent
PUBLISHED: dict[str, Any] = json.loads((PACKAGE / "schema_published.json").read_text("utf-8"))
CORRECTED: dict[str, Any] = json.loads((PACKAGE / "schema.json").read_text("utf-8"))


def operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield the method, the path and the definition of each operation."""
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


TAGS = {
    operation["operationId"]: operation["tags"][0].replace("-", "_")
    for _, _, operation in operations(PUBLISHED)
}


def require(*names: str) -> None:
    """Skip the test if the schema is that of a server without an operation, a model or a field.

    Args:
        names: Such as ``archives_list``, ``Archive`` and ``Archive.title``.
    """
    lacking = [name for name in names if not _is_published(name)]
    if lacking:
        pytest.skip(f"this schema has no {', '.join(lacking)}")


def _is_published(name: str) -> bool:
    models = CORRECTED["components"]["schemas"]
    model, _, field = name.partition(".")
    return name in TAGS or (model in models and (not field or field in models[model]["properties"]))


def module_of(operation: str) -> ModuleType:
    """Return the generated module of an operation; skip the test if the schema has no such operation."""
    require(operation)
    return import_module(f"grand_challenge_api.api.{TAGS[operation]}.{operation}")


def tiny_schema() -> dict[str, Any]:
    """Return a schema of this API with two operations and their models, which is generated quickly."""

    def names(*wanted: str) -> dict[str, Any]:
        return {
            name: json.loads(json.dumps(PUBLISHED["components"]["schemas"][name]))
            for name in wanted
        }

    paths = ("/api/v1/gcapi/", "/api/v1/uploads/{id}/")
    return {
        "openapi": "3.0.3",
        "info": {"title": "tiny", "version": "1.0.0"},
        "paths": {path: json.loads(json.dumps(PUBLISHED["paths"][path])) for path in paths},
        "components": {
            "schemas": names("GCAPIVersion", "UserUpload", "Follow"),
            "securitySchemes": PUBLISHED["components"]["securitySchemes"],
        },
    }


TINY_OVERLAY = """\
overlay: 1.0.0
info: {title: tiny, version: 1.0.0}
actions:
  - target: $.components.schemas.UserUpload.properties.pk.format
    description: Keys stay strings.
    remove: true
  - target: $.components.schemas.UserUpload.properties.checksum.format
    x-only-if: $.components.schemas.UserUpload.properties.checksum
    description: Checksums stay strings.
    remove: true
"""


def tiny_project(root: Path) -> None:
    """Write a project with the tiny schema and the real templates and settings."""
    (root / "openapi").mkdir(parents=True)
    for name in ("templates", "generator.yaml", "base.py"):
        copy = shutil.copytree if name == "templates" else shutil.copy
        copy(ROOT / "openapi" / name, root / "openapi" / name)
    (root / "openapi" / "overlay.yaml").write_text(TINY_OVERLAY, encoding="utf-8")
    (root / "openapi" / "meanings.yaml").write_text("{}\n", encoding="utf-8")
    snapshot = json.dumps(tiny_schema(), indent=2, sort_keys=True) + "\n"
    (root / "openapi" / "grand-challenge.json").write_text(snapshot, encoding="utf-8")
    package = root / "src" / "gcapi"
    package.mkdir(parents=True)
    package.joinpath("calls.py").write_text(
        "from grand_challenge_api import api\n"
        "from grand_challenge_api.models import UserUpload\n\n"
        "CALL = api.uploads_retrieve\n\n\n"
        "def status_of(upload: UserUpload) -> str:\n"
        "    return upload.status\n",
        encoding="utf-8",
    )
