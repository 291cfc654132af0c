"""Reading response bodies into memory, up to a limit.

At most `MAX_BODY_BYTES` of a response are read, or as many as a file that the raw call asked for announces; of an
error's body, `MAX_ERROR_BODY_BYTES` are kept. There is no limit in time: a body is read as long as bytes arrive.
"""

from __future__ import annotations

import httpx

from gcapi._util.messages import shown_url
from gcapi.exceptions import UnexpectedAnswer

#: The longest body that is read into memory: about thirty times a page of a thousand items with values.
MAX_BODY_BYTES = 256 * 2**20
#: How much of an error's body is kept.
MAX_ERROR_BODY_BYTES = 2**20
#: Encodings that are decoded. Two layers, and newer encodings, can expand a few bytes to gigabytes in one step.
SAFE_ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})


def read_body(response: httpx.Response, *, whole: bool) -> None:
    """Read the body of a successful response.

    Args:
        response: An open response.
        whole: Whether the limit does not hold for a body whose length is announced.

    Raises:
        UnexpectedAnswer: The body exceeds the limit, or its encoding hides its length.
    """
    header = response.headers.get("Content-Length", "")
    announced = int(header) if header.isdecimal() and len(header) < len(str(2**64)) else 0
    limit = max(MAX_BODY_BYTES, announced) if whole else MAX_BODY_BYTES
    if not _has_safe_encoding(response):
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} answered in an encoding that was not asked for; it was not read."
        )
    if announced > limit or not _read_up_to(limit, response):
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} answered with more than {limit // 2**20} MiB; it was not read on."
            " Check base_url, or ask for less at once."
        )


def read_error_body(response: httpx.Response) -> None:
    """Read the beginning of an error's body; the status says enough, however long the body is."""
    _read_up_to(MAX_ERROR_BODY_BYTES if _has_safe_encoding(response) else 0, response)


def _has_safe_encoding(response: httpx.Response) -> bool:
    return response.headers.get("Content-Encoding", "").strip().lower() in SAFE_ENCODINGS


def _read_up_to(limit: int, response: httpx.Response) -> bool:
    """Read at most `limit` bytes of a body, and return whether that was all of it."""
    kept: list[bytes] = []
    room = limit
    for chunk in response.iter_bytes() if limit else ():
        kept.append(chunk[:room])
        room -= len(chunk)
        if room < 0:
            break
    response.close()
    response._content = b"".join(kept)  # noqa: SLF001 - what `read` sets, which has no limit of its own
    return room >= 0
