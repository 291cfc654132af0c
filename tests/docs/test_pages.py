"""The code blocks of the documentation, run against a sandbox."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.support.documentation.blocks import (
    DATA,
    PAGES,
    PROGRAMS,
    ROOT,
    Shell,
    languages,
    left_out,
    read,
    run,
)
from tests.support.documentation.public_server import PublicServer

#: The reasons to skip a block.
REASONS = {
    "needs the package registry",
    "needs a checkout",
    "needs a cluster",
    "asks for a token",
    "needs an account on the public server",
    "runs until it is stopped",
}


#: The pages with blocks to run.
SHOWING = [page for page in PAGES if PROGRAMS & set(languages(page))]


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(
    page: Path, public_server: PublicServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page run in order without an error."""
    public_server.enter(monkeypatch)
    run(read(page, Shell(public_server.folder, public_server.environment)))


def test_no_block_is_left_out_without_a_reason() -> None:
    """A block that is not run has one of the known reasons, and there are few."""
    written = Counter(language for page in PAGES for language in languages(page))
    reasons = Counter(reason for page in PAGES for reason in left_out(page))
    assert written.keys() <= PROGRAMS | DATA
    assert reasons.keys() <= REASONS
    programs = sum(written[language] for language in PROGRAMS)
    assert 6 * reasons.total() < programs


def test_every_page_begins_with_an_example() -> None:
    """Before the first heading of the second level, a page shows a program, except those that are included."""
    included = {"changelog.md", "contributing.md", "performance.md"}
    without = [
        page.name
        for page in PAGES
        if page.name not in included
        and page.name != "README.md"
        and "```"
        not in re.split(r"^## ", page.read_text("utf-8"), maxsplit=1, flags=re.MULTILINE)[0]
    ]
    assert without == []
