"""Pages, iteration, counts and `detail`."""

from __future__ import annotations

import copy
import re
import uuid
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gcapi import Client, models
from gcapi._api.pagination import REPEATED_PASSES
from gcapi.exceptions import (
    GCAPIError,
    InvalidTarget,
    MultipleObjectsReturned,
    NotFoundError,
    ObjectNotFound,
    SpecTypeError,
    StatusError,
    UnknownFilterWarning,
    UnstableListWarning,
)
from gcapi_sandbox import Sandbox
from tests.support.servers.loopback import Answer, Loopback, connect, in_turn

ITEMS = 230


@pytest.fixture(scope="module")
def archive(sandbox: Sandbox) -> models.Archive:
    """Return an archive of many items; there is a smaller one too."""
    slugs = [sandbox.add_archive("Many cases"), sandbox.add_archive("Few cases")]
    with Client(token=sandbox.token, base_url=sandbox.base_url) as client:
        many, few = (client.archives.detail(slug=slug) for slug in slugs)

        def create(number: int) -> None:
            parent = many if number < ITEMS else few
            client.archive_items.create(archive=parent.api_url, title=f"case {number}")

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(create, range(ITEMS + 3)))
    return many


def queries(sandbox: Sandbox) -> list[dict[str, str]]:
    """Return the query of each request other than the version check."""
    return [
        dict(pair.split("=") for pair in request.query.split("&") if pair)
        for request in sandbox.requests
        if request.path != "/api/v1/gcapi/"
    ]


# ---------------------------------------------------------------- pages


def test_page_is_a_sequence(client: Client, archive: models.Archive) -> None:
    """A page supports len, indexing, slicing, searching and iteration."""
    page = client.archive_items.page(offset=10, limit=7, params={"archive": archive.pk})
    assert isinstance(page, Sequence)
    assert (page.offset, page.limit, page.total_count, len(page)) == (10, 7, ITEMS, 7)
    items = list(page)
    assert page[0] is items[0]
    assert page[-1] is items[6]
    assert page[2:4] == items[2:4]
    assert page[::-1] == list(reversed(page)) == items[::-1]
    assert items[3] in page
    assert page.index(items[3]) == 3
    assert all(isinstance(item, models.ArchiveItem) for item in page)


def test_page_beyond_the_end_has_no_objects(client: Client, archive: models.Archive) -> None:
    """A page beyond the end is empty and has the total count."""
    page = client.archive_items.page(offset=10_000, params={"archive": archive.pk})
    assert (len(page), page.total_count, bool(page)) == (0, ITEMS, False)


def test_page_is_one_request(sandbox: Sandbox, client: Client, archive: models.Archive) -> None:
    """A page is one request with the given offset, limit and filters."""
    sandbox.requests.clear()
    client.archive_items.page(20, 30, {"archive": archive.pk})
    assert queries(sandbox) == [{"archive": archive.pk, "offset": "20", "limit": "30"}]


@pytest.mark.parametrize(("offset", "limit"), [(-1, 10), (0, 0), (0, -5)])
def test_invalid_pages_are_refused(
    sandbox: Sandbox, client: Client, offset: int, limit: int
) -> None:
    """A negative offset or a limit below 1 is refused before anything is sent."""
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="at least"):
        client.archive_items.page(offset, limit)
    assert len(sandbox.requests) == 0


def test_index_out_of_range(client: Client, archive: models.Archive) -> None:
    """An index out of range is an IndexError."""
    with pytest.raises(IndexError):
        client.archive_items.page(0, 5, {"archive": archive.pk})[5]


# ---------------------------------------------------------------- everything


