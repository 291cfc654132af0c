"""Records of socket values, and their attachment to cases and jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Attachment, Socket, Value
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._socket_kinds.json_validation import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gcapi_sandbox._database.store import Store
    from gcapi_sandbox._state import State
    from gcapi_sandbox._util.json_types import Json

_OF_OWNER = "pk IN (SELECT value FROM Attachment WHERE owner = ? AND role = ?)"


def values_of(store: Store, owner: str, role: str) -> list[Value]:
    """Return the values in a role of an item, display set or job, sorted by pk."""
    return store.rows(Value, _OF_OWNER, owner, role, order="pk").slice(-1, 0)


def shared_json_value(store: Store, socket: Socket, data: Json) -> Value:
    """Return the value of a socket with this JSON, created if there is none."""
    digest = canonical(data)
    found = store.find(Value, "socket = ? AND digest = ?", socket.pk, digest)
    return found or store.add(Value(socket=socket.pk, value=data, digest=digest))


def shared_image_value(store: Store, socket: Socket, image: str) -> Value:
    """Return the value of a socket with this image, created if there is none."""
    found = store.find(Value, "image = ? AND socket = ?", image, socket.pk)
    return found or store.add(Value(socket=socket.pk, image=image))


def new_file_value(
    state: State, socket: Socket, staged: objects.StagedFile, filename: str
) -> Value:
    """Store a file as a new value of a socket."""
    value = state.store.add(Value(socket=socket.pk, filename=filename))
    digits = f"{value.pk:04}"
    folder = f"components/componentinterfacevalue/{digits[-4:-2]}/{digits[-2:]}/{value.pk}"
    value.key = f"{folder}/{objects.url_safe_name(filename)}"
    objects.store_object(state, value.key, staged)
    state.store.save(value)
    return value


def attach(store: Store, owner: str, role: str, value: Value) -> None:
    """Attach a value to a role of its owner in place of the socket's former value."""
    detach(store, owner, role, [value.socket])
    store.add(Attachment(owner=owner, role=role, value=value.pk))


def detach(store: Store, owner: str, role: str, sockets: Iterable[int]) -> None:
    """Detach the values of the given sockets."""
    for socket in sockets:
        store.delete(
            Attachment,
            "owner = ? AND role = ? AND value IN (SELECT pk FROM Value WHERE socket = ?)",
            owner,
            role,
            socket,
        )


def attached_value(store: Store, owner: str, role: str, socket: Socket) -> Value | None:
    """Return the value of a socket in a role of an owner."""
    return store.find(Value, f"{_OF_OWNER} AND socket = ?", owner, role, socket.pk)
