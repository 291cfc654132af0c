"""Objects in notebooks: images and values that are read, the cache behind them, and the HTML of objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gcapi import Client, SocketValueSpec, models
from gcapi._api.page import Page
from gcapi.bulk import CheckReport, PullReport
from gcapi.findings import Finding
from gcapi.jobs import AlgorithmRun
from gcapi_sandbox import Sandbox
from grand_challenge_api.base import Model
from tests.support.api_objects import ARCHIVE_ITEM, IMAGE
from tests.support.data import found, series, value_of, volume

HOSTILE = "<script>alert(1)</script>\"'"


@pytest.fixture(scope="module")
def case(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> models.ArchiveItem:
    """Return a case with images, files and JSON."""
    folder = tmp_path_factory.mktemp("case")
    (folder / "table.csv").write_text("a;b")
    (folder / "report.pdf").write_bytes(b"%PDF-1.4\n\xff\n%%EOF")
    values = [
        SocketValueSpec(sandbox.add_socket("Scan"), file=volume()),
        SocketValueSpec(
            sandbox.add_socket("Series", "DICOM Image Set"), files=series(folder), image_name="s"
        ),
        SocketValueSpec(sandbox.add_socket("Table", "CSV file"), file=folder / "table.csv"),
        SocketValueSpec(sandbox.add_socket("Report", "PDF file"), file=folder / "report.pdf"),
        SocketValueSpec(
            sandbox.add_socket("Stored", "Anything", store_in_database=False), value={"a": 1}
        ),
        SocketValueSpec(sandbox.add_socket("Remark", "String"), value=HOSTILE),
    ]
    archive = sandbox.add_archive("Notebook")
    with Client(sandbox.token, sandbox.base_url) as client:
        item = client.add_case_to_archive(archive_slug=archive, values=values, title=HOSTILE)
        filled: models.ArchiveItem = client.wait_for_values(item, values=values, timeout=60)
    return filled


@pytest.fixture
def image(client: Client, case: models.ArchiveItem) -> models.HyperlinkedImage:
    """Return the image of the case."""
    return client.images.detail(api_url=value_of(case, "scan").image)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return the cache folder."""
    folder = tmp_path / "images"
    monkeypatch.setenv("GCAPI_CACHE_DIR", str(folder))
    return folder


def downloads(sandbox: Sandbox) -> int:
    """Return how many files were requested."""
    return len(found(sandbox, "GET", r"/media/"))


def test_values_are_read_whatever_their_kind(client: Client, case: models.ArchiveItem) -> None:
    """JSON is parsed, wherever it is stored; text is text, other files are bytes, and images are images."""
    read = {value.interface.slug: client.read_socket_value(value) for value in case.values}
    assert read["scan"].GetDimension() == 3
    assert read["series"].GetSize()[2] == 3
    assert read["table"] == "a;b"
    assert read["report"].startswith(b"%PDF")
    assert read["stored"] == {"a": 1}
    assert read["remark"] == HOSTILE


def test_images_are_arrays_with_their_spacing(
    client: Client, image: models.HyperlinkedImage
) -> None:
    """An image, its pk and its address are the same, and the spacing has the order of the axes."""
    array = client.images.array(image)
    assert np.asarray(array).shape == array.pixels.shape == tuple(image.shape_without_color)
    assert array.spacing == pytest.approx(
        (image.voxel_depth_mm, image.voxel_height_mm, image.voxel_width_mm)
    )
    for same in (image.pk, image.api_url):
        assert np.array_equal(client.images.array(same).pixels, array.pixels)
    assert client.images.preview(image, max_side=64)._repr_png_()[:4] == b"\x89PNG"


def test_files_are_cached_whole(
    sandbox: Sandbox, client: Client, image: models.HyperlinkedImage, cache: Path
) -> None:
    """Another client downloads nothing; a file that was cut since is downloaded again."""
    first = client.images.array(image).pixels
    sandbox.requests.clear()
    with Client(sandbox.token, sandbox.base_url) as other:
        assert np.array_equal(other.images.array(image).pixels, first)
        assert downloads(sandbox) == 0
        (file,) = (path for path in cache.rglob("*.mha"))
        file.write_bytes(file.read_bytes()[:-10])
        assert np.array_equal(other.images.array(image).pixels, first)


