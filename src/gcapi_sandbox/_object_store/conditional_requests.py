"""Conditional and partial reads of an object, as S3 understands them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class ConditionError(Exception):
    """What was asked for cannot be given; `status` and `code` are S3's."""

    def __init__(
        self, status: int, code: str, message: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.headers = status, code, headers or {}


def wants_range(headers: Mapping[str, str], etag: str, size: int) -> bool:
    """Tell whether a part is asked for, and can be; every range but one of bytes is ignored.

    Raises:
        ConditionError: The object is not the one that `If-Match` names (412) or is the one that
            `If-None-Match` names (304), or it ends before the range begins (416).
    """
    if not _names(headers.get("if-match", "*"), etag):
        message = "At least one of the pre-conditions you specified did not hold"
        raise ConditionError(412, "PreconditionFailed", message)
    if _names(headers.get("if-none-match", ""), etag):
        raise ConditionError(304, "NotModified", "Not Modified", {"ETag": etag})
    found = _RANGE.fullmatch(headers.get("range", "").replace(" ", ""))
    if found is None or headers.get("if-range", etag) != etag:
        return False
    return _is_within(found[1], found[2], size)


def _names(header: str, etag: str) -> bool:
    return header == "*" or etag in (one.strip() for one in header.split(","))


def _is_within(first: str, last: str, size: int) -> bool:
    if not first + last or (first and last and int(last) < int(first)):
        return False
    if not size or (int(first) >= size if first else int(last) == 0):
        message = "The requested range is not satisfiable"
        raise ConditionError(416, "InvalidRange", message, {"Content-Range": f"bytes */{size}"})
    return True
