"""Mapping from error responses to exceptions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gcapi import exceptions
from gcapi._http.urls import origin
from gcapi._util.messages import describe_body, parsed_body, printable, shown_url

if TYPE_CHECKING:
    import httpx

#: The exception for a status, and the advice in its message.
_BY_STATUS: dict[int, tuple[type[exceptions.StatusError], str]] = {
    401: (
        exceptions.AuthenticationError,
        (
            "The server does not accept this token. Create a new one on your Grand Challenge profile under"
            " 'API tokens' and set it as GRAND_CHALLENGE_AUTHORIZATION, or pass it as token=."
        ),
    ),
    403: (
        exceptions.PermissionDenied,
        "Your account does not have permission to do this; ask an editor for the role that it needs.",
    ),
    404: (
        exceptions.NotFoundError,
        "Not found, or no access: the server does not show objects that your account may not see.",
    ),
}

#: The status and the first words of refusals that have exceptions of their own, the exceptions, and the advice.
_BY_WORDS: tuple[tuple[int, str, type[exceptions.StatusError], str], ...] = (
    (
        400,
        r"The fields title, \w+ must make a unique set",
        exceptions.TitleTaken,
        "Choose another title.",
    ),
    (
        403,
        "Upload limit reached",
        exceptions.UploadLimitReached,
        (
            "Files that you uploaded and that are not used yet fill your upload quota, which is smaller for unverified"
            " accounts. The server frees the quota when the files are used, or after a day."
        ),
    ),
    (
        400,
        "You have created too many uploads",
        exceptions.TooManyUploads,
        "Uploads count, completed or not, until they are used or a day old.",
    ),
    (
        400,
        "Too many files uploaded",
        exceptions.TooManyFiles,
        "Split the files into several upload sessions.",
    ),
    (
        400,
        r"You currently have \d+ active image post processing tasks",
        exceptions.TooManyImports,
        "",
    ),
    (400, "You have too many active jobs", exceptions.TooManyActiveJobs, ""),
    (
        400,
        "You have run out of algorithm credits",
        exceptions.OutOfCredits,
        "Credits are counted per month; the editors of the algorithm can request more.",
    ),
)


def status_error(response: httpx.Response, *, storage: bool = False) -> exceptions.StatusError:
    """Return the exception for an error response, with the server's words and advice.

    Args:
        response: The response, whose body is read.
        storage: Whether the response is from the object store, rather than the API.
    """
    words = describe_body(parsed_body(response))
    cls, advice = _BY_STATUS.get(response.status_code, (exceptions.StatusError, ""))
    for status, beginning, limit_cls, limit_advice in _BY_WORDS:
        if status == response.status_code and re.match(beginning, words):
            cls, advice = limit_cls, limit_advice
    if storage:
        cls, advice = exceptions.StorageError, ""
    elif response.has_redirect_location:
        advice = _redirect_advice(response)
    message = (
        f"{response.request.method} {shown_url(response.request.url)} was answered"
        f" {response.status_code} {printable(response.reason_phrase)}"
    )
    if words:
        message += f": {words}"
    if advice:
        message += f". {advice}" if message[-1].isalnum() else f" {advice}"
    return cls(message, response=response)


def _redirect_advice(response: httpx.Response) -> str:
    asked, target = response.request.url, response.request.url.join(response.headers["Location"])
    if origin(asked) == origin(target):
        return f"It redirects to {shown_url(target)}. Paths of the API end in a slash."
    return (
        f"It redirects to a different server, {shown_url(target)}, and was not followed. Check base_url, and whether a"
        " login page answers instead of the API."
    )
