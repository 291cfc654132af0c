"""API objects as the server describes them, for scripted servers and for tests without a server."""

from __future__ import annotations

from typing import Any

from gcapi.models import HyperlinkedComponentInterfaceValue, ImageFile

PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
SOCKET: dict[str, Any] = {
    "title": "Age",
    "description": "",
    "slug": "age",
    "kind": "Integer",
    "pk": 12,
    "default_value": None,
    "super_kind": "Value",
    "relative_path": "age.json",
    "overlay_segments": [],
    "look_up_table": None,
}

#: A DICOM image.
DICOM_IMAGE: dict[str, Any] = {
    "pk": PK,
    "name": "a",
    "files": [],
    "dicom_image_set": {"image_set_id": "0" * 32},
    "width": None,
    "height": None,
    "depth": None,
    "color_space": "",
    "modality": None,
    "eye_choice": "NA",
    "stereoscopic_choice": None,
    "field_of_view": None,
    "shape_without_color": [None, None],
    "voxel_width_mm": None,
    "voxel_height_mm": None,
    "voxel_depth_mm": None,
    "api_url": f"https://gc.localhost/api/v1/cases/images/{PK}/",
    "window_center": None,
    "window_width": None,
    "segments": None,
}


def image_file(url: str, image_type: str = "MHD") -> ImageFile:
    """Return a file of an image."""
    return ImageFile.from_dict({"pk": PK, "image": PK, "file": url, "image_type": image_type})


def socket_value(relative_path: str, **source: Any) -> HyperlinkedComponentInterfaceValue:
    """Return a socket value of a case."""
    given = {"value": None, "file": None, "image": None, **source}
    return HyperlinkedComponentInterfaceValue.from_dict(
        {"interface": {**SOCKET, "relative_path": relative_path}, "pk": 1, **given}
    )
