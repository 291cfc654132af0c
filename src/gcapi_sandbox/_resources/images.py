"""Images and their DICOM recipes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import (
    Archive,
    Image,
    ImageFile,
    Instance,
    Job,
    ReaderStudy,
    UploadSession,
)
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import ApiError
from gcapi_sandbox._http.filters import Filter, boolean_or_none, choice, iso_date, related
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._imaging.dicom import frame_ids
from gcapi_sandbox._object_store.dicom_recipes import frame_recipe, instance_recipe, metadata_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi_sandbox._util.json_types import Json

_TEXT_TAGS = (
    "patient_id",
    "patient_name",
    "patient_age",
    "study_instance_uid",
    "series_instance_uid",
    "study_description",
    "series_description",
)
_COMPONENTS = {"RGB": 3, "RGBA": 4, "YCBCR": 4}
_IN_CASES = (
    "pk IN (SELECT v.image FROM Value v JOIN Attachment a ON a.value = v.pk "
    "JOIN {table} c ON c.pk = a.owner WHERE c.{parent} = ?)"
)
_IN_JOB = (
    "pk IN (SELECT v.image FROM Value v JOIN Attachment a ON a.value = v.pk "
    "WHERE a.owner = ? AND a.role = '{}')"
)

_FILTERS = (
    related("archive", Archive, _IN_CASES.format(table="ArchiveItem", parent="archive"), many=True),
    related(
        "reader_study",
        ReaderStudy,
        _IN_CASES.format(table="DisplaySet", parent="reader_study"),
        many=True,
    ),
    related("job_input", Job, _IN_JOB.format("inputs"), many=True),
    related("job_output", Job, _IN_JOB.format("outputs"), many=True),
    related("origin", UploadSession, "origin = ?"),
    Filter("name", "name = ?"),
    *(Filter(name, f"coalesce(tags ->> '{name}', '') = ?") for name in _TEXT_TAGS),
    *(
        Filter(name, f"tags ->> '{name}' = ?", iso_date)
        for name in ("patient_birth_date", "study_date")
    ),
    Filter("patient_sex", "tags ->> 'patient_sex' = ?", choice("M", "F", "O")),
    *(
        Filter(f"{name}__isempty", f"(coalesce(tags ->> '{name}', '') = '') = ?", boolean_or_none)
        for name in ("patient_id", "study_description")
    ),
)


def _render(call: Call, image: Image) -> Json:
    depth, height, width = ([None, None, None, *image.shape])[-3:]
    spacing: Sequence[Any] = [*image.spacing, None, None, None]
    files = call.store.rows(ImageFile, "image = ?", image.pk)
    dicom = {"image_set_id": image.image_set_id} if image.image_set_id else None
    return {
        "pk": image.pk,
        "name": image.name,
        "files": [_render_file(call, file) for file in files],
        "dicom_image_set": dicom,
        "width": width,
        "height": height,
        "depth": depth,
        "color_space": image.color_space,
        "modality": None,
        "eye_choice": "NA",
        "stereoscopic_choice": None,
        "field_of_view": None,
        "shape_without_color": image.shape or [None, None],
        **_shape(image),
        "voxel_width_mm": spacing[0],
        "voxel_height_mm": spacing[1],
        "voxel_depth_mm": spacing[2],
        "api_url": call.api_url(f"cases/images/{image.pk}/"),
        **{name: image.tags.get(name, "") for name in _TEXT_TAGS},
        "patient_birth_date": image.tags.get("patient_birth_date"),
        "patient_sex": image.tags.get("patient_sex", ""),
        "study_date": image.tags.get("study_date"),
        "window_center": image.tags.get("window_center"),
        "window_width": image.tags.get("window_width"),
        "segments": image.segments,
    }


def _render_file(call: Call, file: ImageFile) -> Json:
    return {
        "pk": file.pk,
        "image": file.image,
        "file": call.site_url(f"media/{file.key}"),
        "image_type": file.image_type,
    }


def _shape(image: Image) -> dict[str, Json]:
    """Return the shape with color; the API omits it if the color space is unknown."""
    if not image.color_space:
        return {}
    components = [_COMPONENTS[image.color_space]] if image.color_space in _COMPONENTS else []
    return {"shape": [*image.shape, *components]}


register_reads("cases_images", Image, _render, *_FILTERS, order="name, pk")


class NotDicomError(ApiError):
    """Raised when the image is not a DICOM image set."""

    status = 404


def _dicom_image(call: Call) -> tuple[Image, list[Instance]]:
    image = call.lookup(Image)
    if image.image_set_id is None:
        raise NotDicomError({"detail": "This image does not have a DICOM Image Set."})
    return image, list(call.store.rows(Instance, "image_set_id = ?", image.image_set_id))


@operation("cases_images_dicom_instances_retrieve")
def list_instances(call: Call) -> Reply:
    """Return the recipes for the instances of a DICOM image set, one for each frame."""
    image, instances = _dicom_image(call)
    entries = [
        {
            "sop_instance_uid": instance.sop_instance_uid,
            "get_instance": instance_recipe(call.state, image, instance),
        }
        for instance in instances
        for _ in range(instance.frames)
    ]
    return Reply(200, {"image_set_id": image.image_set_id, "instances": entries})


@operation("cases_images_dicom_frames_retrieve")
def list_frames(call: Call) -> Reply:
    """Return the recipes for the metadata and the frames of a DICOM image set."""
    image, instances = _dicom_image(call)
    frames = [frame for instance in instances for frame in frame_ids(instance)]
    return Reply(
        200,
        {
            "image_set_id": image.image_set_id,
            "get_image_set_metadata": metadata_recipe(call.state, image),
            "image_frames": [
                {
                    "image_frame_id": frame,
                    "get_image_frame": frame_recipe(call.state, image, frame),
                }
                for frame in frames
            ],
        },
    )
