"""The only caller of generated operations: a response becomes a model or an error.

An operation is named as the schema names it, ``tag.operation_id`` (such as ``archives.archives_items_list``), and its
module is imported when it is first called, since the generated package costs import time.
"""

from __future__ import annotations

import re
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from gcapi._api.error_mapping import status_error
from gcapi._http.retrying import SAFE_METHODS
from gcapi._http.transport import Transport, installed_version
from gcapi._http.urls import parse_user_url
from gcapi._util.fork_safety import Lock
from gcapi._util.json_types import is_object, is_sequence
from gcapi._util.messages import is_json, printable, shown_url
from gcapi._util.redaction import without_keys
from gcapi._util.user_warnings import warn_user
from gcapi.exceptions import ObjectNotFound, UnexpectedAnswer, UnsupportedVersionError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType

    import httpx

    from gcapi._http.settings import Settings
    from grand_challenge_api.client import AuthenticatedClient


#: How much of an unexpected body a message quotes, in characters.
QUOTED = 200
#: What the generated parsers ask of a client: that they fail on a status that the schema does not have.
_STRICT = SimpleNamespace(raise_on_unexpected_status=True)


class Calls:
    """Call operations of the API.

    Args:
        transport: What requests go through.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.settings: Settings = transport.settings
        transport.gate = _VersionCheck(transport).ensure

    def operation(
        self,
        name: str,
        *path: str | int,
        params: Mapping[str, Any] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call one operation of the schema and return what it answers, parsed.

        Args:
            name: ``tag.operation_id``.
            path: The operation's path parameters, in the order of its path.
            params: Query parameters by their API names; `None` values are left out.
            body: The JSON body by the API's names, for the operations that have one.

        Raises:
            StatusError: The server refused.
            UnexpectedAnswer: It answered with something else than the schema promises.
        """
        module = operation_module(name)
        return self._parsed(module, self.send(self._request(module, path, params, body)))

    def get(self, name: str, url: str) -> Any:
        """GET a URL that the server gave, and parse it as an operation's answer.

        Args:
            name: The operation whose answer it is.
            url: An absolute URL on the API's host.
        """
        request = self.transport.api.build_request("GET", parse_user_url(url))
        return self._parsed(operation_module(name), self.send(request))

    def send(
        self, request: httpx.Request, *, follow_redirects: bool = False, whole: bool = False
    ) -> httpx.Response:
        """Send a request to the API and return an answer of success.

        Args:
            request: What to send.
            follow_redirects: Whether to go where a redirect of a read leads.
            whole: Whether a body of any length is taken, if it was announced.

        Raises:
            StatusError: Any status from 400, and a redirect that is not followed.
        """
        response = self.transport.api.send(request, whole=whole)
        if follow_redirects and request.method in SAFE_METHODS:
            response = self.transport.follow(response, headers={}, stream=False)
        if not response.is_success:
            raise status_error(response, storage=not self.settings.is_api(response.url))
        return response

    def _request(
        self,
        module: ModuleType,
        path: Sequence[str | int],
        params: Mapping[str, Any] | None,
        body: Mapping[str, Any] | None,
    ) -> httpx.Request:
        if not {".", ".."}.isdisjoint(path):
            # The HTTP client would take them for steps through the path.
            raise ObjectNotFound(f"{path[0]!r} is the key of nothing.")
        arguments = module._get_kwargs(*path, **_body_argument(module, body))
        query = {**arguments.pop("params", {}), **_given(params or {})}
        url = self.settings.root_url + arguments.pop("url")
        return self.transport.api.build_request(
            arguments.pop("method").upper(), url, params=query or None, **arguments
        )

    def _parsed(self, module: ModuleType, response: httpx.Response) -> Any:
        try:
            return module._parse_response(client=_STRICT, response=response)
        except Exception as error:
            # Whatever parsing trips over, it is the answer that is not as promised.
            raise UnexpectedAnswer(
                f"The answer to {response.request.method} {shown_url(response.url)} is not what the API"
                f" promises ({type(error).__name__}: {printable(without_keys(str(error)[:200]))})."
                f" It begins: {_quote(response)!r}"
            ) from error

    def generated_client(self) -> AuthenticatedClient:
        """Return the generated client, on this client's connections, authentication and retries."""
        from grand_challenge_api.client import AuthenticatedClient

        settings = self.settings
        client = AuthenticatedClient(base_url=settings.root_url, token=settings.token)
        return client.set_httpx_client(self.transport.api)

    def raw(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Any] | None,
        json: Any,
        headers: Mapping[str, str] | None,
        files: Any,
        data: Any,
        follow_redirects: bool,
    ) -> Any:
        """Send any request to the API's host; JSON answers are parsed.

        Returns:
            The parsed body if the content type is JSON, else the whole response.

        Raises:
            StatusError: The server refused.
            UnexpectedAnswer: A body that calls itself JSON and is not.
        """
        request = self.transport.api.build_request(
            method.upper(),
            parse_user_url(url),
            params=params,
            json=json,
            headers=headers,
            files=files,
            data=data,
        )
        response = self.send(request, follow_redirects=follow_redirects, whole=True)
        if not is_json(response) or not response.content:
            return response
        try:
            return response.json()
        except (ValueError, RecursionError) as error:
            raise UnexpectedAnswer(
                f"{shown_url(response.url)} answered with broken JSON: {printable(str(error)[:200])}"
            ) from error


