"""The rules for the values of a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi_sandbox._socket_kinds.json_validation import schema_problem
from gcapi_sandbox._socket_kinds.kind_schemas import JSON_SCHEMAS
from gcapi_sandbox._socket_kinds.kinds import KINDS_BY_CODE, Kind, SuperKind, super_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from gcapi_sandbox._database.records import Image, Socket
    from gcapi_sandbox._util.json_types import Json

_MAX_SEGMENTS = 64
_FIELD_DIMENSIONS, _FIELD_COMPONENTS = 4, 3


def kind_of(socket: Socket) -> Kind:
    """Return the kind of a socket."""
    return KINDS_BY_CODE[socket.kind]


def super_kind_of(socket: Socket) -> SuperKind:
    """Return the super kind of a socket: Value, File or Image."""
    return super_kind(kind_of(socket), store_in_database=socket.store_in_database)


def json_problem(socket: Socket, data: Json) -> str | None:
    """Return why JSON is invalid for a socket, in the server's words."""
    for schema in (JSON_SCHEMAS[socket.kind], socket.schema):
        if schema is not None and (found := schema_problem(data, schema)):
            return f"JSON does not fulfill schema: {found}"
    return None


def image_problem(socket: Socket, image: Image) -> str | None:
    """Return why an image is invalid for a socket, in the server's words."""
    wants_dicom, is_dicom = kind_of(socket).is_dicom, image.image_set_id is not None
    if wants_dicom != is_dicom:
        return "Image must be DICOM" if wants_dicom else "Image may not be DICOM"
    check = _IMAGE_CHECKS.get(socket.kind)
    return check(socket, image) if check else None


def _segment_problem(socket: Socket, image: Image) -> str | None:
    allowed = {0, *(segment["voxel_value"] for segment in socket.overlay_segments)}
    if image.segments is None or len(image.segments) > _MAX_SEGMENTS:
        return (
            "Image segments could not be determined, ensure the voxel values are integers and that"
            f" it contains no more than {_MAX_SEGMENTS} segments"
        )
    if set(image.segments) <= allowed:
        return None
    return f"The valid voxel values for this segmentation are: {allowed}"


def _displacement_field_problem(_: Socket, image: Image) -> str | None:
    shape = image.shape
    if len(shape) != _FIELD_DIMENSIONS:
        return "Deformation and displacement must be 4D images."
    if image.color_space != "GRAY" or shape[0] != _FIELD_COMPONENTS:
        return "Deformation and displacement field's first axis must have length 3."
    return None


_IMAGE_CHECKS: dict[str, Callable[[Socket, Image], str | None]] = {
    "SEG": _segment_problem,
    "DSPF": _displacement_field_problem,
}
