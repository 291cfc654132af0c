"""Archives and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi._api.resource_mixins import CreateMixin, ReadMixin, UpdateMixin
from gcapi._util.json_types import is_array
from gcapi.exceptions import UnexpectedAnswer

if TYPE_CHECKING:
    from gcapi import models  # noqa: F401 - named in the type parameters below


class Archives(ReadMixin["models.Archive"]):
    """Archives: collections of cases."""

    list_operation = "archives.archives_list"
    detail_operation = "archives.archives_retrieve"

    def patients(self, pk: str) -> list[str]:
        """List the patient IDs of an archive's images."""
        return _strings(self._calls.operation("archives.archives_patients_retrieve", pk))

    def studies(self, pk: str, patient_id: str) -> list[str]:
        """List the study instance UIDs of one patient's images in an archive.

        Args:
            pk: The primary key of the archive.
            patient_id: A patient ID from `patients`.
        """
        query = {"patient_id": patient_id}
        return _strings(
            self._calls.operation("archives.archives_studies_retrieve", pk, params=query)
        )


class ArchiveItems(
    ReadMixin["models.ArchiveItem"],
    CreateMixin["models.ArchiveItemPost"],
    UpdateMixin["models.ArchiveItemPost"],
):
    """Archive items: the cases of an archive."""

    list_operation = "archives.archives_items_list"
    detail_operation = "archives.archives_items_retrieve"
    create_operation = "archives.archives_items_create"
    update_operation = "archives.archives_items_update"
    partial_update_operation = "archives.archives_items_partial_update"


def _strings(answer: Any) -> list[str]:
    if not is_array(answer):
        raise UnexpectedAnswer(f"The response is not a list. It begins: {str(answer)[:200]!r}")
    return answer
