"""Viewers, their settings, their sessions, and feedback about them."""

from __future__ import annotations

from gcapi_sandbox._database.records import Feedback, Session, Workstation, WorkstationConfig
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import BadRequestError
from gcapi_sandbox._http.fields import json_value, not_null, text, url_related
from gcapi_sandbox._http.filters import SLUG
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.read_operations import register_reads
from gcapi_sandbox._object_store.objects import url_safe_name
from gcapi_sandbox._socket_values.posted_values import form_file
from gcapi_sandbox._util.json_types import Json

SCREENSHOTS_PREFIX = "session-feedback/"


def _render(call: Call, workstation: Workstation) -> Json:
    return {
        "pk": workstation.pk,
        "title": workstation.title,
        "slug": workstation.slug,
        "url": call.site_url(f"viewers/{workstation.slug}/"),
    }


register_reads("workstations", Workstation, _render, SLUG, order="created, title")


_NULL_SETTINGS = (
    "creator",
    "default_window_preset",
    "default_slab_thickness_mm",
    "default_overlay_alpha",
    "default_overlay_lut",
    "default_zoom_scale",
    "default_brush_size",
    "default_annotation_color",
    "default_annotation_line_width",
    "point_bounding_box_size_mm",
)
_TEXT_SETTINGS = (
    "image_context",
    "default_slab_render_method",
    "default_orientation",
    "default_overlay_interpolation",
    "default_image_interpolation",
)
_LIST_SETTINGS = ("window_presets", "overlay_luts", "overlay_segments", "key_bindings")
_BOOLEAN_SETTINGS = (
    "default_limit_view_area_to_image_volume",
    "show_image_info_plugin",
    "show_display_plugin",
    "show_image_switcher_plugin",
    "show_algorithm_output_plugin",
    "show_overlay_plugin",
    "show_annotation_statistics_plugin",
    "show_swivel_tool",
    "show_invert_tool",
    "show_flip_tool",
    "show_window_level_tool",
    "show_reset_tool",
    "show_overlay_selection_tool",
    "show_lut_selection_tool",
    "show_annotation_counter_tool",
    "auto_jump_center_of_gravity",
    "link_images",
    "link_panning",
    "link_zooming",
    "link_slicing",
    "link_orienting",
    "link_windowing",
    "link_inverting",
    "link_flipping",
)


def _render_config(_: Call, config: WorkstationConfig) -> Json:
    return {
        "pk": config.pk,
        "slug": config.slug,
        "title": config.title,
        "description": "",
        "created": config.created,
        "modified": config.created,
        **dict.fromkeys(_NULL_SETTINGS),
        **dict.fromkeys(_TEXT_SETTINGS, ""),
        **{name: list[Json]() for name in _LIST_SETTINGS},
        **dict.fromkeys(_BOOLEAN_SETTINGS, True),
        "ghosting_slice_depth": 3,
        "enabled_preprocessors": [],
        **config.settings,
    }


register_reads("workstations_configs", WorkstationConfig, _render_config)


def _render_session(_: Call, session: Session) -> Json:
    return {"pk": session.pk, "status": session.status}


register_reads("workstations_sessions", Session, _render_session)


@operation("workstations_sessions_keep_alive_partial_update")
def keep_session_alive(call: Call) -> Reply:
    """Extend a viewer session, up to its maximum duration."""
    session = call.lookup(Session)
    limits = call.state.limits
    ends = call.state.clock.timestamp() + limits.session_extension_seconds
    if ends > session.created + limits.session_seconds:
        raise BadRequestError({"status": "session duration limit reached"})
    session.extended = ends
    call.store.save(session)
    return Reply(200, {"status": "session extended"})


def _render_feedback(call: Call, feedback: Feedback) -> Json:
    name = feedback.screenshot
    return {
        "session": call.api_url(f"workstations/sessions/{feedback.session}/"),
        "screenshot": call.site_url(f"media/{SCREENSHOTS_PREFIX}{feedback.pk}/{name}")
        if name
        else None,
        "user_comment": feedback.user_comment,
        "context": feedback.context,
    }


register_reads("workstations_feedback", Feedback, _render_feedback, order="rowid")


@operation("workstations_feedback_create")
def create_feedback(call: Call) -> Reply:
    """Create feedback about a viewer session of the caller; only the name of a screenshot is kept."""
    fields = call.fields
    session = fields.require("session", url_related(call.visible(Session), "workstations/sessions"))
    comment = fields.require("user_comment", text())
    context = fields.optional("context", json_value, None)
    screenshot = fields.optional("screenshot", _screenshot, "")
    fields.check()
    feedback = Feedback(
        creator=call.user_id,
        session=session.pk,
        user_comment=comment,
        context=context,
        screenshot=screenshot,
    )
    return Reply(201, _render_feedback(call, call.store.add(feedback)))


def _screenshot(data: Json) -> str:
    return url_safe_name(form_file(not_null(data)).name)
