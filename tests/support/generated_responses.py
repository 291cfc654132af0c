"""One answer for each operation of the API, shaped as the server really answers.

Longer than 500 lines: it is data.
"""

from typing import Any

B = "https://gc.localhost/api/v1/"
SITE = "https://gc.localhost/"
PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"
OTHER_PK = "7b1c9a5e-2c53-4f19-8f0a-6d8a54f3a111"
WHEN = "2025-11-03T14:05:06.008000Z"
WHOLE_SECOND = "2025-11-03T14:05:06Z"

Json = dict[str, Any]


def page(result: Json, count: int = 1) -> Json:
    """Return the first page of a list whose results all look like one."""
    return {"count": count, "next": None, "previous": None, "results": [result] * count}


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
    "image": f"{B}cases/images/{PK}/",
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
    "api_url": f"{B}algorithms/{PK}/",
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
    "api_url": f"{B}algorithms/images/{PK}/",
    "algorithm": f"{B}algorithms/{PK}/",
    "created": WHEN,
    "import_status": "Completed",
    "image": None,
}
JOB: Json = {
    "pk": PK,
    "url": f"{SITE}algorithms/nodules/jobs/{PK}/",
    "api_url": f"{B}algorithms/jobs/{PK}/",
    "algorithm_image": f"{B}algorithms/images/{PK}/",
    "inputs": [VALUE],
    "outputs": [IMAGE_VALUE],
    "status": "Succeeded",
    **VIEWING,
    "exec_duration": "P0DT00H22M17S",
    "invoke_duration": None,
    "algorithm": f"{B}algorithms/{PK}/",
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
    "api_url": f"{B}algorithms/endpoints/{PK}/",
    "pk": PK,
    "algorithm": f"{B}algorithms/{PK}/",
    "status": "Running",
    "remaining_lifetime": "0:04:12",
}
INVOCATION: Json = {
    "pk": PK,
    "endpoint": f"{B}algorithms/endpoints/{PK}/",
    "inputs": [VALUE],
    "outputs": [IMAGE_VALUE],
    "status": "Succeeded",
    "error_message": "",
}
POSTED_INVOCATION: Json = {
    "pk": PK,
    "endpoint": f"{B}algorithms/endpoints/{PK}/",
    "inputs": [POSTED_VALUE],
    "status": "Queued",
}

