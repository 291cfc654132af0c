"""The parts of AWS Signature Version 4 that presigned URLs and signed headers need."""

from __future__ import annotations

import hashlib
import hmac
import re
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

from gcapi_sandbox._util.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
_TIME_FORMAT = "%Y%m%dT%H%M%SZ"
_REGION = "eu-central-1"
_KEY_ID = "SANDBOX"
_SECONDS_A_DAY = 86_400
#: Whether the signatures made for the current request are expired from the start.
SIGN_EXPIRED: ContextVar[bool] = ContextVar("SIGN_EXPIRED", default=False)


class SignatureError(Exception):
    """Raised when a signature is missing, invalid or expired; `code` is S3's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Signer:
    """Signs and verifies requests to one service (such as `s3`) of one host."""

    secret: str
    host: str
    service: str = "s3"
    clock: Clock = field(default_factory=Clock)

    def sign_url(
        self, method: str, path: str, seconds: int, query: Mapping[str, str] | None = None
    ) -> str:
        """Return a presigned URL that is valid for some seconds."""
        moment = self._issued(seconds)
        signed = {
            **(query or {}),
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{_KEY_ID}/{self._scope(moment)}",
            "X-Amz-Date": moment.strftime(_TIME_FORMAT),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        signature = self._sign(moment, method, path, signed, {"host": self.host})
        encoded = urlencode({**signed, "X-Amz-Signature": signature}, quote_via=quote)
        return f"http://{self.host}{quote(path)}?{encoded}"

    def verify_url(self, method: str, path: str, query: str) -> dict[str, str]:
        """Return the signed query of a URL; raise SignatureError if it is invalid or expired."""
        given = dict(parse_qsl(query, keep_blank_values=True))
        signature = given.pop("X-Amz-Signature", "")
        moment = _parse_time(given.get("X-Amz-Date", ""))
        expected = self._sign(moment, method, path, given, {"host": self.host})
        _check_signature(expected, signature)
        self._check_age(moment, int(given["X-Amz-Expires"]))
        return given

    def sign_headers(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the given headers and those that sign them."""
        moment = self._issued(_SECONDS_A_DAY)
        dated = {**headers, "X-Amz-Date": moment.strftime(_TIME_FORMAT)}
        lowered = {"host": self.host, **{name.lower(): value for name, value in dated.items()}}
        signature = self._sign(moment, method, path, query, lowered)
        authorization = (
            f"{ALGORITHM} Credential={_KEY_ID}/{self._scope(moment)}, "
            f"SignedHeaders={';'.join(sorted(lowered))}, Signature={signature}"
        )
        return {**dated, "Authorization": authorization}

    def verify_headers(
        self, method: str, path: str, query: str, headers: Mapping[str, str], seconds: int
    ) -> None:
        """Raise SignatureError if the signed headers of a request are invalid or too old."""
        pattern = rf"{ALGORITHM} Credential=\S+, SignedHeaders=(\S+), Signature=(\w+)"
        given = re.fullmatch(pattern, headers.get("authorization", ""))
        if given is None:
            raise SignatureError("MissingAuthenticationToken", "The request is not signed.")
        signed = {name: headers.get(name, "") for name in given[1].split(";")}
        moment = _parse_time(headers.get("x-amz-date", ""))
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        expected = self._sign(moment, method, path, pairs, {**signed, "host": self.host})
        _check_signature(expected, given[2])
        self._check_age(moment, seconds)

    def _issued(self, seconds: int) -> datetime:
        """Return the time of signing: now, or so long ago that the signature has expired."""
        return self.clock.now() - timedelta(seconds=seconds + 1 if SIGN_EXPIRED.get() else 0)

    def _check_age(self, moment: datetime, seconds: int) -> None:
        if self.clock.now() >= moment + timedelta(seconds=seconds):
            raise SignatureError("AccessDenied", "Request has expired")

    def _scope(self, moment: datetime) -> str:
        return f"{moment:%Y%m%d}/{_REGION}/{self.service}/aws4_request"

    def _sign(
        self,
        moment: datetime,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
    ) -> str:
        names = sorted(headers)
        canonical = "\n".join(
            [
                method,
                quote(path),
                urlencode(sorted(query.items()), quote_via=quote),
                *(f"{name}:{headers[name].strip()}" for name in names),
                "",
                ";".join(names),
                "UNSIGNED-PAYLOAD",
            ]
        )
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        scope = self._scope(moment)
        text = "\n".join([ALGORITHM, moment.strftime(_TIME_FORMAT), scope, digest])
        key = f"AWS4{self.secret}".encode()
        for word in scope.split("/"):
            key = _hmac(key, word)
        return _hmac(key, text).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _parse_time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME_FORMAT).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureError("AccessDenied", "The request is not signed.") from None


def _check_signature(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise SignatureError(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )
