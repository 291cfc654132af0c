"""HTML for notebooks: texts are escaped, and links lead to pages of http and https only."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from dataclasses import fields
from html import escape
from typing import TYPE_CHECKING, Any

from gcapi._util.json_types import is_object, is_sequence
from gcapi._util.messages import printable_lines

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

#: The longest text of a cell.
_MAX_TEXT = 300
#: The number of lines of a list that are shown.
_MAX_LINES = 20
_MAX_REPR = 199
_CELL = "text-align:left;vertical-align:top;padding:.2em .8em .2em 0"


class Html(str):
    """A text that is HTML already."""

    __slots__ = ()


def as_html(content: object) -> Html:
    """Return a text as HTML, shortened; HTML unchanged."""
    if isinstance(content, Html):
        return content
    text = str(content)
    return Html(escape(printable_lines(f"{text[:_MAX_TEXT]}…" if len(text) > _MAX_TEXT else text)))


def link(address: object, text: object) -> Html:
    """Return a link that opens a new tab; only the text if the address is not one of http or https."""
    if not isinstance(address, str) or not address.lower().startswith(("https://", "http://")):
        return as_html(text)
    return Html(
        f'<a href="{escape(address)}" target="_blank" rel="noopener noreferrer">{as_html(text)}</a>'
    )


def picture(png: bytes, description: str) -> Html:
    """Return a picture that is part of the page."""
    data = base64.b64encode(png).decode()
    return Html(
        f'<img src="data:image/png;base64,{data}" alt="{escape(description)}"'
        ' style="max-width:128px;max-height:128px;background:#000">'
    )


def table(rows: Iterable[Sequence[object]], heads: Sequence[str] = ()) -> Html:
    """Return a table; without heads, the first cell of a row is its head."""
    head = "".join(f'<th scope="col" style="{_CELL}">{as_html(one)}</th>' for one in heads)
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row" style="{_CELL};font-weight:normal;opacity:.75">{as_html(cell)}</th>'
            if index == 0 and not heads
            else f'<td style="{_CELL}">{as_html(cell)}</td>'
            for index, cell in enumerate(row)
        )
        + "</tr>"
        for row in rows
    )
    return Html(
        f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{body}</tbody></table>"
    )


def card(kind: str, title: object, *parts: Html, note: object = "") -> Html:
    """Return an object: its kind, its title, a note such as its status, and what it consists of."""
    noted = f" · {as_html(note)}" if note else ""
    heading = f" <strong>{as_html(title)}</strong>" if title else ""
    return Html(
        f"<div><div><span style='opacity:.75'>{as_html(kind)}</span>"
        f"{heading}{noted}</div>{''.join(parts)}</div>"
    )


def folded(summary: str, content: Html) -> Html:
    """Return something that a click unfolds."""
    return Html(f"<details><summary>{as_html(summary)}</summary>{content}</details>")


class ShownAsTable:
    """A base of data classes with a `repr` of one line, which notebooks show as a table."""

    __slots__ = ()

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={_in_few_words(value)}" for name, value in _shown_fields(self))
        text = f"{type(self).__name__}({shown})"
        return text if len(text) <= _MAX_REPR else f"{text[: _MAX_REPR - 2]}…)"

    def _repr_html_(self) -> str:
        return card(
            type(self).__name__,
            "",
            table((name, _cell(each)) for name, each in _shown_fields(self)),
        )


def _shown_fields(one: Any) -> list[tuple[str, Any]]:
    instance: DataclassInstance = one
    return [(field.name, getattr(one, field.name)) for field in fields(instance) if field.repr]


def _in_few_words(value: object) -> str:
    """Return a value in a few characters, lists as their length."""
    if is_sequence(value) or is_object(value):
        return str(len(value))
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _MAX_REPR // 3 else f"{text[: _MAX_REPR // 3]}…"


def _cell(value: Any) -> object:
    if hasattr(value, "_repr_html_"):
        return Html(value._repr_html_() or as_html(value))  # the protocol of IPython
    if is_object(value):
        return table((key, _cell(each)) for key, each in value.items()) if value else "–"
    if not is_sequence(value):
        return "–" if value is None else value
    if not value:
        return 0
    lines = Html("<br>".join(as_html(each) for each in value[:_MAX_LINES]))
    return folded(str(len(value)), lines)
