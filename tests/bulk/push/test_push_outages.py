"""Pushes during which the server goes down or the token is revoked: the rows do not each spend retries of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from gcapi import Client
from gcapi.bulk import push, read_manifest, write_manifest
from gcapi.cli.error_reports import exit_code_of
from gcapi.cli.exit_codes import LIMIT
from gcapi.exceptions import AuthenticationError, OutOfCredits, StatusError
from gcapi.retries import PatientStrategy
from gcapi_sandbox import Faults, RecordedRequest, Rule, Sandbox
from tests.support.data import add_collection, found, unique
from tests.support.lost_responses import faulty, in_turn
from tests.support.push import make_sockets, pushed, told, write_cases

ROWS, WORKERS = 32, 8
#: Seconds before the first retry at most; long enough for the requests of all workers to fail meanwhile.
QUICK = partial(PatientStrategy, backoff_factor=0.05, longest_delay=0.05, random=lambda: 1.0)


@contextmanager
def outage(sandbox: Sandbox, status: int, times: int | None = None) -> Iterator[Client]:
    """Yield a client whose requests fail once some creations have arrived.

    Args:
        sandbox: The sandbox.
        status: The status of the responses.
        times: How many requests fail at most.
    """
    (fifth,) = in_turn("POST", ("*/archives/items/",), Rule(), skip=4)
    failure = Rule(origin="api", failure="status", status=status, times=times)

    def begin(rule: Rule, _: RecordedRequest) -> None:
        if rule is fifth:
            sandbox.faults = Faults(rules=(failure,))

    with faulty(sandbox, fifth, on_strike=begin, retry_strategy=QUICK) as client:
        yield client


@pytest.mark.parametrize(
    ("status", "error", "most"),
    # A row may have sent two requests before the first failure was seen; 9 are those of the one that is retried.
    [(401, AuthenticationError, 2 * WORKERS), (503, StatusError, 9 + 4 * WORKERS)],
)
def test_a_push_ends_with_the_first_failure_that_all_rows_share(
    sandbox: Sandbox,
    client: Client,
    tmp_path: Path,
    status: int,
    error: type[StatusError],
    most: int,
) -> None:
    """A revoked token, or a server that stays down, ends a push after a few requests; run again, it continues."""
    collection = add_collection(sandbox, client, "archive")
    manifest = write_cases(tmp_path, make_sockets(sandbox), ROWS)
    with outage(sandbox, status) as hindered:
        with pytest.raises(error, match=str(status)) as caught:
            pushed(collection, manifest, client=hindered, workers=WORKERS)
        assert "Run the same again to continue" in caught.value.__notes__[-1]
        assert 0 < sum(sandbox.struck) <= most
        sandbox.faults = Faults()
        report = pushed(collection, manifest, client=hindered, workers=WORKERS)
    assert report.is_complete
    assert len(collection.all()) == ROWS


def test_a_push_goes_on_after_an_outage(sandbox: Sandbox, client: Client, tmp_path: Path) -> None:
    """A server that is down for a while delays a push, and no row fails."""
    collection = add_collection(sandbox, client, "archive")
    manifest = write_cases(tmp_path, make_sockets(sandbox), ROWS)
    with outage(sandbox, 503, times=WORKERS + 4) as hindered:
        report = pushed(collection, manifest, client=hindered, workers=WORKERS)
        assert sum(sandbox.struck) == WORKERS + 4
    assert told(report) == (ROWS, 0, 0, 0)


def test_a_push_without_credits_ends_before_further_uploads(
    sandbox: Sandbox, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first job that is refused for credits ends the push; with credits, the same command continues."""
    sockets = make_sockets(sandbox)
    algorithm = sandbox.add_algorithm(
        unique("algorithm"),
        interfaces=[([sockets.value, sockets.file], [])],
        run=lambda _, __: None,
    )
    manifest = write_cases(tmp_path, sockets, ROWS)
    start = partial(push, client, manifest, f"algorithm:{algorithm}", journal=tmp_path / "j")
    monkeypatch.setattr(sandbox.limits, "credits", 0)
    monkeypatch.setattr(sandbox.limits, "active_jobs_per_user", 2 * ROWS)
    sandbox.requests.clear()
    with pytest.raises(OutOfCredits) as caught:
        start(workers=2)
    assert "Run the same again to continue" in caught.value.__notes__[-1]
    assert exit_code_of(caught.value) == LIMIT
    assert len(found(sandbox, "POST", "/uploads/$")) < ROWS / 2
    monkeypatch.setattr(sandbox.limits, "credits", 10**6)
    report = start(workers=8)
    assert (report.is_complete, len(report.done) + len(report.skipped)) == (True, ROWS)


def test_the_next_run_frees_the_quota_of_rows_that_are_gone(
    sandbox: Sandbox, client: Client, tmp_path: Path
) -> None:
    """Uploads that a killed run left incomplete are aborted if their row is no longer in the manifest."""
    collection = add_collection(sandbox, client, "archive")
    sockets = make_sockets(sandbox)
    manifest = write_cases(tmp_path, sockets, 2)
    sandbox.faults = Faults(rules=(Rule(origin="storage", failure="status", status=403),))
    assert told(pushed(collection, manifest)) == (0, 0, 2, 0)  # as a kill would leave them
    sandbox.faults = Faults()
    left = [one for one in client.uploads.iterate_all() if one.status == "Initialized"]
    ours = {one.pk for one in left if one.filename in {"0.csv", "1.csv"}}

    first = [row for row in read_manifest(manifest).rows if row.title == "case 00000"]
    write_manifest(manifest, first)
    assert told(pushed(collection, manifest)) == (1, 0, 0, 0)

    statuses = {one.pk: one.status for one in client.uploads.iterate_all() if one.pk in ours}
    assert len(ours) == 2
    assert set(statuses.values()) <= {"Completed", "Aborted"}
