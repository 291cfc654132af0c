"""Your own account: profile, notifications, subscriptions and time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gcapi._api.resource_mixins import DeleteMixin, Namespace, ReadMixin, UpdateMixin

if TYPE_CHECKING:
    from gcapi import models


class Profiles(Namespace):
    """Your own profile, the only one that the API shows."""

    def self(self) -> models.UserProfile:
        """Get the profile of the account that the token belongs to."""
        return self._calls.operation("profiles.profiles_users_self_retrieve")


class Notifications(
    ReadMixin["models.Notification"], UpdateMixin["models.Notification"], DeleteMixin
):
    """Your notifications; the API only shows whether each was read."""

    list_operation = "notifications.notifications_list"
    detail_operation = "notifications.notifications_retrieve"
    update_operation = "notifications.notifications_update"
    partial_update_operation = "notifications.notifications_partial_update"
    delete_operation = "notifications.notifications_destroy"


class Subscriptions(ReadMixin["models.Follow"], UpdateMixin["models.Follow"], DeleteMixin):
    """Your subscriptions."""

    list_operation = "subscriptions.subscriptions_list"
    detail_operation = "subscriptions.subscriptions_retrieve"
    update_operation = "subscriptions.subscriptions_update"
    partial_update_operation = "subscriptions.subscriptions_partial_update"
    delete_operation = "subscriptions.subscriptions_destroy"


class Timezone(Namespace):
    """The time zone of the browser session, which does not affect responses to API tokens."""

    def update(self, timezone: str) -> models.Timezone:
        """Set the time zone by its IANA name."""
        return self._calls.operation("timezone.timezone_update", body={"timezone": timezone})
