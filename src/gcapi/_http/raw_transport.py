"""The transport of the generated client, which sends through the *api* client.

So TLS, timeout, origin check and retries of `Client.raw` are those of the client, for synchronous and asynchronous
functions alike.
"""

from __future__ import annotations

import httpx

from gcapi._http.transport import Transport
from gcapi._util.scheduler import cancel_scope

#: Headers of a response that are wrong once its body is decoded, and cookies, which are never kept.
_DROPPED_HEADERS = frozenset(
    {"content-encoding", "content-length", "transfer-encoding", "set-cookie"}
)


class RawTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport for `httpx.Client` and `httpx.AsyncClient`; closing either does not close the *api* client.

    Args:
        transport: Sends the requests.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request with retries; the body of the response is already read and decoded."""
        # The *api* client adds the token to its copy; this request can be seen in responses and errors.
        request.headers.pop("Authorization", None)
        copy = httpx.Request(
            request.method,
            request.url,
            headers=request.headers,
            stream=request.stream,
            extensions=dict(request.extensions),
        )
        response = self._transport.api.send(copy, whole=True)
        headers = [
            (name, value)
            for name, value in response.headers.multi_items()
            if name.lower() not in _DROPPED_HEADERS
        ]
        return httpx.Response(response.status_code, headers=headers, content=response.content)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request in a worker thread; cancelling the caller keeps it from being sent again."""
        from anyio.to_thread import (
            run_sync,  # slow to import, and used by asynchronous functions only
        )

        await request.aread()
        with cancel_scope():
            return await run_sync(self.handle_request, request, abandon_on_cancel=True)
