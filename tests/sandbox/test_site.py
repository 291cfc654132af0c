"""The other resources: versions, profile, notifications, viewers, challenges and evaluations."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import httpx
import pytest

from gcapi_sandbox._app import registry
from gcapi_sandbox._http import openapi
from gcapi_sandbox._http.operations import HANDLERS
from gcapi_sandbox._http.routing import routes
from tests.support.servers.raw_http import Web

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox


SCHEMA = "api_schema_retrieve"  # is not below `/api/v1/`


def test_every_operation_has_a_handler(sandbox: Sandbox) -> None:
    """Every operation of the schema has a handler, and there is no other handler."""
    assert sandbox.base_url
    described = openapi.operations(openapi.corrected())
    assert {SCHEMA, *HANDLERS} == {one["operationId"] for _, _, one in described}


def test_missing_handler_stops_the_start(sandbox: Sandbox) -> None:
    """An operation without a handler is an error at the start that names it, not a 404 later."""
    assert sandbox.base_url
    with pytest.raises(LookupError, match="no handler for archives_destroy"):
        registry.check_handlers({"archives_list", "archives_destroy"})


@pytest.mark.parametrize(
    "path", sorted(one.path for one in routes() if "GET" in one.operations and "{" not in one.path)
)
def test_every_list_responds(web: Web, path: str) -> None:
    """Every list responds with a page, an array or an object."""
    assert web.get(path) is not None


def test_versions(sandbox: Sandbox) -> None:
    """The versions are public."""
    assert httpx.get(f"{sandbox.base_url}gcapi/").json() == {
        "latest_version": "0.16.1",
        "lowest_supported_version": "0.13.0",
    }


def test_profile(web: Web) -> None:
    """The profile shows the user name, also of the anonymous user."""
    assert web.get("profiles/users/self/")["user"] == {"username": "sandbox"}
    url = f"{web.sandbox.base_url}profiles/users/self/"
    assert httpx.get(url).json()["user"] == {"username": "AnonymousUser"}


def test_timezone(sandbox: Sandbox) -> None:
    """The time zone ignores tokens, valid or not."""
    url, header = f"{sandbox.base_url}timezone/", {"Authorization": "Bearer nonsense"}
    assert httpx.put(url, json={"timezone": "Europe/Amsterdam"}, headers=header).json() == {
        "timezone": "Europe/Amsterdam"
    }
    assert httpx.put(url, json={"timezone": "Mars"}).json() == {
        "timezone": ['"Mars" is not a valid choice.']
    }


def test_subscriptions(web: Web, stranger: Web) -> None:
    """The owner of a subscription can change and delete it."""
    url = f"subscriptions/{web.sandbox.add_subscription()}/"
    assert web.api.patch(url, json={"flag": "anything"}).json()["flag"] == "anything"
    assert stranger.api.delete(url).status_code == 404
    reply = web.api.delete(url)
    assert (reply.status_code, reply.content) == (204, b"")
    assert web.api.get(url).status_code == 404
    assert web.api.get("subscriptions/x/").status_code == 404


def test_viewers(web: Web) -> None:
    """Viewer sessions can be extended up to a maximum, and feedback requires a session."""
    pk = web.sandbox.add_viewer_session()
    url = f"workstations/sessions/{pk}/"
    assert web.get(url) == {"pk": pk, "status": "Running"}
    assert web.api.patch(f"{url}keep_alive/").json() == {"status": "session extended"}
    before, web.sandbox.limits.session_seconds = web.sandbox.limits.session_seconds, 0
    capped = web.api.patch(f"{url}keep_alive/")
    web.sandbox.limits.session_seconds = before
    assert (capped.status_code, capped.json()) == (
        400,
        {"status": "session duration limit reached"},
    )
    body = {"session": f"/api/v1/{url}", "user_comment": "good", "context": {"a": 1}}
    made = web.post("workstations/feedback/", body)
    assert made == {
        "session": f"{web.sandbox.base_url}{url}",
        "screenshot": None,
        "user_comment": "good",
        "context": {"a": 1},
    }
    assert (
        web.api.post("workstations/feedback/", json={**body, "screenshot": None}).status_code == 400
    )
    form = {"session": body["session"], "user_comment": "see"}
    picture = {"screenshot": ("a view.png", b"\x89PNG\xff", "image/png")}
    shown = web.api.post("workstations/feedback/", data=form, files=picture).json()["screenshot"]
    assert shown.endswith("/a_view.png")
    assert web.api.get(shown).status_code == 403
    (viewer,) = web.get("workstations/", slug="viewer")["results"]
    assert web.get(f"workstations/{viewer['pk']}/") == viewer
    (config,) = web.get("workstations/configs/")["results"]
    assert web.get(f"workstations/configs/{config['pk']}/") == config


def test_claims_of_evaluations(web: Web, stranger: Web) -> None:
    """A user can claim one pending evaluation and update it."""
    first, second = (web.sandbox.add_evaluation("demo", "Final Phase") for _ in range(2))
    claimable = web.get("evaluations/claimable_evaluations/")
    assert {one["pk"] for one in claimable} == {first, second}
    assert stranger.get("evaluations/claimable_evaluations/") == []
    assert web.get("evaluations/", submission__phase=claimable[0]["phase_pk"])["count"] == 2
    update = f"evaluations/{first}/update_external_evaluation/"
    done = {"status": "Succeeded", "metrics": {"dice": 0.9}}
    assert web.api.patch(update, json=done).json() == {
        "status": "You need to claim an evaluation before you can update it."
    }
    claimed = web.api.patch(f"evaluations/{first}/claim/").json()
    assert claimed["status"] == "External Execution In Progress"
    assert web.api.patch(f"evaluations/{first}/claim/").json() == {
        "status": "You can only claim pending evaluations."
    }
    assert web.api.patch(f"evaluations/{second}/claim/").json() == {
        "status": "You can only claim one evaluation at a time."
    }
    assert web.api.patch(update, json={}).status_code == 500
    assert web.api.patch(update, json={"status": "Succeeded"}).json() == {
        "non_field_errors": ["Metrics are required for successful evaluations."]
    }
    assert web.api.patch(update, json={"status": "Odd"}).json() == {
        "status": ["Not a valid choice."]
    }
    assert web.api.patch(update, json=done).json()["status"] == "Succeeded"
    assert web.get(f"evaluations/{first}/")["status"] == "Succeeded"
    (challenge,) = web.get("challenges/")["results"]
    assert (web.get("challenges/demo/"), challenge["status"]) == (challenge, "OPEN")
    late = web.sandbox.add_evaluation("demo", "Late", evaluators=["late"])
    claimant = Web(web.sandbox, web.sandbox.add_user("late"))
    assert claimant.api.patch(f"evaluations/{late}/claim/").is_success
    before, web.sandbox.limits.evaluation_seconds = web.sandbox.limits.evaluation_seconds, 0
    assert claimant.get(f"evaluations/{late}/")["status"] == "Cancelled"
    web.sandbox.limits.evaluation_seconds = before
    claimant.close()
    assert web.api.get(f"evaluations/{uuid.uuid4()}/claim/").status_code in (403, 405)


def test_notifications(web: Web) -> None:
    """A notification has no text, and the list shows no pk."""
    web.sandbox.add_socket("Picture")
    upload = web.upload("a.mha", b"junk")
    web.patch(web.item(), {"interface": "picture", "user_uploads": [upload]})
    web.sandbox.wait_idle()
    assert web.get("notifications/")["results"] == [{"read": False}]
    assert web.api.delete(f"notifications/{uuid.uuid4()}/").status_code == 404
