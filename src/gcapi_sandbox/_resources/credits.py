"""The credits that jobs cost."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Algorithm, AlgorithmImage, Job
from gcapi_sandbox._http.errors import non_field_error
from gcapi_sandbox._http.permissions import has_role
from gcapi_sandbox._util.clock import format_time

if TYPE_CHECKING:
    from gcapi_sandbox._http.calls import Call

_MONTH = timedelta(days=30)


def check_credits(call: Call, algorithm: Algorithm, image: AlgorithmImage) -> None:
    """Refuse a job that exceeds the caller's credits; editors have some free jobs for each image."""
    limits = call.state.limits
    jobs = call.store.rows(Job, "creator = ? AND kind = 'job'", call.user_id)
    of_image = jobs.narrow("algorithm_image = ?", image.pk).count()
    is_editor = has_role(call.store, algorithm.pk, call.user_id, "editors")
    if is_editor and of_image < limits.free_jobs_for_editors:
        return
    if _spent_credits(call) + limits.credits_per_job > limits.credits:
        raise non_field_error("You have run out of algorithm credits")


def _spent_credits(call: Call) -> int:
    """Return the cost of the caller's jobs in the last 30 days."""
    limits = call.state.limits
    since = format_time(call.state.clock.now() - _MONTH)
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