def operation_module(name: str) -> ModuleType:
    """Return the generated module of an operation."""
    return import_module(f"grand_challenge_api.api.{name}")


def query_parameters(name: str) -> frozenset[str]:
    """Return the query parameters that the server honours for an operation, by their API names."""
    return frozenset(operation_module(name).QUERY_PARAMETERS)


def _quote(response: httpx.Response) -> str:
    """Return the beginning of a body, without the queries of URLs in it: a presigned URL is a key."""
    text = response.content[: 100 * QUOTED].decode("utf-8", "replace")
    return re.sub(r"(https?://[^\s\"'?]*)\?[^\s\"']*", r"\1", text)[:QUOTED]


def _body_argument(module: ModuleType, body: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the operation's body as the generated request model.

    Raises:
        TypeError: A required field is missing.
    """
    if module.BODY_MODEL is None:
        return {}
    try:
        return {"body": module.BODY_MODEL.from_dict(plain(body or {}))}
    except KeyError as error:
        raise TypeError(f"{module.BODY_MODEL.__name__} needs {error.args[0]!r}") from error


def plain(value: Any) -> Any:
    """Return a value with every generated model in it turned into plain JSON data.

    The caller's own objects are not changed.
    """
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_object(value):
        return {key: plain(item) for key, item in value.items()}
    if is_sequence(value):
        return [plain(item) for item in value]
    return value


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


class _VersionCheck:
    """Ask the server, with the first request, whether it still talks to this version."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._lock = Lock()
        self._done = False

    def ensure(self) -> None:
        """Check once; a check that failed is made again with the next request.

        Raises:
            UnsupportedVersionError: The server refuses this version.
        """
        if self._done:
            return
        with self._lock:
            if not self._done:
                self._check()
                self._done = True

    def _check(self) -> None:
        # Through the storage client, since the token is neither needed here nor to be judged here.
        client = self._transport.storage
        url = self._transport.settings.api_url("gcapi/")
        response = client.get(url, headers={"Accept": "application/json"})
        if not response.is_success:
            raise status_error(response)
        compare_versions(installed_version(), _version_answer(response))


def _version_answer(response: httpx.Response) -> dict[str, str]:
    try:
        answer = response.json()
        return {key: str(answer[key]) for key in ("latest_version", "lowest_supported_version")}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnexpectedAnswer(
            f"{shown_url(response.url)} is not a Grand Challenge API: it answered {_quote(response)!r}."
            " Check base_url, and whether a proxy or a login page answers in its place."
        ) from error


def compare_versions(current: str, answer: Mapping[str, str]) -> None:
    """Hold this version against what the server says.

    Args:
        current: The installed version.
        answer: The server's ``latest_version`` and ``lowest_supported_version``.

    Raises:
        UnsupportedVersionError: Older than the lowest that is supported.
    """
    lowest, latest = answer["lowest_supported_version"], answer["latest_version"]
    if version_key(current) < version_key(lowest):
        raise UnsupportedVersionError(
            f"This is gcapi {current}; the server supports {lowest} and newer. Upgrade gcapi."
        )
    if version_key(current) < version_key(latest):
        warn_user(
            f"This is gcapi {current}; version {latest} is out. Consider an upgrade.",
            UserWarning,
        )


#: A version: its numbers, and what makes it a pre-release.
_VERSION = re.compile(
    r"v?(\d{1,9}(?:\.\d{1,9})*)(?:[-_.]?(a|b|c|rc|alpha|beta|pre|dev)[-_.]?(\d{0,9}))?.*"
)


def version_key(version: str) -> tuple[tuple[int, ...], bool, str, int]:
    """Return what orders versions: the release numbers, and pre-releases in their order before their release.

    Raises:
        UnexpectedAnswer: No version.
    """
    match = _VERSION.fullmatch(version.strip().lower())
    if match is None:
        raise UnexpectedAnswer(f"The server names a version {version!r}, which is none.")
    numbers = [int(number) for number in match[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers), match[2] is None, match[2] or "", int(match[3] or 0)
