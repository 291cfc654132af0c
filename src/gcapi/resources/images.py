"""Images and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack, overload

from gcapi._api.notebook import offer_pictures
from gcapi._api.operations import Lazy
from gcapi._api.resource_mixins import PageModel, ReadMixin
from gcapi._pictures.volumes import as_array
from gcapi._transfer.image_files import choose_files, files_of_image
from gcapi.resources._image_reading import ImageReader
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi import models
    from gcapi._api.operations import Calls
    from gcapi._pictures.thumbnails import Thumbnail
    from gcapi._pictures.volumes import ImageArray
    from gcapi._transfer.atomic_file import ExistingFile
    from gcapi._transfer.downloads import Downloads
    from grand_challenge_api.api.cases import cases_images_list


class _DownloadOptions(TypedDict):
    """Keyword arguments of `Images.download` that do not select the image."""

    output_directory: str | Path
    filename: NotRequired[str | None]
    image_type: NotRequired[str | None]
    existing: NotRequired[ExistingFile]


class Images(ReadMixin["models.HyperlinkedImage", "cases_images_list.Query"]):
    """Images and DICOM image sets."""

    list_operation: Lazy[PageModel[models.HyperlinkedImage]] = Lazy(lambda: api.cases_images_list)
    detail_operation: Lazy[models.HyperlinkedImage] = Lazy(lambda: api.cases_images_retrieve)

    @overload
    def detail(self, pk: str, api_url: None = None) -> models.HyperlinkedImage: ...

    @overload
    def detail(self, pk: None = None, *, api_url: str) -> models.HyperlinkedImage: ...

    @overload
    def detail(self, **filters: Unpack[cases_images_list.Query]) -> models.HyperlinkedImage: ...

    def detail(
        self, pk: str | None = None, api_url: str | None = None, **filters: Any
    ) -> models.HyperlinkedImage:
        """Get one object, by its primary key, its API URL or filters that match no other.

        Args:
            pk: The primary key; `None` if you give one of the others.
            api_url: The API URL; `None` if you give one of the others.
            filters: The filters of the list, by their API names.
        """
        return self._one(pk, api_url, filters)

    def __init__(self, calls: Calls, downloads: Downloads) -> None:
        super().__init__(calls)
        self._downloads = downloads
        self._reader = ImageReader(calls, downloads)
        offer_pictures(f"{calls.settings.root_url}/", self._reader)

    @overload
    def download(self, *, pk: str, **options: Unpack[_DownloadOptions]) -> list[Path]: ...

    @overload
    def download(self, *, url: str, **options: Unpack[_DownloadOptions]) -> list[Path]: ...

    @overload
    def download(
        self, *, files: Sequence[models.ImageFile], **options: Unpack[_DownloadOptions]
    ) -> list[Path]: ...

    @overload
    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        pk: None = None,
        url: None = None,
        files: None = None,
        existing: ExistingFile = "error",
        **params: Any,
    ) -> list[Path]: ...

    def download(
        self,
        *,
        output_directory: str | Path,
        filename: str | None = None,
        image_type: str | None = None,
        pk: str | None = None,
        url: str | None = None,
        files: Sequence[models.ImageFile] | None = None,
        existing: ExistingFile = "error",
        **params: Any,
    ) -> list[Path]:
        """Download the files of an image, or the instances of a DICOM image set.

        Select the image by exactly one of `pk`, `url`, `files` and filters.

        Args:
            output_directory: The target directory; created if missing.
            filename: The name of the files without suffix; `None` for the image's primary key. Not for DICOM image
                sets.
            image_type: Download only files of this type, such as ``gcapi.models.ImageTypeEnum.MHD``; `None` for all.
            pk: The primary key of the image; `None` if it is selected otherwise.
            url: The API URL of the image; `None` if it is selected otherwise.
            files: Items of an image's ``files``; `None` if it is selected otherwise.
            params: Filters that match exactly one image.
            existing: What to do if a file exists: ``"error"`` before anything is transferred, ``"skip"`` it, or
                ``"overwrite"`` it once the download is complete.

        Returns:
            The paths of the files, in the image's order.

        Raises:
            ValueError: Not exactly one of pk, url, files and filters was given.
            FileExistsError: A target file exists; nothing was transferred.
            DuplicateNameError: Several files would get the same name; nothing was transferred.
            TransferError: A file arrived incomplete or corrupt; it was not kept.

        Examples:
            >>> archive = client.archives.detail(slug="my-archive")
            >>> image = client.images.page(limit=1, params={"archive": archive.pk})[0]
            >>> (file,) = client.images.download(
            ...     pk=image.pk, output_directory="images", filename="ct"
            ... )
            >>> file.name
            'ct.mha'
        """
        if sum((bool(pk), bool(url), files is not None, bool(params))) != 1:
            raise ValueError("Give exactly one of pk, url, files, or filters.")
        directory = Path(output_directory)
        if files is None:
            image = self._one(pk, url, params)
            chosen = files_of_image(
                self._calls, image, directory, filename=filename, image_type=image_type
            )
        else:
            name = filename or "image"
            chosen = choose_files(
                self._calls, files, directory, filename=name, image_type=image_type
            )
        return self._downloads.fetch(chosen, existing=existing)

    def read(self, image: models.HyperlinkedImage | str) -> Any:
        """Return an image as a `SimpleITK.Image`, with its spacing, origin and direction.

        Its files are kept in a cache folder that processes share: ``GCAPI_CACHE_DIR``, by default in the cache
        directory of your account. It holds at most ``GCAPI_CACHE_BYTES`` (4 GiB); what was not used for the longest
        time is removed.

        Args:
            image: The image, its primary key or its API URL.

        Raises:
            MissingExtra: The extra `images` is not installed.
            ValueError: SimpleITK cannot read the format, as of whole slides of several levels.
            TransferError: A file arrived incomplete or corrupt; it was not kept.

        Examples:
            >>> image = client.images.page(limit=1)[0]
            >>> client.images.read(image).GetDimension()
            2
        """
        return self._reader.volume(self._image(image))

    def array(self, image: models.HyperlinkedImage | str) -> ImageArray:
        """Return the pixels of an image as a NumPy array, with their spacing.

        Args:
            image: The image, its primary key or its API URL; see `read`.

        Raises:
            MissingExtra: The extra `images` is not installed.
            ValueError: SimpleITK cannot read the format.
            TransferError: A file arrived incomplete or corrupt; it was not kept.

        Examples:
            >>> image = client.images.page(limit=1)[0]
            >>> client.images.array(image).pixels.ndim
            2
        """
        return as_array(self.read(image))

    def preview(self, image: models.HyperlinkedImage | str, max_side: int = 512) -> Thumbnail:
        """Return the middle slice of an image as a picture, which notebooks show.

        Args:
            image: The image, its primary key or its API URL; see `read`.
            max_side: The longer side in pixels.

        Returns:
            A picture, whose ``png`` is empty if there is none; ``reason`` says why.

        Raises:
            MissingExtra: The extra `images` is not installed.
            TransferError: A file arrived incomplete or corrupt; it was not kept.

        Examples:
            >>> image = client.images.page(limit=1)[0]
            >>> len(client.images.preview(image, max_side=128).shape)
            2
        """
        return self._reader.preview(self._image(image), max_side)

    def _image(self, image: models.HyperlinkedImage | str) -> models.HyperlinkedImage:
        if not isinstance(image, str):
            return image
        return self.detail(api_url=image) if "/" in image else self.detail(pk=image)
