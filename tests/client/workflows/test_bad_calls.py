"""Invalid calls: unknown slugs, titles, orders, file names, and objects without access."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO, StringIO
from typing import Any

import pytest

from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    AuthenticationError,
    ObjectNotFound,
    SocketNotFound,
    SpecError,
    SpecTypeError,
)
from gcapi_sandbox import Sandbox
from tests.support.data import (
    DEADLINE,
    CaseCollection,
    Sockets,
    add_collection,
    ct_slice,
    nothing_written,
    unique,
    value_of,
    volume,
)

# ---------------------------------------------------------------- the call


def test_an_unknown_socket_lists_near_names(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets
) -> None:
    """A misspelt slug is reported with similar slugs, and nothing is written."""
    mistyped = sockets.image.replace("image", "imgae")

    with nothing_written(sandbox), pytest.raises(SocketNotFound, match="Did you mean") as missing:
        collection.add(
            SocketValueSpec(sockets.text, value="a;b"), SocketValueSpec(mistyped, file=volume())
        )

    assert repr(sockets.image) in str(missing.value)
    assert missing.value.slug == mistyped
    assert isinstance(missing.value, ValueError)


def test_a_socket_twice_is_refused(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets
) -> None:
    """Two values for one socket are refused, and the error names it."""
    with nothing_written(sandbox), pytest.raises(SpecError, match="is given twice") as refused:
        collection.add(
            SocketValueSpec(sockets.number, value=1),
            SocketValueSpec(sockets.text, value="a"),
            SocketValueSpec(sockets.number, value=2),
        )

    assert sockets.number in str(refused.value)


def test_values_must_be_specifications(sandbox: Sandbox, client: Client) -> None:
    """Values that are not a list of specifications are refused."""
    slug = sandbox.add_archive(unique("archive"))
    wrong: list[Any] = [SocketValueSpec("a", value=1), [{"interface": "a", "value": 1}], None]
    with nothing_written(sandbox):
        for values in wrong:
            with pytest.raises(SpecTypeError, match="SocketValueSpec objects"):
                client.add_case_to_archive(archive_slug=slug, values=values)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"title": "t" * 256}, SpecError, "has 256 characters, and 255 is the limit"),
        ({"title": 3}, SpecTypeError, "title must be a string, not 3"),
    ],
)
def test_a_title_that_the_server_refuses_is_refused(
    collection: CaseCollection,
    sandbox: Sandbox,
    sockets: Sockets,
    fields: dict[str, Any],
    error: type[Exception],
    words: str,
) -> None:
    """An invalid title is refused before files are uploaded."""
    item = collection.add()
    spec = SocketValueSpec(sockets.text, value="a;b")
    with nothing_written(sandbox):
        with pytest.raises(error, match=words):
            collection.add(spec, **fields)
        with pytest.raises(error, match=words):
            collection.update(item.pk, spec, **fields)


@pytest.mark.parametrize(
    ("order", "error", "words"),
    [
        (-1, SpecError, "must be from 0 to 2147483647"),
        (2**31, SpecError, "must be from 0 to 2147483647"),
        (1.5, SpecTypeError, "must be a whole number"),
        ("1", SpecTypeError, "must be a whole number"),
    ],
)
def test_an_order_that_the_server_refuses_is_refused(
    sandbox: Sandbox,
    client: Client,
    sockets: Sockets,
    order: Any,
    error: type[Exception],
    words: str,
) -> None:
    """An invalid order is refused before files are uploaded."""
    collection = add_collection(sandbox, client, "reader study")
    item = collection.add()
    spec = SocketValueSpec(sockets.text, value="a;b")
    with nothing_written(sandbox):
        with pytest.raises(error, match=words):
            collection.add(spec, order=order)
        with pytest.raises(error, match=words):
            collection.update(item.pk, spec, order=order)


def test_an_existing_value_of_another_socket_is_refused(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets
) -> None:
    """An existing value can only be reused for its own socket; the error names both."""
    other = sandbox.add_socket(unique("other"), "Float")
    case = collection.cases.detail(pk=collection.add(SocketValueSpec(sockets.number, value=1)).pk)
    spec = SocketValueSpec(other, existing_socket_value=value_of(case, sockets.number))

    with nothing_written(sandbox), pytest.raises(SpecError, match="only be used for") as refused:
        collection.add(spec)

    assert sockets.number in str(refused.value)
    assert other in str(refused.value)


# ---------------------------------------------------------------- file names


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("n" * 129, "has 129 characters, and 128 is the limit"),
        ("a/b.txt", "is not a plain name without directories"),
        ("a/", "is not a plain name without directories"),
        (".", "is not a plain name without directories"),
        ("", "is blank"),
        (" \t", "is blank"),
        ("a\x00b", "characters that are not Unicode text"),
    ],
)
def test_a_name_that_the_server_refuses_is_refused(
    sandbox: Sandbox, client: Client, name: str, words: str
) -> None:
    """A file name that the server refuses is reported before an upload is created."""
    with nothing_written(sandbox):
        with pytest.raises(SpecError, match=words) as refused:
            client.uploads.upload_fileobj(fileobj=BytesIO(b"x"), filename=name)
        with pytest.raises(SpecError, match=words):
            client.uploads.upload_multiple_fileobj(
                file_objects=[BytesIO(b"x"), BytesIO(b"y")], filenames=["good.txt", name]
            )

    assert "Rename the file" in str(refused.value)


def test_a_name_of_128_characters_is_taken(client: Client) -> None:
    """The longest file name that the server accepts is sent as it is."""
    name = "ü" * 124 + ".pdf"

    assert client.uploads.upload_fileobj(fileobj=BytesIO(b"x"), filename=name).filename == name


def test_a_file_in_text_mode_is_refused(sandbox: Sandbox, client: Client) -> None:
    """A file object in text mode is refused before an upload is created."""
    with (
        nothing_written(sandbox),
        pytest.raises(SpecTypeError, match="open the file in binary mode"),
    ):
        client.uploads.upload_fileobj(fileobj=StringIO("x"), filename="text.txt")  # type: ignore[arg-type]


# ---------------------------------------------------------------- who may


@pytest.mark.parametrize("kind", ["archive", "reader study", "job"])
def test_a_wrong_token_says_what_to_do(sandbox: Sandbox, kind: str) -> None:
    """An invalid token is reported by the first request, with how to make a new one."""
    slug = sandbox.add_socket(unique("table"), "CSV file")
    specs = [SocketValueSpec(slug, value="a;b")]
    with Client("0" * 64, sandbox.base_url) as stranger, nothing_written(sandbox):
        calls: dict[str, Callable[[], Any]] = {
            "archive": lambda: stranger.add_case_to_archive(archive_slug="a", values=specs),
            "reader study": lambda: stranger.add_case_to_reader_study(
                reader_study_slug="r", values=specs
            ),
            "job": lambda: stranger.start_algorithm_job(algorithm_slug="a", inputs=specs),
        }
        with pytest.raises(AuthenticationError, match="Create a new one") as refused:
            calls[kind]()

    assert refused.value.status_code == 401
    assert "Invalid token." in str(refused.value)
    assert "0" * 64 not in str(refused.value)


@pytest.mark.parametrize("scheme", ["Bearer", "TOKEN", "bearer", "anything"])
def test_a_wrong_scheme_does_not_make_anybody_anonymous(sandbox: Sandbox, scheme: str) -> None:
    """A scheme in front of the token is removed, because the server would treat an unknown one as anonymous."""
    archive = sandbox.add_archive(unique("archive"))

    with Client(f"  {scheme} {sandbox.token} \n", sandbox.base_url) as client:
        assert client.add_case_to_archive(archive_slug=archive, values=[]).pk


@pytest.mark.parametrize("kind", ["archive", "reader study", "algorithm"])
@pytest.mark.parametrize("there", [True, False], ids=["no access", "not there"])
def test_what_may_not_be_seen_is_not_found(
    sandbox: Sandbox, client: Client, kind: str, there: bool
) -> None:
    """A missing object and one without access are reported alike, and nothing is uploaded."""
    slug, table = unique("foreign"), sandbox.add_socket(unique("table"), "CSV file")
    if there:
        if kind == "algorithm":
            sandbox.add_algorithm(
                slug, interfaces=[([table], [table])], run=lambda _, __: None, editors=["someone"]
            )
        else:
            add = sandbox.add_archive if kind == "archive" else sandbox.add_reader_study
            add(slug, editors=["someone"])
    specs = [SocketValueSpec(table, value="a;b")]
    calls: dict[str, Callable[[], Any]] = {
        "archive": lambda: client.add_case_to_archive(archive_slug=slug, values=specs),
        "reader study": lambda: client.add_case_to_reader_study(
            reader_study_slug=slug, values=specs
        ),
        "algorithm": lambda: client.start_algorithm_job(algorithm_slug=slug, inputs=specs),
    }

    with nothing_written(sandbox), pytest.raises(ObjectNotFound) as missing:
        calls[kind]()

    assert f"There is no {kind} {slug!r}, or no access to it." in str(missing.value)


@pytest.mark.parametrize("there", [True, False], ids=["no access", "not there"])
def test_an_image_that_may_not_be_seen_is_not_found(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets, there: bool
) -> None:
    """An image without access is reported before a case is created."""
    url = f"{sandbox.base_url}cases/images/00000000-0000-4000-8000-000000000000/"
    if there:
        archive = sandbox.add_archive(unique("foreign"), editors=["someone"])
        with Client(sandbox.add_user("someone"), sandbox.base_url) as someone:
            item = someone.add_case_to_archive(
                archive_slug=archive, values=[SocketValueSpec(sockets.image, file=volume())]
            )
            sandbox.wait_idle(DEADLINE)
            case = someone.archive_items.detail(pk=item.pk)
            url = str(value_of(case, sockets.image).image)

    with nothing_written(sandbox), pytest.raises(ObjectNotFound, match="or no access"):
        collection.add(
            SocketValueSpec(sockets.text, value="a;b"),
            SocketValueSpec(sockets.image, existing_image_api_url=url),
        )

    assert collection.all() == []


def test_an_image_of_the_other_sort_is_refused(
    collection: CaseCollection, sandbox: Sandbox, sockets: Sockets
) -> None:
    """A plain image for a DICOM socket, or the reverse, is refused before a case is created."""
    case = collection.filled(
        collection.add(
            SocketValueSpec(sockets.image, file=volume()),
            SocketValueSpec(sockets.dicom, file=ct_slice(), image_name="CT"),
        ).pk
    )
    plain, dicom = (str(value_of(case, slug).image) for slug in (sockets.image, sockets.dicom))
    with nothing_written(sandbox):
        with pytest.raises(SpecError, match=r"takes an image, and image .* is a DICOM image set"):
            collection.add(SocketValueSpec(sockets.image, existing_image_api_url=dicom))
        with pytest.raises(SpecError, match=r"takes a DICOM image set, and image .* is an image"):
            collection.add(SocketValueSpec(sockets.dicom, existing_image_api_url=plain))
