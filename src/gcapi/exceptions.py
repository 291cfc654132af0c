"""The exceptions and warnings of this package.

Names in brackets are built-in or httpx classes that the exception also derives from:

    GCAPIError
    │   invalid configuration or arguments: nothing was sent, or nothing was changed
    ├── ConfigurationError [RuntimeError]
    │   ├── TokenError
    │   ├── MissingExtra [ImportError]
    │   └── InvalidTarget
    ├── SpecError [ValueError]
    │   ├── SpecTypeError [TypeError]
    │   ├── SpecFileError [OSError]
    │   │   ├── SpecFileNotFound [FileNotFoundError]
    │   │   └── FileInspectionError
    │   ├── DeidentificationError
    │   └── InterfaceMismatch
    ├── ObjectNotFound
    │   ├── NotFoundError [StatusError]
    │   └── SocketNotFound [ValueError]
    ├── MultipleObjectsReturned
    │
    │   the server refused the request, or the work failed
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
    ├── UnreachableHostError [httpx.ConnectError]
    │   ├── ConnectTimeoutError [httpx.ConnectTimeout]
    │   └── ProxyRefusalError [httpx.ProxyError]
    ├── ImportFailed
    ├── JobFailed
    │
    │   a response or a file is wrong, incomplete or missing
    ├── UnexpectedAnswer
    ├── TransferError
    ├── UploadInterrupted
    ├── UnsafeName
    ├── DuplicateNameError [ValueError]
    ├── AmbiguousWriteError
    ├── IncompleteCase
    ├── ImportTimeout [TimeoutError]
    └── JobTimeout [TimeoutError]

If a connection breaks, httpx's own ``TransportError`` is raised. `gcapi.bulk` adds
``TargetError``, ``ManifestError`` and ``CellError``, which are `SpecError`s, and ``JournalError``,
``PulledFolderError`` and ``WorkerLost``. Reading a field of a model that the server did not send raises
``grand_challenge_api.base.AbsentFieldError``, an `AttributeError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

from gcapi._util.messages import describe_body, parsed_body, printable_lines
from gcapi._util.redaction import without_secrets
from gcapi._util.short_tracebacks import short_traceback

if TYPE_CHECKING:
    from gcapi.findings import Finding


class GCAPIError(Exception):
    """Base class of the exceptions of this package."""

    def __str__(self) -> str:
        # Whatever a server says in it cannot drive a terminal.
        return printable_lines(super().__str__())

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show; `traceback` and the command line's --debug show all."""
        return short_traceback(self)

    def __reduce__(self) -> tuple[Any, ...]:
        # The keyword arguments of each constructor are also attributes.
        parameters = signature(type(self).__init__).parameters.values()
        keywords = {p.name: getattr(self, p.name) for p in parameters if p.kind is p.KEYWORD_ONLY}
        notes = {"__notes__": self.__notes__} if hasattr(self, "__notes__") else None
        return _rebuild, (type(self), self.args, keywords), notes


# ---------------------------------------------------------------- invalid configuration or arguments


class ConfigurationError(GCAPIError, RuntimeError):
    """Raised when the configuration of a client is invalid."""


class TokenError(ConfigurationError):
    """Raised when there is no API token, or other users of the machine can access the token file."""


class MissingExtra(ConfigurationError, ImportError):
    """Raised when an optional dependency is missing; the message has the command that installs it."""


class InvalidTarget(ConfigurationError):
    """Raised when a request would go to a host that must not get it; it is not sent."""


class SpecError(GCAPIError, ValueError):
    """Raised when a socket value cannot be made as specified; nothing was sent."""


class SpecTypeError(SpecError, TypeError):
    """Raised when an argument of a socket value specification has the wrong type."""


class SpecFileError(SpecError, OSError):
    """Raised when a local file cannot be used as the source of a socket value."""


class SpecFileNotFound(SpecFileError, FileNotFoundError):
    """Raised when a source file does not exist."""


