"""Sockets, which the API calls component interfaces."""

from __future__ import annotations

from gcapi_sandbox._database.records import Socket
from gcapi_sandbox._http.filters import SLUG
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._socket_values.rendering import render_socket

register_reads(
    "components_interfaces",
    Socket,
    lambda _, socket: render_socket(socket),
    SLUG,
    order="pk",
    model="ComponentInterface",
)
