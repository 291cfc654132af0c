"""Images and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict, Unpack, overload

from gcapi._api.operations import LazyOperation
from gcapi._api.resource_mixins import PageModel, ReadMixin
from gcapi._transfer.image_files import choose_files, files_of_image
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gcapi import models
    from gcapi._api.operations import Calls
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

    list_operation: LazyOperation[PageModel[models.HyperlinkedImage]] = LazyOperation(
        lambda: api.cases_images_list
    )
    detail_operation: LazyOperation[models.HyperlinkedImage] = LazyOperation(
        lambda: api.cases_images_retrieve
    )

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
