"""The code blocks of the documentation, run in order in one namespace for each page.

Sybil reads the pages and reports errors with their line numbers. Its pytest plugin makes a test of each block, which
pytest-xdist would spread over processes that do not share the namespace, so it is not used.

A block that cannot run has a comment before it that says why: `<!-- skip: next "needs the package registry" -->`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from unittest import SkipTest

from sybil import Document, Example, Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser, SkipParser

from gcapi import Client

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
#: The languages of blocks that are run, and of those that are not programs.
PROGRAMS = frozenset({"python", "shell"})
DATA = frozenset({"csv", "json", "text", "toml", "yaml"})
#: The seconds after which a shell block is stopped.
SHELL_SECONDS = 100
#: The first in the search path; Windows itself would prefer the one of its Linux subsystem.
_BASH = shutil.which("bash") or "bash"
_FENCE = re.compile(r"^ *```+ *([^`\n]*?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Shell:
    """An evaluator of shell blocks.

    Attributes:
        folder: The working directory.
        environment: The only environment variables.
    """

    folder: Path
    environment: dict[str, str]

    def __call__(self, example: Example) -> str | None:
        run = subprocess.run(
            [_BASH, "-euo", "pipefail", "-c", str(example.parsed)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=SHELL_SECONDS,
            check=False,
        )
        return f"{run.stdout}{run.stderr}exit code {run.returncode}" if run.returncode else None


def read(page: Path, shell: Shell | None = None) -> Document:
    """Parse a page into its blocks."""
    parsers = [SkipParser(), PythonCodeBlockParser(), CodeBlockParser("shell", shell)]
    return Sybil(parsers, path=str(page.parent)).parse(page)


def run(document: Document) -> None:
    """Run the blocks of a page except for the skipped ones, and close the clients that they leave open."""
    clients: set[Client] = set()
    try:
        for example in document.examples():
            with suppress(SkipTest):
                example.evaluate()
            clients |= {value for value in document.namespace.values() if isinstance(value, Client)}
    finally:
        for client in clients:
            client.close()


def languages(page: Path) -> list[str]:
    """Return the language of each block of a page."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))[::2]


def left_out(page: Path) -> list[str]:
    """Return the reason of each skipped block of a page; empty without a reason."""
    skips = (
        example.parsed for example in read(page).examples() if isinstance(example.parsed, tuple)
    )
    return [(reason or "").strip("\"'") for action, reason in skips if action != "end"]
