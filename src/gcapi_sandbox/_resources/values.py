"""Socket values: the shared records, where they are attached, how they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Attachment, Socket, Value
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._resources.sockets import kind_of, render_socket
from gcapi_sandbox._socket_kinds.json_schemas import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcapi_sandbox._database.state import State
    from gcapi_sandbox._database.store import Store
    from gcapi_sandbox._http.errors import Json
    from gcapi_sandbox._http.handlers import Call

_OF_OWNER = "pk IN (SELECT value FROM Attachment WHERE owner = ? AND role = ?)"


def values_of(store: Store, owner: str, role: str) -> list[Value]:
    """Return the values in one role of an item, display set or job, by pk."""
    return store.rows(Value, _OF_OWNER, owner, role, order="pk").slice(-1, 0)


def json_record(store: Store, socket: Socket, data: Json) -> Value:
    """Return the one record of this JSON for this socket."""
    digest = canonical(data)
    found = store.find(Value, "socket = ? AND digest = ?", socket.pk, digest)
    return found or store.add(Value(socket=socket.pk, value=data, digest=digest))


def image_record(store: Store, socket: Socket, image: str) -> Value:
    """Return the one record of this image for this socket."""
    found = store.find(Value, "image = ? AND socket = ?", image, socket.pk)
    return found or store.add(Value(socket=socket.pk, image=image))


def file_record(state: State, socket: Socket, staged: objects.Staged, filename: str) -> Value:
    """Store a file and return its new record."""
    value = state.store.add(Value(socket=socket.pk, filename=filename))
    digits = f"{value.pk:04}"
    folder = f"components/componentinterfacevalue/{digits[-4:-2]}/{digits[-2:]}/{value.pk}"
    value.key = f"{folder}/{objects.valid_name(filename)}"
    objects.store(state, value.key, staged)
    state.store.save(value)
    return value


def attach(store: Store, owner: str, role: str, value: Value) -> None:
    """Put a value in its place; what stood there before is let go."""
    detach(store, owner, role, [value.socket])
    store.add(Attachment(owner=owner, role=role, value=value.pk))


def detach(store: Store, owner: str, role: str, sockets: Iterable[int]) -> None:
    """Let go of the values of some sockets."""
    for socket in sockets:
        store.delete(
            Attachment,
            "owner = ? AND role = ? AND value IN (SELECT pk FROM Value WHERE socket = ?)",
            owner,
            role,
            socket,
        )


def current(store: Store, owner: str, role: str, socket: Socket) -> Value | None:
    """Return the value that stands in one place now."""
    return store.find(Value, f"{_OF_OWNER} AND socket = ?", owner, role, socket.pk)


def _socket(call: Call, pk: int) -> Socket:
    if pk not in call.sockets:
        call.sockets[pk] = call.store.get(Socket, pk)
    return call.sockets[pk]


def _content(call: Call, value: Value) -> dict[str, Json]:
    return {
        "value": value.value,
        "file": call.site(f"media/{value.key}") if value.key else None,
        "image": call.link(f"cases/images/{value.image}/") if value.image else None,
        "pk": value.pk,
    }


def _rank(call: Call, value: Value) -> tuple[int, str]:
    socket = _socket(call, value.socket)
    return kind_of(socket).rank, socket.slug


def read_shape(call: Call, owner: str, role: str) -> Json:
    """Show the values of a role as GET does: sorted by kind, sockets in full."""
    found = sorted(values_of(call.store, owner, role), key=lambda value: _rank(call, value))
    return [_read_one(call, value) for value in found]


def _read_one(call: Call, value: Value) -> Json:
    socket = render_socket(_socket(call, value.socket))
    return {"interface": socket, "socket": socket, **_content(call, value)}


def write_shape(call: Call, owner: str, role: str) -> Json:
    """Show the values of a role as POST, PATCH and PUT do: by pk, sockets by slug."""
    return [
        {
            "interface": _socket(call, value.socket).slug,
            **_content(call, value),
            "image_name": None,
        }
        for value in values_of(call.store, owner, role)
    ]
