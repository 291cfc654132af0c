"""Keys that travel in addresses, and how they are kept out of what is shown.

A presigned address lets whoever has it read or write a file for an hour. The HTTP client logs every address in full (at
level INFO, where many programs listen), and its transport logs the headers that redirect to one (at DEBUG).
"""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx

#: A query with one of these parameters is a key (of the object stores and content networks that there are).
_KEY = re.compile(
    r"[?&;](?:X-(?:Amz|Goog)-[\w-]+|Signature|AWSAccessKeyId|Key-Pair-Id|Policy|sig)=",
    re.IGNORECASE,
)
_QUERY = re.compile(r"\?[^\s\"'<>\\]*")
#: Headers that let whoever has them do what the sender may.
_SECRET_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"x-amz-security-token"}
)
#: Where the HTTP client and its transport log; a filter hears only what is logged on its own logger.
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")


def without_keys(text: str) -> str:
    """Return a text in which the queries of presigned addresses are cut out."""
    return _QUERY.sub(lambda match: "?…" if _KEY.search(match[0]) else match[0], text)


def without_secret_headers(request: httpx.Request) -> httpx.Request:
    """Return the request without its body and without the headers that are keys."""
    headers = [
        (name, value) for name, value in request.headers.raw if name.lower() not in _SECRET_HEADERS
    ]
    return httpx.Request(request.method, request.url, headers=headers)


def without_secrets(request: httpx.Request) -> httpx.Request:
    """Return the request fit to be kept and pickled: without its body and whatever in it is a key."""
    cut = without_secret_headers(request)
    if _KEY.search(f"?{cut.url.query.decode('ascii', 'replace')}"):
        cut.url = cut.url.copy_with(query=None)
    return cut


class _KeyFilter(logging.Filter):
    """Cut keys out of log records; records without any stay what they are."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record pass."""
        record.msg = _cut(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_cut, record.args))
        return True


def _cut(thing: Any) -> Any:
    if not isinstance(thing, str | httpx.URL):
        return thing
    text = str(thing)
    cut = without_keys(text)
    return thing if cut == text else cut


_filter = _KeyFilter()


def guard_logs() -> None:
    """Keep keys out of the HTTP client's log records, in all of this process, and for good.

    A filter on the loggers is the least that is sound: a level would silence other users of the HTTP client, handlers
    are the program's own business, and the record is made where nothing else can reach it. Of other users' records,
    only those with presigned addresses change. Adding the filter again does nothing.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_filter)
