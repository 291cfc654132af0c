"""The code blocks of the documentation, and how they are run: all of a page in their order, in one namespace.

Sybil reads the pages, so that an error points at the page's own line. Its pytest plugin is not used: it makes a test of
each block, which pytest-xdist would spread over processes that do not share the namespace.

A block that cannot run stands below a comment that says why: `<!-- skip: next "needs the package registry" -->`.
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

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
#: Fenced blocks in these languages are run; the others are no programs.
PROGRAMS = frozenset({"python", "shell"})
DATA = frozenset({"csv", "json", "text", "toml", "yaml"})
#: Seconds that a shell block may take.
SHELL_SECONDS = 100
#: Found by the search path: Windows by itself would look for another system's first.
_BASH = shutil.which("bash") or "bash"
_FENCE = re.compile(r"^ *```+ *([^`\n]*?) *$", re.MULTILINE)


@dataclass(frozen=True)
class Shell:
    """Run shell blocks, and fail where one fails.

    Attributes:
        folder: Where.
        environment: With these variables and no others.
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
    """Return a page and its blocks."""
    parsers = [SkipParser(), PythonCodeBlockParser(), CodeBlockParser("shell", shell)]
    return Sybil(parsers, path=str(page.parent)).parse(page)


def run(document: Document) -> None:
    """Run the blocks of a page, but for those that say why they cannot be; close the clients that they leave open."""
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
    """Return what the opening fence of each block of a page says."""
    return _FENCE.findall(page.read_text(encoding="utf-8"))[::2]


def left_out(page: Path) -> list[str]:
    """Return why blocks of a page are not run, as the comment before each says; empty where it does not."""
    skips = (
        example.parsed for example in read(page).examples() if isinstance(example.parsed, tuple)
    )
    return [(reason or "").strip("\"'") for action, reason in skips if action != "end"]
