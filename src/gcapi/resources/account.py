"""Your own account: profile, notifications, subscriptions and time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import Namespace, PageModel, ReadMixin
from grand_challenge_api import api

if TYPE_CHECKING:
    from gcapi import models
    from grand_challenge_api.api.notifications import (
        notifications_list,
        notifications_partial_update,
        notifications_update,
    )
    from grand_challenge_api.api.subscriptions import (
        subscriptions_list,
        subscriptions_partial_update,
        subscriptions_update,
    )


class Profiles(Namespace):
    """Your own profile, the only one that the API shows."""

    def self(self) -> models.UserProfile:
        """Get the profile of the account that the token belongs to."""
        return self._calls.call(api.profiles_users_self_retrieve)


class Notifications(ReadMixin["models.Notification", "notifications_list.Query"]):
    """Your notifications; the API only shows whether each was read."""

    list_operation: Lazy[PageModel[models.Notification]] = Lazy(lambda: api.notifications_list)
    detail_operation: Lazy[models.Notification] = Lazy(lambda: api.notifications_retrieve)

    def partial_update(
        self, pk: str, **fields: Unpack[notifications_partial_update.Body]
    ) -> models.Notification:
        """Change the given fields of a notification, and no others."""
        return self._calls.call(api.notifications_partial_update, pk, body=fields)

    def update(self, pk: str, **fields: Unpack[notifications_update.Body]) -> models.Notification:
        """Replace a notification."""
        return self._calls.call(api.notifications_update, pk, body=fields)

    def delete(self, pk: str) -> None:
        """Delete a notification by its primary key; this cannot be undone."""
        self._calls.call(api.notifications_destroy, pk)


class Subscriptions(ReadMixin["models.Follow", "subscriptions_list.Query"]):
    """Your subscriptions."""

    list_operation: Lazy[PageModel[models.Follow]] = Lazy(lambda: api.subscriptions_list)
    detail_operation: Lazy[models.Follow] = Lazy(lambda: api.subscriptions_retrieve)

    def partial_update(
        self, pk: str, **fields: Unpack[subscriptions_partial_update.Body]
    ) -> models.Follow:
        """Change the given fields of a subscription, and no others."""
        return self._calls.call(api.subscriptions_partial_update, pk, body=fields)

    def update(self, pk: str, **fields: Unpack[subscriptions_update.Body]) -> models.Follow:
        """Replace a subscription."""
        return self._calls.call(api.subscriptions_update, pk, body=fields)

    def delete(self, pk: str) -> None:
        """Delete a subscription by its primary key; this cannot be undone."""
        self._calls.call(api.subscriptions_destroy, pk)


class Timezone(Namespace):
    """The time zone of the browser session, which does not affect responses to API tokens."""

    def update(self, timezone: str) -> models.Timezone:
        """Set the time zone by its IANA name."""
        return self._calls.call(api.timezone_update, body={"timezone": timezone})