def test_iteration_gives_every_object_once(
    sandbox: Sandbox, client: Client, archive: models.Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iteration over three pages yields each object once, and requests no empty page."""
    monkeypatch.setattr("gcapi._api.pagination.ITERATED_PAGE_SIZE", ITEMS // 2 - 10)
    sandbox.requests.clear()
    titles = [item.title for item in client.archive_items.iterate_all({"archive": archive.pk})]
    assert sorted(titles) == sorted(f"case {number}" for number in range(ITEMS))
    assert {query["offset"] for query in queries(sandbox)} == {"0", "105", "210"}


def test_iteration_asks_for_the_largest_page(
    sandbox: Sandbox, client: Client, archive: models.Archive
) -> None:
    """Iteration requests pages of 500 objects."""
    sandbox.requests.clear()
    assert len(list(client.archive_items.iterate_all({"archive": archive.pk}))) == ITEMS
    assert [query["limit"] for query in queries(sandbox)] == ["500"]


def test_iteration_asks_as_it_goes(
    sandbox: Sandbox, client: Client, archive: models.Archive
) -> None:
    """Iteration is lazy, and requests no more pages than needed."""
    sandbox.requests.clear()
    items = client.archive_items.iterate_all(params={"archive": archive.pk})
    assert queries(sandbox) == []
    next(items)
    assert len(queries(sandbox)) == 1


def test_iteration_over_an_empty_list_ends(client: Client) -> None:
    """Iteration over an empty list ends."""
    assert list(client.archives.iterate_all({"slug": "no-such-archive"})) == []


def test_iteration_ends_when_the_list_shrinks() -> None:
    """A list that is shorter than its count is read again, and then causes a warning."""
    empty = Answer(body={"count": 500, "next": None, "previous": None, "results": []})
    with (
        Loopback(in_turn(empty)) as server,
        connect(server) as client,
        pytest.warns(UnstableListWarning, match="counts 500 objects and lists 0"),
    ):
        assert list(client.archives.iterate_all()) == []
    assert len(server.seen) == 1 + REPEATED_PASSES


def test_count_is_one_small_request(
    sandbox: Sandbox, client: Client, archive: models.Archive
) -> None:
    """Counting requests a single object."""
    sandbox.requests.clear()
    assert client.archive_items.count(params={"archive": archive.pk}) == ITEMS
    assert queries(sandbox) == [{"archive": archive.pk, "offset": "0", "limit": "1"}]


# ---------------------------------------------------------------- filters


@pytest.mark.usefixtures("archive")
def test_filters_go_by_their_api_names(client: Client) -> None:
    """Filters apply to pages, counts and iteration."""
    few = {"archive": client.archives.detail(slug="few-cases").pk}
    assert client.archive_items.page(params=few).total_count == 3
    assert client.archive_items.count(few) == len(list(client.archive_items.iterate_all(few))) == 3
    assert client.archive_items.count() == ITEMS + 3


WARNING = r"ignores archive_slug\b.*Filters: archive\."
LISTING: dict[str, Callable[[Client, dict[str, object]], object]] = {
    "page": lambda client, params: client.archive_items.page(params=params),
    "count": lambda client, params: client.archive_items.count(params=params),
    "iterate_all": lambda client, params: next(client.archive_items.iterate_all(params=params)),
}


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("how", LISTING)
def test_unknown_filter_warns(client: Client, how: str) -> None:
    """A filter that the server ignores causes a warning that names it and the known filters."""
    with pytest.warns(UnknownFilterWarning, match=WARNING) as seen:
        LISTING[how](client, {"archive_slug": "many-cases"})
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("filters", "hint"),
    [
        ({"archve": "x"}, "Did you mean 'archive'?"),
        ({"x": "y"}, "Use api_url, archive, pk."),
        ({"archive": "x", "x": 1}, "'x'"),
    ],
)
def test_detail_refuses_unknown_filters(filters: dict[str, object], hint: str) -> None:
    """A filter that the server ignores would return another object, so that nothing is sent."""
    with (
        Loopback(in_turn(Answer(body={}))) as server,
        connect(server) as connected,
        pytest.raises(SpecTypeError, match=re.escape(hint)),
    ):
        connected.archive_items.detail(**filters)
    assert server.seen == []


@pytest.mark.usefixtures("archive")
def test_unknown_filter_warns_once_for_all_pages(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Iteration over several pages causes one warning, which points at the caller's line."""
    monkeypatch.setattr("gcapi._api.pagination.ITERATED_PAGE_SIZE", 100)
    with pytest.warns(UnknownFilterWarning, match=WARNING) as seen:
        assert len(list(client.archive_items.iterate_all({"archive_slug": "x"}))) == ITEMS + 3
    assert [warning.filename for warning in seen] == [__file__]


def test_list_without_filters_says_so(client: Client) -> None:
    """For a list without filters the warning says so."""
    with pytest.warns(UnknownFilterWarning, match=r"ignores status\b.*Filters: none"):
        client.uploads.count({"status": "Completed"})


def test_honoured_filters_do_not_warn(client: Client, archive: models.Archive) -> None:
    """Known filters cause no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.archive_items.count({"archive": archive.pk})
        client.images.count({"name": "a", "patient_id__isempty": True, "archive": [archive.pk]})
        client.reader_studies.answers.mine.count({"creator": "sandbox", "is_ground_truth": False})


@pytest.mark.usefixtures("archive")
def test_filters_of_none_are_left_out(sandbox: Sandbox, client: Client) -> None:
    """Filters with the value `None` are not sent."""
    sandbox.requests.clear()
    assert client.archive_items.count({"archive": None}) == ITEMS + 3
    assert "archive" not in queries(sandbox)[0]


def test_refused_filter_shows_the_servers_words(client: Client) -> None:
    """The error for a refused filter has the name of the filter and the server's words."""
    with pytest.raises(StatusError, match=r"archive: .*“no-uuid” is not a valid UUID"):
        client.archive_items.count({"archive": "no-uuid"})


def test_the_callers_dict_is_not_changed(client: Client, archive: models.Archive) -> None:
    """The caller's params are not changed."""
    params = {"archive": archive.pk, "limit": 3, "offset": 1}
    before = copy.deepcopy(params)
    client.archive_items.page(5, 5, params)
    client.archive_items.count(params)
    list(client.archive_items.iterate_all(params))
    assert params == before


# ---------------------------------------------------------------- one object


def test_detail_by_pk_url_and_filter_is_the_same(client: Client, archive: models.Archive) -> None:
    """pk, API URL and filter give the same object."""
    by_pk = client.archives.detail(pk=archive.pk)
    assert by_pk == client.archives.detail(archive.pk)
    assert by_pk == client.archives.detail(api_url=archive.api_url)
    assert by_pk == client.archives.detail(slug="many-cases")


PK = "0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"pk": ""},
        {"api_url": ""},
        {"slug": ""},
        {"slug": None},
        {"pk": PK, "slug": "a"},
        {"pk": PK, "api_url": "https://gc.localhost/api/v1/archives/x/"},
        {"api_url": "https://gc.localhost/api/v1/archives/x/", "slug": "a"},
        {"pk": PK, "api_url": "https://gc.localhost/api/v1/archives/x/", "slug": "a"},
    ],
)
@pytest.mark.parametrize("name", ["archives", "challenges", "interfaces"])
def test_detail_wants_exactly_one_of_three(
    sandbox: Sandbox, client: Client, name: str, given: dict[str, str]
) -> None:
    """None or several of pk, api_url and filters are a ValueError, and nothing is sent."""
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="exactly one"):
        getattr(client, name).detail(**given)
    assert len(sandbox.requests) == 0


