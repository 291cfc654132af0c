"""The handlers of the API's operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._http.calls import Call, Reply

    Handler = Callable[[Call], Reply]

HANDLERS: dict[str, Handler] = {}


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register a function as the handler of an operation of the schema."""

    def register(handler: Handler) -> Handler:
        HANDLERS[name] = handler
        return handler

    return register
