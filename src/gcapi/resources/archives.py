"""Archives and their items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack, overload

from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import PageModel, ReadMixin, SlugMixin
from gcapi._util.json_types import is_array
from gcapi.exceptions import UnexpectedAnswer
from grand_challenge_api import api

if TYPE_CHECKING:
    from gcapi import models
    from grand_challenge_api.api.archives import (
        archives_items_create,
        archives_items_list,
        archives_items_partial_update,
        archives_items_update,
        archives_list,
    )


class Archives(SlugMixin["models.Archive", "archives_list.Query"]):
    """Archives: collections of cases."""

    list_operation: Lazy[PageModel[models.Archive]] = Lazy(lambda: api.archives_list)
    detail_operation: Lazy[models.Archive] = Lazy(lambda: api.archives_retrieve)

    def patients(self, pk: str) -> list[str]:
        """List the patient IDs of an archive's images."""
        return _strings(self._calls.call(api.archives_patients_retrieve, pk))

    def studies(self, pk: str, patient_id: str) -> list[str]:
        """List the study instance UIDs of one patient's images in an archive.

        Args:
            pk: The primary key of the archive.
            patient_id: A patient ID from `patients`.
        """
        query = {"patient_id": patient_id}
        return _strings(self._calls.call(api.archives_studies_retrieve, pk, params=query))


class ArchiveItems(ReadMixin["models.ArchiveItem", "archives_items_list.Query"]):
    """Archive items: the cases of an archive."""

    list_operation: Lazy[PageModel[models.ArchiveItem]] = Lazy(lambda: api.archives_items_list)
    detail_operation: Lazy[models.ArchiveItem] = Lazy(lambda: api.archives_items_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.ArchiveItem: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.ArchiveItem: ...

    @overload
    def detail(self, **filters: Unpack[archives_items_list.Query]) -> models.ArchiveItem: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.ArchiveItem:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def create(self, **fields: Unpack[archives_items_create.Body]) -> models.ArchiveItemPost:
        """Create an archive item without values; `update` and `partial_update` add them."""
        return self._calls.call(api.archives_items_create, body=fields)

    def partial_update(
        self, pk: str, **fields: Unpack[archives_items_partial_update.Body]
    ) -> models.ArchiveItemPost:
        """Change the given fields of an archive item, and no others."""
        return self._calls.call(api.archives_items_partial_update, pk, body=fields)

    def update(
        self, pk: str, **fields: Unpack[archives_items_update.Body]
    ) -> models.ArchiveItemPost:
        """Replace an archive item; every socket that is missing from `values` loses its value."""
        return self._calls.call(api.archives_items_update, pk, body=fields)


def _strings(answer: Any) -> list[str]:
    if not is_array(answer):
        raise UnexpectedAnswer(f"The response is not a list. It begins: {str(answer)[:200]!r}")
    return answer
