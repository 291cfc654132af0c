"""What the documentation shows, run as it stands against a sandbox."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.support.doc_blocks import (
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
from tests.support.doc_stage import Stage

#: Why a block may be left out; it takes a reason of another kind to change this list.
REASONS = {
    "needs the package registry",
    "needs a checkout",
    "needs a cluster",
    "asks for a token",
    "needs an account on the public server",
    "runs until it is stopped",
}


#: The pages that have anything to run.
SHOWING = [page for page in PAGES if PROGRAMS & set(languages(page))]


@pytest.mark.parametrize("page", SHOWING, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_a_page_runs(
    page: Path, public_server: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks of a page run in their order, as a reader would run them, and none of them fails."""
    public_server.enter(monkeypatch)
    run(read(page, Shell(public_server.folder, public_server.environment)))


def test_no_block_is_left_out_without_a_reason() -> None:
    """Each block is run, or is no program, or says why it cannot be run; few of them cannot."""
    written = Counter(language for page in PAGES for language in languages(page))
    reasons = Counter(reason for page in PAGES for reason in left_out(page))
    assert written.keys() <= PROGRAMS | DATA
    assert reasons.keys() <= REASONS
    programs = sum(written[language] for language in PROGRAMS)
    assert 6 * reasons.total() < programs
