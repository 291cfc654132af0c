"""Viewers, which the API calls workstations, and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import PageModel, ReadMixin, SlugMixin
from grand_challenge_api import api

if TYPE_CHECKING:
    from gcapi import models
    from grand_challenge_api.api.workstations import (
        workstations_configs_list,
        workstations_feedback_create,
        workstations_feedback_list,
        workstations_list,
        workstations_sessions_list,
    )


class Workstations(SlugMixin["models.Workstation", "workstations_list.Query"]):
    """Viewers."""

    list_operation: Lazy[PageModel[models.Workstation]] = Lazy(lambda: api.workstations_list)
    detail_operation: Lazy[models.Workstation] = Lazy(lambda: api.workstations_retrieve)


class WorkstationConfigs(SlugMixin["models.WorkstationConfig", "workstations_configs_list.Query"]):
    """Viewer configurations."""

    list_operation: Lazy[PageModel[models.WorkstationConfig]] = Lazy(
        lambda: api.workstations_configs_list
    )
    detail_operation: Lazy[models.WorkstationConfig] = Lazy(
        lambda: api.workstations_configs_retrieve
    )


class Sessions(ReadMixin["models.Session", "workstations_sessions_list.Query"]):
    """Your viewer sessions."""

    list_operation: Lazy[PageModel[models.Session]] = Lazy(lambda: api.workstations_sessions_list)
    detail_operation: Lazy[models.Session] = Lazy(lambda: api.workstations_sessions_retrieve)

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Extend a session to five minutes from now, and return the server's response."""
        answer = self._calls.call(api.workstations_sessions_keep_alive_partial_update, pk)
        return answer.to_dict()


class Feedback(ReadMixin["models.Feedback", "workstations_feedback_list.Query"]):
    """User feedback on viewers."""

    list_operation: Lazy[PageModel[models.Feedback]] = Lazy(lambda: api.workstations_feedback_list)
    detail_operation: Lazy[models.Feedback] = Lazy(lambda: api.workstations_feedback_retrieve)

    def create(self, **fields: Unpack[workstations_feedback_create.Body]) -> models.Feedback:
        """Send feedback on a viewer."""
        return self._calls.call(api.workstations_feedback_create, body=fields)
