"""Mapping from error responses to exceptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gcapi._util.messages import describe_body, parsed_body, printable, shown_url
from gcapi.exceptions import (
    AuthenticationError,
    NotFoundError,
    OutOfCredits,
    PermissionDenied,
    StatusError,
    StorageError,
    TitleTaken,
    TooManyActiveJobs,
    TooManyFiles,
    TooManyImports,
    TooManyUploads,
    UploadLimitReached,
)

if TYPE_CHECKING:
    import httpx

#: What to do about an answer, by its status, and the class of its error.
_ADVICE: dict[int, tuple[type[StatusError], str]] = {
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


#: How those of the server's refusals begin that have an error of their own, by their status; and what to do.
_SENTENCES: tuple[tuple[int, str, type[StatusError], str], ...] = (
    (400, r"The fields title, \w+ must make a unique set", TitleTaken, "Choose another title."),
    (
        403,
        "Upload limit reached",
        UploadLimitReached,
        (
            "The files that you uploaded and that nothing has used yet fill the room that you have (less for accounts"
            " that are not verified). They leave it when they are used, or after a day."
        ),
    ),
    (
        400,
        "You have created too many uploads",
        TooManyUploads,
        "Uploads count, finished or not, until they are used, or a day old.",
    ),
    (400, "Too many files uploaded", TooManyFiles, "Make several upload sessions of them."),
    (400, r"You currently have \d+ active image post processing tasks", TooManyImports, ""),
    (400, "You have too many active jobs", TooManyActiveJobs, ""),
    (
        400,
        "You have run out of algorithm credits",
        OutOfCredits,
        "What you spend counts for a month; the algorithm's editors can ask for more.",
    ),
)


def _told(status: int, words: str) -> tuple[type[StatusError], str] | None:
    for of_status, beginning, cls, advice in _SENTENCES:
        if status == of_status and re.match(beginning, words):
            return cls, advice
    return None


def _redirect_advice(response: httpx.Response) -> str:
    """Return where an answer would have led, and what that says."""
    asked, target = response.request.url, response.request.url.join(response.headers["Location"])
    if all(
        getattr(asked, part) == getattr(target, part) for part in ("scheme", "raw_host", "port")
    ):
        return f"It leads to {shown_url(target)}. Paths of the API end in a slash."
    return (
        f"It leads to {shown_url(target)}, which is elsewhere, and was not followed: nothing was sent there. Check"
        " base_url, and whether a login page answers in the API's place."
    )


def status_error(response: httpx.Response, *, storage: bool = False) -> StatusError:
    """Make the error for an answer with an error status, with the server's words and advice.

    Args:
        response: The answer, its body read.
        storage: Whether the object store gave it, rather than the API.
    """
    words = describe_body(parsed_body(response))
    default: tuple[type[StatusError], str] = (StatusError, "")
    cls, advice = _told(response.status_code, words) or _ADVICE.get(response.status_code, default)
    if storage:
        cls, advice = StorageError, ""
    elif response.has_redirect_location:
        advice = _redirect_advice(response)
    head = (
        f"{response.request.method} {shown_url(response.request.url)} was answered"
        f" {response.status_code} {printable(response.reason_phrase)}"
    )
    message = f"{head}: {words}" if words else head
    if advice:
        message += f". {advice}" if message[-1].isalnum() else f" {advice}"
    return cls(message, response=response)
