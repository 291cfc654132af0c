"""Exceptions that become error responses, with the status and the body of the real server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gcapi_sandbox._util.json_types import Json


class ApiError(Exception):
    """Base class of the error responses with a JSON body, which roll the transaction back."""

    status = 400

    def __init__(self, body: Json, headers: dict[str, str] | None = None) -> None:
        super().__init__(body)
        self.body = body
        self.headers = headers or {}


class BadRequestError(ApiError):
    """Raised when the body or a query parameter is invalid."""


class UnauthenticatedError(ApiError):
    """Raised when a token is invalid, or missing where one is required."""

    status = 401

    def __init__(self, detail: str = "Authentication credentials were not provided.") -> None:
        super().__init__({"detail": detail}, {"WWW-Authenticate": "Bearer"})


class ForbiddenError(ApiError):
    """Raised when the user lacks the permission for this operation."""

    status = 403

    def __init__(self, detail: str = "You do not have permission to perform this action.") -> None:
        super().__init__({"detail": detail})


class NotFoundError(ApiError):
    """Raised when an object does not exist or is not visible to the user."""

    status = 404

    def __init__(self, model: str = "") -> None:
        detail = f"No {model} matches the given query." if model else "Not found."
        super().__init__({"detail": detail})


class MethodNotAllowedError(ApiError):
    """Raised when a resource does not support the method."""

    status = 405

    def __init__(self, method: str, allow: str) -> None:
        super().__init__({"detail": f'Method "{method}" not allowed.'}, {"Allow": allow})


class NotAcceptableError(ApiError):
    """Raised when no renderer produces a media type that the client accepts."""

    status = 406

    def __init__(self) -> None:
        super().__init__({"detail": "Could not satisfy the request Accept header."})


class UnsupportedMediaTypeError(ApiError):
    """Raised when there is no parser for the media type of the body."""

    status = 415

    def __init__(self, media_type: str) -> None:
        super().__init__({"detail": f'Unsupported media type "{media_type}" in request.'})


class HtmlError(Exception):
    """Raised when a request is answered with an HTML error page of the site."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class ServerError(HtmlError):
    """Raised when a request makes the real server fail with status 500."""

    def __init__(self) -> None:
        super().__init__(500)


def non_field_error(message: str) -> BadRequestError:
    """Return the error of a body that is invalid as a whole."""
    return BadRequestError({"non_field_errors": [message]})
