"""Runs plans: de-identify and upload, for a case or a job.

Everything is planned before anything leaves the machine, and everything is uploaded before anything is created.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from gcapi._transfer.multipart import COMPLETED
from gcapi._transfer.upload_sources import BytesSource, PathSource
from gcapi._workflows import dicom
from gcapi._workflows.checks import check_image_kind, check_interface, check_specs
from gcapi._workflows.plans import Content, Inline, LocalFile, Plan, RemoteFile, Upload, plan_value
from gcapi.exceptions import GCAPIError, ObjectNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from gcapi import models
    from gcapi._api.quota import LimitWait
    from gcapi._transfer.downloads import Downloads
    from gcapi._transfer.upload_sources import Source
    from gcapi._transfer.uploads import Uploads
    from gcapi._workflows.slug_lookup import Lookup
    from gcapi.models import UserUpload
    from gcapi.progress import Listener
    from gcapi.resources import Images, UploadsNamespace
    from gcapi.sockets import SocketValueSpec


class Uploaded(Protocol):
    """What a value needs to know of an upload."""

    pk: str
    api_url: str
    filename: str


class TornImageSet(GCAPIError):
    """Raise for a DICOM image set of which some files are uploaded, so that it has to be uploaded anew.

    Attributes:
        slug: Its socket.
    """

    _keywords = ("slug",)

    def __init__(self, *args: object, slug: str) -> None:
        super().__init__(*args)
        self.slug = slug


@dataclass(frozen=True)
class Pending:
    """A value that the server takes up in the background.

    Attributes:
        before: The pk of the value that the socket had; `None` if it had none.
        uploads: The pks of the uploads that it is made of.
        is_plain_image: Whether a failure shows in the upload sessions; of other values the API shows none.
    """

    before: int | None
    uploads: tuple[str, ...]
    is_plain_image: bool


@dataclass(frozen=True)
class Posted:
    """Values as the API takes them, their files uploaded.

    Attributes:
        values: What a request has under ``values`` or ``inputs``.
        uploads: The pks of the uploads of each value that is made of some, by socket slug.
        names: The file names of these.
        plain_images: The sockets whose failed imports show in the upload sessions.
    """

    values: list[dict[str, Any]]
    uploads: dict[str, tuple[str, ...]]
    names: dict[str, tuple[str, ...]]
    plain_images: frozenset[str]

    def pending(self, before: Mapping[str, int]) -> dict[str, Pending]:
        """Return what is to be waited for, by socket slug.

        Args:
            before: The pks of the values that the case had, by socket slug.
        """
        return {
            slug: Pending(before.get(slug), uploads, slug in self.plain_images)
            for slug, uploads in self.uploads.items()
        }

    def is_used(self, uploads: UploadsNamespace) -> bool:
        """Tell whether the uploads of any value are gone: the server removes them, all at once, when they are used."""
        return any(not _exists(uploads, group[0]) for group in self.uploads.values())


def _exists(uploads: UploadsNamespace, pk: str) -> bool:
    try:
        uploads.detail(pk=pk)
    except ObjectNotFound:
        return False
    return True


class Submit:
    """Make what the user specified.

    Args:
        uploads: Uploads files.
        downloads: Fetches files that are used again.
        lookup: Finds sockets.
        images: Where images are read.
        listener: Hears of the progress.
    """

    def __init__(
        self,
        *,
        uploads: Uploads,
        downloads: Downloads,
        lookup: Lookup,
        images: Images,
        listener: Listener,
    ) -> None:
        self._uploads = uploads
        self._downloads = downloads
        self._lookup = lookup
        self._images = images
        self._listener = listener

    # ------------------------------------------------------------ jobs

    def job_inputs(self, algorithm: models.Algorithm, specs: Sequence[SocketValueSpec]) -> Posted:
        """Check, plan and upload the inputs of a job."""
        specs = check_specs(specs)
        plans = self.plan(specs, before=lambda: check_interface(algorithm, specs))
        return self.post(plans)

    # ------------------------------------------------------------ values

    def plan(
        self, specs: Sequence[SocketValueSpec], *, before: Callable[[], None] = lambda: None
    ) -> list[Plan]:
        """Check everything that can be known before anything leaves the machine.

        Args:
            specs: The values.
            before: A further check, made once the sockets are known to exist.
        """
        specs = check_specs(specs)
        sockets = self._lookup.sockets(specs)
        before()
        plans = [plan_value(spec, sockets[spec.socket_slug]) for spec in specs]
        for plan in plans:
            self._check_image(plan, sockets[plan.slug])
        if any(isinstance(plan, Upload) and plan.image_name is not None for plan in plans):
            dicom.check_installed()
        return plans

    def _check_image(self, plan: Plan, socket: models.ComponentInterface) -> None:
        """Look at an image that is to be used again: the server would refuse a wrong one only after the creation."""
        if isinstance(plan, Inline) and "image" in plan.source:
            image = self._images.detail(api_url=plan.source["image"])
            check_image_kind(image, socket)

    def post(self, plans: Sequence[Plan]) -> Posted:
        """Upload what has to be, and return the values as the API takes them."""
        with self._sources_of(plans) as sources:
            flat = [source for group in sources.values() for source in group]
            uploaded = iter(self._uploads.upload_all(flat) if flat else [])
        uploads = {slug: [next(uploaded) for _ in group] for slug, group in sources.items()}
        return posted_of(plans, uploads)

    def begin(
        self, names: Sequence[str], heard: Callable[[int, UserUpload], None], limits: LimitWait
    ) -> list[UserUpload]:
        """Create uploads for a later `send`; see `Uploads.create_all`."""
        return self._uploads.create_all(names, heard, limits)

    def send(
        self,
        plans: Sequence[Plan],
        begun: Mapping[str, Sequence[UserUpload]],
        *,
        is_fresh: bool,
    ) -> None:
        """Bring the files of plans into uploads that were begun for them; interrupted, they stay as they are.

        Args:
            plans: What the files belong to.
            begun: The uploads of each plan's files, in their order, by socket slug.
            is_fresh: Whether nothing was sent to any of them yet; else each is asked for what it has.

        Raises:
            TornImageSet: A DICOM image set is there in part: its files fit to no others than those of their own
                de-identification.
        """
        if not is_fresh:
            pks = [upload.pk for group in begun.values() for upload in group]
            now = iter(self._uploads.retrieve_all(pks))
            begun = {slug: [next(now) for _ in group] for slug, group in begun.items()}
        left = [plan for plan in plans if isinstance(plan, Upload) and _is_left(plan, begun)]
        with self._sources_of(left) as sources:
            pairs = [
                (source, upload)
                for slug, group in sources.items()
                for source, upload in zip(group, begun[slug], strict=True)
                if upload.status != COMPLETED
            ]
            self._uploads.send_all(pairs, is_fresh=is_fresh)

    @contextmanager
    def _sources_of(self, plans: Sequence[Plan]) -> Generator[dict[str, list[Source]]]:
        """Give what is to be uploaded, by socket slug; copies that are made for it are removed at the end."""
        with ExitStack() as stack:
            private = _PrivateDirectory(stack)
            yield {
                plan.slug: self._sources(plan, private)
                for plan in plans
                if isinstance(plan, Upload)
            }

    def _sources(self, plan: Upload, private: _PrivateDirectory) -> list[Source]:
        if plan.image_name is None:
            return [self._source(file, private) for file in plan.files]
        paths = [file.path for file in plan.files if isinstance(file, LocalFile)]
        made = dicom.deidentify(paths, private.make(), self._listener)
        return [PathSource(path, stays=False) for path in made]

    def _source(self, file: LocalFile | Content | RemoteFile, private: _PrivateDirectory) -> Source:
        if isinstance(file, LocalFile):
            return PathSource(file.path, file.name)
        if isinstance(file, Content):
            return BytesSource(file.data, file.name)
        copy = private.make() / "copy"
        self._downloads.fetch([(self._downloads.api_file(file.url), copy)])
        return PathSource(copy, file.name, stays=False)


class _PrivateDirectory:
    """Directories that only this user can read, removed at the end; none is made unless one is needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def make(self) -> Path:
        # mkdtemp's mode is 0700, also where the temporary directory is shared.
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gcapi-")))


