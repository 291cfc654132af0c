"""Writes whose answer was lost: telling them from those that were refused, and trying again without guessing."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from gcapi._http.transport import never_arrived
from gcapi._util.polling import poll
from gcapi.exceptions import AmbiguousWriteError, StatusError, TitleTaken, UnexpectedAnswer
from gcapi.retries import TRANSIENT_STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping

T = TypeVar("T")

#: What a write ends with that has no good answer: it was refused, or what became of it is not known.
FAILURES = (StatusError, UnexpectedAnswer, httpx.RequestError)
#: Answers of what stands before the server: it may have carried the request out all the same.
_GATEWAY_STATUSES = TRANSIENT_STATUSES - {429}
_INTERNAL_SERVER_ERROR, _BAD_REQUEST = 500, 400
#: Seconds before each repeat of a write whose answer was lost, for an idle timeout of `USUAL_TIMEOUT` or more; they
#: shrink with a shorter one, within which the server is expected to be done.
PAUSES = (0.5, 2.0, 5.0, 15.0)
USUAL_TIMEOUT = 60.0


@dataclass(frozen=True)
class Patience:
    """How long to wait for what a lost write may have done.

    Attributes:
        seconds: How long the server may still be busy with it: the idle timeout.
        clock: Tells the time in seconds.
        sleep: Waits for a number of seconds.
    """

    seconds: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def repeats(self) -> Iterator[int]:
        """Yield the numbers of the repeats from 1, with a pause before each."""
        for number, pause in enumerate(PAUSES, start=1):
            self.sleep(pause * min(1.0, self.seconds / USUAL_TIMEOUT))
            yield number

    def look(self, look: Callable[[], T | None]) -> T | None:
        """Look again and again, for as long as the server may still be busy; return what was found, if anything."""
        return poll(look, timeout=self.seconds, clock=self.clock, sleep=self.sleep)


@contextmanager
def ambiguous(words: str) -> Generator[None]:
    """Say, where a block fails that looks for what a lost write did, that the write may have been carried out.

    Args:
        words: What was lost, and what to look for.

    Raises:
        AmbiguousWriteError: In place of the failure.
    """
    try:
        yield
    except (AmbiguousWriteError, TitleTaken):
        raise
    except FAILURES as error:
        raise AmbiguousWriteError(f"{words} ({error})") from error
    except KeyboardInterrupt as error:
        error.add_note(words)
        raise


def is_unanswered(error: BaseException) -> bool:
    """Tell whether an error says nothing of what the server did or would do."""
    if isinstance(error, StatusError):
        return error.status_code in _GATEWAY_STATUSES
    return isinstance(error, FAILURES)


def is_lost(error: BaseException) -> bool:
    """Tell whether a request may have been carried out although its answer did not come."""
    never = isinstance(error, httpx.TransportError) and never_arrived(error)
    return is_unanswered(error) and not never


def is_server_error(error: BaseException) -> bool:
    """Tell whether the server itself failed, and so changed nothing: as an answer to a repeat it means 'look again'."""
    return isinstance(error, StatusError) and error.status_code == _INTERNAL_SERVER_ERROR


def says(error: BaseException, words: str) -> bool:
    """Tell whether the server refused a request, and these words are among its own."""
    return (
        isinstance(error, StatusError)
        and error.status_code == _BAD_REQUEST
        and words in error.words
    )


def as_written(values: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return values that were read, as JSON data, in the form that a write is answered with."""
    return [
        {**value, "interface": value["interface"]["slug"], "image_name": None} for value in values
    ]
