"""Sockets, which the API calls component interfaces."""

from __future__ import annotations

from gcapi_sandbox._database.records import Socket
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.filters import SLUG
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._socket_values.rendering import render_socket


@operation("components_interfaces_list")
def list_sockets(call: Call) -> Reply:
    """List all sockets, which are visible to every user."""
    rows = call.visible(Socket).sorted("pk")
    return paginate(call, rows, lambda _, socket: render_socket(socket), SLUG)


@operation("components_interfaces_retrieve")
def retrieve_socket(call: Call) -> Reply:
    """Return one socket."""
    return Reply(200, render_socket(call.lookup(Socket, "ComponentInterface")))
