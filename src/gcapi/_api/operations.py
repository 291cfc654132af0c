"""Calls of generated operations: a response becomes a model or an error.

An operation is a value of `grand_challenge_api.api`, such as ``api.archives_list``. Its module is imported on the first
access, since importing the whole generated package is slow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._api.version_check import VersionCheck
from gcapi._http.raw_transport import RawTransport
from gcapi._http.retrying import SAFE_METHODS
from gcapi._http.transport import default_headers
from gcapi._http.urls import is_pk, parse_user_url
from gcapi._util.json_types import is_array, is_object, is_sequence, without_arrays
from gcapi._util.messages import is_json, printable, quote_body, shown_url
from gcapi._util.redaction import without_keys
from gcapi.exceptions import ObjectNotFound, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gcapi._http.settings import Settings
    from gcapi._http.transport import Transport
    from grand_challenge_api.base import Model, Operation
    from grand_challenge_api.client import AuthenticatedClient


T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Calls:
    """Calls of the API, by operation or by URL.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.settings: Settings = transport.settings
        transport.gate = VersionCheck(transport).ensure

    def call(
        self,
        operation: Operation[T],
        *path: str | int,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> T:
        """Call an operation and return the parsed response.

        Args:
            operation: The operation.
            path: The path parameters of the operation, in order.
            params: Query parameters by their API names; `None` values are left out.
            body: The JSON body by the API's names, for operations that have one.

        Raises:
            StatusError: The response has an error status.
            UnexpectedAnswer: The response differs from the schema.
        """
        return _parse_response(
            operation, self.send(self._build_request(operation, path, params, body))
        )

    def get(self, operation: Operation[T], url: str) -> T:
        """GET a URL, and parse the response as that of an operation.

        Args:
            operation: The operation.
            url: An absolute URL on the API's host.
        """
        request = self.transport.api.build_request("GET", parse_user_url(url))
        return _parse_response(operation, self.send(request))

    def send(
        self, request: httpx.Request, *, follow_redirects: bool = False, whole: bool = False
    ) -> httpx.Response:
        """Send a request to the API and return a successful response.

        Args:
            request: The request.
            follow_redirects: Whether to follow redirects of a GET, HEAD or OPTIONS request.
            whole: Whether to accept a body of any length, if its length was announced.

        Raises:
            StatusError: The status is 400 or higher, or a redirect that is not followed.
        """
        response = self.transport.api.send(request, whole=whole)
        if follow_redirects and request.method in SAFE_METHODS:
            response = self.transport.follow(response, headers={}, stream=False)
        if not response.is_success:
            raise status_error(response, storage=not self.settings.is_api(response.url))
        return response

    def raw(self, method: str, url: str, *, follow_redirects: bool, **content: Any) -> Any:
        """Send any request to the API's host, and parse a JSON response.

        Args:
            method: The HTTP method.
            url: An absolute URL on the API's host.
            follow_redirects: Whether to follow redirects of a GET, HEAD or OPTIONS request.
            content: Parameters, headers and body, as `httpx.Client.build_request` takes them.

        Returns:
            The parsed body if the content type is JSON, else the response.

        Raises:
            StatusError: The response has an error status.
            UnexpectedAnswer: The content type is JSON, and the body is not.
        """
        request = self.transport.api.build_request(method.upper(), parse_user_url(url), **content)
        response = self.send(request, follow_redirects=follow_redirects, whole=True)
        if not is_json(response) or not response.content:
            return response
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswer(
                f"{shown_url(response.url)} answered with invalid JSON: {printable(str(error)[:200])}"
            ) from error

    def generated_client(self) -> AuthenticatedClient:
        """Return the generated client, whose requests go through this client's *api* client."""
        from grand_challenge_api.client import AuthenticatedClient  # imports attrs, which is slow

        settings = self.settings
        return AuthenticatedClient(
            base_url=settings.root_url,
            token=settings.token,
            headers=default_headers(),
            timeout=httpx.Timeout(settings.timeout),
            httpx_args={"transport": RawTransport(self.transport)},
        )

    def _build_request(
        self,
        operation: Operation[Any],
        path: Sequence[str | int],
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Request:
        for segment in path:
            if segment in {"", ".", ".."}:  # would change the other segments of the URL
                raise ObjectNotFound(f"{segment!r} is not a valid primary key.")
        filled = re.sub(r"{\w+}", "{}", operation.path).format(
            *(quote(str(segment), safe="") for segment in path)
        )
        query = {name: value for name, value in (params or {}).items() if value is not None}
        return self.transport.api.build_request(
            operation.method,
            self.settings.root_url + filled,
            params=query or None,
            json=_json_body(operation.body_model, body or {}),
        )


def _parse_response(operation: Operation[T], response: httpx.Response) -> T:
    try:
        if response.status_code not in operation.statuses:
            raise ValueError(f"status {response.status_code}")  # noqa: TRY301 - reported below
        result = operation.parse(response.json() if response.content else None)
        results = getattr(result, "results", None)
        for model in (result, *(results if is_array(results) else ())):
            _check_model(model)
    except Exception as error:
        # Whatever the parser fails on, the response is not what the schema promises.
        raise UnexpectedAnswer(
            f"The response to {response.request.method} {shown_url(response.url)} differs from the API's schema"
            f" ({type(error).__name__}: {printable(without_keys(str(error)[:200]))})."
            f" It begins: {quote_body(response)!r}"
        ) from error
    # A finished request is part of a reference cycle, which would keep the raw body for a while.
    response._content = b""
    return result


def _check_model(model: Any) -> None:
    """Check that a model has at least one of its required fields, and a primary key that may be part of a path.

    Raises:
        ValueError: It has none, so that the response is something else; or its key could lead out of a directory.
    """
    absent = getattr(model, "absent_fields", ())
    if absent and len(absent) == len(model._REQUIRED):
        raise ValueError(f"no field of {type(model).__name__}")
    pk = getattr(model, "pk", None)
    if isinstance(pk, str) and not is_pk(pk):
        raise ValueError(f"{pk[:50]!r} is not a primary key")


def _json_body(model_class: type[Model] | None, fields: Mapping[str, Any]) -> Any:
    """Return the JSON of a request body.

    Raises:
        TypeError: A required field is missing.
    """
    if model_class is None:
        return None
    model = model_class.from_dict(plain(fields))
    if model.absent_fields:
        names = ", ".join(map(repr, model.absent_fields))
        raise TypeError(f"{model_class.__name__} needs {names}.")
    return model.to_dict()


class Lazy(Generic[T_co]):
    """An operation as an attribute of a class, imported on first use.

    Args:
        get: Returns the operation.
    """

    def __init__(self, get: Callable[[], Operation[T_co]]) -> None:
        self._get = get

    def __get__(self, instance: object, owner: type | None = None) -> Operation[T_co]:
        return self._get()


def plain(value: Any) -> Any:
    """Return a copy of JSON data in which generated models and arrays are replaced by their plain data."""
    if hasattr(value, "__array__"):
        return without_arrays(value)
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_object(value):
        return {key: plain(item) for key, item in value.items()}
    if is_sequence(value):
        return [plain(item) for item in value]
    return value
