"""What a handler raises: each error knows its status and its body, word for word the server's."""

from __future__ import annotations

from typing import Any

Json = Any


class ApiError(Exception):
    """Answered with `status` and `body` as JSON; rolls the request's transaction back."""

    status = 400

    def __init__(self, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(body)
        self.body = body
        self.headers = headers or {}


class BadRequest(ApiError):
    """The body or a query parameter was refused."""


class Unauthenticated(ApiError):
    """The token is no good, or there is none where one is needed."""

    status = 401

    def __init__(self, detail: str) -> None:
        super().__init__({"detail": detail}, {"WWW-Authenticate": "Bearer"})


class Forbidden(ApiError):
    """The user may see this, but not do that."""

    status = 403

    def __init__(self, detail: str = "You do not have permission to perform this action.") -> None:
        super().__init__({"detail": detail})


class NotFound(ApiError):
    """There is nothing here that the user may see."""

    status = 404

    def __init__(self, model: str = "") -> None:
        detail = f"No {model} matches the given query." if model else "Not found."
        super().__init__({"detail": detail})


class MethodNotAllowed(ApiError):
    """The resource exists and knows no such method."""

    status = 405

    def __init__(self, method: str, allow: str) -> None:
        super().__init__({"detail": f'Method "{method}" not allowed.'}, {"Allow": allow})


class NotAcceptable(ApiError):
    """No renderer for what the client accepts."""

    status = 406

    def __init__(self) -> None:
        super().__init__({"detail": "Could not satisfy the request Accept header."})


class UnsupportedMediaType(ApiError):
    """No parser for the body's type."""

    status = 415

    def __init__(self, media_type: str) -> None:
        super().__init__({"detail": f'Unsupported media type "{media_type}" in request.'})


class PageNotFound(Exception):  # named as the page is
    """Answered with the site's HTML page: status 404, or 403 for files."""

    def __init__(self, status: int = 404) -> None:
        super().__init__(status)
        self.status = status


class ServerError(Exception):
    """A request that makes the real server fail: an HTML page with status 500."""


def refused(message: str) -> BadRequest:
    """Return the error of a body that is wrong as a whole."""
    return BadRequest({"non_field_errors": [message]})
