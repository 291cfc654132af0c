"""The pixels of images, and their thumbnails, through a cache of files that processes share."""

from __future__ import annotations

import hashlib
import math
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import httpx

from gcapi._pictures.thumbnails import Thumbnail, draw_thumbnail
from gcapi._pictures.volumes import read_volume
from gcapi._transfer.file_cache import FileCache
from gcapi._transfer.image_files import files_of_image, one_instance
from gcapi._util.owner_locks import private_directory
from gcapi._util.scheduler import Cancelled, cancel_scope
from gcapi._util.user_dirs import cache_dir
from gcapi.exceptions import ConfigurationError, GCAPIError
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from gcapi import models
    from gcapi._api.operations import Calls
    from gcapi._transfer.downloads import Downloads

T = TypeVar("T")

#: The environment variables with the folder and the size of the cache.
FOLDER_VARIABLE, SIZE_VARIABLE = "GCAPI_CACHE_DIR", "GCAPI_CACHE_BYTES"
DEFAULT_CACHE_BYTES = 4 * 2**30
#: The largest image that is downloaded only to show a thumbnail, in pixels.
MAX_THUMBNAIL_PIXELS = 2**24
#: Seconds for the download for a thumbnail, and until the next attempt after a failure.
_THUMBNAIL_SECONDS, _PAUSE_SECONDS = 10.0, 60.0
_THUMBNAIL_SIDE = 128
_MAX_THUMBNAILS = 500


class ImageReader:
    """Reads images of a server.

    Args:
        calls: Calls the API.
        downloads: Downloads files.
    """

    def __init__(self, calls: Calls, downloads: Downloads) -> None:
        self._calls = calls
        self._downloads = downloads
        self._thumbnails: dict[str, bytes | None] = {}
        self._paused_until = 0.0

    @property
    def cache(self) -> FileCache:
        """The cache, as the environment describes it.

        Raises:
            ConfigurationError: The size is not a number.
        """
        given = os.environ.get(SIZE_VARIABLE, "").strip()
        if given and not given.isdecimal():
            raise ConfigurationError(
                f"{SIZE_VARIABLE}={given!r} is not a number of bytes. Use digits only, such as {2**30} for 1 GiB."
            )
        folder = os.environ.get(FOLDER_VARIABLE)
        return FileCache(
            Path(folder) if folder else cache_dir() / "images",
            int(given) if given else DEFAULT_CACHE_BYTES,
        )

    def volume(self, image: models.HyperlinkedImage) -> Any:
        """Return an image as a `SimpleITK.Image`."""
        return self._read(image, read_volume)

    def preview(self, image: models.HyperlinkedImage, max_side: int) -> Thumbnail:
        """Return the middle slice of an image."""
        return self._read(image, lambda files: draw_thumbnail(files, max_side))

    def thumbnail(self, image: models.HyperlinkedImage | str) -> bytes | None:
        """Return a small picture of an image that is not large; `None` if there is none, or no connection.

        Args:
            image: The image, or its API URL.
        """
        url = image if isinstance(image, str) else image.api_url
        if url not in self._thumbnails and time.monotonic() > self._paused_until:
            if len(self._thumbnails) >= _MAX_THUMBNAILS:
                self._thumbnails.clear()
            try:
                self._thumbnails[url] = self._drawn(image)
            except (httpx.RequestError, Cancelled):  # no connection: do not wait for it again soon
                self._paused_until = time.monotonic() + _PAUSE_SECONDS
            except (GCAPIError, OSError, ValueError, AttributeError, TypeError):
                self._thumbnails[url] = None
        return self._thumbnails.get(url)

    def _drawn(self, image: models.HyperlinkedImage | str) -> bytes | None:
        with cancel_scope() as token:
            timer = threading.Timer(_THUMBNAIL_SECONDS, token.cancel)
            timer.daemon = True
            timer.start()
            try:
                if isinstance(image, str):
                    image = self._calls.get(api.cases_images_retrieve, image)
                return self._thumbnail_of(image).png or None
            finally:
                timer.cancel()

    def _thumbnail_of(self, image: models.HyperlinkedImage) -> Thumbnail:
        if not self.cache.has(self._key(image)):
            if image.dicom_image_set:
                return self._thumbnail_of_instance(image)
            shape = image.shape_without_color
            if None in shape or math.prod(size or 0 for size in shape) > MAX_THUMBNAIL_PIXELS:
                return Thumbnail(reason="it is too large")
        return self.preview(image, _THUMBNAIL_SIDE)

    def _thumbnail_of_instance(self, image: models.HyperlinkedImage) -> Thumbnail:
        """Return the picture of one slice of a DICOM image set, which may have thousands."""
        with private_directory() as folder:
            file = one_instance(self._calls, image, folder)
            if file is None:
                return Thumbnail(reason="it has several frames in one file")
            return draw_thumbnail(self._downloads.fetch([file]), _THUMBNAIL_SIDE)

    def _read(self, image: models.HyperlinkedImage, read: Callable[[Sequence[Path]], T]) -> T:
        def fill(folder: Path) -> list[Path]:
            types = {file.image_type for file in image.files}
            wanted = "MHD" if "MHD" in types else None
            files = files_of_image(self._calls, image, folder, image_type=wanted)
            return self._downloads.fetch(files, existing="overwrite")

        for is_last in (False, False, True):
            with self.cache.entry(self._key(image), fill) as files:
                try:
                    return read(files)
                except GCAPIError:
                    raise
                except RuntimeError as error:
                    if is_last or all(path.exists() for path in files):
                        raise ValueError(
                            f"Image {image.pk} ({image.name!r}): SimpleITK cannot read it. Download it with"
                            " client.images.download, and open it with a program for its format."
                        ) from error
        raise AssertionError

    def _key(self, image: models.HyperlinkedImage) -> str:
        server = hashlib.sha256(self._calls.settings.root_url.encode()).hexdigest()[:12]
        return f"{server}-{image.pk}"
