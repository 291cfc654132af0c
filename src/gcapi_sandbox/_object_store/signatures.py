"""AWS Signature Version 4, as much of it as signed URLs and signed headers need."""

from __future__ import annotations

import hashlib
import hmac
import re
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHM = "AWS4-HMAC-SHA256"
_STAMP = "%Y%m%dT%H%M%SZ"
_REGION = "eu-central-1"
_KEY_ID = "SANDBOX"
_A_DAY = 86_400
#: Whether what is signed for the present request is to be over already.
EXPIRED: ContextVar[bool] = ContextVar("EXPIRED", default=False)


class BadSignature(Exception):
    """The request is not signed by this sandbox, or no longer; `code` is S3's."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Signer:
    """Signs and checks requests to one storage origin and one service (`s3`, …)."""

    secret: str
    host: str
    service: str = "s3"

    def url(
        self, method: str, path: str, seconds: int, query: Mapping[str, str] | None = None
    ) -> str:
        """Return a URL that may be used once signed, without headers, for some seconds."""
        moment = _issued(seconds)
        signed = {
            **(query or {}),
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{_KEY_ID}/{self._scope(moment)}",
            "X-Amz-Date": moment.strftime(_STAMP),
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        signature = self._sign(moment, method, path, signed, {"host": self.host})
        encoded = urlencode({**signed, "X-Amz-Signature": signature}, quote_via=quote)
        return f"http://{self.host}{quote(path)}?{encoded}"

    def check_url(self, method: str, path: str, query: str) -> dict[str, str]:
        """Return the query of a URL that this signer made and that has not expired."""
        given = dict(parse_qsl(query, keep_blank_values=True))
        signature = given.pop("X-Amz-Signature", "")
        moment = _moment(given.get("X-Amz-Date", ""))
        expected = self._sign(moment, method, path, given, {"host": self.host})
        _compare(expected, signature)
        _check_age(moment, int(given["X-Amz-Expires"]))
        return given

    def headers(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]
    ) -> dict[str, str]:
        """Return headers that make a request acceptable, the given ones among them."""
        moment = _issued(_A_DAY)
        dated = {**headers, "X-Amz-Date": moment.strftime(_STAMP)}
        lowered = {"host": self.host, **{name.lower(): value for name, value in dated.items()}}
        signature = self._sign(moment, method, path, query, lowered)
        authorization = (
            f"{ALGORITHM} Credential={_KEY_ID}/{self._scope(moment)}, "
            f"SignedHeaders={';'.join(sorted(lowered))}, Signature={signature}"
        )
        return {**dated, "Authorization": authorization}

    def check_headers(
        self, method: str, path: str, query: str, headers: Mapping[str, str], seconds: int
    ) -> None:
        """Check the signed headers of a request against what this signer would sign."""
        pattern = rf"{ALGORITHM} Credential=\S+, SignedHeaders=(\S+), Signature=(\w+)"
        given = re.fullmatch(pattern, headers.get("authorization", ""))
        if given is None:
            raise BadSignature("MissingAuthenticationToken", "The request is not signed.")
        signed = {name: headers.get(name, "") for name in given[1].split(";")}
        moment = _moment(headers.get("x-amz-date", ""))
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        expected = self._sign(moment, method, path, pairs, {**signed, "host": self.host})
        _compare(expected, given[2])
        _check_age(moment, seconds)

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
        text = "\n".join([ALGORITHM, moment.strftime(_STAMP), scope, digest])
        key = f"AWS4{self.secret}".encode()
        for word in scope.split("/"):
            key = _mac(key, word)
        return _mac(key, text).hex()


def _issued(seconds: int) -> datetime:
    """Return when a link of so many seconds is issued: now, or so long ago that it is over."""
    return datetime.now(UTC) - timedelta(seconds=seconds + 1 if EXPIRED.get() else 0)


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _moment(text: str) -> datetime:
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise BadSignature("AccessDenied", "The request is not signed.") from None


def _compare(expected: str, given: str) -> None:
    if not hmac.compare_digest(expected.encode(), given.encode()):
        raise BadSignature(
            "SignatureDoesNotMatch",
            "The request signature we calculated does not match the signature you provided.",
        )


def _check_age(moment: datetime, seconds: int) -> None:
    if datetime.now(UTC) >= moment + timedelta(seconds=seconds):
        raise BadSignature("AccessDenied", "Request has expired")
