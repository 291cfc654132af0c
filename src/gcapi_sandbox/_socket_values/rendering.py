"""The JSON of sockets and of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Socket
from gcapi_sandbox._socket_values.stored_values import values_of
from gcapi_sandbox._socket_values.validation import kind_of, super_kind_of

if TYPE_CHECKING:
    from gcapi_sandbox._database.records import Value
    from gcapi_sandbox._http.calls import Call
    from gcapi_sandbox._util.json_types import Json


def render_socket(socket: Socket) -> Json:
    """Return the JSON of a socket."""
    return {
        "title": socket.title,
        "description": socket.description,
        "slug": socket.slug,
        "kind": kind_of(socket).label,
        "pk": socket.pk,
        "default_value": socket.default_value,
        "super_kind": super_kind_of(socket),
        "relative_path": socket.relative_path,
        "overlay_segments": socket.overlay_segments,
        "look_up_table": socket.look_up_table,
    }


def render_values(call: Call, owner: str, role: str) -> Json:
    """Return the values of a role as GET shows them: sorted by kind, with full sockets."""
    pairs = [(_socket(call, value.socket), value) for value in values_of(call.store, owner, role)]
    pairs.sort(key=lambda pair: (kind_of(pair[0]).rank, pair[0].slug))
    return [
        {
            "interface": render_socket(socket),
            "socket": render_socket(socket),
            **_render_content(call, value),
        }
        for socket, value in pairs
    ]


def render_written_values(call: Call, owner: str, role: str) -> Json:
    """Return the values of a role as POST, PATCH and PUT show them: sorted by pk, with slugs."""
    return [
        {
            "interface": _socket(call, value.socket).slug,
            **_render_content(call, value),
            "image_name": None,
        }
        for value in values_of(call.store, owner, role)
    ]


def _socket(call: Call, pk: int) -> Socket:
    if pk not in call.sockets:
        call.sockets[pk] = call.store.get(Socket, pk)
    return call.sockets[pk]


def _render_content(call: Call, value: Value) -> dict[str, Json]:
    return {
        "value": value.value,
        "file": call.site_url(f"media/{value.key}") if value.key else None,
        "image": call.api_url(f"cases/images/{value.image}/") if value.image else None,
        "pk": value.pk,
    }