class FileInspectionError(SpecFileError):
    """Raised when the server, or the next reader, cannot use the files of a value; nothing was sent.

    Attributes:
        findings: What is wrong, and what to do about it.
    """

    def __init__(self, *args: object, findings: Iterable[Finding]) -> None:
        super().__init__(*args)
        self.findings: tuple[Finding, ...] = tuple(findings)


class DeidentificationError(SpecError):
    """Raised when a DICOM file cannot be de-identified; it is not sent."""


class InterfaceMismatch(SpecError):
    """Raised when job inputs do not match the sockets of any interface of the algorithm."""


class ObjectNotFound(GCAPIError):
    """Raised when an object does not exist, or you have no access to it."""


class SocketNotFound(ObjectNotFound, ValueError):
    """Raised when no socket has the given slug.

    Attributes:
        slug: The slug.
    """

    def __init__(self, *args: object, slug: str) -> None:
        super().__init__(*args)
        self.slug = slug


class MultipleObjectsReturned(GCAPIError):
    """Raised when several objects match where one was expected."""


# ---------------------------------------------------------------- refusals and failures at the server


class StatusError(GCAPIError, httpx.HTTPStatusError):
    """Raised when a response has an error status.

    Attributes:
        request: The request, without its body, its credentials and the query of a presigned URL.
        response: The response.
        body: The parsed JSON body, or the text of a body that is not JSON.
        words: The server's error message in one line of at most 1,024 characters.
    """

    def __init__(self, message: str, *, response: httpx.Response) -> None:
        request = without_secrets(response.request)
        response.request = request
        # httpx has already built the request for a redirect, with the token.
        response.next_request = None
        super().__init__(message, request=request, response=response)
        self.body: Any = parsed_body(response)
        self.words: str = describe_body(self.body)

    @property
    def status_code(self) -> int:
        """The HTTP status of the response."""
        return self.response.status_code


class TitleTaken(StatusError, ValueError):
    """Raised when the archive or reader study already has a case with this title; nothing was created."""


class AuthenticationError(StatusError):
    """Raised when the server does not accept the token (401)."""


class PermissionDenied(StatusError):
    """Raised when you may see an object, but not change or download it (403)."""


class NotFoundError(StatusError, ObjectNotFound):
    """Raised when the server responds with 404: not found, or no access."""


class LimitReached(StatusError):
    """Raised when a limit or quota of the server is reached; nothing was created.

    Attributes:
        awaits: The event that ends the limit, as part of a message; empty if waiting does not help.
    """

    awaits: ClassVar[str] = ""


class UploadLimitReached(LimitReached):
    """Raised when your unused uploads exceed the storage quota."""


class TooManyUploads(LimitReached):
    """Raised when you have too many unused uploads, completed or not."""

    awaits = "earlier uploads of yours to be used, or removed after a day"


class TooManyFiles(LimitReached):
    """Raised when an upload session has too many files; upload an image with more files as a socket value."""


class TooManyImports(LimitReached):
    """Raised when too many images of yours are being processed."""

    awaits = "images of yours to be processed"


class TooManyActiveJobs(LimitReached):
    """Raised when too many jobs of yours are active."""

    awaits = "jobs of yours to end"


class OutOfCredits(LimitReached):
    """Raised when your monthly algorithm credits are used up."""


class StorageError(StatusError):
    """Raised when the object store refuses an upload or a download."""


class UnsupportedVersionError(GCAPIError):
    """Raised when the server does not support this version of gcapi."""


