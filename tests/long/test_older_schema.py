"""`make schema` with the schema of an older server."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.generated import PUBLISHED, ROOT, operations, schema
from tests.support.servers.loopback import Answer, Loopback, in_turn

pytestmark = pytest.mark.long

#: The fields that a server of November 2025 lacks; it has no endpoints and no invocations either.
NEWER = {
    "Answer": ["score"],
    "AnswerRequest": ["score"],
    "PatchedAnswerRequest": ["score"],
    "ComponentInterfaceValue": ["socket"],
    "DisplaySet": ["descriptions_map_safe"],
    "DisplaySetPost": ["descriptions_map_safe"],
    "HyperlinkedComponentInterfaceValue": ["socket"],
    "Question": ["algorithms"],
}


def older_schema() -> dict[str, Any]:
    """Return the schema of a server of November 2025."""
    older = json.loads(json.dumps(PUBLISHED))
    models = older["components"]["schemas"]
    for _, path, operation in operations(PUBLISHED):
        if re.search("endpoints|invocations", operation["operationId"]):
            older["paths"].pop(path, None)
    for model, fields in NEWER.items():
        for field in fields:
            models[model]["properties"].pop(field, None)
            models[model]["required"] = [
                one for one in models[model].get("required", ()) if one != field
            ]
    while unused := [
        name
        for name in models
        if re.search("Endpoint|Invocation|ReaderStudyAlgorithm", name)
        and f"schemas/{name}" not in schema._references(older)
    ]:
        for name in unused:
            del models[name]
    return older


@pytest.mark.timeout(900)
def test_tests_pass_or_are_skipped_with_an_older_schema(tmp_path: Path) -> None:
    """After `FORCE=1`, the tests of the generated layer pass, or are skipped with what the schema does not have."""
    for name in ("generated", "openapi", "scripts", "src", "tests"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    packages = os.pathsep.join(str(tmp_path / name) for name in ("src", "generated"))
    env = {**os.environ, "FORCE": "1", "PYTHONPATH": packages}
    with Loopback(in_turn(Answer(body=older_schema())), with_version=False) as server:
        command = [sys.executable, "scripts/schema.py", f"{server.origin}/api/schema/"]
        done = subprocess.run(
            command, cwd=tmp_path, env=env, capture_output=True, text=True, check=True
        )
    assert "- operation algorithms_endpoints_list" in done.stdout
    assert not (tmp_path / "generated/grand_challenge_api/models/endpoint.py").exists()
    done = subprocess.run(
        [
            *(
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-n2",
                "-p",
                "no:cacheprovider",
                "tests/generated",
            ),
            "tests/project/test_generated_build.py",
        ],
        cwd=tmp_path,
        env={name: value for name, value in env.items() if name != "FORCE"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    reasons = re.findall(r"^SKIPPED \[\d+\] \S+ (.*)$", done.stdout, re.MULTILINE)
    assert reasons
    assert all(reason.startswith("this schema has no ") for reason in reasons), reasons
