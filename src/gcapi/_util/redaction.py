"""Redaction of credentials in text, requests and log records.

Anyone who has a presigned URL can read or write a file for an hour. httpx logs every URL in full at level INFO, and its
transport logs the headers of redirects to presigned URLs at level DEBUG.
"""

from __future__ import annotations

import logging
import re
from typing import Any

import httpx

#: A query with one of these parameters is a credential (of the common object stores and content delivery networks).
_PRESIGNED = re.compile(
    r"[?&;](?:X-(?:Amz|Goog)-[\w-]+|Signature|AWSAccessKeyId|Key-Pair-Id|Policy|sig)=",
    re.IGNORECASE,
)
_QUERY = re.compile(r"\?[^\s\"'<>\\]*")
_CREDENTIAL_HEADERS = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"x-amz-security-token"}
)
#: The loggers of httpx and its transport; a filter only sees the records of its own logger.
_LOGGERS = ("httpx", "httpcore.connection", "httpcore.http11", "httpcore.proxy")


def without_keys(text: str) -> str:
    """Return a text without the queries of presigned URLs."""
    return _QUERY.sub(lambda match: "?…" if _PRESIGNED.search(match[0]) else match[0], text)


def without_secret_headers(request: httpx.Request) -> httpx.Request:
    """Return a copy of a request without its body and credential headers."""
    headers = [
        (name, value)
        for name, value in request.headers.raw
        if name.lower() not in _CREDENTIAL_HEADERS
    ]
    return httpx.Request(request.method, request.url, headers=headers)


def without_secrets(request: httpx.Request) -> httpx.Request:
    """Return a copy of a request without its body, credential headers and the query of a presigned URL."""
    redacted = without_secret_headers(request)
    if _PRESIGNED.search(f"?{redacted.url.query.decode('ascii', 'replace')}"):
        redacted.url = redacted.url.copy_with(query=None)
    return redacted


class _RedactingFilter(logging.Filter):
    """Redacts presigned URLs in log records; other records do not change."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Accept every record."""
        record.msg = _redacted(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(map(_redacted, record.args))
        return True


def _redacted(part: Any) -> Any:
    if not isinstance(part, str | httpx.URL):
        return part
    text = without_keys(str(part))
    return part if text == str(part) else text


_log_filter = _RedactingFilter()


def guard_logs() -> None:
    """Redact the log records of httpx for the lifetime of the process; repeated calls have no effect.

    A log level would silence httpx for other users, and handlers belong to the program, so filters on httpx's loggers
    are the smallest intervention that is safe.
    """
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_log_filter)
