"""How a message is made: a server's own words in one line that is fit to be shown, and addresses without their keys."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._util.json_types import is_array, is_object

if TYPE_CHECKING:
    from collections.abc import Iterator

#: How much of a server's own words a message quotes, in characters.
QUOTE_LIMIT = 1024


def shown_url(url: httpx.URL | str) -> str:
    """Return a URL fit for a message: without its query, since a presigned URL is a key."""
    return str(httpx.URL(url).copy_with(query=None, fragment=None, userinfo=b""))


def format_duration(seconds: float) -> str:
    """Return a duration in words, such as ``2 h 5 min`` or ``0.5 s``."""
    if seconds < 60:  # noqa: PLR2004 - a minute
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join(f"{number} {unit}" for number, unit in parts if number)


def is_json(response: httpx.Response) -> bool:
    """Tell whether the content type says JSON, with or without parameters."""
    content_type: str = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return content_type == "application/json" or content_type.endswith("+json")


def parsed_body(response: httpx.Response) -> Any:
    """Return the JSON body, or the text where it is not JSON, or does not parse."""
    if is_json(response):
        try:
            return response.json()
        except (ValueError, RecursionError):
            return text_of(response)
    return text_of(response)


def text_of(response: httpx.Response) -> str:
    """Return the body as text, whatever encoding the server claims: some of Python's give no text, or fail."""
    try:
        return response.text
    except Exception:  # noqa: BLE001 - each encoding has errors of its own, failed assertions among them
        return response.content.decode("utf-8", "replace")


def describe_body(body: Any) -> str:
    """Return any error body of the API as one line of at most `QUOTE_LIMIT` characters.

    Source: the nine shapes that the server's errors come in; ``values[1].user_upload: …`` shows where.
    HTML pages are named, not quoted; of the object store's XML only its code and message are, since the rest repeats
    the request.
    """
    is_text = isinstance(body, str)
    text = _describe_text(body) if is_text else "; ".join(_lines(body, "")) or json.dumps(body)
    text = " ".join(text.split())
    return printable(text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…")


def quote_body(response: httpx.Response, length: int = 200) -> str:
    """Return the beginning of a response body; URLs lose their queries, since a presigned URL is a key."""
    text = response.content[: 100 * length].decode("utf-8", "replace")
    return re.sub(r"(https?://[^\s\"'?]*)\?[^\s\"']*", r"\1", text)[:length]


def printable(text: str) -> str:
    """Return a text fit for terminals and files, which take no control characters and no half of a surrogate pair."""
    return "".join(character if character.isprintable() else "�" for character in text)


#: What is said in an error of the object store.
_STORE_WORDS = re.compile(r"<(?:Code|Message)>([^<]+)<")


def _describe_text(text: str) -> str:
    is_page = text.lstrip()[:100].lower().startswith(("<!doctype html", "<html"))
    if is_page:
        return "(an HTML page)"
    return ": ".join(_STORE_WORDS.findall(text)) if "<Error>" in text[:100] else text


#: Keys that say nothing about where an error is.
_NO_PLACE = frozenset({"detail", "non_field_errors", "__all__"})


#: How deep an error body is looked into; the server's own are four levels deep.
_DEEPEST = 30


def _lines(body: Any, place: str, depth: int = 0) -> Iterator[str]:
    """Yield ``place: words`` for every leaf of an error body; empty objects are the good items."""
    if depth == _DEEPEST:
        yield f"{place}: …"
    elif is_object(body):
        for key, value in body.items():
            inner = place if key in _NO_PLACE else _join(place, str(key))
            yield from _lines(value, inner, depth + 1)
    elif is_array(body):
        plain = not any(isinstance(item, dict | list) for item in body)
        for index, item in enumerate(body):
            yield from _lines(item, place if plain else f"{place}[{index}]", depth + 1)
    else:
        words = body if isinstance(body, str) else json.dumps(body)
        yield f"{place}: {words}" if place else words


def _join(place: str, key: str) -> str:
    if key.isdigit():
        return f"{place}[{key}]"
    return f"{place}.{key}" if place else key
