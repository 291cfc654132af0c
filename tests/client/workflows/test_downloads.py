"""Downloads of images and socket values: complete, under safe names, and with the token for the API only."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import httpx
import pytest

import gcapi
from gcapi import Client, SocketValueSpec
from gcapi.exceptions import (
    DuplicateNameError,
    GCAPIError,
    InvalidTarget,
    NotFoundError,
    ObjectNotFound,
    PermissionDenied,
    StorageError,
    TransferError,
    UnsafeName,
)
from gcapi.models import HyperlinkedComponentInterfaceValue, HyperlinkedImage
from gcapi.progress import ProgressEvent
from gcapi_sandbox import Sandbox
from tests.support.api_objects import PK, image_file, socket_value
from tests.support.data import everything_below
from tests.support.servers.loopback import NO_RETRIES, Answer, Loopback, Seen, connect, in_turn

HEADER = b"ObjectType = Image\nNDims = 2\nDimSize = 4 4\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"


@pytest.fixture(scope="module")
def case(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> gcapi.models.ArchiveItem:
    """Return a case with an image, a file and a JSON value."""
    folder = tmp_path_factory.mktemp("case")
    (folder / "a.mha").write_bytes(HEADER + bytes(range(16)))
    (folder / "a b.csv").write_bytes(b"a;b\r\n")
    values = [
        SocketValueSpec(sandbox.add_socket("Scan"), file=folder / "a.mha"),
        SocketValueSpec(sandbox.add_socket("Table", "CSV file"), file=folder / "a b.csv"),
        SocketValueSpec(sandbox.add_socket("Findings", "Anything"), value={"ü": [1, None]}),
    ]
    archive = sandbox.add_archive("Downloads")
    with Client(sandbox.token, sandbox.base_url) as client:
        item = client.add_case_to_archive(archive_slug=archive, values=values)
        found: gcapi.models.ArchiveItem = client.wait_for_values(item, values=values, timeout=60)
    return found


def value_of(case: gcapi.models.ArchiveItem, slug: str) -> HyperlinkedComponentInterfaceValue:
    """Return the value of a socket."""
    return next(value for value in case.values if value.interface.slug == slug)


@pytest.fixture
def image(client: Client, case: gcapi.models.ArchiveItem) -> HyperlinkedImage:
    """Return the image of the case."""
    return client.images.detail(api_url=value_of(case, "scan").image)


# ---------------------------------------------------------------- images of the sandbox


def test_each_way_to_select_an_image(
    client: Client, image: HyperlinkedImage, tmp_path: Path
) -> None:
    """A pk, a URL, files and filters select the same file."""
    ways: dict[str, dict[str, Any]] = {
        "pk": {"pk": image.pk},
        "url": {"url": image.api_url},
        "files": {"files": image.files},
        "filter": {"name": "a.mha"},
    }
    contents = set()
    for way, given in ways.items():
        (path,) = client.images.download(output_directory=tmp_path, filename=way, **given)
        assert path == tmp_path / f"{way}.mha"
        contents.add(path.read_bytes())
    assert len(contents) == 1
    assert contents.pop().startswith(b"ObjectType")


def test_default_file_names(client: Client, image: HyperlinkedImage, tmp_path: Path) -> None:
    """Without a filename, an image is named after its pk, and files are named `image`."""
    assert client.images.download(pk=image.pk, output_directory=tmp_path) == [
        tmp_path / f"{image.pk}.mha"
    ]
    assert client.images.download(files=image.files, output_directory=str(tmp_path)) == [
        tmp_path / "image.mha"
    ]


def test_output_directory_is_created(
    client: Client, image: HyperlinkedImage, tmp_path: Path
) -> None:
    """Missing directories are created."""
    directory = tmp_path / "a" / "b"
    (path,) = client.images.download(pk=image.pk, output_directory=directory, filename="c")
    assert path == directory / "c.mha"


@pytest.mark.parametrize(
    ("image_type", "names"),
    [
        (gcapi.models.ImageTypeEnum.MHD, ["x.mha"]),
        ("MHD", ["x.mha"]),
        (gcapi.models.ImageTypeEnum.TIFF, []),
        (None, ["x.mha"]),
    ],
)
def test_image_type_selects_files(
    client: Client, image: HyperlinkedImage, tmp_path: Path, image_type: Any, names: list[str]
) -> None:
    """Only files of the given type are downloaded; the published enum has the types."""
    paths = client.images.download(
        pk=image.pk, output_directory=tmp_path, filename="x", image_type=image_type
    )
    assert [path.name for path in paths] == names


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"pk": PK, "url": "https://gc.localhost/"},
        {"pk": PK, "name": "a"},
        {"url": "x", "files": []},
    ],
)
def test_exactly_one_selection(
    sandbox: Sandbox, client: Client, tmp_path: Path, given: Any
) -> None:
    """None or several of pk, url, files and filters are a ValueError before a request is sent."""
    sandbox.requests.clear()
    with pytest.raises(ValueError, match="exactly one"):
        client.images.download(output_directory=tmp_path, **given)
    assert len(sandbox.requests) == 0


def test_missing_image(client: Client, tmp_path: Path) -> None:
    """An image that does not exist, or is not accessible, is an ObjectNotFound."""
    with pytest.raises(ObjectNotFound):
        client.images.download(pk=PK, output_directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_existing_image_is_kept(
    sandbox: Sandbox, client: Client, image: HyperlinkedImage, tmp_path: Path
) -> None:
    """An existing target is an error before any transfer, and is unchanged."""
    (tmp_path / "x.mha").write_text("precious")
    sandbox.requests.clear()
    with pytest.raises(FileExistsError, match=r"x\.mha already exists"):
        client.images.download(files=image.files, output_directory=tmp_path, filename="x")
    assert len(sandbox.requests) == 0
    assert (tmp_path / "x.mha").read_text() == "precious"


def test_dangling_link_is_kept(
    sandbox: Sandbox, client: Client, image: HyperlinkedImage, tmp_path: Path
) -> None:
    """A download does not write through a dangling symbolic link."""
    (tmp_path / "x.mha").symlink_to(tmp_path / "elsewhere")
    sandbox.requests.clear()
    with pytest.raises(FileExistsError):
        client.images.download(files=image.files, output_directory=tmp_path, filename="x")
    assert len(sandbox.requests) == 0


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a\\b", "CON", "a:b", ""])
def test_filenames_stay_in_the_directory(
    client: Client, image: HyperlinkedImage, tmp_path: Path, name: str
) -> None:
    """A filename of the caller cannot leave the directory."""
    directory = tmp_path / "out"
    try:
        client.images.download(files=image.files, output_directory=directory, filename=name)
    except UnsafeName:
        assert not directory.exists() or not list(directory.iterdir())
    else:
        assert name == ""
    assert {path.name for path in tmp_path.iterdir()} <= {"out"}


def test_progress_of_a_download(sandbox: Sandbox, image: HyperlinkedImage, tmp_path: Path) -> None:
    """A listener receives the beginning of a file, its size once it is known, and its end."""
    heard: list[ProgressEvent] = []
    with Client(sandbox.token, sandbox.base_url, progress=heard.append) as client:
        (path,) = client.images.download(pk=image.pk, output_directory=tmp_path, filename="x")
    size = path.stat().st_size
    (item,) = {event.item for event in heard}
    assert heard[0] == ProgressEvent("download", "x.mha", 0, None, item)
    assert heard[1] == ProgressEvent("download", "x.mha", 0, size, item)
    assert heard[-1] == ProgressEvent("download", "x.mha", size, size, item)
    assert [event.is_finished for event in heard].count(True) == 1


# ---------------------------------------------------------------- socket values of the sandbox


def test_value_is_written_to_its_relative_path(
    client: Client, case: gcapi.models.ArchiveItem, tmp_path: Path
) -> None:
    """Images, files and JSON values are written to their sockets' relative paths."""
    written = {
        slug: client.download_socket_value(value_of(case, slug), output_directory=tmp_path)
        for slug in ("scan", "table", "findings")
    }
    assert written["table"] == [tmp_path / "table.csv"]
    assert written["findings"] == [tmp_path / "findings.json"]
    (scan,) = written["scan"]
    assert scan.parent == tmp_path / "images" / "scan"
    assert scan.suffix == ".mha"
    assert (tmp_path / "table.csv").read_bytes() == b"a;b\r\n"


def test_json_value_round_trip(
    client: Client, case: gcapi.models.ArchiveItem, tmp_path: Path
) -> None:
    """A JSON value is written as JSON."""
    import json

    (path,) = client.download_socket_value(value_of(case, "findings"), output_directory=tmp_path)
    assert json.loads(path.read_bytes()) == {"ü": [1, None]}


@pytest.mark.parametrize("slug", ["table", "findings"])
def test_existing_value_is_kept(
    sandbox: Sandbox, client: Client, case: gcapi.models.ArchiveItem, tmp_path: Path, slug: str
) -> None:
    """A second download of the same value is an error before any transfer."""
    client.download_socket_value(value_of(case, slug), output_directory=tmp_path)
    sandbox.requests.clear()
    with pytest.raises(FileExistsError):
        client.download_socket_value(value_of(case, slug), output_directory=tmp_path)
    assert len(sandbox.requests) == 0


def test_token_is_sent_to_the_api_only(
    sandbox: Sandbox, client: Client, case: gcapi.models.ArchiveItem, tmp_path: Path
) -> None:
    """The API gets the token, and the store does not."""
    client.archives.count()
    sandbox.requests.clear()
    client.download_socket_value(value_of(case, "table"), output_directory=tmp_path)
    seen = [(one.origin, one.authorization) for one in sandbox.requests]
    assert seen == [("api", "Bearer"), ("storage", "")]


