"""Sockets: how they are shown, and what their values must satisfy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Image, Socket
from gcapi_sandbox._http.handlers import Call, Reply, operation
from gcapi_sandbox._http.pagination import SLUG, paginate
from gcapi_sandbox._socket_kinds.json_schemas import problem
from gcapi_sandbox._socket_kinds.json_shapes import SHAPES
from gcapi_sandbox._socket_kinds.kinds import BY_CODE, Kind, SuperKind, super_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._http.errors import Json

_LARGEST_SEGMENT_COUNT = 64
_FIELD_DIMENSIONS, _FIELD_COMPONENTS = 4, 3


def kind_of(socket: Socket) -> Kind:
    """Return the kind of a socket."""
    return BY_CODE[socket.kind]


def super_kind_of(socket: Socket) -> SuperKind:
    """Return how values of a socket are given: Value, File or Image."""
    return super_kind(kind_of(socket), store_in_database=socket.store_in_database)


def render_socket(socket: Socket) -> Json:
    """Show a socket."""
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


@operation("components_interfaces_list")
def list_sockets(call: Call) -> Reply:
    """List all sockets; everybody with a token sees them."""
    rows = call.visible(Socket).sorted("pk")
    return paginate(call, rows, lambda _, socket: render_socket(socket), SLUG)


@operation("components_interfaces_retrieve")
def retrieve_socket(call: Call) -> Reply:
    """Show one socket."""
    return Reply(200, render_socket(call.lookup(Socket, "ComponentInterface")))


def json_problem(socket: Socket, data: Json) -> str | None:
    """Return what is wrong with JSON for a socket, in the server's words."""
    for schema in (SHAPES[socket.kind], socket.schema):
        if schema is not None and (found := problem(data, schema)):
            return f"JSON does not fulfill schema: {found}"
    return None


def _dicom_problem(socket: Socket, image: Image) -> str | None:
    wants, is_dicom = kind_of(socket).is_dicom, image.image_set_id is not None
    if wants == is_dicom:
        return None
    return "Image must be DICOM" if wants else "Image may not be DICOM"


def _segment_problem(socket: Socket, image: Image) -> str | None:
    known = {0, *(segment["voxel_value"] for segment in socket.overlay_segments)}
    if image.segments is None or len(image.segments) > _LARGEST_SEGMENT_COUNT:
        return "Image segments could not be determined, ensure the voxel values are integers"
    if set(image.segments) <= known:
        return None
    return f"The valid voxel values for this segmentation are: {known}"


def _field_problem(_: Socket, image: Image) -> str | None:
    shape = image.shape
    if len(shape) != _FIELD_DIMENSIONS:
        return "Deformation and displacement must be 4D images."
    if image.color_space != "GRAY" or shape[0] != _FIELD_COMPONENTS:
        return "Deformation and displacement field's first axis must have length 3."
    return None


_IMAGE_CHECKS: dict[str, Callable[[Socket, Image], str | None]] = {
    "SEG": _segment_problem,
    "DSPF": _field_problem,
}


def image_problem(socket: Socket, image: Image) -> str | None:
    """Return what is wrong with an image for a socket, in the server's words."""
    check = _IMAGE_CHECKS.get(socket.kind, _dicom_problem)
    return _dicom_problem(socket, image) or check(socket, image)
