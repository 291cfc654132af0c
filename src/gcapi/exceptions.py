"""Everything that this package raises, and how a message is made from a server's answer.

The tree, in its three families (names in brackets are the built-in or httpx classes that the error also is, so that
code which catches those keeps working)::

    GCAPIError
    │   you asked wrongly: nothing was sent, or nothing was changed
    ├── ConfigurationError [RuntimeError]
    │   ├── MissingExtra [ImportError]
    │   └── InvalidTarget
    ├── SpecError [ValueError]
    │   ├── SpecTypeError [TypeError]
    │   ├── SpecFileError [OSError]
    │   │   └── SpecFileNotFound [FileNotFoundError]
    │   ├── DeidentificationError
    │   └── InterfaceMismatch
    ├── ObjectNotFound
    │   ├── NotFoundError [StatusError]
    │   └── SocketNotFound [ValueError]
    ├── MultipleObjectsReturned
    │
    │   the server refused, or did what it was asked and it failed
    ├── StatusError [httpx.HTTPStatusError]
    │   ├── AuthenticationError
    │   ├── PermissionDenied
    │   ├── NotFoundError [ObjectNotFound]
    │   └── StorageError
    ├── UnsupportedVersionError
    ├── ImportFailed
    ├── JobFailed
    │
    │   what came back, came in part, or did not come
    ├── UnexpectedAnswer
    ├── TransferError
    ├── UploadInterrupted
    ├── UnsafeName
    ├── IncompleteCase
    ├── ImportTimeout [TimeoutError]
    └── JobTimeout [TimeoutError]

A connection that cannot be made or breaks raises httpx's own ``TransportError``.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

#: How much of a server's own words a message quotes, in characters.
QUOTE_LIMIT = 1024


class GCAPIError(Exception):
    """Base class of everything that this package raises."""

    #: The keyword arguments of the constructor, which are attributes too: a pickle needs them.
    _keywords: ClassVar[tuple[str, ...]] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        keywords = {name: getattr(self, name) for name in self._keywords}
        return _rebuild, (type(self), self.args, keywords)


# ---------------------------------------------------------------- you asked wrongly


class ConfigurationError(GCAPIError, RuntimeError):
    """Raise when the client cannot be set up as asked."""


class MissingExtra(ConfigurationError, ImportError):
    """Raise when an optional dependency is needed and not installed; the message has the command."""


class InvalidTarget(ConfigurationError):
    """Raise instead of sending a request to a host that must not see it."""


class SpecError(GCAPIError, ValueError):
    """Raise for a socket value that cannot be made as specified; nothing was sent."""


class SpecTypeError(SpecError, TypeError):
    """Raise for an argument of the wrong type in a socket value specification."""


class SpecFileError(SpecError, OSError):
    """Raise for a local file that cannot be used as the source of a socket value."""


class SpecFileNotFound(SpecFileError, FileNotFoundError):
    """Raise for a source file that does not exist."""


class DeidentificationError(SpecError):
    """Raise when a DICOM file cannot be de-identified, and so is not sent."""


class InterfaceMismatch(SpecError):
    """Raise when job inputs are not exactly the sockets of one of the algorithm's interfaces."""


class ObjectNotFound(GCAPIError):
    """Raise when no object was found where one was expected; it may exist and not be visible to you."""


class SocketNotFound(ObjectNotFound, ValueError):
    """Raise for a socket slug that the server does not know.

    Attributes:
        slug: The slug that was looked for.
    """

    _keywords = ("slug",)

    def __init__(self, *args: object, slug: str) -> None:
        super().__init__(*args)
        self.slug = slug


class MultipleObjectsReturned(GCAPIError):
    """Raise when several objects were found where one was expected."""


# ---------------------------------------------------------------- the server refused


class StatusError(GCAPIError, httpx.HTTPStatusError):
    """Raise for an answer with an error status.

    Attributes:
        request: What was asked, without its body and its Authorization header.
        response: The whole answer.
        body: The parsed JSON body, or its text where it is not JSON.
        words: The server's own words in one line, at most `QUOTE_LIMIT` characters.
    """

    _keywords = ("response",)

    def __init__(self, message: str, *, response: httpx.Response) -> None:
        request = without_secrets(response.request)
        response.request = request
        # Where a redirect would have gone: httpx has made that request already, token and all.
        response.next_request = None
        super().__init__(message, request=request, response=response)
        self.body = parsed_body(response)
        self.words = describe_body(self.body)

    @property
    def status_code(self) -> int:
        """The HTTP status of the answer."""
        return self.response.status_code


class AuthenticationError(StatusError):
    """Raise when the server does not accept the token (401)."""


class PermissionDenied(StatusError):
    """Raise when the object may be seen but not changed, or not downloaded (403)."""


class NotFoundError(StatusError, ObjectNotFound):
    """Raise when the server answers 404: not found, or no access."""


class StorageError(StatusError):
    """Raise when the object store refuses an upload or a download."""


class UnsupportedVersionError(GCAPIError):
    """Raise when the server no longer talks to this version of the client."""