def test_several_objects_are_an_error(client: Client, archive: models.Archive) -> None:
    """A filter that matches several objects is an error with their number."""
    with pytest.raises(MultipleObjectsReturned, match=rf"{ITEMS} objects") as caught:
        client.archive_items.detail(archive=archive.pk)
    assert isinstance(caught.value, GCAPIError)


MISSING: dict[str, Callable[[Client], object]] = {
    "pk": lambda client: client.archives.detail(pk=str(uuid.uuid4())),
    "malformed pk": lambda client: client.archives.detail(pk="no-uuid"),
    "integer pk": lambda client: client.interfaces.detail(pk="999999"),
    "climbing pk": lambda client: client.archives.detail(pk="../gcapi"),
    "url": lambda client: client.archives.detail(
        api_url=f"{client.base_url}archives/{uuid.uuid4()}/"
    ),
    "HTML page": lambda client: client.archives.detail(api_url=f"{client.base_url}no/such/page/"),
    "filter": lambda client: client.archives.detail(slug="no-such-archive"),
    "challenge": lambda client: client.challenges.detail(slug="no-such-challenge"),
    "write": lambda client: client.archive_items.partial_update(str(uuid.uuid4()), title="x"),
}


@pytest.mark.parametrize("how", MISSING)
def test_missing_object_is_not_found(client: Client, how: str) -> None:
    """A missing object raises ObjectNotFound, which mentions access, for JSON and HTML responses."""
    with pytest.raises(ObjectNotFound) as caught:
        MISSING[how](client)
    assert "or no access" in str(caught.value).lower()


def test_missing_object_keeps_the_answer(client: Client) -> None:
    """The error for a missing object has the response and the server's words."""
    with pytest.raises(NotFoundError) as caught:
        client.archives.detail(pk=PK)
    assert caught.value.status_code == 404
    assert caught.value.words == "No Archive matches the given query."
    assert caught.value.body == {"detail": "No Archive matches the given query."}


def test_objects_of_others_are_not_found(sandbox: Sandbox, archive: models.Archive) -> None:
    """An object that the user may not see looks like a missing one."""
    token = sandbox.add_user("a-stranger")
    with Client(token=token, base_url=sandbox.base_url) as stranger:
        with pytest.raises(ObjectNotFound, match="or no access"):
            stranger.archives.detail(pk=archive.pk)
        assert stranger.archives.count() == 0


def test_urls_of_other_hosts_are_not_requested(sandbox: Sandbox, client: Client) -> None:
    """An API URL of another host is refused, since that host would get the token."""
    sandbox.requests.clear()
    with pytest.raises(InvalidTarget):
        client.archives.detail(api_url="https://gc.localhost/api/v1/archives/x/")
    assert len(sandbox.requests) == 0