class UnreachableHostError(GCAPIError, httpx.ConnectError):
    """Raised when no connection to a host can be made; nothing was sent.

    Attributes:
        host: The host of the request.
        port: The port of the request.
        proxy: The host and port of the proxy; `None` for a direct connection.
        was_reached: Whether the client has reached the host before.
        request: The request, without its body, its credentials and the query of a presigned URL.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str,
        port: int | None,
        proxy: str | None,
        was_reached: bool,
        request: httpx.Request,
    ) -> None:
        super().__init__(message, request=request)
        self.host = host
        self.port = port
        self.proxy = proxy
        self.was_reached = was_reached


class ConnectTimeoutError(UnreachableHostError, httpx.ConnectTimeout):
    """Raised when a host does not accept a connection in time; nothing was sent."""


class ProxyRefusalError(UnreachableHostError, httpx.ProxyError):
    """Raised when a proxy refuses to connect to a host; nothing was sent."""


class ImportFailed(GCAPIError):
    """Raised when the server could not import an uploaded image.

    Attributes:
        pk: The primary key of the archive item or display set, which keeps its previous value.
        slug: The slug of the socket.
        reason: The server's error message.
    """

    def __init__(self, *args: object, pk: str, slug: str, reason: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.slug = slug
        self.reason = reason


class JobFailed(GCAPIError):
    """Raised when a job ends without success.

    Attributes:
        pk: The primary key of the job.
        status: The final status, as the server names it.
    """

    def __init__(self, *args: object, pk: str, status: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.status = status


# ---------------------------------------------------------------- wrong, incomplete or missing responses


class UnexpectedAnswer(GCAPIError):
    """Raised when the body of a successful response differs from the API's schema."""


class TransferError(GCAPIError):
    """Raised when a file arrived incomplete, or its checksum or length is wrong."""


class UploadInterrupted(GCAPIError):
    """Raised when the network failed during an upload; the message has the calls that resume it.

    Attributes:
        uploads: The file names of the unfinished uploads by primary key; the server keeps them for a day.
    """

    def __init__(self, *args: object, uploads: dict[str, str]) -> None:
        super().__init__(*args)
        self.uploads = uploads


class UnsafeName(GCAPIError):
    """Raised when a file name from the server would lead out of the output directory."""


class DuplicateNameError(GCAPIError, ValueError):
    """Raised when several files of one download would get the same name; nothing was written."""


class AmbiguousWriteError(GCAPIError):
    """Raised when the response to a write was lost, and its outcome cannot be determined.

    The write is not retried, so that nothing happens twice; the message says what to look for.
    """


class IncompleteCase(GCAPIError):
    """Raised when a case was created but could not be filled; the message has the call that completes it.

    Attributes:
        pk: The primary key of the archive item or display set, which lacks its values.
    """

    def __init__(self, *args: object, pk: str) -> None:
        super().__init__(*args)
        self.pk = pk


class ImportTimeout(GCAPIError, TimeoutError):
    """Raised when values did not appear in time; they may still appear.

    Attributes:
        pk: The primary key of the archive item or display set.
        slugs: The slugs of the sockets without values.
    """

    def __init__(self, *args: object, pk: str, slugs: tuple[str, ...]) -> None:
        super().__init__(*args)
        self.pk = pk
        self.slugs = slugs


class JobTimeout(GCAPIError, TimeoutError):
    """Raised when a job did not end in time; it continues at the server.

    Attributes:
        pk: The primary key of the job.
        status: The last known status.
    """

    def __init__(self, *args: object, pk: str, status: str) -> None:
        super().__init__(*args)
        self.pk = pk
        self.status = status


class FileWarning(UserWarning):
    """Issued when a person should look at a file before, or after, it is sent."""


class LimitWarning(UserWarning):
    """Issued when a call waits for a limit of the server; says for what, and until when at most."""


class RepeatWarning(UserWarning):
    """Issued when a push is about to start jobs or add untitled cases again, because their values or files changed."""


class PartialImportWarning(UserWarning):
    """Issued when the server imported an image without some of the files that were uploaded for it."""


class UnknownFilterWarning(UserWarning):
    """Issued when the server ignores a filter, and returns unfiltered objects."""


class UnstableListWarning(UserWarning):
    """Issued when a list changed while it was read, so that objects may be missing."""


class ProgressWarning(UserWarning):
    """Issued when a progress listener fails; it is not called again, and the work goes on."""


def _rebuild(cls: type[GCAPIError], args: tuple[Any, ...], keywords: dict[str, Any]) -> GCAPIError:
    """Restore a pickled exception; the default way loses keyword arguments."""
    return cls(*args, **keywords)
