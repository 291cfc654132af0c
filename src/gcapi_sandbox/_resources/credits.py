"""What jobs cost, and who has run out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Algorithm, AlgorithmImage, Job, stamp
from gcapi_sandbox._http.errors import refused
from gcapi_sandbox._http.permissions import has_role

if TYPE_CHECKING:
    from gcapi_sandbox._http.handlers import Call

_MONTH = timedelta(days=30)


def check_credits(call: Call, algorithm: Algorithm, image: AlgorithmImage) -> None:
    """Refuse a job that the caller cannot pay; editors get some of each image for free."""
    limits = call.state.limits
    jobs = call.store.rows(Job, "creator = ? AND kind = 'job'", call.user_id)
    of_image = jobs.narrow("algorithm_image = ?", image.pk).count()
    edits = has_role(call.store, algorithm.pk, call.user_id, "editors")
    if edits and of_image < limits.free_jobs_for_editors:
        return
    if _spent(call) + limits.credits_per_job > limits.credits:
        raise refused("You have run out of algorithm credits")


def _spent(call: Call) -> int:
    """Return the credits that the caller's jobs of the last month cost."""
    limits = call.state.limits
    since = stamp(datetime.now(UTC) - _MONTH)
    sql = """
        SELECT sum(max(n - iif(EXISTS (
            SELECT 1 FROM Membership
            WHERE target = algorithm AND user = ? AND role = 'editors'
        ), ?, 0), 0))
        FROM (
            SELECT algorithm, count(*) AS n FROM Job
            WHERE creator = ? AND kind = 'job' AND created > ? GROUP BY algorithm_image
        )
    """
    free = limits.free_jobs_for_editors
    rows = call.store.execute(sql, call.user_id, free, call.user_id, since)
    return (rows[0][0] or 0) * limits.credits_per_job
