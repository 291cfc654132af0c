"""Challenges and the evaluations of their submissions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, overload

from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import PageModel, ReadMixin, SlugMixin
from gcapi._util.json_types import is_array, is_object
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gcapi import models
    from gcapi._api.resource_mixins import Params
    from grand_challenge_api.api.challenges import challenges_list
    from grand_challenge_api.api.evaluations import (
        evaluations_claimable_evaluations_retrieve,
        evaluations_list,
    )

_LEADERBOARD_COLUMNS = frozenset({"rank", "user", "created", "status", "published", "pk"})


class Challenges(SlugMixin["models.PublicChallenge", "challenges_list.Query"]):
    """Challenges, which have no primary key: `detail` takes the short name, as ``pk`` or as ``slug``."""

    list_operation: Lazy[PageModel[models.PublicChallenge]] = Lazy(lambda: api.challenges_list)
    detail_operation: Lazy[models.PublicChallenge] = Lazy(lambda: api.challenges_retrieve)

    def _one(self, pk: str | None, api_url: str | None, filters: Params) -> models.PublicChallenge:
        if set(filters) == {"slug"} and filters["slug"] and not pk and not api_url:
            return super()._one(filters["slug"], None, {})
        return super()._one(pk, api_url, filters)


class Evaluations(ReadMixin["models.Evaluation", "evaluations_list.Query"]):
    """Evaluations of challenge submissions, including those that run outside the platform."""

    list_operation: Lazy[PageModel[models.Evaluation]] = Lazy(lambda: api.evaluations_list)
    detail_operation: Lazy[models.Evaluation] = Lazy(lambda: api.evaluations_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.Evaluation: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.Evaluation: ...

    @overload
    def detail(self, **filters: Unpack[evaluations_list.Query]) -> models.Evaluation: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.Evaluation:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def leaderboard(self, challenge: str, phase: str) -> list[dict[str, Any]]:
        """Get the evaluations of a phase that you can see as rows, the best first.

        The API has no way to look up a phase, so all evaluations that you can see are read.

        Args:
            challenge: The short name of the challenge.
            phase: The slug of the phase.

        Returns:
            A row for each evaluation: its rank (`None` if it has none), user, status and time, and its metrics. A
            metric inside of others has a name such as ``dice.mean``.
        """
        rows = [
            {
                "rank": one.rank or None,
                "user": one.submission.creator.username,
                "created": one.created.isoformat(),
                "status": one.status,
                "published": one.published,
                "pk": one.pk,
                # The name of a metric may be that of a column before.
                **{
                    f"metrics.{name}" if name in _LEADERBOARD_COLUMNS else name: metric
                    for value in one.outputs
                    for name, metric in _metrics("", value.value)
                },
            }
            for one in self.iterate_all()
            if one.submission.phase.challenge.short_name.lower() == challenge.lower()
            and one.submission.phase.slug == phase
        ]
        # Those without a rank are last; sorting keeps the newest first.
        return sorted(rows, key=lambda row: (row["rank"] is None, row["rank"] or 0))

    def claimable_evaluations(
        self, params: evaluations_claimable_evaluations_retrieve.Query | None = None
    ) -> list[models.ExternalEvaluation]:
        """List the evaluations that wait for an external evaluator.

        Args:
            params: ``submission__phase``, the primary key of a phase; `None` for all that you may claim.
        """
        return self._calls.call(api.evaluations_claimable_evaluations_retrieve, params=params)

    def claim(self, pk: str) -> models.ExternalEvaluation:
        """Claim an evaluation, which must then be finished within a day."""
        return self._calls.call(api.evaluations_claim_partial_update, pk)

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
        return self._calls.call(
            api.evaluations_update_external_evaluation_partial_update,
            pk,
            body={name: value for name, value in given.items() if value is not None},
        )


def _metrics(name: str, content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of metrics in an output of an evaluation, whose own name is empty."""
    if is_object(content):
        for inner, value in content.items():
            yield from _metrics(f"{name}.{inner}" if name else inner, value)
    elif name and not is_array(content):
        yield name, content