class ImportFailed(GCAPIError):
    """Raise when the server could not import an uploaded image.

    Attributes:
        pk: The archive item or display set, which keeps its former value.
        slug: The socket.
        reason: The server's words.
    """

    _keywords = ("pk", "slug", "reason")

    def __init__(self, *args: object, pk: str, slug: str, reason: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.slug = slug
        self.reason = reason


class JobFailed(GCAPIError):
    """Raise when a job ends in any state but success.

    Attributes:
        pk: The job.
        status: The state it ended in, as the server names it.
    """

    _keywords = ("pk", "status")

    def __init__(self, *args: object, pk: str, status: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.status = status


# ------------------------------------------- what came back, came in part, or did not come


class UnexpectedAnswer(GCAPIError):
    """Raise for an answer of success whose body is not what the API promises."""


class TransferError(GCAPIError):
    """Raise when a file arrived in part, or differs from what was announced."""


class UploadInterrupted(GCAPIError):
    """Raise when the network failed during an upload; the message prints the calls that take it up again.

    Attributes:
        uploads: The file names of the unfinished uploads, by pk; the server keeps them for a day.
    """

    _keywords = ("uploads",)

    def __init__(self, *args: object, uploads: dict[str, str]) -> None:
        super().__init__(*args)
        self.uploads = uploads


class UnsafeName(GCAPIError):
    """Raise for a file name from the server that would leave the output directory."""


class IncompleteCase(GCAPIError):
    """Raise when a case was created and could not be filled; the message prints the call that completes it.

    Attributes:
        pk: The archive item or display set that exists and lacks its values.
    """

    _keywords = ("pk",)

    def __init__(self, *args: object, pk: str) -> None:
        super().__init__(*args)
        self.pk = pk


class ImportTimeout(GCAPIError, TimeoutError):
    """Raise when values had not appeared in time; they may still appear.

    Attributes:
        pk: The archive item or display set.
        slugs: The sockets whose values are missing.
    """

    _keywords = ("pk", "slugs")

    def __init__(self, *args: object, pk: str, slugs: tuple[str, ...]) -> None:
        super().__init__(*args)
        self.pk = pk
        self.slugs = slugs


class JobTimeout(GCAPIError, TimeoutError):
    """Raise when a job had not ended in time; it goes on at the server.

    Attributes:
        pk: The job.
        status: The state it was last seen in.
    """

    _keywords = ("pk", "status")

    def __init__(self, *args: object, pk: str, status: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.status = status


class UnknownFilterWarning(UserWarning):
    """Warn that the server ignores a filter, and so answers with everything."""


class UnstableListWarning(UserWarning):
    """Warn that a list changed so much while it was read that objects may be missing."""


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn, and point at the line outside of this package that led here."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the public way is slow, and reads every source file
    level = 2
    while frame is not None and frame.f_globals.get("__name__", "").startswith("gcapi."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, category, stacklevel=level)


def _rebuild(cls: type[GCAPIError], args: tuple[Any, ...], keywords: dict[str, Any]) -> GCAPIError:
    """Make an error again from its pickle: keyword arguments do not survive the built-in way."""
    return cls(*args, **keywords)


# ---------------------------------------------------------------- how a message is made


def without_secrets(request: httpx.Request) -> httpx.Request:
    """Return the request without its body and its Authorization header, fit to be kept and pickled."""
    headers = {
        name: value for name, value in request.headers.items() if name.lower() != "authorization"
    }
    return httpx.Request(request.method, request.url, headers=headers)


def shown_url(url: httpx.URL | str) -> str:
    """Return a URL fit for a message: without its query, since a presigned URL is a key."""
    return str(httpx.URL(url).copy_with(query=None, fragment=None, userinfo=b""))


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
            return response.text
    return response.text


def describe_body(body: Any) -> str:
    """Return any error body of the API as one line of at most `QUOTE_LIMIT` characters.

    Source: the nine shapes that the server's errors come in; ``values[1].user_upload: …`` shows where.
    HTML pages are named, not quoted; of the object store's XML only its code and message are, since the rest repeats
    the request.
    """
    is_text = isinstance(body, str)
    text = _describe_text(body) if is_text else "; ".join(_lines(body, "")) or json.dumps(body)
    text = " ".join(text.split())
    return text if len(text) <= QUOTE_LIMIT else text[: QUOTE_LIMIT - 1] + "…"


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
    elif isinstance(body, dict):
        for key, value in body.items():
            inner = place if key in _NO_PLACE else _join(place, str(key))
            yield from _lines(value, inner, depth + 1)
    elif isinstance(body, list):
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


#: What to do about an answer, by its status, and the class of its error.
_ADVICE: dict[int, tuple[type[StatusError], str]] = {
    301: (StatusError, "Paths of the API end in a slash."),
    401: (
        AuthenticationError,
        (
            "The server does not accept this token. Make a new one on your Grand Challenge profile under"
            " 'API tokens' and set it as GRAND_CHALLENGE_AUTHORIZATION, or pass it as token=."
        ),
    ),
    403: (
        PermissionDenied,
        "You may not do this with this account; ask an editor for the role it needs.",
    ),
    404: (
        NotFoundError,
        "Not found, or no access: the server shows nothing of what your account may not see.",
    ),
}


def status_error(response: httpx.Response, *, storage: bool = False) -> StatusError:
    """Make the error for an answer with an error status, with the server's words and advice.

    Args:
        response: The answer, its body read.
        storage: Whether the object store gave it, rather than the API.
    """
    cls, advice = _ADVICE.get(response.status_code, (StatusError, ""))
    if storage:
        cls, advice = StorageError, ""
    head = (
        f"{response.request.method} {shown_url(response.request.url)} was answered"
        f" {response.status_code} {response.reason_phrase}"
    )
    words = describe_body(parsed_body(response))
    message = f"{head}: {words}" if words else head
    return cls(f"{message} {advice}".rstrip() if advice else message, response=response)