def test_inaccessible_file(
    sandbox: Sandbox, case: gcapi.models.ArchiveItem, image: HyperlinkedImage, tmp_path: Path
) -> None:
    """A file without access is an error that says so, and leaves nothing."""
    with Client(sandbox.add_user("downloader"), sandbox.base_url) as stranger:
        with pytest.raises(NotFoundError):
            stranger.download_socket_value(value_of(case, "table"), output_directory=tmp_path)
        with pytest.raises(PermissionDenied):
            stranger.images.download(files=image.files, output_directory=tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- names that the server gives


@pytest.mark.parametrize(
    ("name", "suffix"),
    [
        ("a.mha", ".mha"),
        ("a.b.c.nii.gz", ".nii.gz"),
        ("a.nii", ".nii"),
        ("a.gz", ".gz"),
        ("A.OME.TIF", ".OME.TIF"),
        ("a.ome.tiff", ".ome.tiff"),
        ("a.tar.gz", ".tar.gz"),
        ("v1.2.tif", ".tif"),
        ("a", ""),
        ("a%20b.mha", ".mha"),
    ],
)
def test_suffixes_are_kept(tmp_path: Path, name: str, suffix: str) -> None:
    """A known double suffix is kept completely, and otherwise the last one."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/{name}")]
        (path,) = client.images.download(files=files, output_directory=tmp_path, filename="x.y")
    assert path == tmp_path / f"x.y{suffix}"
    assert path.read_bytes() == b"content"


def test_several_files_of_an_image(tmp_path: Path) -> None:
    """Files with different suffixes are downloaded together, and equal names are refused."""
    script = lambda seen: Answer(body=seen.path.encode())  # noqa: E731
    with Loopback(script) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/a{suffix}") for suffix in (".mhd", ".zraw")]
        paths = client.images.download(files=files, output_directory=tmp_path, filename="x")
        assert [path.read_bytes() for path in paths] == [b"/media/a.mhd", b"/media/a.zraw"]
        twice = [image_file(f"{server.origin}/media/{name}.mha") for name in "ab"]
        with pytest.raises(DuplicateNameError, match=r"named 'y\.mha'") as caught:
            client.images.download(files=twice, output_directory=tmp_path, filename="y")
    assert isinstance(caught.value, ValueError)
    assert everything_below(tmp_path) == {"x.mhd", "x.zraw"}


HOSTILE = [
    "..",
    "%2e%2e",
    "..%2f..%2fx.mha",
    "%2Fetc%2Fx.mha",
    "..%5C..%5Cx.mha",
    "C:%5Cx.mha",
    "CON",
    "con.mha",
    "LPT1.nii.gz",
    "a.m%00ha",
    "a.mha%20",
    "a.mha.",
    "a.%0Amha",
    "%252e%252e%252fx.mha",
    "",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_file_names_write_nothing_outside(tmp_path: Path, name: str) -> None:
    """Whatever a file's URL ends in, nothing is written outside of the directory."""
    directory = tmp_path / "a" / "b" / "out"
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/{name}")]
        try:
            client.images.download(files=files, output_directory=directory)
        except UnsafeName:
            assert server.seen == []
            assert everything_below(tmp_path) == set()
        else:
            assert everything_below(tmp_path) == {"a/b/out/image.mha"}


@pytest.mark.parametrize("name", ["C:%5Cx.mha", "CON", "con.mha", "a.m%00ha", "a.mha.", ""])
def test_unusable_file_names_are_refused(tmp_path: Path, name: str) -> None:
    """A URL that ends in an unusable file name is refused before the transfer."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/x/{name}")]
        with pytest.raises(UnsafeName):
            client.images.download(files=files, output_directory=tmp_path)
    assert server.seen == []


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "a/../../x",
        "/etc/x",
        "..",
        ".",
        "a//b",
        "a/",
        "a\\..\\x",
        "C:/x",
        "CON/x",
        "a/nul.json",
        "a\0b",
    ],
)
@pytest.mark.parametrize("source", ["value", "file", "image"])
def test_hostile_relative_paths_are_refused(tmp_path: Path, path: str, source: str) -> None:
    """A relative path that would leave the directory is refused, and nothing is sent or written."""
    directory = tmp_path / "a" / "out"
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        value = socket_value(path, **{source: f"{server.origin}/media/x.json"})
        with pytest.raises(UnsafeName):
            client.download_socket_value(value, output_directory=directory)
    assert server.seen == []
    assert everything_below(tmp_path) == set()


def test_socket_without_a_relative_path(tmp_path: Path) -> None:
    """The file of a socket without a relative path is named after the socket's slug."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        value = socket_value("", file=f"{server.origin}/media/x.json")
        assert client.download_socket_value(value, output_directory=tmp_path) == [tmp_path / "age"]
        value = socket_value("", value=3)
        with pytest.raises(FileExistsError):
            client.download_socket_value(value, output_directory=tmp_path)


def test_slug_in_place_of_a_path_stays_in_the_directory(tmp_path: Path) -> None:
    """A slug that would leave the directory is refused in place of a relative path."""
    with Loopback(in_turn(Answer(body=b"content"))) as server, connect(server) as client:
        value = socket_value("", value=3)
        value.interface.slug = "../x"
        with pytest.raises(UnsafeName):
            client.download_socket_value(value, output_directory=tmp_path / "out")
    assert everything_below(tmp_path) == set()


# ---------------------------------------------------------------- transfers that fail


def download(directory: Path, script: Any) -> None:
    """Download a file from a server with this script."""
    with Loopback(script) as server, connect(server, retry_strategy=NO_RETRIES) as client:
        files = [image_file(f"{server.origin}/media/a.mha")]
        client.images.download(files=files, output_directory=directory, filename="x")


@pytest.mark.parametrize("sent", [0, 1, 4_000_000])
def test_incomplete_file_is_not_kept(
    tmp_path: Path, sent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A body that is shorter than announced is a TransferError, and leaves nothing."""
    monkeypatch.setattr("gcapi._transfer.range_reader.RESUME_DELAY", 0.0)
    with pytest.raises(
        TransferError, match=f"broke after {sent} of 5000000 bytes.*Nothing was kept"
    ):
        download(tmp_path, in_turn(Answer(body=bytes(sent), length=5_000_000)))
    assert everything_below(tmp_path) == set()


def test_broken_connection_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that keeps breaking before the response is httpx's error, and leaves nothing."""
    monkeypatch.setattr("gcapi._transfer.range_reader.RESUME_DELAY", 0.0)
    with pytest.raises(httpx.TransportError):
        download(tmp_path, in_turn(Answer(reset=True)))
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_refusal_of_the_store_leaves_no_file(tmp_path: Path, status: int) -> None:
    """An error response of the store is a StorageError with its message, and leaves no file."""
    words = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    with Loopback(in_turn(Answer(status=status, body=words))) as store:
        away = Answer(status=302, headers={"Location": f"{store.origin}/a.mha?X-Amz-Signature=s"})
        with pytest.raises(StorageError, match="Request has expired") as caught:
            download(tmp_path, in_turn(away))
    assert caught.value.status_code == status
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_refusal_of_the_api_leaves_no_file(tmp_path: Path, status: int) -> None:
    """An error response of the API leaves no file."""
    with pytest.raises(GCAPIError) as caught:
        download(tmp_path, in_turn(Answer(status=status, body=b"<!doctype html>")))
    assert not isinstance(caught.value, StorageError)
    assert everything_below(tmp_path) == set()


@pytest.mark.parametrize(
    "location", ["http://example.org/a.mha", "http://10.0.0.1/a.mha", "ftp://localhost/a"]
)
def test_redirect_to_an_unencrypted_host_is_refused(tmp_path: Path, location: str) -> None:
    """A redirect to another host without https is refused."""
    with pytest.raises(InvalidTarget):
        download(tmp_path, in_turn(Answer(status=302, headers={"Location": location})))
    assert everything_below(tmp_path) == set()


def test_too_many_redirects_are_refused(tmp_path: Path) -> None:
    """More than five redirects are a TransferError."""
    with pytest.raises(TransferError, match="redirects"):
        download(tmp_path, lambda seen: Answer(status=302, headers={"Location": f"{seen.path}x"}))
    assert everything_below(tmp_path) == set()


def test_file_on_another_host_is_fetched_without_the_token(tmp_path: Path) -> None:
    """A file on another host is downloaded without the token, and only by https."""
    with (
        Loopback(in_turn(Answer(body=b"content"))) as store,
        Loopback(in_turn(Answer(status=500))) as server,
        connect(server) as client,
    ):
        client.images.download(files=[image_file(f"{store.origin}/a")], output_directory=tmp_path)
        elsewhere = [image_file("http://example.org/a")]
        with pytest.raises(InvalidTarget):
            client.images.download(files=elsewhere, output_directory=tmp_path, filename="y")
    assert [seen.header("Authorization") for seen in store.seen] == [""]
    assert everything_below(tmp_path) == {"image"}


def test_bytes_are_neither_compressed_nor_parsed(tmp_path: Path) -> None:
    """The client requests no compression, so that lengths can be compared, and does not parse JSON files."""
    content = os.urandom(3_000_000)
    answer = Answer(body=content, headers={"Content-Type": "application/json"})
    with Loopback(in_turn(answer)) as server, connect(server) as client:
        value = socket_value("a/b.json", file=f"{server.origin}/media/x.json")
        (path,) = client.download_socket_value(value, output_directory=tmp_path)
    assert server.seen[0].header("Accept-Encoding") == "identity"
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(content).digest()
    assert everything_below(tmp_path) == {"a/b.json"}


def test_one_failed_file_of_several(tmp_path: Path) -> None:
    """When one of several files fails, its error is raised, and no partial file is left."""

    def script(seen: Seen) -> Answer:
        return Answer(status=500) if seen.path.endswith(".zraw") else Answer(body=b"content")

    with Loopback(script) as server, connect(server) as client:
        files = [image_file(f"{server.origin}/media/a{suffix}") for suffix in (".mhd", ".zraw")]
        with pytest.raises(GCAPIError):
            client.images.download(files=files, output_directory=tmp_path, filename="x")
    assert everything_below(tmp_path) <= {"x.mhd"}
