"""Client versions, the user profile, the time zone, notifications, subscriptions and challenges."""

from __future__ import annotations

import zoneinfo
from typing import TYPE_CHECKING

from gcapi_sandbox._database.records import Challenge, Follow, Notification
from gcapi_sandbox._http.calls import Call, Reply
from gcapi_sandbox._http.errors import NotFoundError
from gcapi_sandbox._http.fields import FieldError, boolean, text
from gcapi_sandbox._http.operations import operation
from gcapi_sandbox._http.pagination import paginate
from gcapi_sandbox._http.read_operations import register_reads

if TYPE_CHECKING:
    from gcapi_sandbox._util.json_types import Json


@operation("gcapi_retrieve")
def retrieve_versions(call: Call) -> Reply:
    """Return the latest and the lowest supported version of the client."""
    return Reply(
        200,
        {
            "latest_version": call.state.latest_version,
            "lowest_supported_version": call.state.lowest_supported_version,
        },
    )


@operation("profiles_users_self_retrieve")
def retrieve_profile(call: Call) -> Reply:
    """Return the profile of the caller."""
    username = call.user.username if call.user else "AnonymousUser"
    profile = dict.fromkeys(("institution", "department", "location", "website"), "")
    mugshot = call.site_url("media/mugshots/default.png")
    return Reply(200, {"user": {"username": username}, "mugshot": mugshot, **profile})


@operation("timezone_update")
def update_timezone(call: Call) -> Reply:
    """Accept a time zone; without a cookie it has no effect."""
    fields = call.fields
    timezone = fields.require("timezone", _timezone)
    fields.check()
    return Reply(200, {"timezone": timezone})


def _timezone(data: Json) -> str:
    name = text()(data)
    if name not in zoneinfo.available_timezones():
        raise FieldError(f'"{name}" is not a valid choice.')
    return name


def _render_notification(_: Call, notification: Notification) -> Json:
    return {"read": notification.read}


register_reads("notifications", Notification, _render_notification, order="pk")


@operation("notifications_partial_update")
@operation("notifications_update")
def update_notification(call: Call) -> Reply:
    """Mark a notification as read or unread."""
    notification = call.lookup(Notification)
    fields = call.fields
    notification.read = fields.optional("read", boolean, notification.read)
    fields.check()
    call.store.save(notification)
    return Reply(200, _render_notification(call, notification))


@operation("notifications_destroy")
def delete_notification(call: Call) -> Reply:
    """Delete a notification."""
    call.store.delete(Notification, "pk = ?", call.lookup(Notification).pk)
    return Reply(204)


def _render_follow(_: Call, follow: Follow) -> Json:
    return {"pk": follow.pk, "flag": follow.flag}


register_reads("subscriptions", Follow, _render_follow, order="pk")


@operation("subscriptions_partial_update")
@operation("subscriptions_update")
def update_subscription(call: Call) -> Reply:
    """Change the flag of a subscription."""
    follow = call.lookup(Follow)
    fields = call.fields
    follow.flag = fields.optional("flag", text(255, blank=True), follow.flag)
    fields.check()
    call.store.save(follow)
    return Reply(200, _render_follow(call, follow))


@operation("subscriptions_destroy")
def delete_subscription(call: Call) -> Reply:
    """Delete a subscription."""
    call.store.delete(Follow, "pk = ?", call.lookup(Follow).pk)
    return Reply(204)


def _render_challenge(call: Call, challenge: Challenge) -> Json:
    return {
        "api_url": call.api_url(f"challenges/{challenge.pk}/"),
        "url": call.site_url(f"challenges/{challenge.pk}/"),
        "slug": challenge.pk,
        "title": challenge.title,
        "description": challenge.description,
        "public": True,
        "status": "OPEN",
        "logo": None,
        "submission_types": [],
        "start_date": None,
        "end_date": None,
        "publications": [],
        "created": challenge.created,
        "modified": challenge.created,
        "incentives": [],
    }


@operation("challenges_list")
def list_challenges(call: Call) -> Reply:
    """List public challenges."""
    return paginate(call, call.visible(Challenge).sorted("rowid"), _render_challenge)


@operation("challenges_retrieve")
def retrieve_challenge(call: Call) -> Reply:
    """Return one challenge by its short name."""
    for challenge in call.visible(Challenge).narrow("pk = ?", call.params["slug"]):
        return Reply(200, _render_challenge(call, challenge))
    raise NotFoundError("Challenge")
