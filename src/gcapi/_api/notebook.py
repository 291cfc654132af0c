"""Objects of the API as HTML, for notebooks: title, status, values, thumbnails of images, and links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol
from weakref import WeakValueDictionary

from gcapi._util.html import Html, as_html, card, folded, link, picture, table
from gcapi._util.json_types import is_array
from grand_challenge_api.base import Model

#: The number of thumbnails of one object or page.
MAX_PICTURES = 12
#: The number of objects of a page that are shown.
MAX_OBJECTS = 50
_TITLES = ("title", "name", "question_text", "username", "slug", "pk")
#: The fields with the values of sockets.
_VALUE_LISTS = ("values", "inputs", "outputs")


class PictureSource(Protocol):
    """Draws thumbnails of the images of one server."""

    def thumbnail(self, image: Any) -> bytes | None:
        """Return the thumbnail of an image, or of the image at an API URL; `None` if there is none."""
        ...


#: The pictures of each server, by the root of its API, for as long as a client of it exists.
_sources: WeakValueDictionary[str, PictureSource] = WeakValueDictionary()


def offer_pictures(root: str, source: PictureSource) -> None:
    """Let objects of a server show thumbnails.

    Args:
        root: The beginning of the addresses of its objects.
        source: Draws the thumbnails; the one that was offered last is used.
    """
    _sources[root] = source


class _Pictures:
    """The thumbnails of one display, of which there are at most `MAX_PICTURES`."""

    def __init__(self) -> None:
        self._left = MAX_PICTURES

    def cell(self, url: str, image: Any, name: str) -> Html:
        """Return the thumbnail of an image, or a link to it."""
        png = None
        source = next((one for root, one in _sources.items() if url.startswith(root)), None)
        if source and self._left > 0:
            png = source.thumbnail(image)
            self._left -= png is not None
        return link(url, picture(png, f"Middle slice of {name}") if png else name)


def model_html(model: Model) -> str:
    """Return an object as HTML."""
    pictures = _Pictures()
    parts = [table(_shown_rows(model, pictures))]
    others = [(name, repr(value)) for name, value in model._present()]  # noqa: SLF001  # of the same distribution
    return card(
        type(model).__name__,
        _shown_title(model),
        *parts,
        folded("All fields", table(others)),
        note=_shown_status(model),
    )


def page_html(objects: Sequence[Any], summary: str) -> str:
    """Return a page of a list as HTML.

    Args:
        objects: The objects of the page.
        summary: How many there are.
    """
    pictures = _Pictures()
    rows: list[tuple[object, ...]] = [
        (_shown_title(one), _shown_status(one), table(_shown_rows(one, pictures)))
        for one in objects[:MAX_OBJECTS]
    ]
    heads = ["title", "status", "content"]
    if not any(row[1] for row in rows):
        heads.remove("status")
        rows = [(row[0], row[2]) for row in rows]
    kind = type(objects[0]).__name__ if objects else "Nothing"
    left_out = len(objects) - len(rows)
    more = [as_html(f"… and {left_out} more")] if left_out else []
    return card(kind, summary, table(rows, heads), *more)


def namespace_html(
    name: str, description: str, methods: Iterable[str], filters: Iterable[str]
) -> str:
    """Return a namespace as HTML."""
    rows = [("methods", ", ".join(methods)), ("filters", ", ".join(filters) or "none")]
    return card(name, "", as_html(description), table(rows))


def _shown_title(model: Any) -> str:
    found = (getattr(model, name, None) for name in _TITLES)
    return str(next((one for one in found if one), ""))


def _shown_status(model: Any) -> str:
    status = getattr(model, "status", None)
    return status if isinstance(status, str) else ""


def _shown_rows(model: Any, pictures: _Pictures) -> Iterable[tuple[object, object]]:
    """Yield what matters of an object: its page, its image or value, and the values of its sockets."""
    pk, url = getattr(model, "pk", None), getattr(model, "api_url", None)
    page = getattr(model, "url", None)
    if pk is not None:
        yield "pk", link(page if isinstance(page, str) else url, pk)
    if type(model).__name__ == "HyperlinkedImage" and isinstance(url, str):
        yield "image", pictures.cell(url, model, _shown_title(model))
    if hasattr(model, "interface"):
        yield _socket_of(model), _value_cell(model, pictures)
    for name in _VALUE_LISTS:
        values = getattr(model, name, None)
        if is_array(values) and all(hasattr(value, "interface") for value in values):
            for value in values:
                socket = _socket_of(value)
                yield (
                    socket if name == "values" else f"{name[:-1]} {socket}",
                    _value_cell(value, pictures),
                )


def _socket_of(value: Any) -> str:
    return str(getattr(value.interface, "slug", value.interface))


def _value_cell(value: Any, pictures: _Pictures) -> object:
    """Return the content of a socket value as a cell."""
    image, file = getattr(value, "image", None), getattr(value, "file", None)
    if isinstance(image, str):
        return pictures.cell(image, image, "image")
    if isinstance(file, str):
        return link(file, file.partition("?")[0].rpartition("/")[2])
    return str(getattr(value, "value", None))


Model.html_renderer = model_html
