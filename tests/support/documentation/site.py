"""Builds of the website of `make docs`."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.documentation.blocks import ROOT

#: The sources of the site.
SOURCES = (
    "docs",
    "src",
    "generated",
    "benchmarks/README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "mkdocs.yml",
    "scripts/docs_links.py",
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def build_site(folder: Path, pages: Mapping[str, str]) -> tuple[int, str]:
    """Build the site below a folder, with additional pages; return the exit code and the output."""
    for name in SOURCES:
        (folder / name).parent.mkdir(exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    for name, text in pages.items():
        (folder / "docs" / name).write_text(text)
    run = subprocess.run(
        [str(Path(sys.executable).parent / "zensical"), "build", "--clean", "--strict"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    return run.returncode, _COLOURS.sub("", run.stdout + run.stderr)
