"""Archive items and display sets: what differs between the two kinds of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar

from gcapi import models
from gcapi._api.lost_writes import as_written
from gcapi._api.page import DEFAULT_PAGE_SIZE
from gcapi._api.titles import title_of
from gcapi.exceptions import SpecError
from gcapi.resources import ArchiveItems, ReaderStudies

if TYPE_CHECKING:
    #: A case as a list or a detail shows it.
    CaseRead: TypeAlias = models.ArchiveItem | models.DisplaySet

Case = TypeVar("Case", "models.ArchiveItemPost", "models.DisplaySetPost")

#: What to do about a case that already has the title: refuse it, keep it and fill what is missing, or change it.
ExistingCase = Literal["error", "skip", "update"]


@dataclass(frozen=True)
class CaseKind(Generic[Case]):
    """One of the two kinds of cases.

    Attributes:
        namespace: The namespace in which they are created and changed.
        written_model: Returns the model that a write returns, which is loaded only when it is needed.
        noun: The kind in messages.
        parent_filter: The filter that lists the cases of one parent.
        update_call: The beginning of the call that changes a case; its pk follows.
        is_newest_last: Whether a new case is at the end of the list.
        parent_fields: Returns the parent as a write returns it, from a case as it was read.
    """

    namespace: Any
    written_model: Callable[[], type[Case]]
    noun: str
    parent_filter: str
    update_call: str
    is_newest_last: bool
    parent_fields: Callable[[Any], Mapping[str, Any]]

    def as_written(self, case: CaseRead) -> Case:
        """Return a case that was read in the form in which a write returns it."""
        values = as_written(case.values)
        return self.written_model().from_dict(
            {
                **case.to_dict(),
                **self.parent_fields(case),
                "title": title_of(case),
                "values": values,
            }
        )


@dataclass(frozen=True)
class CaseParent(Generic[Case]):
    """An archive or a reader study.

    Attributes:
        kind: The kind of its cases.
        pk: Its primary key.
        fields: The fields of a new case that refer to it.
    """

    kind: CaseKind[Case]
    pk: str
    fields: Mapping[str, Any]

    def cases(self) -> Iterator[CaseRead]:
        """Yield its cases, beginning with the page that a new one is on."""
        params = {self.kind.parent_filter: self.pk}
        if not self.kind.is_newest_last:
            yield from self.kind.namespace.iterate_all(params)
            return
        end = self.kind.namespace.count(params)
        while end > 0:
            start = max(0, end - DEFAULT_PAGE_SIZE)
            yield from reversed(self.kind.namespace.page(start, end - start, params))
            end = start

    def find(self, title: str) -> Any:
        """Return the case of a title, or `None`; the API has no filter for titles."""
        return next((case for case in self.cases() if title_of(case) == title), None)


def archive_items(namespace: ArchiveItems) -> CaseKind[models.ArchiveItemPost]:
    """Return the kind of the cases of archives."""
    return CaseKind(
        namespace,
        lambda: models.ArchiveItemPost,
        noun="archive item",
        parent_filter="archive",
        update_call="client.update_archive_item(archive_item_pk=",
        is_newest_last=False,
        parent_fields=lambda _: {},
    )


def display_sets(studies: ReaderStudies) -> CaseKind[models.DisplaySetPost]:
    """Return the kind of the cases of reader studies."""
    return CaseKind(
        studies.display_sets,
        lambda: models.DisplaySetPost,
        noun="display set",
        parent_filter="reader_study",
        update_call="client.update_display_set(display_set_pk=",
        is_newest_last=True,
        parent_fields=lambda case: {"reader_study": studies.detail(api_url=case.reader_study).slug},
    )


def pks_by_title(cases: Iterable[CaseRead]) -> dict[str, list[str]]:
    """Return the pks of cases by their titles; those of titles that differ in their Unicode form together."""
    pks: dict[str, list[str]] = {}
    for case in cases:
        if title := title_of(case):
            pks.setdefault(title, []).append(case.pk)
    return pks


def only_pk(title: str, pks: Sequence[str]) -> str | None:
    """Return the pk of the case of a title, or `None`.

    Raises:
        SpecError: Several cases have titles that look alike.
    """
    if len(pks) > 1:
        raise SpecError(
            f"{len(pks)} cases have the title {title!r}, in different Unicode forms: {', '.join(pks)}. Rename all but"
            " one of them."
        )
    return pks[0] if pks else None
