"""From specifications to the JSON values of a request: plan everything, then de-identify and upload files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gcapi import models
from gcapi._api.quota import MAX_QUOTA_WAIT
from gcapi._transfer.downloads import Downloads
from gcapi._transfer.multipart import COMPLETED
from gcapi._transfer.upload_sources import BytesSource, PathSource, Source
from gcapi._transfer.uploads import Uploads
from gcapi._util.http_dates import parse_http_date
from gcapi._util.owner_locks import private_directory
from gcapi._workflows import dicom
from gcapi._workflows.checks import check_image_kind, check_interface, check_specs
from gcapi._workflows.dicom_uploads import deidentified
from gcapi._workflows.inspection import Inspection
from gcapi._workflows.plans import Content, FileCopy, Inline, Plan, Upload, plan_value
from gcapi._workflows.slug_lookup import Lookup
from gcapi.exceptions import GCAPIError, NotFoundError
from gcapi.progress import Listener
from gcapi.resources import Images, UploadsNamespace
from gcapi.sockets import SocketValueSpec

T = TypeVar("T")
#: The uploads of each plan that has files, by socket slug.
UploadsBySlug = Mapping[str, Sequence["models.UserUpload | models.UserUploadComplete"]]

#: How many file names a message lists.
SHOWN_NAMES = 3


class IncompleteImageSet(GCAPIError):
    """Raised when only some files of a DICOM image set are uploaded, so that all have to be uploaded again."""


@dataclass(frozen=True)
class UploadedFiles:
    """The uploads of one value.

    Attributes:
        pks: Their primary keys.
        names: Their file names.
        is_plain_image: Whether a failed import shows in the upload sessions; the API shows no other failures.
        created: When the first of them was created, by the server's clock; `None` if that is unknown.
    """

    pks: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    is_plain_image: bool = False
    created: datetime | None = None

    def are_used(self, uploads: UploadsNamespace) -> bool | None:
        """Return whether the server has used them, in which case it has deleted all at once.

        It also deletes those that are a day old. So `None`, if they are gone and may be that old by the server's clock;
        that of this machine may be wrong, or may have been suspended.
        """
        try:
            uploads.detail(pk=self.pks[0])
        except NotFoundError as error:
            now = parse_http_date(error.response.headers.get("Date", ""))
            if now is None or self.created is None:
                return None
            return True if (now - self.created).total_seconds() < MAX_QUOTA_WAIT else None
        return False

    def __str__(self) -> str:
        more = len(self.names) - SHOWN_NAMES
        return ", ".join(self.names[:SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


@dataclass(frozen=True)
class PreparedValues:
    """Values as the API takes them, their files uploaded.

    Attributes:
        values: The JSON under ``values`` or ``inputs`` of a request.
        files: The uploads of the values that are made of some, by socket slug.
    """

    values: list[dict[str, Any]]
    files: dict[str, UploadedFiles]

    @classmethod
    def of(cls, plans: Sequence[Plan], uploads: UploadsBySlug) -> PreparedValues:
        """Return the values of plans.

        Args:
            plans: The plans.
            uploads: The uploads of those that have files.
        """
        return cls(
            [_json_value(plan, uploads) for plan in plans],
            {
                plan.slug: UploadedFiles(
                    tuple(upload.pk for upload in uploads[plan.slug]),
                    tuple(upload.filename for upload in uploads[plan.slug]),
                    is_plain_image=plan.is_image and plan.image_name is None,
                    created=min(
                        (
                            upload.created
                            for upload in uploads[plan.slug]
                            if isinstance(getattr(upload, "created", None), datetime)
                        ),
                        default=None,
                    ),
                )
                for plan in plans
                if isinstance(plan, Upload)
            },
        )

    @property
    def slugs(self) -> list[str]:
        """The sockets."""
        return [value["interface"] for value in self.values]

    def are_used(self, uploads: UploadsNamespace) -> bool | None:
        """Return whether the server has used the uploads of any value; `None` if that is unknown."""
        known = {files.are_used(uploads) for files in self.files.values()}
        return True if True in known else None if None in known else False


def _json_value(plan: Plan, uploads: UploadsBySlug) -> dict[str, Any]:
    if isinstance(plan, Inline):
        return {"interface": plan.slug, **plan.source}
    urls = [upload.api_url for upload in uploads[plan.slug]]
    if not plan.is_image:
        return {"interface": plan.slug, "user_upload": urls[0]}
    name = {} if plan.image_name is None else {"image_name": plan.image_name}
    return {"interface": plan.slug, "user_uploads": urls, **name}


def upload_names(plan: Upload) -> list[str]:
    """Return the names of the uploads of a plan."""
    if plan.image_name is None:
        return [file.name for file in plan.files]
    return [dicom.file_name(number) for number in range(len(plan.files))]


@dataclass(frozen=True)
class ValuePreparer:
    """Plan values, and upload their files.

    Attributes:
        uploads: Uploads files.
        downloads: Downloads the files that are used a second time.
        lookup: Finds sockets.
        images: The namespace of images.
        listener: Called with the progress.
    """

    uploads: Uploads
    downloads: Downloads
    lookup: Lookup
    images: Images
    listener: Listener

    def plan(
        self,
        specs: Iterable[SocketValueSpec],
        inspection: Inspection,
        *,
        algorithm: models.Algorithm | None = None,
    ) -> list[Plan]:
        """Check everything that can be checked before anything is written to the server.

        Args:
            specs: The values.
            inspection: How their files are inspected.
            algorithm: The algorithm whose inputs they are; `None` for the values of a case.
        """
        specs = check_specs(specs)
        sockets = self.lookup.sockets(spec.socket_slug for spec in specs)
        if algorithm is not None:
            check_interface(algorithm, specs)
        plans = [plan_value(spec, sockets[spec.socket_slug]) for spec in specs]
        for plan in plans:
            if isinstance(plan, Inline) and "image" in plan.source:
                # The server would refuse an image of the wrong kind only after the case was created.
                image = self.images.detail(api_url=plan.source["image"])
                check_image_kind(image, sockets[plan.slug])
        image_sets = [
            plan for plan in plans if isinstance(plan, Upload) and plan.image_name is not None
        ]
        if image_sets:
            dicom.check_installed()
        inspection.inspect(plans, sockets)
        # The inspection has found whatever would be refused, unless its errors do not count.
        for plan in image_sets if inspection.mode != "error" else ():
            dicom.check_headers(file for file in plan.files if isinstance(file, Path))
        return plans

    def upload(self, plans: Sequence[Plan]) -> PreparedValues:
        """Upload the files of plans, and return the values as the API takes them."""
        with ExitStack() as stack:
            sources = self._sources(plans, stack)
            flat = [source for group in sources.values() for source in group]
            uploaded = self.uploads.upload_all(flat) if flat else []
        return PreparedValues.of(plans, _regrouped(sources, uploaded))

    def send_files(
        self,
        plans: Sequence[Plan],
        uploads: Mapping[str, Sequence[models.UserUpload]],
        *,
        is_fresh: bool,
    ) -> None:
        """Send the files of plans to uploads that were created for them; after a failure they stay as they are.

        Args:
            plans: The plans.
            uploads: The uploads of each plan's files, in their order, by socket slug.
            is_fresh: Whether nothing was sent to any of them; otherwise the server is asked what it has.

        Raises:
            IncompleteImageSet: Some files of a DICOM image set are uploaded. Each de-identification makes new
                identifiers, so the others would not match them.
        """
        if not is_fresh:
            pks = [upload.pk for group in uploads.values() for upload in group]
            uploads = _regrouped(uploads, self.uploads.retrieve_all(pks))
        unfinished = [
            plan
            for plan in plans
            if isinstance(plan, Upload) and not _is_uploaded(plan, uploads[plan.slug])
        ]
        with ExitStack() as stack:
            sources = self._sources(unfinished, stack)
            pairs = [
                (source, upload)
                for slug, group in sources.items()
                for source, upload in zip(group, uploads[slug], strict=True)
                if upload.status != COMPLETED
            ]
            self.uploads.send_all(pairs, is_fresh=is_fresh)

    def _sources(self, plans: Sequence[Plan], stack: ExitStack) -> dict[str, list[Source]]:
        """Return the files to upload, by socket slug; the stack deletes temporary copies."""
        sources: dict[str, list[Source]] = {}
        for plan in plans:
            if isinstance(plan, Inline):
                continue
            if plan.image_name is None:
                sources[plan.slug] = [self._source(file, stack) for file in plan.files]
            else:
                paths = [file for file in plan.files if isinstance(file, Path)]
                directory = stack.enter_context(private_directory())
                made = deidentified(paths, directory, self.listener)
                sources[plan.slug] = [*stack.enter_context(made)]
        return sources

    def _source(self, file: Path | Content | FileCopy, stack: ExitStack) -> Source:
        if isinstance(file, Path):
            return PathSource(file)
        if isinstance(file, Content):
            return BytesSource(file.data, file.name)
        copy = stack.enter_context(private_directory()) / "copy"
        self.downloads.fetch([(self.downloads.api_file(file.url), copy)])
        return PathSource(copy, file.name, stays=False)


def _regrouped(groups: Mapping[str, Sequence[Any]], flat: Iterable[T]) -> dict[str, list[T]]:
    """Return a flat sequence in groups of the given lengths."""
    items = iter(flat)
    return {slug: [next(items) for _ in group] for slug, group in groups.items()}


def _is_uploaded(plan: Upload, uploads: Sequence[models.UserUpload]) -> bool:
    """Return whether all files of a plan are uploaded.

    Raises:
        IncompleteImageSet: Some are, and the others would not match them.
    """
    done = [upload.status == COMPLETED for upload in uploads]
    if plan.image_name is not None and any(done) and not all(done):
        raise IncompleteImageSet(
            f"Socket {plan.slug!r}: {sum(done)} of {len(done)} files of the DICOM image set {plan.image_name!r} are"
            " uploaded. All of them have to be de-identified and uploaded together."
        )
    return all(done)
