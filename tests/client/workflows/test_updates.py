"""Updates: what is given changes, and nothing else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import ObjectNotFound, PermissionDenied, StatusError
from gcapi_sandbox import Sandbox
from tests.support.data import (
    CaseCollection,
    add_collection,
    found,
    noise,
    nothing_written,
    series,
    unique,
    value_of,
    voxels,
    writes,
    written,
)


def _sockets(sandbox: Sandbox) -> tuple[str, str, str]:
    return (
        sandbox.add_socket(unique("number"), "Integer"),
        sandbox.add_socket(unique("table"), "CSV file"),
        sandbox.add_socket(unique("image")),
    )


@pytest.mark.parametrize("changed", [0, 1, 2], ids=["value", "file", "image"])
def test_only_the_given_socket_changes(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path, changed: int
) -> None:
    """A value, a file or an image is replaced, and the other values keep their pks."""
    slugs = _sockets(sandbox)
    paths = [noise(tmp_path / f"{size}.mha", size) for size in (8, 16)]
    before, after = (
        (
            SocketValueSpec(slugs[0], value=number),
            SocketValueSpec(slugs[1], value=f"{number};"),
            SocketValueSpec(slugs[2], file=paths[number]),
        )
        for number in (0, 1)
    )
    first = collection.filled(collection.add(*before, title="A title").pk)

    collection.update(first.pk, after[changed])
    second = collection.filled(first.pk)

    same = [value_of(first, slug).pk == value_of(second, slug).pk for slug in slugs]
    assert same == [number != changed for number in range(3)]
    assert second.title == "A title"
    assert len(collection.all()) == 1
    if changed == 0:
        assert value_of(second, slugs[0]).value == 1
    else:
        (path,) = collection.client.download_socket_value(
            value_of(second, slugs[changed]), output_directory=tmp_path / "out"
        )
        if changed == 1:
            assert path.read_bytes() == b"1;"
        else:
            assert voxels(path).shape == (16, 16)


def test_a_case_gets_a_socket_that_it_did_not_have(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """An update adds values as well as it replaces them, DICOM image sets among them."""
    number, dicom = (
        sandbox.add_socket(unique("number"), "Float"),
        sandbox.add_socket(unique("dicom"), "DICOM Image Set"),
    )
    item = collection.add(SocketValueSpec(number, value=1.5))

    collection.update(item.pk, SocketValueSpec(dicom, files=series(tmp_path, 2), image_name="CT"))

    case = collection.filled(item.pk)
    assert value_of(case, number).value == 1.5
    assert collection.client.images.detail(api_url=value_of(case, dicom).image).name == "CT"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, "before"), ({"title": None}, "before"), ({"title": ""}, ""), ({"title": "x"}, "x")],
)
def test_a_title_is_left_cleared_or_changed(
    collection: CaseCollection, fields: dict[str, Any], expected: str
) -> None:
    """`None` keeps the title, an empty title clears it, and any other replaces it."""
    item = collection.add(title="before")

    changed = collection.update(item.pk, **fields)

    assert changed.title == expected
    assert collection.cases.detail(pk=item.pk).title == expected


@pytest.mark.parametrize(
    ("fields", "expected"), [({}, 10), ({"order": None}, 30), ({"order": 0}, 30), ({"order": 7}, 7)]
)
def test_an_order_is_left_numbered_or_changed(
    sandbox: Sandbox, client: Client, fields: dict[str, Any], expected: int
) -> None:
    """No order keeps it, `None` and 0 let the server choose the last one, and any other number is used."""
    collection = add_collection(sandbox, client, "reader study")
    item = collection.add()
    collection.add()

    changed = collection.update(item.pk, **fields)

    assert changed.order == expected
    assert collection.cases.detail(pk=item.pk).order == expected


def test_the_longest_title_is_taken(collection: CaseCollection) -> None:
    """A title of 255 characters is stored whole."""
    item = collection.add(title="ü" * 255)

    assert collection.cases.detail(pk=item.pk).title == "ü" * 255


def test_title_and_values_change_by_one_request(
    collection: CaseCollection, sandbox: Sandbox
) -> None:
    """An update is one request."""
    slug = sandbox.add_socket(unique("number"), "Integer")
    item = collection.add()
    sandbox.requests.clear()

    collection.update(item.pk, SocketValueSpec(slug, value=1), title="new")

    assert len(writes(sandbox)) == 1


def test_a_refused_update_changes_nothing(collection: CaseCollection, sandbox: Sandbox) -> None:
    """If the server refuses one of several values, the error has its words, and nothing is changed."""
    free = sandbox.add_socket(unique("number"), "Integer")
    small = sandbox.add_socket(unique("small"), "Integer", schema={"maximum": 10})
    item = collection.add(SocketValueSpec(free, value=1), title="before")

    with pytest.raises(StatusError, match="JSON does not fulfill schema"):
        collection.update(
            item.pk, SocketValueSpec(free, value=2), SocketValueSpec(small, value=11), title="after"
        )

    case = collection.cases.detail(pk=item.pk)
    assert case.title == "before"
    assert [value.value for value in case.values] == [1]


def test_an_unknown_case_is_not_found_before_anything_is_uploaded(
    collection: CaseCollection, sandbox: Sandbox
) -> None:
    """Updating a case that is missing or not visible uploads nothing."""
    slug = sandbox.add_socket(unique("table"), "CSV file")

    with (
        nothing_written(sandbox),
        pytest.raises(ObjectNotFound, match="Not found, or no access"),
    ):
        collection.update("00000000-0000-4000-8000-000000000000", SocketValueSpec(slug, value="a"))


def test_a_case_that_may_be_seen_only_is_not_changed(sandbox: Sandbox, tmp_path: Path) -> None:
    """Without permission to change an archive, the error says which role to ask for."""
    slug = sandbox.add_socket(unique("table"), "CSV file")
    archive = sandbox.add_archive(unique("archive"), users=["looker"])
    with (
        Client(sandbox.token, sandbox.base_url) as editor,
        Client(sandbox.add_user("looker"), sandbox.base_url) as looker,
    ):
        item = editor.add_case_to_archive(archive_slug=archive, values=[])

        with pytest.raises(PermissionDenied, match="does not have permission"):
            looker.update_archive_item(
                archive_item_pk=item.pk,
                values=[SocketValueSpec(slug, file=written(tmp_path / "t.csv", "a"))],
            )

        assert editor.archive_items.detail(pk=item.pk).values == []


def test_a_used_image_can_come_back(
    collection: CaseCollection, sandbox: Sandbox, tmp_path: Path
) -> None:
    """A socket can get a former image again, and waiting for it returns at once."""
    slug = sandbox.add_socket(unique("image"))
    first = collection.filled(
        collection.add(SocketValueSpec(slug, file=noise(tmp_path / "a.mha", 8))).pk
    )
    # An image that no case has can be used by nobody.
    collection.add(SocketValueSpec(slug, existing_socket_value=value_of(first, slug)))
    collection.update(first.pk, SocketValueSpec(slug, file=noise(tmp_path / "b.mha", 16)))
    collection.filled(first.pk)
    again = [SocketValueSpec(slug, existing_image_api_url=value_of(first, slug).image)]
    sandbox.requests.clear()

    item = collection.update(first.pk, *again)
    case = collection.client.wait_for_values(item, values=again, timeout=1)

    assert value_of(case, slug).pk == value_of(first, slug).pk
    assert found(sandbox, "POST", "/uploads/$") == []
