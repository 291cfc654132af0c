"""Creation of the contents of a seed file, in one transaction."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import (
    Archive,
    ArchiveItem,
    DisplaySet,
    Part,
    ReaderStudy,
    Setting,
    Upload,
    UploadSession,
)
from gcapi_sandbox._fixtures import factories
from gcapi_sandbox._fixtures.seed_file import errors_naming_file, errors_naming_key
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._socket_values.stored_values import attach, shared_json_value
from gcapi_sandbox._socket_values.validation import json_problem, kind_of, super_kind_of
from gcapi_sandbox.limits import check_limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gcapi_sandbox._database.records import Socket
    from gcapi_sandbox._fixtures.builder import SandboxBuilder
    from gcapi_sandbox._fixtures.seed_file import (
        ArchiveSeed,
        ReaderStudySeed,
        Seed,
        ValueSeed,
    )
    from gcapi_sandbox._state import State

_ORDER_STEP = 10
_SEEDED = "seeded"  # name of the setting


def apply_seed(sandbox: SandboxBuilder, state: State, seed: Seed, path: Path) -> None:
    """Apply the limits of a seed file, and create everything else if the sandbox is new.

    Raises:
        SeedError: The file is invalid; nothing was created.
    """
    with errors_naming_file(path), state.store.transaction():
        with errors_naming_key("limits"):
            check_limits(seed.limits)
        if sandbox.is_new and not state.store.rows(Setting, "pk = ?", _SEEDED):
            _Seeder(sandbox, state, path.parent.resolve()).create(seed)
            state.setting(_SEEDED, str(path))
    vars(state.limits).update(seed.limits)


class _Seeder:
    """Creates the contents of one seed file."""

    def __init__(self, sandbox: SandboxBuilder, state: State, folder: Path) -> None:
        self._sandbox, self._state, self._folder = sandbox, state, folder
        self._creator = factories.get_or_create_user(state, "sandbox").pk

    def create(self, seed: Seed) -> None:
        """Create everything in the order of its dependencies."""
        for index, user in enumerate(seed.users):
            with errors_naming_key(f"users[{index}]"):
                factories.get_or_create_user(self._state, user.name, user.token)
        for index, socket in enumerate(seed.sockets):
            with errors_naming_key(f"sockets[{index}]"):
                self._sandbox.add_socket(**vars(socket))
        for index, archive in enumerate(seed.archives):
            self._create_archive(archive, f"archives[{index}]")
        for username in seed.viewer_sessions:
            self._sandbox.add_viewer_session(username)
        for index, study in enumerate(seed.reader_studies):
            self._create_reader_study(study, f"reader_studies[{index}]")
        for index, algorithm in enumerate(seed.algorithms):
            with errors_naming_key(f"algorithms[{index}]"):
                interfaces = [(one.inputs, one.outputs) for one in algorithm.interfaces]
                given: dict[str, Any] = {**vars(algorithm), "interfaces": interfaces}
                self._sandbox.add_algorithm(**given, folder=self._folder)

    def _create_archive(self, seed: ArchiveSeed, where: str) -> None:
        with errors_naming_key(where):
            slug = self._sandbox.add_archive(**_without(vars(seed), "items"))
        archive = factories.get_by_slug(self._state, Archive, slug)
        for index, item in enumerate(seed.items):
            record = self._state.store.add(ArchiveItem(archive=archive.pk, title=item.title))
            self._add_values(record.pk, item.values, f"{where}.items[{index}].values")

    def _create_reader_study(self, seed: ReaderStudySeed, where: str) -> None:
        questions = [question.as_question() for question in seed.questions]
        with errors_naming_key(where):
            given = _without(vars(seed), "display_sets", "questions")
            slug = self._sandbox.add_reader_study(**given, questions=questions)
        study = factories.get_by_slug(self._state, ReaderStudy, slug)
        for index, one in enumerate(seed.display_sets):
            place = f"{where}.display_sets[{index}]"
            order = _ORDER_STEP * (index + 1)
            record = DisplaySet(reader_study=study.pk, title=one.title, order=order)
            self._state.store.add(record)
            self._add_values(record.pk, one.values, f"{place}.values")
            with errors_naming_key(f"{place}.ground_truth"):
                self._sandbox.add_ground_truth(record.pk, one.ground_truth)

    def _add_values(self, owner: str, values: Mapping[str, ValueSeed], where: str) -> None:
        for slug, seed in values.items():
            with errors_naming_key(f"{where}.{slug}"):
                self._add_value(owner, factories.get_socket(self._state, slug), seed)

    def _add_value(self, owner: str, socket: Socket, seed: ValueSeed) -> None:
        wanted = "a value" if super_kind_of(socket) == "Value" else "files"
        if bool(seed.files) != (wanted == "files"):
            raise ValueError(f"the socket takes {wanted}")
        if not seed.files:
            if problem := json_problem(socket, seed.value):
                raise ValueError(problem)
            value = shared_json_value(self._state.store, socket, seed.value)
            attach(self._state.store, owner, "values", value)
        else:
            uploads = [self._create_upload(self._folder / name) for name in seed.files]
            self._schedule_import(owner, socket, uploads, seed)

    def _create_upload(self, path: Path) -> str:
        """Create a completed upload of a file."""
        if not path.is_file():
            raise ValueError(f"the file {path} does not exist")
        upload = Upload(
            creator=self._creator,
            filename=path.name,
            s3_upload_id=uuid.uuid4().hex,
            status="Completed",
            parts=[1],
        )
        self._state.store.add(upload)
        copy = self._state.incoming / upload.pk
        shutil.copyfile(path, copy)
        etag = objects.StagedFile.create(copy).etag
        part = Part(upload=upload.pk, number=1, etag=etag, size=copy.stat().st_size)
        objects.store_part(self._state, part, copy)
        return upload.pk

    def _schedule_import(
        self, owner: str, socket: Socket, uploads: list[str], seed: ValueSeed
    ) -> None:
        """Schedule the background task for the files, as a PATCH does."""
        target = {"owner": owner, "role": "values", "socket": socket.pk, "user": self._creator}
        if super_kind_of(socket) == "File":
            if len(uploads) > 1:
                raise ValueError("the socket takes one file")
            self._state.schedule("file", owner, {**target, "upload": uploads[0]})
        elif kind_of(socket).is_dicom:
            name = seed.image_name or socket.title
            self._state.schedule("dicom", owner, {**target, "name": name, "uploads": uploads})
        else:
            session = UploadSession(creator=self._creator, uploads=uploads, target=target)
            self._state.store.add(session)
            self._state.schedule("import", owner, {"session": session.pk})


def _without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
