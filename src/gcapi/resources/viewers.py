"""Viewers, which the API calls workstations, and their sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi._api.operations import plain
from gcapi._api.resource_mixins import CreateMixin, ReadMixin

if TYPE_CHECKING:
    from gcapi import models  # noqa: F401 - named in the type parameters below


class Workstations(ReadMixin["models.Workstation"]):
    """Viewers."""

    list_operation = "workstations.workstations_list"
    detail_operation = "workstations.workstations_retrieve"


class WorkstationConfigs(ReadMixin["models.WorkstationConfig"]):
    """Viewer configurations."""

    list_operation = "workstations.workstations_configs_list"
    detail_operation = "workstations.workstations_configs_retrieve"


class Sessions(ReadMixin["models.Session"]):
    """Your viewer sessions."""

    list_operation = "workstations.workstations_sessions_list"
    detail_operation = "workstations.workstations_sessions_retrieve"

    def keep_alive(self, pk: str) -> dict[str, Any]:
        """Extend a session to five minutes from now, and return the server's response."""
        return plain(
            self._calls.operation(
                "workstations.workstations_sessions_keep_alive_partial_update", pk
            )
        )


class Feedback(ReadMixin["models.Feedback"], CreateMixin["models.Feedback"]):
    """User feedback on viewers."""

    list_operation = "workstations.workstations_feedback_list"
    detail_operation = "workstations.workstations_feedback_retrieve"
    create_operation = "workstations.workstations_feedback_create"
