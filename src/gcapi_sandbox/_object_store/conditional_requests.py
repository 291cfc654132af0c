"""Conditional and range requests, as S3 interprets them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class ConditionError(Exception):
    """Raised when a condition fails or a range is not satisfiable; `status` and `code` are S3's."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


def wants_range(headers: Mapping[str, str], etag: str, size: int) -> bool:
    """Return whether to send a byte range; several ranges and invalid ones are ignored.

    Raises:
        ConditionError: The ETag differs from `If-Match` (412) or equals `If-None-Match` (304), or
            the range starts after the end of the object (416).
    """
    if not _matches(headers.get("if-match", "*"), etag):
        message = "At least one of the pre-conditions you specified did not hold"
        raise ConditionError(412, "PreconditionFailed", message)
    if _matches(headers.get("if-none-match", ""), etag):
        raise ConditionError(304, "NotModified", "Not Modified", {"ETag": etag})
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return False
    return _is_satisfiable(found[1], found[2], size)


def _matches(header: str, etag: str) -> bool:
    return header == "*" or etag in (one.strip() for one in header.split(","))


def _is_satisfiable(first: str, last: str, size: int) -> bool:
    if not first + last or (first and last and int(last) < int(first)):
        return False
    if not size or (int(first) >= size if first else int(last) == 0):
        message = "The requested range is not satisfiable"
        raise ConditionError(416, "InvalidRange", message, {"Content-Range": f"bytes */{size}"})
    return True
