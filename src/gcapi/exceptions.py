"""Everything that this package raises, and which of it an answer of the server makes.

The tree, in its three families (names in brackets are the built-in or httpx classes that the error also is, so that
code which catches those keeps working):

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
    │   ├── TitleTaken [ValueError]
    │   ├── AuthenticationError
    │   ├── PermissionDenied
    │   ├── NotFoundError [ObjectNotFound]
    │   ├── LimitReached
    │   │   ├── UploadLimitReached
    │   │   ├── TooManyUploads
    │   │   ├── TooManyFiles
    │   │   ├── TooManyImports
    │   │   ├── TooManyActiveJobs
    │   │   └── OutOfCredits
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
    ├── AmbiguousWriteError
    ├── IncompleteCase
    ├── ImportTimeout [TimeoutError]
    └── JobTimeout [TimeoutError]

A connection that cannot be made or breaks raises httpx's own ``TransportError``. `gcapi.bulk` has a few more:
``TargetError``, ``ManifestError`` and ``CellError`` are `SpecError`s, ``JournalError`` and ``WorkerLost`` stand alone.

Longer than 500 lines, since the tree is to be read in one place; half of it is docstrings.
"""

from __future__ import annotations

from typing import Any, ClassVar

import httpx

from gcapi._util.messages import describe_body, parsed_body
from gcapi._util.redaction import without_secrets


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
        request: What was asked, without its body, its Authorization header and the query of a presigned address.
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
        self.body: Any = parsed_body(response)
        self.words: str = describe_body(self.body)

    @property
    def status_code(self) -> int:
        """The HTTP status of the answer."""
        return self.response.status_code


class TitleTaken(StatusError, ValueError):
    """Raise when a case has the title already in its archive or reader study; nothing was made."""


class AuthenticationError(StatusError):
    """Raise when the server does not accept the token (401)."""


class PermissionDenied(StatusError):
    """Raise when the object may be seen but not changed, or not downloaded (403)."""


class NotFoundError(StatusError, ObjectNotFound):
    """Raise when the server answers 404: not found, or no access."""


class LimitReached(StatusError):
    """Raise when the server refuses, with nothing made, because you have had or have too much of something.

    Attributes:
        awaits: What ends the limit by itself, as the words of a message; empty where waiting does not help.
    """

    awaits: ClassVar[str] = ""


class UploadLimitReached(LimitReached):
    """Raise when the bytes of your uploads that the server has not used yet are too many."""


class TooManyUploads(LimitReached):
    """Raise when your uploads that the server has not used yet, finished or not, are too many."""

    awaits = "earlier uploads of yours to be used, or to be a day old and removed"


class TooManyFiles(LimitReached):
    """Raise when an upload session has too many files; an image made of more goes in as a socket value."""


class TooManyImports(LimitReached):
    """Raise when too many images of yours are being processed."""

    awaits = "images of yours to be processed"


class TooManyActiveJobs(LimitReached):
    """Raise when too many jobs of yours have not ended."""

    awaits = "jobs of yours to end"


class OutOfCredits(LimitReached):
    """Raise when what you may spend on algorithm jobs in a month is spent."""


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


class AmbiguousWriteError(GCAPIError):
    """Raise when the answer to a write was lost and nothing tells whether it was carried out.

    It is not sent again, so that nothing happens twice; the message says what to look for.
    """


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


class LimitWarning(UserWarning):
    """Warn that a call waits for a limit of the server to pass, for what, and for how long at most."""


class UnknownFilterWarning(UserWarning):
    """Warn that the server ignores a filter, and so answers with everything."""


class UnstableListWarning(UserWarning):
    """Warn that a list changed so much while it was read that objects may be missing."""


class ProgressWarning(UserWarning):
    """Issued when a progress listener fails; it is not called again, and the work goes on."""


def _rebuild(cls: type[GCAPIError], args: tuple[Any, ...], keywords: dict[str, Any]) -> GCAPIError:
    """Make an error again from its pickle: keyword arguments do not survive the built-in way."""
    return cls(*args, **keywords)
