"""The type checks of `make check`."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from tests.support.type_checks import ROOT, copy_mypy_cache

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TYPED = {"src", "generated", "examples", "tests/typing"}


def test_every_package_is_verified() -> None:
    """The public types of each installed package are verified."""
    packages = SETTINGS["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verified = re.findall(r"^\t\$\(PYRIGHT\) --verifytypes (\w+)", makefile, re.MULTILINE)
    assert sorted(verified) == sorted(Path(package).name for package in packages)


def test_both_type_checkers_are_strict() -> None:
    """Mypy and pyright check the same code strictly, including unused `type: ignore` comments."""
    mypy, pyright = SETTINGS["tool"]["mypy"], SETTINGS["tool"]["pyright"]
    assert mypy["strict"] is True
    assert pyright["typeCheckingMode"] == "strict"
    assert set(pyright["include"]) == TYPED <= set(mypy["files"])
    wrong = (ROOT / "tests" / "typing" / "wrong_usage.py").read_text(encoding="utf-8")
    assert "# pyright: reportUnnecessaryTypeIgnoreComment=true" in wrong


def test_every_wrong_use_is_expected_by_its_code() -> None:
    """Each statement of `wrong_usage.py` has the code of the error that it must cause."""
    source = (ROOT / "tests" / "typing" / "wrong_usage.py").read_text(encoding="utf-8")
    lines = source.splitlines()
    bodies = [node.body for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    uses = [use for body in bodies for use in body]
    assert len(uses) > 20
    unmarked = [
        use.lineno
        for use in uses
        if not any(
            re.search(r"# type: ignore\[[a-z-]+\]", line)
            for line in lines[use.lineno - 1 : use.end_lineno]
        )
    ]
    assert unmarked == []


def test_downstream_programs_are_checked(tmp_path: Path) -> None:
    """In a project of its own, the example passes both checkers in strict mode, and each misspelt name of it fails."""
    options = SETTINGS["tool"]["mypy"]
    (tmp_path / "mypy.ini").write_text(
        # All options that mypy keeps in its cache, so that the copy of the cache can be used.
        "[mypy]\nstrict = true\n"
        f"warn_unreachable = {options['warn_unreachable']}\n"
        f"untyped_calls_exclude = {', '.join(options['untyped_calls_exclude'])}\n"
    )
    (tmp_path / "pyrightconfig.json").write_text('{"typeCheckingMode": "strict"}')
    example = (ROOT / "examples" / "failed_jobs.py").read_text(encoding="utf-8")
    (tmp_path / "failed_jobs.py").write_text(example)
    names = (
        '"algorithm_image__algorithm"',
        "algorithm.pk",
        "algorithm_jobs.",
        "job.status",
        '"Failed"',
    )
    for number, name in enumerate(names):
        assert name in example
        misspelt = example.replace(name, name[:-2] + name[-1])
        (tmp_path / f"misspelt_{number}.py").write_text(misspelt)
    binaries = Path(sys.executable).parent
    copy_mypy_cache(tmp_path / ".mypy_cache")
    for checker in (["mypy", "."], ["pyright"]):
        run = subprocess.run(
            [str(binaries / checker[0]), *checker[1:]],
            cwd=tmp_path,
            env={**os.environ, "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        wrong = set(re.findall(r"(\w+)\.py:\d+(?::\d+)*(?: -|:) error", run.stdout))
        assert wrong == {f"misspelt_{number}" for number in range(len(names))}, run.stdout