def upload_names(plan: Upload) -> list[str]:
    """Return what the uploads of a plan are called."""
    if plan.image_name is None:
        return [file.name for file in plan.files]
    return [dicom.file_name(number) for number in range(len(plan.files))]


def _is_left(plan: Upload, begun: Mapping[str, Sequence[UserUpload]]) -> bool:
    """Tell whether something of a plan is to be uploaded.

    Raises:
        TornImageSet: Something is, and it would not fit to what is there.
    """
    done = [upload.status == COMPLETED for upload in begun[plan.slug]]
    if plan.image_name is not None and any(done) and not all(done):
        raise TornImageSet(
            f"Socket {plan.slug!r}: of the DICOM image set {plan.image_name!r}, {sum(done)} of {len(done)} files were"
            " uploaded; they are de-identified and uploaded together.",
            slug=plan.slug,
        )
    return not all(done)


def posted_of(plans: Sequence[Plan], uploads: Mapping[str, Sequence[Uploaded]]) -> Posted:
    """Return values as the API takes them.

    Args:
        plans: The values.
        uploads: The uploads of each that is made of some, by socket slug.
    """
    return Posted(
        values=[_posted_value(plan, uploads) for plan in plans],
        uploads={slug: tuple(made.pk for made in group) for slug, group in uploads.items()},
        names={slug: tuple(made.filename for made in group) for slug, group in uploads.items()},
        plain_images=frozenset(
            plan.slug
            for plan in plans
            if isinstance(plan, Upload) and plan.is_image and plan.image_name is None
        ),
    )


def _posted_value(plan: Plan, uploads: Mapping[str, Sequence[Uploaded]]) -> dict[str, Any]:
    if isinstance(plan, Inline):
        return {"interface": plan.slug, **plan.source}
    urls = [upload.api_url for upload in uploads[plan.slug]]
    if not plan.is_image:
        return {"interface": plan.slug, "user_upload": urls[0]}
    name = {} if plan.image_name is None else {"image_name": plan.image_name}
    return {"interface": plan.slug, "user_uploads": urls, **name}
