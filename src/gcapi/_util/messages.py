"""Parts of messages: redacted URLs, durations, and error bodies of the server as printable lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_array, is_object

if TYPE_CHECKING:
    import httpx  # slow; the command line prints a help text without it

#: The longest quote of the server's words in a message, in characters.
QUOTE_LIMIT = 1024
#: Nesting of error bodies beyond which they are cut; the server's own have four levels.
_MAX_DEPTH = 30
#: Keys of error bodies that do not say which field is wrong.
_GENERIC_KEYS = frozenset({"detail", "non_field_errors", "__all__"})
#: The parts of the object store's XML errors that do not repeat the request.
_STORE_WORDS = re.compile(r"<(?:Code|Message)>([^<]+)<")


def shown_url(url: httpx.URL | str) -> str:
    """Return a URL without its query, which is the key of a presigned URL."""
    without_query = re.split(r"[?#]", str(url), maxsplit=1)[0]
    return re.sub(r"//[^/]*@", "//", without_query, count=1)


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, such as ``1 row`` or ``2 rows``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def size_text(count: float) -> str:
    """Return a size in the unit that fits, such as ``5.0 MiB``."""
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:  # noqa: PLR2004
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def format_duration(seconds: float) -> str:
    """Return a duration in words, such as ``2 h 5 min`` or ``0.5 s``."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def printable(text: str) -> str:
    """Return a text in which non-printable characters and surrogates are replaced."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else "�" for character in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines in which other non-printable characters are replaced."""
    return "\n".join(map(printable, text.splitlines())) if not text.isprintable() else text


def is_json(response: httpx.Response) -> bool:
    """Return whether the content type is JSON, with or without parameters."""
    content_type: str = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return content_type == "application/json" or content_type.endswith("+json")


def parsed_body(response: httpx.Response) -> Any:
    """Return the JSON body, or the text of a body that is not valid JSON."""
    if is_json(response):
        try:
            return response.json()
        except (ValueError, RecursionError):
            pass
    try:
        return response.text
    except Exception:  # noqa: BLE001 - the server may name any codec, and each has errors of its own
        return response.content.decode("utf-8", "replace")


def quote_body(response: httpx.Response, length: int = 200) -> str:
    """Return the beginning of a response body; URLs lose their queries, since a presigned URL is a key."""
    text = response.content[: 100 * length].decode("utf-8", "replace")
    return re.sub(r"(https?://[^\s\"'?]*)\?[^\s\"']*", r"\1", text)[:length]


def describe_body(body: Any) -> str:
    """Return any error body of the API as one line of at most `QUOTE_LIMIT` characters.

    A message is prefixed with its place in the body, such as ``values[1].user_upload: …``. HTML pages are not quoted;
    of the object store's XML, only the code and the message are.
    """
    if isinstance(body, str):
        text = body
        if body.lstrip()[:100].lower().startswith(("<!doctype html", "<html")):
            text = "(an HTML page)"
        elif "<Error>" in body[:100]:
            text = ": ".join(_STORE_WORDS.findall(body))
    else:
        text = "; ".join(_leaf_messages(body, "")) or json.dumps(body)
    text = " ".join(text.split())
    return printable(text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…")


def _leaf_messages(body: Any, place: str, depth: int = 0) -> Iterator[str]:
    """Yield ``place: message`` for each leaf of an error body; an empty object stands for a valid item."""
    if depth == _MAX_DEPTH:
        yield f"{place}: …"
    elif is_object(body):
        for key, value in body.items():
            inner = place if key in _GENERIC_KEYS else _join(place, str(key))
            yield from _leaf_messages(value, inner, depth + 1)
    elif is_array(body):
        is_flat = not any(isinstance(item, dict | list) for item in body)
        for index, item in enumerate(body):
            yield from _leaf_messages(item, place if is_flat else f"{place}[{index}]", depth + 1)
    else:
        message = body if isinstance(body, str) else json.dumps(body)
        yield f"{place}: {message}" if place else message


def _join(place: str, key: str) -> str:
    if key.isdigit():
        return f"{place}[{key}]"
    return f"{place}.{key}" if place else key
