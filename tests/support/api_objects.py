"""An object of each model, as the server sends it."""

from __future__ import annotations

from typing import Any

from gcapi.models import HyperlinkedComponentInterfaceValue, ImageFile

API = "https://gc.localhost/api/v1/"
SITE = "https://gc.localhost/"
PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
OTHER_PK = "7b1c9a5e-2c53-4f19-8f0a-6d8a54f3a111"
WHEN = "2025-11-03T14:05:06.008000Z"
WHOLE_SECOND = "2025-11-03T14:05:06Z"

Json = dict[str, Any]


LOOK_UP_TABLE: Json = {
    "pk": 4,
    "slug": "grey",
    "title": "Grey",
    "description": "",
    "color": "[0 0 0 0, 255 255 255 255]",
    "alpha": "[1 0, 1 1]",
    "color_invert": "",
    "alpha_invert": "",
    "range_min": 0,
    "range_max": 4095,
    "relative": False,
    "color_interpolation": "RGB",
    "color_interpolation_invert": "RGB",
}
SOCKET: Json = {
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
SEGMENTATION_SOCKET: Json = SOCKET | {
    "title": "Lesions",
    "slug": "lesions",
    "kind": "Segmentation",
    "super_kind": "Image",
    "relative_path": "images/lesions",
    "overlay_segments": [{"name": "lesion", "visible": True, "voxel_value": 1}],
    "look_up_table": LOOK_UP_TABLE,
}
VALUE: Json = {"interface": SOCKET, "value": 61, "file": None, "image": None, "pk": 91}
IMAGE_VALUE: Json = {
    "interface": SEGMENTATION_SOCKET,
    "value": None,
    "file": None,
    "image": f"{API}cases/images/{PK}/",
    "pk": 92,
    "socket": SEGMENTATION_SOCKET,
}
POSTED_VALUE: Json = {
    "interface": "age",
    "value": 61,
    "file": None,
    "image": None,
    "pk": 91,
    "image_name": None,
}
HANGING_PROTOCOL: Json = {
    "json": [{"viewport_name": "main"}],
    "title": "One image",
    "pk": PK,
    "svg_icon": "<svg></svg>",
}
VIEWING: Json = {
    "hanging_protocol": HANGING_PROTOCOL,
    "optional_hanging_protocols": [HANGING_PROTOCOL],
    "view_content": {"main": ["lesions"]},
}
NO_VIEWING: Json = {
    "hanging_protocol": None,
    "optional_hanging_protocols": [],
    "view_content": {},
}

ALGORITHM: Json = {
    "api_url": f"{API}algorithms/{PK}/",
    "url": f"{SITE}algorithms/nodules/",
    "description": None,
    "pk": PK,
    "title": "Nodules",
    "logo": f"{SITE}logo.png",
    "slug": "nodules",
    "average_duration": None,
    "interfaces": [{"inputs": [SOCKET], "outputs": [SEGMENTATION_SOCKET]}],
}
ALGORITHM_IMAGE: Json = {
    "pk": PK,
    "url": f"{SITE}algorithms/nodules/images/{PK}/",
    "api_url": f"{API}algorithms/images/{PK}/",
    "algorithm": f"{API}algorithms/{PK}/",
    "created": WHEN,
    "import_status": "Completed",
    "image": None,
}
JOB: Json = {
    "pk": PK,
    "url": f"{SITE}algorithms/nodules/jobs/{PK}/",
    "api_url": f"{API}algorithms/jobs/{PK}/",
    "algorithm_image": f"{API}algorithms/images/{PK}/",
    "inputs": [VALUE],
    "outputs": [IMAGE_VALUE],
    "status": "Succeeded",
    **VIEWING,
    "exec_duration": "P0DT00H22M17S",
    "invoke_duration": None,
    "algorithm": f"{API}algorithms/{PK}/",
}
WAITING_JOB: Json = (
    JOB
    | NO_VIEWING
    | {
        "inputs": [],
        "outputs": [],
        "status": "Validating inputs",
        "exec_duration": None,
    }
)
ENDPOINT: Json = {
    "api_url": f"{API}algorithms/endpoints/{PK}/",
    "pk": PK,
    "algorithm": f"{API}algorithms/{PK}/",
    "status": "Running",
    "remaining_lifetime": "0:04:12",
}
INVOCATION: Json = {
    "pk": PK,
    "endpoint": f"{API}algorithms/endpoints/{PK}/",
    "inputs": [VALUE],
    "outputs": [IMAGE_VALUE],
    "status": "Succeeded",
    "error_message": "",
}
POSTED_INVOCATION: Json = {
    "pk": PK,
    "endpoint": f"{API}algorithms/endpoints/{PK}/",
    "inputs": [POSTED_VALUE],
    "status": "Queued",
}

ARCHIVE: Json = {
    "pk": PK,
    "title": "Chest CT",
    "logo": f"{SITE}logo.png",
    "description": None,
    "api_url": f"{API}archives/{PK}/",
    "url": f"{SITE}archives/chest-ct/",
}
ARCHIVE_ITEM: Json = {
    "pk": PK,
    "title": "",
    "archive": f"{API}archives/{PK}/",
    "values": [VALUE, IMAGE_VALUE],
    **VIEWING,
}
POSTED_ARCHIVE_ITEM: Json = ARCHIVE_ITEM | NO_VIEWING | {"values": [POSTED_VALUE]}

IMAGE: Json = {
    "pk": PK,
    "name": "scan.mha",
    "files": [
        {"pk": OTHER_PK, "image": PK, "file": f"{SITE}media/images/a.mha", "image_type": "MHD"}
    ],
    "dicom_image_set": None,
    "width": 512,
    "height": 512,
    "depth": 100,
    "color_space": "GRAY",
    "modality": {"modality": "CT"},
    "eye_choice": "NA",
    "stereoscopic_choice": None,
    "field_of_view": "",
    "shape_without_color": [100, 512, 512],
    "shape": [100, 512, 512],
    "voxel_width_mm": 0.7,
    "voxel_height_mm": 0.7,
    "voxel_depth_mm": 1.0,
    "api_url": f"{API}cases/images/{PK}/",
    "patient_id": "",
    "patient_name": "",
    "patient_birth_date": "1964-02-29",
    "patient_age": "061Y",
    "patient_sex": "",
    "study_date": None,
    "study_instance_uid": "",
    "series_instance_uid": "",
    "study_description": "",
    "series_description": "",
    "window_center": None,
    "window_width": None,
    "segments": None,
}
DICOM_IMAGE: Json = {
    key: value
    for key, value in IMAGE.items()
    if key != "shape"  # the server omits it for such images
} | {
    "name": "dicom",
    "files": [],
    "dicom_image_set": {"image_set_id": "0123456789abcdef0123456789abcdef"},
    "width": None,
    "height": None,
    "depth": None,
    "color_space": "",
    "modality": None,
    "shape_without_color": [None, None],
}
DICOM_GET: Json = {
    "url": "https://images.localhost/datastore/instance",
    "method": "GET",
    "data": None,
    "headers": {"Accept": "application/dicom", "Authorization": "AWS4-HMAC-SHA256 x"},
}
DICOM_POST: Json = DICOM_GET | {"method": "POST", "data": {"imageFrameId": "f"}}
DICOM_INSTANCES: Json = {
    "image_set_id": "0123456789abcdef0123456789abcdef",
    "instances": [{"sop_instance_uid": "1.2.3", "get_instance": DICOM_GET}] * 2,
}
DICOM_FRAMES: Json = {
    "image_set_id": "0123456789abcdef0123456789abcdef",
    "get_image_set_metadata": DICOM_POST,
    "image_frames": [{"image_frame_id": "f", "get_image_frame": DICOM_POST}],
}
UPLOAD_SESSION: Json = {
    "pk": PK,
    "creator": 7,
    "status": "Queued",
    "error_message": "",
    "image_set": [],
    "api_url": f"{API}cases/upload-sessions/{PK}/",
    "user_uploads": [OTHER_PK],
    "uploads": [f"{API}uploads/{OTHER_PK}/"],
}
CHALLENGE: Json = {
    "api_url": f"{API}challenges/nodes/",
    "url": "https://nodes.gc.localhost/",
    "slug": "nodes",
    "title": "",
    "description": "",
    "public": True,
    "status": "OPEN",
    "logo": None,
    "submission_types": ["Algorithm"],
    "start_date": WHOLE_SECOND,
    "end_date": None,
    "publications": [],
    "created": WHEN,
    "modified": WHEN,
    "incentives": [],
}
EVALUATION: Json = {
    "pk": PK,
    "method": None,
    "submission": {
        "pk": OTHER_PK,
        "phase": {
            "challenge": {"title": "Nodes", "short_name": "nodes"},
            "title": "Final",
            "slug": "final",
        },
        "created": WHEN,
        "creator": {"username": "reader"},
        "comment": "",
        "predictions_file": f"{SITE}media/predictions.zip",
        "supplementary_file": None,
        "supplementary_url": "",
        "algorithm_image": f"{API}algorithms/images/{PK}/",
    },
    "created": WHEN,
    "published": True,
    "outputs": [
        {
            "interface": SOCKET,
            "value": {"dice": 0.9},
            "file": None,
            "image": None,
            "pk": 9,
        },
        {
            "interface": SEGMENTATION_SOCKET,
            "value": None,
            "file": None,
            "image": {"pk": PK, "name": "plot.mha"},
            "pk": 10,
        },
    ],
    "rank": 1,
    "rank_score": 1.5,
    "rank_per_metric": {"dice": 1},
    "status": "Succeeded",
    "title": "#1",
    "exec_duration": None,
    "invoke_duration": None,
}
EXTERNAL_EVALUATION: Json = EVALUATION | {
    "status": "Pending",
    "algorithm_model": None,
    "algorithm_image": {"pk": PK, "sha256": "ab"},
    "claimed_by": None,
    "phase_pk": OTHER_PK,
}
QUESTION: Json = {
    "answer_type": "Number",
    "api_url": f"{API}reader-studies/questions/{PK}/",
    "form_direction": "Horizontal",
    "help_text": "",
    "help_text_safe": "",
    "image_port": "",
    "default_annotation_color": "",
    "pk": PK,
    "question_text": "How many?",
    "question_text_safe": "How many?",
    "reader_study": f"{API}reader-studies/{PK}/",
    "required": True,
    "options": [{"id": 3, "title": "none", "default": False}],
    "interface": None,
    "overlay_segments": [],
    "look_up_table": None,
    "widget": "",
    "answer_min_value": 0,
    "answer_max_value": None,
    "answer_step_size": "0.500",
    "answer_min_length": None,
    "answer_max_length": None,
    "answer_match_pattern": "",
    "empty_answer_confirmation": False,
    "empty_answer_confirmation_label": "",
    "empty_answer_confirmation_label_safe": "",
    "interactive_algorithms": [],
}
NEW_QUESTION: Json = QUESTION | {
    "interface": SOCKET,
    "look_up_table": LOOK_UP_TABLE,
    "algorithms": [
        {
            "algorithm": f"{API}algorithms/{PK}/",
            "reader_study_algorithm": {"interfaces": [{"inputs": [SOCKET], "outputs": [SOCKET]}]},
        }
    ],
}
READER_STUDY: Json = {
    "api_url": f"{API}reader-studies/{PK}/",
    "url": f"{SITE}reader-studies/nodules/",
    "slug": "nodules",
    "logo": f"{SITE}logo.png",
    "description": None,
    "help_text": "",
    "help_text_safe": "",
    "pk": PK,
    "questions": [QUESTION, NEW_QUESTION],
    "title": "A & B",
    "title_safe": "A &amp; B",
    "is_educational": True,
    "instant_verification": False,
    "has_ground_truth": True,
    "allow_answer_modification": True,
    "enable_autosaving": False,
    "allow_case_navigation": True,
    "allow_show_all_annotations": False,
    "roll_over_answers_for_n_cases": 0,
    "end_of_study_text_safe": "",
}
DISPLAY_SET: Json = {
    "pk": PK,
    "title": "Case 1",
    "title_safe": "Case 1",
    "reader_study": f"{API}reader-studies/{PK}/",
    "values": [VALUE, IMAGE_VALUE],
    "order": 10,
    "api_url": f"{API}reader-studies/display-sets/{PK}/",
    **VIEWING,
    "description": "<p>x</p>",
    "index": None,
    "descriptions_map_safe": {"scan.mha": "<p>x</p>"},
}
POSTED_DISPLAY_SET: Json = (
    DISPLAY_SET
    | NO_VIEWING
    | {
        "reader_study": "nodules",
        "values": [POSTED_VALUE],
        "index": 0,
    }
)
ANSWER: Json = {
    "answer": {"upload_session_pk": PK},
    "api_url": f"{API}reader-studies/answers/{PK}/",
    "created": WHEN,
    "creator": "reader",
    "display_set": None,
    "pk": PK,
    "question": f"{API}reader-studies/questions/{PK}/",
    "modified": WHOLE_SECOND,
    "answer_image": None,
    "last_edit_duration": "00:00:05",
    "total_edit_duration": "00:01:05.250000",
    "is_ground_truth": False,
}
GROUND_TRUTH: Json = {
    PK: {
        "answer": 3,
        "answer_text": "none",
        "question_text": "How many?",
        "options": {"3": "none"},
        "explanation": "",
    }
}
UPLOAD: Json = {
    "pk": PK,
    "created": WHEN,
    "filename": "scan.mha",
    "key": f"uploads/7/{PK}",
    "s3_upload_id": "s3",
    "status": "Initialized",
    "api_url": f"{API}uploads/{PK}/",
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