ARCHIVE: Json = {
    "pk": PK,
    "title": "Chest CT",
    "logo": f"{SITE}logo.png",
    "description": None,
    "api_url": f"{B}archives/{PK}/",
    "url": f"{SITE}archives/chest-ct/",
}
ARCHIVE_ITEM: Json = {
    "pk": PK,
    "title": "",
    "archive": f"{B}archives/{PK}/",
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
    "api_url": f"{B}cases/images/{PK}/",
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
    if key != "shape"  # such images do not have it at all
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
    "api_url": f"{B}cases/upload-sessions/{PK}/",
    "user_uploads": [OTHER_PK],
    "uploads": [f"{B}uploads/{OTHER_PK}/"],
}
CHALLENGE: Json = {
    "api_url": f"{B}challenges/nodes/",
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
        "algorithm_image": f"{B}algorithms/images/{PK}/",
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
    "api_url": f"{B}reader-studies/questions/{PK}/",
    "form_direction": "Horizontal",
    "help_text": "",
    "help_text_safe": "",
    "image_port": "",
    "default_annotation_color": "",
    "pk": PK,
    "question_text": "How many?",
    "question_text_safe": "How many?",
    "reader_study": f"{B}reader-studies/{PK}/",
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
            "algorithm": f"{B}algorithms/{PK}/",
            "reader_study_algorithm": {"interfaces": [{"inputs": [SOCKET], "outputs": [SOCKET]}]},
        }
    ],
}
READER_STUDY: Json = {
    "api_url": f"{B}reader-studies/{PK}/",
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
    "reader_study": f"{B}reader-studies/{PK}/",
    "values": [VALUE, IMAGE_VALUE],
    "order": 10,
    "api_url": f"{B}reader-studies/display-sets/{PK}/",
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
    "api_url": f"{B}reader-studies/answers/{PK}/",
    "created": WHEN,
    "creator": "reader",
    "display_set": None,
    "pk": PK,
    "question": f"{B}reader-studies/questions/{PK}/",
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
    "api_url": f"{B}uploads/{PK}/",
}
PROFILE: Json = {
    "user": {"username": "reader"},
    "mugshot": "",
    "institution": "",
    "department": "",
    "location": "",
    "website": "",
}
WORKSTATION: Json = {
    "pk": PK,
    "title": "CIRRUS",
    "slug": "cirrus",
    "url": f"{SITE}viewers/cirrus/",
}
WINDOW_PRESET: Json = {
    "pk": 1,
    "slug": "lung",
    "title": "Lung",
    "description": "",
    "center": -600,
    "width": 1500,
    "lower_percentile": None,
    "upper_percentile": None,
}
WORKSTATION_CONFIG: Json = {
    "pk": PK,
    "slug": "default",
    "title": "Default",
    "description": "",
    "created": WHEN,
    "modified": WHEN,
    "creator": None,
    "image_context": "",
    "window_presets": [WINDOW_PRESET],
    "default_window_preset": None,
    "default_slab_thickness_mm": None,
    "default_slab_render_method": "",
    "default_orientation": "",
    "default_overlay_alpha": None,
    "overlay_luts": [LOOK_UP_TABLE],
    "default_overlay_lut": None,
    "default_overlay_interpolation": "Nearest",
    "default_image_interpolation": "Linear",
    "default_limit_view_area_to_image_volume": False,
    "ghosting_slice_depth": 3,
    "overlay_segments": [],
    "key_bindings": [],
    "default_zoom_scale": None,
    "default_brush_size": None,
    "default_annotation_color": None,
    "default_annotation_line_width": None,
    "show_image_info_plugin": True,
    "show_display_plugin": True,
    "enabled_preprocessors": [],
    "link_images": True,
    "point_bounding_box_size_mm": None,
}
CHOSEN_CONFIG: Json = WORKSTATION_CONFIG | {
    "creator": "reader",
    "default_window_preset": WINDOW_PRESET,
    "default_overlay_lut": LOOK_UP_TABLE,
    "default_brush_size": "2.0000000",
}
FEEDBACK: Json = {
    "session": f"{B}workstations/sessions/{PK}/",
    "screenshot": None,
    "user_comment": "slow",
    "context": None,
}
SESSION: Json = {"pk": PK, "status": "Running"}
FOLLOW: Json = {"pk": 3, "flag": ""}
NOTIFICATION: Json = {"read": False}

