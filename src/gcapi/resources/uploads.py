"""Uploads, and the imports of images from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from gcapi._api.limited_creation import create_within_limit
from gcapi._api.operations import Lazy
from gcapi._api.quota import QuotaWait
from gcapi._api.resource_mixins import PageModel, ReadMixin
from gcapi._transfer.open_files import file_object_source
from grand_challenge_api import api

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gcapi import models
    from gcapi._api.operations import Calls
    from gcapi._transfer.upload_sources import Readable
    from gcapi._transfer.uploads import Uploads
    from grand_challenge_api.api.cases import (
        cases_upload_sessions_create,
        cases_upload_sessions_list,
    )
    from grand_challenge_api.api.uploads import uploads_list


class UploadsNamespace(ReadMixin["models.UserUpload", "uploads_list.Query"]):
    """Your own uploads: the steps that `SocketValueSpec` with files takes for you."""

    noun = "upload"
    list_operation: Lazy[PageModel[models.UserUpload]] = Lazy(lambda: api.uploads_list)
    detail_operation: Lazy[models.UserUpload] = Lazy(lambda: api.uploads_retrieve)

    def __init__(self, calls: Calls, uploads: Uploads) -> None:
        super().__init__(calls)
        self._uploads = uploads

    def create(self, *, filename: str | Path) -> models.UserUpload:
        """Create a multipart upload.

        Args:
            filename: A file name without directories, of at most 128 characters.

        Raises:
            SpecError: The server does not accept such a name.
            TooManyUploads: You have too many uploads, and the client does not wait, or waited in vain.
        """
        wait = QuotaWait(self._calls.settings.on_limit)
        return wait.call(lambda: self._uploads.create(str(filename)))

    def generate_presigned_urls(
        self, *, pk: str, s3_upload_id: str, part_numbers: Sequence[int]
    ) -> models.UserUploadPresignedURLs:
        """Get presigned URLs to PUT parts to, each valid for an hour.

        Args:
            pk: The primary key of the upload.
            s3_upload_id: The upload's ``s3_upload_id``.
            part_numbers: The numbers of the parts, from 1 to 10,000.
        """
        return self._uploads.presigned_urls(pk, s3_upload_id, part_numbers)

    def list_parts(self, *, pk: str, s3_upload_id: str) -> models.UserUploadParts:
        """List the parts of an unfinished upload that the object store has.

        Args:
            pk: The primary key of the upload.
            s3_upload_id: The upload's ``s3_upload_id``.
        """
        return self._calls.call(api.uploads_list_parts_retrieve, pk, s3_upload_id)

    def complete_multipart_upload(
        self, *, pk: str, s3_upload_id: str, parts: Iterable[Any]
    ) -> models.UserUploadComplete:
        """Complete an upload from its parts.

        Args:
            pk: The primary key of the upload.
            s3_upload_id: The upload's ``s3_upload_id``.
            parts: Mappings or models with ``ETag`` and ``PartNumber``; other fields are ignored.
        """
        return self._uploads.complete(pk, s3_upload_id, parts)

    def abort_multipart_upload(self, *, pk: str, s3_upload_id: str) -> models.UserUpload:
        """Abort an unfinished upload; the object store deletes its parts.

        Args:
            pk: The primary key of the upload.
            s3_upload_id: The upload's ``s3_upload_id``.
        """
        return self._uploads.abort(pk, s3_upload_id)

    def resume(self, *, pk: str, file: str | Path) -> models.UserUploadComplete:
        """Resume an unfinished upload of a file, which the server keeps for a day.

        Parts in the object store whose length and MD5 match the file are kept; the others are sent.

        Args:
            pk: The primary key of the upload, as the error of the interrupted call names it.
            file: The path of the same file.

        Returns:
            The upload, whose ``api_url`` goes into a value as ``user_upload`` or ``user_uploads``.

        Raises:
            SpecError: The upload is complete, so that the file cannot be compared with it, or was aborted; or the file
                does not exist.
            ObjectNotFound: The upload does not exist: it was used, or is more than a day old.
        """
        return self._uploads.resume(pk, Path(file))

    def upload_fileobj(self, *, fileobj: Readable, filename: str) -> models.UserUploadComplete:
        """Upload a binary file object from its current position to its end.

        A regular file that `open` or `tempfile` opened takes as little memory as a file by its path. Of others, which
        need not be seekable, at most 2 × `max_concurrent_uploads` parts of 8 MiB are in memory. An upload that the
        object store refuses is aborted.

        Args:
            fileobj: The file object.
            filename: The name of the upload: a file name without directories, of at most 128 characters.

        Returns:
            The upload, whose ``api_url`` goes into a value as ``user_upload`` or ``user_uploads``.

        Examples:
            >>> import io
            >>> client.uploads.upload_fileobj(fileobj=io.BytesIO(b"1,2"), filename="a.csv").status
            'Completed'
        """
        return self.upload_multiple_fileobj(file_objects=[fileobj], filenames=[filename])[0]

    def upload_multiple_fileobj(
        self, *, file_objects: Sequence[Readable], filenames: Sequence[str]
    ) -> list[models.UserUploadComplete]:
        """Upload several binary file objects concurrently, and return the uploads in the same order.

        They take memory as for `upload_fileobj`, all together.

        Args:
            file_objects: The file objects.
            filenames: The name of each upload: file names without directories, of at most 128 characters.

        Raises:
            ValueError: The numbers of names and file objects differ.
        """
        if len(file_objects) != len(filenames):
            raise ValueError(
                f"There are {len(file_objects)} file objects and {len(filenames)} file names."
            )
        pairs = zip(file_objects, filenames, strict=True)
        return self._uploads.upload_all(
            [file_object_source(fileobj, str(name)) for fileobj, name in pairs]
        )


class RawImageUploadSessions(
    ReadMixin["models.RawImageUploadSession", "cases_upload_sessions_list.Query"]
):
    """Imports of uploaded images, with the server's error message if one failed."""

    list_operation: Lazy[PageModel[models.RawImageUploadSession]] = Lazy(
        lambda: api.cases_upload_sessions_list
    )
    detail_operation: Lazy[models.RawImageUploadSession] = Lazy(
        lambda: api.cases_upload_sessions_retrieve
    )

    def create(
        self, **fields: Unpack[cases_upload_sessions_create.Body]
    ) -> models.RawImageUploadSession:
        """Start the import of uploaded images; wait for the server's limit first, if the client is set up to wait.

        Raises:
            LimitReached: Waiting does not help, or not before the uploads in the fields expire.
        """
        return create_within_limit(
            self._calls,
            fields,
            lambda: self._calls.call(api.cases_upload_sessions_create, body=fields),
        )
