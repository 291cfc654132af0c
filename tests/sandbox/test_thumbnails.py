"""Thumbnails of images of each kind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import SimpleITK as sitk  # noqa: N813 - as its own documentation calls it

from gcapi_sandbox import Sandbox
from gcapi_sandbox._imaging.thumbnails import Thumbnails
from tests.support.servers.raw_http import Web, dicom_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    """Yield a sandbox with a socket for images and one for DICOM image sets."""
    with Sandbox() as running:
        running.add_socket("Picture")
        running.add_socket("Series", "DICOM Image Set")
        yield running


def stored(web: Web, image: Any, suffix: str = ".mha") -> str:
    """Upload an image as the value of a new item, and return the pk of the image."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"image{suffix}"
        sitk.WriteImage(image, str(path))
        upload = web.upload(path.name, path.read_bytes())
    item = web.item()
    assert web.patch(item, {"interface": "picture", "user_uploads": [upload]}).is_success
    return pk_of(web, item, "picture")


def pk_of(web: Web, item: str, socket: str) -> str:
    """Return the pk of the image in a socket of an item."""
    return web.values(item)[socket]["image"].rstrip("/").rpartition("/")[2]


def picture(web: Web, pk: str) -> Any:
    """Return a thumbnail as the browser receives it."""
    url = f"{web.sandbox.base_url.removesuffix('api/v1/')}_pages/thumbnails/{pk}.png"
    reply = httpx.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "image/png")
    assert "max-age" in reply.headers["cache-control"]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "picture.png"
        path.write_bytes(reply.content)
        return sitk.ReadImage(str(path))


def ramp(width: int, height: int, depth: int = 1) -> Any:
    """Return a volume that becomes brighter to the right and to the bottom."""
    x, y = (sitk.PhysicalPointSource(sitk.sitkVectorFloat32, [width, height, depth]), (0, 1))
    return sum(sitk.VectorIndexSelectionCast(x, axis) for axis in y)


def test_pixels_are_square(web: Web) -> None:
    """The longer side has 256 pixels, and the other one follows from the spacing."""
    image = sitk.Cast(ramp(64, 32)[:, :, 0], sitk.sitkInt16)
    image.SetSpacing([1.0, 4.0])
    assert picture(web, stored(web, image)).GetSize() == (128, 256)


def test_middle_slice(web: Web) -> None:
    """The thumbnail of a volume is its middle slice."""
    volume = sitk.Image([16, 16, 5], sitk.sitkUInt8)
    volume[4:12, 4:12, 2] = 200
    shown = picture(web, stored(web, volume))
    assert (shown[128, 128], shown[8, 8]) == (255, 0)


def test_time_series(web: Web) -> None:
    """The thumbnail of a time series is from its first volume."""
    volume = sitk.Image([16, 16, 4], sitk.sitkUInt8)
    volume[4:12, 4:12, :] = 9
    shown = picture(web, stored(web, sitk.JoinSeries([volume, volume * 0])))
    assert (shown[128, 128], shown[8, 8]) == (255, 0)


@pytest.mark.parametrize("direction", [(-1, 1, 1), (1, -1, 1), (-1, -1, -1)])
def test_orientation(web: Web, direction: tuple[int, ...]) -> None:
    """In any orientation of the volume, the patient's right is on the left and anterior is at the top."""
    volume = sitk.Cast(ramp(32, 32, 3), sitk.sitkInt16)
    flips = [step < 0 for step in direction]
    shown = picture(web, stored(web, sitk.Flip(volume, flips)))
    corners = [shown[point] for point in ((8, 8), (247, 8), (8, 247), (247, 247))]
    assert corners[0] < min(corners[1:3]) <= max(corners[1:3]) < corners[3]


def test_head_is_up(web: Web) -> None:
    """A sagittal volume is shown with the head at the top."""
    volume = sitk.Cast(ramp(32, 32, 32), sitk.sitkInt16)
    height = sitk.PhysicalPointSource(sitk.sitkVectorFloat32, volume.GetSize())
    volume = sitk.Cast(sitk.VectorIndexSelectionCast(height, 2), sitk.sitkInt16)
    shown = picture(web, stored(web, sitk.PermuteAxes(volume, [1, 2, 0])))
    assert shown[128, 8] > shown[128, 247]


def test_outliers_hide_nothing(web: Web) -> None:
    """One very bright pixel does not make all others black."""
    image = sitk.Cast(ramp(128, 128)[:, :, 0], sitk.sitkFloat32)
    image[3, 3] = 1e9
    shown = picture(web, stored(web, image))
    assert shown[40, 40] + 60 < shown[200, 200]


def test_small_objects_are_visible(web: Web) -> None:
    """A mask of a few pixels is visible."""
    mask = sitk.Image([200, 200, 3], sitk.sitkUInt8)
    mask[100:104, 100:104, 1] = 1
    extremes = sitk.MinimumMaximumImageFilter()
    extremes.Execute(picture(web, stored(web, mask)))
    assert (extremes.GetMinimum(), extremes.GetMaximum()) == (0, 255)


def test_colors_are_kept(web: Web) -> None:
    """A color image is shown in its colors."""
    channels = [sitk.Image([20, 10], sitk.sitkUInt8) + value for value in (200, 30, 60)]
    shown = picture(web, stored(web, sitk.Compose(channels), ".png"))
    assert (shown.GetSize(), shown[100, 50]) == ((256, 128), (200, 30, 60))


def test_nan_pixels_are_ignored(web: Web) -> None:
    """NaN and infinite pixels do not affect the others."""
    image = sitk.Cast(ramp(64, 64)[:, :, 0], sitk.sitkFloat32)
    image[0:4, 0:4] = float("nan")
    shown = picture(web, stored(web, image))
    assert shown[60, 60] + 60 < shown[200, 200]


def test_dicom_image_set(web: Web) -> None:
    """The thumbnail of a DICOM image set is one of its instances."""
    uploads = [web.upload(f"{number}.dcm", dicom_bytes(number)) for number in (1, 2, 3)]
    item = web.item()
    value = {"interface": "series", "user_uploads": uploads, "image_name": "CT"}
    assert web.patch(item, value).is_success
    assert picture(web, pk_of(web, item, "series")).GetSize() == (256, 256)


def test_missing_preview(web: Web) -> None:
    """Without an image the picture says so, with status 404."""
    root = web.sandbox.base_url.removesuffix("api/v1/")
    for name in ("nothing.png", "..%2f..%2fsandbox.sqlite3", "%00.png"):
        reply = httpx.get(f"{root}_pages/thumbnails/{name}")
        assert (reply.status_code, reply.headers["content-type"]) == (404, "image/svg+xml")


def test_cache_is_bounded(sandbox: Sandbox, web: Web) -> None:
    """A thumbnail is rendered once, and the oldest ones are evicted from a full cache."""
    volume = sitk.Cast(ramp(64, 64, 3), sitk.sitkInt16)
    first, second = stored(web, volume), stored(web, volume * 2)
    roomy = Thumbnails(sandbox._state)
    size = len(roomy.get(first))
    narrow = Thumbnails(sandbox._state, max_bytes=size + size // 2)
    assert [bool(narrow.get(pk)) for pk in (first, second)] == [True, True]
    for file in sandbox._state.objects.rglob(f"{first}.mha"):
        file.unlink()
    assert len(roomy.get(first)) == size
    assert (narrow.get(first), bool(narrow.get(second))) == (b"", True)
