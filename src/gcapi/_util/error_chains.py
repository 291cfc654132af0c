"""The errors behind an error."""

from __future__ import annotations

import ssl
from collections.abc import Iterator


def error_chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error, its cause or the error during whose handling it occurred, the cause of that, and so on."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def is_certificate_error(error: BaseException) -> bool:
    """Return whether a certificate that was not accepted is behind an error."""
    return any(isinstance(one, ssl.SSLCertVerificationError) for one in error_chain(error))
