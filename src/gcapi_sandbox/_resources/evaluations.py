"""Evaluations of challenge submissions, and their external execution."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Challenge, Evaluation, Socket, User
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import BadRequestError, ForbiddenError, ServerError, non_field_error
from gcapi_sandbox._http.fields import FieldError, json_value, text
from gcapi_sandbox._http.filters import Filter, apply_filters
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.permissions import has_role
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._socket_values.rendering import render_socket

if TYPE_CHECKING:
    from gcapi_sandbox._util.json_types import Json

_CLAIMED = "External Execution In Progress"
_NEWEST_FIRST = "created DESC, rowid DESC"
_PHASE = Filter("submission__phase", "phase = ?")


def _render(call: Call, evaluation: Evaluation) -> dict[str, Json]:
    challenge = call.store.get(Challenge, evaluation.challenge)
    return {
        "pk": evaluation.pk,
        "method": None,
        "submission": {
            "pk": evaluation.submission,
            "phase": {
                "challenge": {"title": challenge.title, "short_name": challenge.pk},
                "title": evaluation.phase_title,
                "slug": evaluation.phase_title.lower().replace(" ", "-"),
            },
            "created": evaluation.created,
            "creator": {"username": call.store.get(User, evaluation.creator).username},
            "comment": "",
            "predictions_file": call.site_url(
                f"media/evaluation-predictions/{evaluation.submission}.zip"
            ),
            "supplementary_file": None,
            "supplementary_url": call.site_url(f"challenges/{challenge.pk}/"),
            "algorithm_image": call.api_url(f"algorithms/images/{evaluation.submission}/"),
        },
        "created": evaluation.created,
        "published": True,
        "outputs": _outputs(call, evaluation),
        "rank": 0,
        "rank_score": 0.0,
        "rank_per_metric": {},
        "status": evaluation.status,
        "title": f"#{evaluation.pk[:8]}",
        "exec_duration": None,
        "invoke_duration": None,
    }


def _outputs(call: Call, evaluation: Evaluation) -> Json:
    socket = call.store.find(Socket, "slug = 'metrics-json-file'")
    if socket is None or evaluation.metrics is None:
        return []
    shown = render_socket(socket)
    value = {"value": evaluation.metrics, "file": None, "image": None, "pk": 0}
    return [{"interface": shown, "socket": shown, **value}]


def _render_external(call: Call, evaluation: Evaluation) -> Json:
    return {
        **_render(call, evaluation),
        "algorithm_model": None,
        "algorithm_image": {},
        "claimed_by": evaluation.claimed_by,
        "phase_pk": evaluation.phase,
    }


register_reads("evaluations", Evaluation, _render, _PHASE, order=_NEWEST_FIRST)


def _is_evaluator(call: Call, evaluation: Evaluation) -> bool:
    return has_role(call.store, evaluation.phase, call.user_id, "external_evaluators")


@operation("evaluations_claimable_evaluations_retrieve")
def list_claimable(call: Call) -> Reply:
    """Return an array, not a page, of the pending evaluations that the caller may claim."""
    rows = call.visible(Evaluation).narrow("status = 'Queued'").sorted(_NEWEST_FIRST)
    rows = apply_filters(call, rows, [_PHASE])
    return Reply(200, [_render_external(call, one) for one in rows if _is_evaluator(call, one)])


@operation("evaluations_claim_partial_update")
def claim(call: Call) -> Reply:
    """Claim a pending evaluation; a user can claim one at a time."""
    evaluation = call.lookup(Evaluation)
    if not _is_evaluator(call, evaluation):
        raise ForbiddenError
    if evaluation.status != "Queued":
        raise BadRequestError({"status": "You can only claim pending evaluations."})
    if call.store.rows(Evaluation, "claimed_by = ?", call.user_id):
        raise BadRequestError({"status": "You can only claim one evaluation at a time."})
    evaluation.status, evaluation.claimed_by = _CLAIMED, call.user_id
    evaluation.claimed = call.state.clock.text()
    call.store.save(evaluation)
    return Reply(200, _render_external(call, evaluation))


class NotClaimantError(BadRequestError):
    """Raised when another user has claimed the evaluation."""

    status = 403


@operation("evaluations_update_external_evaluation_partial_update")
def update_external(call: Call) -> Reply:
    """Store the outcome of an evaluation that the caller has claimed."""
    evaluation = call.lookup(Evaluation)
    if evaluation.status != _CLAIMED:
        raise BadRequestError(
            {"status": "You need to claim an evaluation before you can update it."}
        )
    if evaluation.claimed_by != call.user_id:
        raise NotClaimantError({"status": "You do not have permission to update this evaluation."})
    fields = call.fields
    if "status" not in fields.body:
        raise ServerError
    outcome = fields.require("status", _outcome)
    metrics = fields.optional("metrics", json_value, None)
    message = fields.optional("error_message", text(1024), "")
    fields.check()
    if outcome == "Succeeded" and metrics is None:
        raise non_field_error("Metrics are required for successful evaluations.")
    if outcome == "Failed" and not message:
        raise non_field_error("An error_message is required for failed evaluations.")
    evaluation.status, evaluation.metrics, evaluation.error_message = outcome, metrics, message
    call.store.save(evaluation)
    return Reply(200, {"metrics": metrics, "status": outcome, "error_message": message})


def _outcome(data: Json) -> str:
    if data not in ("Succeeded", "Failed"):
        raise FieldError("Not a valid choice.")
    return str(data)
