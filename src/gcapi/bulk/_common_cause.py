"""Failures of one case that all other cases would share, so that a push or a pull ends with the first of them."""

from __future__ import annotations

import httpx

from gcapi._http.retrying import GAVE_UP
from gcapi._util.error_chains import error_chain
from gcapi.exceptions import AuthenticationError, OutOfCredits, StatusError, UnreachableHostError


def common_cause(error: BaseException | None) -> httpx.HTTPError | None:
    """Return the reason of an error if it concerns all cases; else `None`.

    These are a token that is not accepted, a host that cannot be reached, a server that is down after all retries, and
    credits that are used up for the month.
    """
    for one in error_chain(error):
        if isinstance(one, AuthenticationError | UnreachableHostError | OutOfCredits):
            return one
        if isinstance(one, StatusError) and one.response.extensions.get(GAVE_UP):
            return one
    return None