def test_the_cache_is_bounded(
    client: Client, case: models.ArchiveItem, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The least recently used images are removed first, also by a bound that is smaller than one image."""
    scan, dicom = (
        client.images.detail(api_url=value_of(case, slug).image) for slug in ("scan", "series")
    )
    sizes: dict[str, int] = {}
    for one in (scan, dicom):
        client.images.read(one)
        (folder,) = cache.glob(f"*{one.pk}")
        sizes[one.pk] = sum(path.stat().st_size for path in folder.glob("*.*"))
    monkeypatch.setenv("GCAPI_CACHE_BYTES", str(max(sizes.values())))
    client.images.read(dicom)
    assert [path.name[-36:] for path in cache.iterdir()] == [dicom.pk]
    monkeypatch.setenv("GCAPI_CACHE_BYTES", "0")
    assert client.images.read(scan).GetSize()
    assert list(cache.iterdir()) == []
    monkeypatch.setenv("GCAPI_CACHE_BYTES", "4 GB")
    with pytest.raises(RuntimeError, match="GCAPI_CACHE_BYTES='4 GB' is not a number of bytes"):
        client.images.read(scan)


def test_images_are_read_without_a_folder_to_write(
    client: Client, image: models.HyperlinkedImage, cache: Path
) -> None:
    """Images are read without the cache where its folder cannot be made."""
    cache.write_text("a file")
    assert client.images.read(image).GetSize()


def test_cases_show_values_and_thumbnails(
    sandbox: Sandbox, client: Client, case: models.ArchiveItem
) -> None:
    """A case shows its title and values escaped, and a thumbnail that is fetched once."""
    sandbox.requests.clear()
    shown = case._repr_html_()
    assert HOSTILE not in shown
    assert "<script" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert shown.count("data:image/png;base64,") == 2
    # One of the three instances of the image set is fetched.
    assert len(found(sandbox, "GET", r"/series/.+/instances/")) == 1
    requested = len(sandbox.requests)
    assert case._repr_html_() == shown
    assert len(sandbox.requests) == requested
    assert client.archive_items.page()._repr_html_().count("data:image/png") == 2
    assert len(repr(case)) < 200


@pytest.mark.usefixtures("client")
def test_at_most_a_dozen_thumbnails_are_shown(image: models.HyperlinkedImage) -> None:
    """A page of many images shows twelve thumbnails."""
    page = Page([image] * 20, offset=0, limit=20, total_count=20)
    assert page._repr_html_().count("data:image/png") == 12


def test_nothing_is_fetched_without_a_client_or_a_connection(case: models.ArchiveItem) -> None:
    """Without a client of its server, or with one that is closed, an object shows links in place of thumbnails."""
    value = value_of(case, "scan").to_dict()
    value["image"] = "https://gc.invalid/api/v1/cases/images/0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d/"
    shown = models.HyperlinkedComponentInterfaceValue.from_dict(value)._repr_html_()
    assert "data:image" not in shown
    assert f'href="{value["image"]}"' in shown
    with Client("token", "http://127.0.0.1:9/api/v1/"):
        value["image"] = (
            "http://127.0.0.1:9/api/v1/cases/images/0fd8c0bb-46ea-4f3c-b9f8-6ab0f2fd3b5d/"
        )
        assert (
            "data:image"
            not in models.HyperlinkedComponentInterfaceValue.from_dict(value)._repr_html_()
        )


def test_links_lead_to_the_web_only() -> None:
    """An address that would run a script is no link."""
    shown = models.HyperlinkedImage.from_dict(
        {**IMAGE, "api_url": "javascript:alert(1)"}
    )._repr_html_()
    assert "href" not in shown


def test_every_model_shows_itself() -> None:
    """A model that lacks every field, or has any other content, shows itself."""
    for name in sorted(set(dir(models))):
        model = getattr(models, name)
        if isinstance(model, type) and issubclass(model, Model):
            for content in (
                {},
                {"values": [5], "image": 3, "title": [], "interface": {"slug": None}},
            ):
                assert name in model.from_dict(content)._repr_html_()


def test_namespaces_and_reports_show_themselves(client: Client, tmp_path: Path) -> None:
    """Namespaces say what they are and which filters they have; reports have a `repr` of one line."""
    assert re.fullmatch(
        r"<Archives of http\S+: Archives: collections of cases\.>", repr(client.archives)
    )
    assert "slug" in client.archives._repr_html_()
    assert "profile" in client.profiles._repr_html_()
    item: Any = models.ArchiveItem.from_dict(ARCHIVE_ITEM)
    shown: list[Any] = [
        CheckReport(notes=[HOSTILE] * 40),
        PullReport("archive:x", tmp_path, tmp_path / "m.csv", unmatched=["a"]),
        AlgorithmRun(item, {"a": [tmp_path]}),
        Finding("error", HOSTILE, "Fix it"),
    ]
    for one in shown:
        assert len(repr(one)) < 200
        assert "<script" not in one._repr_html_()
        assert type(one).__name__ in one._repr_html_()
