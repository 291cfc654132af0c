"""Pagination and filters."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support.servers.raw_http import Web

if TYPE_CHECKING:
    from gcapi_sandbox import Sandbox

ITEMS = 5


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox) -> str:
    """Return the pk of an archive with a few items."""
    sandbox.add_archive("Full")
    web = Web(sandbox)
    for number in range(ITEMS):
        web.item("full", f"case {number}")
    pk = web.archive("full")["pk"]
    web.close()
    return pk


@pytest.mark.parametrize("limit", ["0", "-1", "", "x"])
def test_invalid_limits_are_ignored(web: Web, archive: str, limit: str) -> None:
    """An invalid limit is replaced by the default without an error."""
    page = web.get("archives/items/", archive=archive, limit=limit, offset="junk")
    assert (page["count"], len(page["results"]), page["next"]) == (ITEMS, ITEMS, None)


def test_page_links(web: Web, archive: str) -> None:
    """Links are absolute, keep the other parameters, and visit every row once."""
    page = web.get("archives/items/", archive=archive, limit=2, junk="kept")
    assert page["previous"] is None
    assert page["next"] == (
        f"{web.sandbox.base_url}archives/items/?archive={archive}&junk=kept&limit=2&offset=2"
    )
    seen = [item["pk"] for item in page["results"]]
    while page["next"]:
        page = web.get(page["next"])
        seen += [item["pk"] for item in page["results"]]
    assert len(set(seen)) == ITEMS
    assert "offset=2" in page["previous"]
    assert "offset" not in web.get(page["previous"])["previous"]


def test_limits_are_capped(web: Web, archive: str) -> None:
    """A limit above the maximum is replaced by the maximum, also in the links."""
    page = web.get("archives/items/", archive=archive, limit=5000, offset=1)
    assert "limit=1000" in page["previous"]


def test_offset_past_the_end(web: Web, archive: str) -> None:
    """A page past the end is empty and has a link to the previous one."""
    page = web.get("archives/items/", archive=archive, offset=50)
    assert (page["count"], page["results"], page["next"]) == (ITEMS, [], None)
    assert page["previous"]


def test_unknown_filters_are_ignored(web: Web, archive: str) -> None:
    """An unknown filter returns all rows."""
    assert web.get("archives/", slugg="nothing")["count"] == web.get("archives/")["count"]
    assert archive


def test_slug_filter(web: Web, archive: str) -> None:
    """Slugs match exactly, the last one is used, and an empty one does not filter."""
    assert [one["pk"] for one in web.get("archives/", slug="full")["results"]] == [archive]
    assert web.get("archives/", slug="ful")["count"] == 0
    assert web.get("archives/?slug=nope&slug=full")["count"] == 1
    assert web.get("archives/", slug="")["count"] == web.get("archives/")["count"]


@pytest.mark.parametrize(
    ("path", "name", "value", "message"),
    [
        ("archives/items/", "archive", "abc", "“abc” is not a valid UUID."),
        (
            "archives/items/",
            "archive",
            str(uuid.UUID(int=1)),
            "Select a valid choice. That choice is not one of the available choices.",
        ),
        (
            "cases/images/",
            "archive",
            str(uuid.UUID(int=1)),
            f"Select a valid choice. {uuid.UUID(int=1)} is not one of the available choices.",
        ),
        ("cases/images/", "study_date", "yesterday", "Enter a valid date."),
        (
            "cases/images/",
            "patient_sex",
            "Q",
            "Select a valid choice. Q is not one of the available choices.",
        ),
    ],
)
def test_invalid_filter_values(web: Web, path: str, name: str, value: str, message: str) -> None:
    """An invalid value of a filter is a 400 for its parameter."""
    reply = web.api.get(path, params={name: value})
    assert (reply.status_code, reply.json()) == (400, {name: [message]})


def test_invisible_filter_object(stranger: Web, archive: str) -> None:
    """A filter by an object that is not visible returns no rows and no error."""
    assert stranger.get("archives/items/", archive=archive)["count"] == 0


def test_image_filters(web: Web) -> None:
    """Images can be filtered by archive and by exact name."""
    web.sandbox.add_socket("Picture")
    image = web.image(filename="one.mha")
    web.image(filename="two.mha")
    pk = web.archive("cases")["pk"]
    assert web.get("cases/images/", name="one.mha")["results"] == [image]
    assert [one["name"] for one in web.get("cases/images/", archive=pk)["results"]] == [
        "one.mha",
        "two.mha",
    ]
    assert web.get("cases/images/", patient_id__isempty="false")["count"] == 0
