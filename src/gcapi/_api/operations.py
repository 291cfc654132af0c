"""Calls of generated operations: a response becomes a model or an error.

An operation is named ``tag.operation_id`` as in the schema (such as ``archives.archives_items_list``). Its module is
imported on the first call, since importing the whole generated package is slow.
"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx

from gcapi._api.error_mapping import status_error
from gcapi._api.version_check import VersionCheck
from gcapi._http.raw_transport import RawTransport
from gcapi._http.retrying import SAFE_METHODS
from gcapi._http.transport import default_headers
from gcapi._http.urls import parse_user_url
from gcapi._util.json_types import is_object, is_sequence
from gcapi._util.messages import is_json, printable, quote_body, shown_url
from gcapi._util.redaction import without_keys
from gcapi.exceptions import ObjectNotFound, UnexpectedAnswer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    from gcapi._http.settings import Settings
    from gcapi._http.transport import Transport
    from grand_challenge_api.client import AuthenticatedClient


#: Stands for a generated client whose parsers raise on a status that the schema does not declare.
STRICT_CLIENT = SimpleNamespace(raise_on_unexpected_status=True)


class Calls:
    """Calls of the API, by operation or by URL.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.settings: Settings = transport.settings
        transport.gate = VersionCheck(transport).ensure

    def operation(
        self,
        name: str,
        *path: str | int,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call an operation and return the parsed response.

        Args:
            name: ``tag.operation_id``.
            path: The path parameters of the operation, in order.
            params: Query parameters by their API names; `None` values are left out.
            body: The JSON body by the API's names, for operations that have one.

        Raises:
            StatusError: The response has an error status.
            UnexpectedAnswer: The response differs from the schema.
        """
        module = operation_module(name)
        return _parse_response(module, self.send(self._build_request(module, path, params, body)))

    def get(self, name: str, url: str) -> Any:
        """GET a URL, and parse the response as that of an operation.

        Args:
            name: The operation.
            url: An absolute URL on the API's host.
        """
        request = self.transport.api.build_request("GET", parse_user_url(url))
        return _parse_response(operation_module(name), self.send(request))

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
        module: ModuleType,
        path: Sequence[str | int],
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Request:
        for segment in path:
            if segment in {"", ".", ".."}:  # would change the other segments of the URL
                raise ObjectNotFound(f"{segment!r} is not a valid primary key.")
        arguments = module._get_kwargs(*path, **_body_argument(module, body))
        query = {
            **arguments.pop("params", {}),
            **{name: value for name, value in (params or {}).items() if value is not None},
        }
        url = self.settings.root_url + arguments.pop("url")
        return self.transport.api.build_request(
            arguments.pop("method").upper(), url, params=query or None, **arguments
        )


def _parse_response(module: ModuleType, response: httpx.Response) -> Any:
    try:
        model = module._parse_response(client=STRICT_CLIENT, response=response)
        _check_not_empty(model)
    except Exception as error:
        # Whatever the parser fails on, the response is not what the schema promises.
        raise UnexpectedAnswer(
            f"The response to {response.request.method} {shown_url(response.url)} differs from the API's schema"
            f" ({type(error).__name__}: {printable(without_keys(str(error)[:200]))})."
            f" It begins: {quote_body(response)!r}"
        ) from error
    return model


def _check_not_empty(model: Any) -> None:
    """Check that a model has at least one of its required fields; a lack of some is tolerated.

    Raises:
        ValueError: It has none, so that the response is something else.
    """
    absent = getattr(model, "absent_fields", ())
    if absent and len(absent) == len(model._REQUIRED):
        raise ValueError(f"no field of {type(model).__name__}")


def operation_module(name: str) -> ModuleType:
    """Return the generated module of an operation."""
    return import_module(f"grand_challenge_api.api.{name}")


def query_parameters(name: str) -> frozenset[str]:
    """Return the API names of the query parameters that an operation has."""
    return frozenset(operation_module(name).OPERATION.query_parameters)


def _body_argument(module: ModuleType, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the request body as the generated model.

    Raises:
        TypeError: A required field is missing.
    """
    model_class = module.OPERATION.body_model
    if model_class is None:
        return {}
    model = model_class.from_dict(plain(body or {}))
    if model.absent_fields:
        raise TypeError(
            f"{model_class.__name__} needs {', '.join(map(repr, model.absent_fields))}."
        )
    return {"body": model}


def plain(value: Any) -> Any:
    """Return a copy of JSON data in which every generated model is replaced by its plain data."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_object(value):
        return {key: plain(item) for key, item in value.items()}
    if is_sequence(value):
        return [plain(item) for item in value]
    return value
