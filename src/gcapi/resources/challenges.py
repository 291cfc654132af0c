"""Challenges and the evaluations of their submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi._api.resource_mixins import ReadMixin

if TYPE_CHECKING:
    from gcapi import models
    from gcapi._api.resource_mixins import Params


class Challenges(ReadMixin["models.PublicChallenge"]):
    """Challenges, which have no primary key: `detail` takes the short name, as ``pk`` or as ``slug``."""

    list_operation = "challenges.challenges_list"
    detail_operation = "challenges.challenges_retrieve"

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.PublicChallenge:
        """Get one challenge by its short name or its API URL.

        Args:
            pk: The short name; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: ``slug``, which is the short name too.
        """
        if set(filters) == {"slug"} and filters["slug"] and not pk and not api_url:
            return self._by_pk(filters["slug"])
        return self._one(pk, api_url, filters)


class Evaluations(ReadMixin["models.Evaluation"]):
    """Evaluations of challenge submissions, including those that run outside the platform."""

    list_operation = "evaluations.evaluations_list"
    detail_operation = "evaluations.evaluations_retrieve"

    def claimable_evaluations(
        self, params: Params | None = None
    ) -> list[models.ExternalEvaluation]:
        """List the evaluations that wait for an external evaluator.

        Args:
            params: ``submission__phase``, the primary key of a phase; `None` for all that you may claim.
        """
        return self._calls.operation(
            "evaluations.evaluations_claimable_evaluations_retrieve", params=params
        )

    def claim(self, pk: str) -> models.ExternalEvaluation:
        """Claim an evaluation, which must then be finished within a day."""
        return self._calls.operation("evaluations.evaluations_claim_partial_update", pk)

    def update_external_evaluation(
        self, pk: str, *, status: str, metrics: Any = None, error_message: str | None = None
    ) -> models.ExternalEvaluationUpdate:
        """Report the result of a claimed evaluation.

        Args:
            pk: The primary key of the evaluation.
            status: ``"Succeeded"``, which needs metrics, or ``"Failed"``, which needs an error message.
            metrics: Any JSON value; `None` to send none.
            error_message: At most 1,024 characters; `None` to send none.
        """
        given = {"status": status, "metrics": metrics, "error_message": error_message}
        return self._calls.operation(
            "evaluations.evaluations_update_external_evaluation_partial_update",
            pk,
            body={name: value for name, value in given.items() if value is not None},
        )
