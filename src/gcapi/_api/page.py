"""One page of a list, and the page sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar, overload

from gcapi._api.notebook import page_html

T_co = TypeVar("T_co", covariant=True)

DEFAULT_PAGE_SIZE = 100
#: The server returns no more objects per page, whatever ``limit`` says.
MAX_PAGE_SIZE = 1000


class Page(Sequence[T_co]):
    """One page of a list.

    Attributes:
        offset: The number of objects before the page.
        limit: The number of objects that were requested; the server returns at most 1,000.
        total_count: The number of objects in the whole list.
    """

    def __init__(
        self, results: Sequence[T_co], *, offset: int, limit: int, total_count: int
    ) -> None:
        self._results = list(results)
        self.offset = offset
        self.limit = limit
        self.total_count = total_count

    @overload
    def __getitem__(self, index: int) -> T_co: ...

    @overload
    def __getitem__(self, index: slice) -> list[T_co]: ...

    def __getitem__(self, index: int | slice) -> T_co | list[T_co]:
        return self._results[index]

    def __len__(self) -> int:
        return len(self._results)

    def __repr__(self) -> str:
        return f"<Page of {len(self)} from {self.offset}, of {self.total_count}>"

    def _repr_html_(self) -> str:
        return page_html(self._results, f"{len(self)} from {self.offset}, of {self.total_count}")