RESPONSES: dict[str, tuple[int, Any, str | None]] = {
    # operation: status, body, what it becomes
    "algorithms_list": (200, page(ALGORITHM), "PaginatedAlgorithmList"),
    "algorithms_endpoints_list": (200, page(ENDPOINT), "PaginatedEndpointList"),
    "algorithms_endpoints_create": (201, ENDPOINT, "EndpointPost"),
    "algorithms_endpoints_retrieve": (200, ENDPOINT, "Endpoint"),
    "algorithms_endpoints_keep_alive_partial_update": (200, {"status": "extended"}, "dict"),
    "algorithms_images_list": (200, page(ALGORITHM_IMAGE), "PaginatedAlgorithmImageList"),
    "algorithms_images_retrieve": (200, ALGORITHM_IMAGE, "AlgorithmImage"),
    "algorithms_invocations_list": (200, page(INVOCATION), "PaginatedInvocationList"),
    "algorithms_invocations_create": (201, POSTED_INVOCATION, "InvocationPost"),
    "algorithms_invocations_retrieve": (200, INVOCATION, "Invocation"),
    "algorithms_jobs_list": (200, page(WAITING_JOB, 2), "PaginatedHyperlinkedJobList"),
    "algorithms_jobs_create": (
        201,
        {"pk": PK, "inputs": [POSTED_VALUE], "status": "Validating inputs"},
        "JobPost",
    ),
    "algorithms_jobs_retrieve": (200, JOB, "HyperlinkedJob"),
    "algorithms_retrieve": (200, ALGORITHM | {"average_duration": 61.5}, "Algorithm"),
    "api_schema_retrieve": (200, {"openapi": "3.0.3", "paths": {}}, "dict"),
    "archives_list": (200, page(ARCHIVE), "PaginatedArchiveList"),
    "archives_items_list": (200, page(ARCHIVE_ITEM, 3), "PaginatedArchiveItemList"),
    "archives_items_create": (201, POSTED_ARCHIVE_ITEM | {"values": []}, "ArchiveItemPost"),
    "archives_items_retrieve": (200, ARCHIVE_ITEM, "ArchiveItem"),
    "archives_items_partial_update": (200, POSTED_ARCHIVE_ITEM, "ArchiveItemPost"),
    "archives_items_update": (200, POSTED_ARCHIVE_ITEM, "ArchiveItemPost"),
    "archives_retrieve": (200, ARCHIVE, "Archive"),
    "archives_patients_retrieve": (200, ["patient 1", ""], "list"),
    "archives_studies_retrieve": (200, ["1.2.840.1"], "list"),
    "cases_images_list": (200, page(DICOM_IMAGE), "PaginatedHyperlinkedImageList"),
    "cases_images_retrieve": (200, IMAGE, "HyperlinkedImage"),
    "cases_images_dicom_frames_retrieve": (200, DICOM_FRAMES, "DICOMFrames"),
    "cases_images_dicom_instances_retrieve": (200, DICOM_INSTANCES, "DICOMInstances"),
    "cases_upload_sessions_list": (
        200,
        page(UPLOAD_SESSION | {"creator": None}),
        "PaginatedRawImageUploadSessionList",
    ),
    "cases_upload_sessions_create": (201, UPLOAD_SESSION, "RawImageUploadSession"),
    "cases_upload_sessions_retrieve": (200, UPLOAD_SESSION, "RawImageUploadSession"),
    "challenges_list": (200, page(CHALLENGE), "PaginatedPublicChallengeList"),
    "challenges_retrieve": (200, CHALLENGE, "PublicChallenge"),
    "components_interfaces_list": (200, page(SOCKET), "PaginatedComponentInterfaceList"),
    "components_interfaces_retrieve": (200, SEGMENTATION_SOCKET, "ComponentInterface"),
    "evaluations_list": (200, page(EVALUATION), "PaginatedEvaluationList"),
    "evaluations_claimable_evaluations_retrieve": (200, [EXTERNAL_EVALUATION], "list"),
    "evaluations_retrieve": (200, EVALUATION, "Evaluation"),
    "evaluations_claim_partial_update": (
        200,
        EXTERNAL_EVALUATION | {"claimed_by": 7, "algorithm_model": {"pk": PK}},
        "ExternalEvaluation",
    ),
    "evaluations_update_external_evaluation_partial_update": (
        200,
        {"metrics": {"dice": 0.9}, "status": "Succeeded", "error_message": ""},
        "ExternalEvaluationUpdate",
    ),
    "gcapi_retrieve": (
        200,
        {"latest_version": "0.16.1", "lowest_supported_version": "0.13.0"},
        "GCAPIVersion",
    ),
    "notifications_list": (200, page(NOTIFICATION), "PaginatedNotificationList"),
    "notifications_destroy": (204, None, None),
    "notifications_retrieve": (200, NOTIFICATION, "Notification"),
    "notifications_partial_update": (200, NOTIFICATION, "Notification"),
    "notifications_update": (200, NOTIFICATION, "Notification"),
    "profiles_users_self_retrieve": (200, PROFILE, "UserProfile"),
    "reader_studies_list": (200, page(READER_STUDY), "PaginatedReaderStudyList"),
    "reader_studies_answers_list": (200, page(ANSWER), "PaginatedAnswerList"),
    "reader_studies_answers_create": (201, ANSWER, "Answer"),
    "reader_studies_answers_mine_retrieve": (200, page(ANSWER), "PaginatedAnswerList"),
    "reader_studies_answers_retrieve": (200, ANSWER | {"score": None}, "Answer"),
    "reader_studies_answers_partial_update": (
        200,
        ANSWER | {"answer": None, "last_edit_duration": None, "total_edit_duration": None},
        "Answer",
    ),
    "reader_studies_answers_update": (200, ANSWER, "Answer"),
    "reader_studies_display_sets_list": (200, page(DISPLAY_SET), "PaginatedDisplaySetList"),
    "reader_studies_display_sets_create": (
        201,
        POSTED_DISPLAY_SET | {"values": []},
        "DisplaySetPost",
    ),
    "reader_studies_display_sets_retrieve": (200, DISPLAY_SET, "DisplaySet"),
    "reader_studies_display_sets_partial_update": (200, POSTED_DISPLAY_SET, "DisplaySetPost"),
    "reader_studies_display_sets_update": (200, POSTED_DISPLAY_SET, "DisplaySetPost"),
    "reader_studies_questions_list": (200, page(QUESTION), "PaginatedQuestionList"),
    "reader_studies_questions_retrieve": (200, NEW_QUESTION, "Question"),
    "reader_studies_retrieve": (200, READER_STUDY, "ReaderStudy"),
    "reader_studies_ground_truth_retrieve": (200, GROUND_TRUTH, "dict"),
    "subscriptions_list": (200, page(FOLLOW), "PaginatedFollowList"),
    "subscriptions_destroy": (204, None, None),
    "subscriptions_retrieve": (200, FOLLOW, "Follow"),
    "subscriptions_partial_update": (200, FOLLOW, "Follow"),
    "subscriptions_update": (200, FOLLOW, "Follow"),
    "timezone_update": (200, {"timezone": "Etc/GMT+1"}, "Timezone"),
    "uploads_list": (200, page(UPLOAD), "PaginatedUserUploadList"),
    "uploads_create": (201, UPLOAD, "UserUploadCreate"),
    "uploads_retrieve": (200, UPLOAD, "UserUpload"),
    "uploads_abort_multipart_upload_partial_update": (
        200,
        UPLOAD | {"status": "Aborted", "s3_upload_id": ""},
        "UserUpload",
    ),
    "uploads_complete_multipart_upload_partial_update": (
        200,
        UPLOAD | {"status": "Completed"},
        "UserUploadComplete",
    ),
    "uploads_generate_presigned_urls_partial_update": (
        200,
        UPLOAD | {"presigned_urls": {"1": "https://store.localhost/1", "2": ""}},
        "UserUploadPresignedURLs",
    ),
    "uploads_list_parts_retrieve": (
        200,
        UPLOAD
        | {"parts": [{"ETag": '"e"', "PartNumber": 1, "LastModified": WHOLE_SECOND, "Size": 5}]},
        "UserUploadParts",
    ),
    "workstations_list": (200, page(WORKSTATION), "PaginatedWorkstationList"),
    "workstations_configs_list": (200, page(CHOSEN_CONFIG), "PaginatedWorkstationConfigList"),
    "workstations_configs_retrieve": (200, WORKSTATION_CONFIG, "WorkstationConfig"),
    "workstations_feedback_list": (200, page(FEEDBACK), "PaginatedFeedbackList"),
    "workstations_feedback_create": (201, FEEDBACK, "Feedback"),
    "workstations_feedback_retrieve": (200, FEEDBACK, "Feedback"),
    "workstations_sessions_list": (200, page(SESSION), "PaginatedSessionList"),
    "workstations_sessions_retrieve": (200, SESSION, "Session"),
    "workstations_sessions_keep_alive_partial_update": (
        200,
        {"status": "session extended"},
        "SessionKeepAlive",
    ),
    "workstations_retrieve": (200, WORKSTATION, "Workstation"),
}
