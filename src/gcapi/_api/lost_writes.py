"""Writes whose response was lost: recognise them, and recover without guessing.

A response is lost when the connection breaks after the request was sent, or when a gateway answers in place of the
server. The write may have been carried out. So it is repeated only where a repeat cannot act twice; otherwise the
caller first looks for what the write would have done.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import httpx

from gcapi._http.retrying import was_never_sent
from gcapi._util.messages import is_json
from gcapi._util.polling import poll
from gcapi._util.scheduler import sleep
from gcapi.exceptions import AmbiguousWriteError, StatusError, TitleTaken, UnexpectedAnswer
from gcapi.retries import TRANSIENT_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from gcapi import models

T = TypeVar("T")

#: The errors of a write that was refused, or whose result is unknown.
WRITE_ERRORS = (StatusError, UnexpectedAnswer, httpx.RequestError)
#: Statuses of gateways: the server behind one may have carried the request out all the same.
_GATEWAY_STATUSES = TRANSIENT_STATUSES - {429}
_INTERNAL_SERVER_ERROR, _BAD_REQUEST = 500, 400
#: Seconds before each repeat of a lost write, for a timeout of `FULL_PAUSES_TIMEOUT` or more; a shorter timeout, within
#: which the server is expected to answer, shortens them in proportion.
REPEAT_PAUSES = (0.5, 2.0, 5.0, 15.0)
FULL_PAUSES_TIMEOUT = 60.0


@dataclass(frozen=True)
class RecoveryPolicy:
    """The attempts of a lost write, and the time to look for its result.

    Attributes:
        timeout: Seconds that the server may still be busy with a lost write: the client's idle timeout.
        clock: Returns the time in seconds.
        sleep: Sleeps for a number of seconds.
    """

    timeout: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = sleep

    def repeats(self) -> Iterator[int]:
        """Yield the number of each repeat, from 1, after a pause."""
        for number, pause in enumerate(REPEAT_PAUSES, start=1):
            self.sleep(pause * min(1.0, self.timeout / FULL_PAUSES_TIMEOUT))
            yield number

    def look_for(self, find: Callable[[], T | None]) -> T | None:
        """Call `find` until it returns something, or until the server cannot be busy any more."""
        return poll(find, timeout=self.timeout, clock=self.clock, sleep=self.sleep)

    def write_once(
        self, write: Callable[[], T], find: Callable[[Exception], T | None], message: str
    ) -> T:
        """Send a request that the server refuses to carry out twice, and repeat it while its responses are lost.

        Args:
            write: Sends the request.
            find: Returns the result of the first request if the given error of a repeat shows that there is one.
            message: Which response was lost, and what to look for.

        Raises:
            AmbiguousWriteError: It is unknown whether the request was carried out.
        """
        try:
            return write()
        except WRITE_ERRORS as error:
            if not is_lost(error):
                raise
            lost = error
        with ambiguous_on_failure(message):
            for _ in self.repeats():
                try:
                    return write()
                except WRITE_ERRORS as error:
                    lost = error
                found = find(lost)
                if found is not None:
                    return found
                if not (is_unanswered(lost) or is_server_error(lost)):
                    break
            raise lost


@contextmanager
def ambiguous_on_failure(message: str) -> Generator[None]:
    """Replace a failure of the block, which recovers from a lost write, by `AmbiguousWriteError`.

    Args:
        message: Which response was lost, and what to look for.
    """
    try:
        yield
    except (AmbiguousWriteError, TitleTaken):
        raise
    except WRITE_ERRORS as error:
        raise AmbiguousWriteError(f"{message} ({error})") from error
    except KeyboardInterrupt as error:
        error.add_note(message)
        raise


def is_unanswered(error: BaseException) -> bool:
    """Return whether an error leaves open what the server did or would do."""
    if isinstance(error, StatusError):
        return error.status_code in _GATEWAY_STATUSES or _is_damaged(error.response)
    return isinstance(error, WRITE_ERRORS)


def _is_damaged(response: httpx.Response) -> bool:
    """Return whether the JSON of a response was cut on its way, so that the reason of a refusal is lost."""
    if not (is_json(response) and response.content):
        return False
    try:
        response.json()
    except ValueError:
        return True
    except RecursionError:  # whole, but nested too deeply
        return False
    return False


def is_lost(error: BaseException) -> bool:
    """Return whether a request may have been carried out although its response did not arrive."""
    never = isinstance(error, httpx.TransportError) and was_never_sent(error)
    return is_unanswered(error) and not never


def is_server_error(error: BaseException) -> TypeGuard[StatusError]:
    """Return whether the server failed (500) and rolled back; after a repeat it may mean that the first one acts."""
    return isinstance(error, StatusError) and error.status_code == _INTERNAL_SERVER_ERROR


def is_refusal_with(error: BaseException, words: str) -> bool:
    """Return whether the server refused a request (400) with these words."""
    return (
        isinstance(error, StatusError)
        and error.status_code == _BAD_REQUEST
        and words in error.words
    )


def as_written(values: Iterable[models.HyperlinkedComponentInterfaceValue]) -> list[dict[str, Any]]:
    """Return values, as read from the server, in the form in which a write returns them."""
    return [
        {**value.to_dict(), "interface": value.interface.slug, "image_name": None}
        for value in values
    ]
