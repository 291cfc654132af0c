"""Runs plans: de-identify, upload, then create or change a case, or start a job.

Everything is planned before anything leaves the machine, and everything is uploaded before anything is created. What
was created and could not be filled is reported with its pk and the call that completes it.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from gcapi import _dicom
from gcapi._plan import (
    Content,
    Inline,
    LocalFile,
    Plan,
    RemoteFile,
    Upload,
    as_tuple,
    check_image_kind,
    check_interface,
    check_no_socket_twice,
    plan_value,
)
from gcapi._sources import BytesSource, PathSource
from gcapi.exceptions import IncompleteCase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from gcapi import models
    from gcapi._downloads import Downloads
    from gcapi._lookup import Lookup
    from gcapi._sources import Source
    from gcapi._uploads import Uploads
    from gcapi.progress import Listener
    from gcapi.resources import ArchiveItems, DisplaySets, Images
    from gcapi.sockets import SocketValueSpec

Case = TypeVar("Case", "models.ArchiveItemPost", "models.DisplaySetPost")

#: How long the values in a printed call may be before they are only called ``values``, in characters.
CALL_LIMIT = 2000


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
    """Values as the API takes them, their files uploaded."""

    values: list[dict[str, Any]]
    uploads: dict[str, tuple[str, ...]]
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


@dataclass(frozen=True)
class CaseKind(Generic[Case]):
    """What differs between archive items and display sets.

    Attributes:
        namespace: Where they are created and changed.
        noun: What a message calls one.
        update_call: How the call that changes one begins; its pk follows.
    """

    namespace: Any
    noun: str
    update_call: str


def archive_items(namespace: ArchiveItems) -> CaseKind[models.ArchiveItemPost]:
    """Return what is particular to archive items."""
    return CaseKind(namespace, "archive item", "client.update_archive_item(archive_item_pk=")


def display_sets(namespace: DisplaySets) -> CaseKind[models.DisplaySetPost]:
    """Return what is particular to display sets."""
    return CaseKind(namespace, "display set", "client.update_display_set(display_set_pk=")


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
        #: What each case that this client filled still waits for, by its pk and the socket's slug.
        self.pending: dict[str, dict[str, Pending]] = {}

    # ------------------------------------------------------------ cases

    def add_case(
        self,
        kind: CaseKind[Case],
        *,
        parent: Callable[[], Mapping[str, Any]],
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
    ) -> Case:
        """Create a case and fill it.

        Args:
            kind: Archive item or display set.
            parent: Looks up what the case belongs to, as the API's fields.
            specs: Its values; may be empty.
            fields: Its other fields.
        """
        specs = as_tuple(specs)
        plans = self.plan(specs)
        belongs = parent()
        posted = self.post(plans)
        case: Case = kind.namespace.create(**belongs, **fields)
        if not posted.values:
            return case
        try:
            filled: Case = kind.namespace.partial_update(case.pk, values=posted.values)
        except BaseException as error:
            words = _incomplete(kind, case.pk, specs, error)
            if not isinstance(error, Exception):
                error.add_note(words)
                raise
            raise IncompleteCase(words, pk=case.pk) from error
        self.pending[case.pk] = posted.pending({})
        return filled

    def update_case(
        self,
        kind: CaseKind[Case],
        pk: str,
        *,
        specs: Sequence[SocketValueSpec],
        fields: Mapping[str, Any],
    ) -> Case:
        """Change the given values and fields of a case; the others stay."""
        specs = as_tuple(specs)
        plans = self.plan(specs)
        before = {value.interface.slug: value.pk for value in kind.namespace.detail(pk=pk).values}
        posted = self.post(plans)
        changed: Case = kind.namespace.partial_update(pk, values=posted.values, **fields)
        noted = self.pending.setdefault(pk, {})
        for spec in specs:
            # What an earlier call uploaded to this socket is no longer waited for.
            noted.pop(spec.socket_slug, None)
        noted.update(posted.pending(before))
        return changed

    # ------------------------------------------------------------ jobs

    def job_inputs(
        self, algorithm: models.Algorithm, specs: Sequence[SocketValueSpec]
    ) -> list[dict[str, Any]]:
        """Check, plan and upload the inputs of a job."""
        specs = as_tuple(specs)
        plans = self.plan(specs, before=lambda: check_interface(algorithm, specs))
        return self.post(plans).values

    # ------------------------------------------------------------ values

    def plan(
        self, specs: Sequence[SocketValueSpec], *, before: Callable[[], None] = lambda: None
    ) -> list[Plan]:
        """Check everything that can be known before anything leaves the machine.

        Args:
            specs: The values.
            before: A further check, made once the sockets are known to exist.
        """
        check_no_socket_twice(specs)
        sockets = self._lookup.sockets(specs)
        before()
        plans = [plan_value(spec, sockets[spec.socket_slug]) for spec in specs]
        for plan in plans:
            self._check_image(plan, sockets[plan.slug])
        if any(isinstance(plan, Upload) and plan.image_name is not None for plan in plans):
            _dicom.check_installed()
        return plans

    def _check_image(self, plan: Plan, socket: models.ComponentInterface) -> None:
        """Look at an image that is to be used again: the server would refuse a wrong one only after the creation."""
        if isinstance(plan, Inline) and "image" in plan.source:
            image = self._images.detail(api_url=plan.source["image"])
            check_image_kind(image, socket)

    def post(self, plans: Sequence[Plan]) -> Posted:
        """Upload what has to be, and return the values as the API takes them."""
        with ExitStack() as stack:
            private = _PrivateDirectory(stack)
            sources = {
                plan.slug: self._sources(plan, private)
                for plan in plans
                if isinstance(plan, Upload)
            }
            flat = [source for group in sources.values() for source in group]
            uploaded = iter(self._uploads.upload_all(flat) if flat else [])
        uploads = {slug: [next(uploaded) for _ in group] for slug, group in sources.items()}
        return Posted(
            values=[_posted_value(plan, uploads) for plan in plans],
            uploads={slug: tuple(made.pk for made in group) for slug, group in uploads.items()},
            plain_images=frozenset(
                plan.slug
                for plan in plans
                if isinstance(plan, Upload) and plan.is_image and plan.image_name is None
            ),
        )

    def _sources(self, plan: Upload, private: _PrivateDirectory) -> list[Source]:
        if plan.image_name is None:
            return [self._source(file, private) for file in plan.files]
        paths = [file.path for file in plan.files if isinstance(file, LocalFile)]
        made = _dicom.deidentify(paths, private.make(), self._listener)
        return [PathSource(path, stays=False) for path in made]

    def _source(self, file: LocalFile | Content | RemoteFile, private: _PrivateDirectory) -> Source:
        if isinstance(file, LocalFile):
            return PathSource(file.path, file.name)
        if isinstance(file, Content):
            return BytesSource(file.data, file.name)
        copy = private.make() / "copy"
        self._downloads.fetch([(self._downloads.remote(file.url), copy)])
        return PathSource(copy, file.name, stays=False)


class _PrivateDirectory:
    """Directories that only this user can read, removed at the end; none is made unless one is needed."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def make(self) -> Path:
        # mkdtemp's mode is 0700, also where the temporary directory is shared.
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="gcapi-")))


def _posted_value(
    plan: Plan, uploads: Mapping[str, Sequence[models.UserUploadComplete]]
) -> dict[str, Any]:
    if isinstance(plan, Inline):
        return {"interface": plan.slug, **plan.source}
    urls = [upload.api_url for upload in uploads[plan.slug]]
    if not plan.is_image:
        return {"interface": plan.slug, "user_upload": urls[0]}
    name = {} if plan.image_name is None else {"image_name": plan.image_name}
    return {"interface": plan.slug, "user_uploads": urls, **name}


def _incomplete(
    kind: CaseKind[Any], pk: str, specs: Sequence[SocketValueSpec], error: BaseException
) -> str:
    shown = repr(list(specs))
    # What was read from the server has no printed form that can be run.
    can_be_run = all(spec.source != "existing_socket_value" for spec in specs)
    values = shown if can_be_run and len(shown) <= CALL_LIMIT else "values"
    return (
        f"The {kind.noun} {pk} was created and could not be filled: {error or type(error).__name__}\n"
        "Once that is mended, this completes it:\n"
        f"    {kind.update_call}{pk!r}, values={values})"
    )
