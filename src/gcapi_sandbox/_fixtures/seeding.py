"""Makes what a seed file describes, in one transaction: all of it is there after a crash, or nothing."""

from __future__ import annotations

import shutil
import uuid
from typing import TYPE_CHECKING, Any

from gcapi_sandbox._database.records import (
    Archive,
    ArchiveItem,
    DisplaySet,
    Meta,
    Part,
    ReaderStudy,
    Upload,
    UploadSession,
)
from gcapi_sandbox._fixtures import factories
from gcapi_sandbox._fixtures.seed_file import at, naming
from gcapi_sandbox._object_store import objects
from gcapi_sandbox._resources.sockets import json_problem, kind_of, super_kind_of
from gcapi_sandbox._resources.values import attach, json_record
from gcapi_sandbox.faults import check_limits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gcapi_sandbox._database.records import Socket
    from gcapi_sandbox._database.state import State
    from gcapi_sandbox._fixtures.builder import Furnishing
    from gcapi_sandbox._fixtures.seed_file import (
        AlgorithmSeed,
        ArchiveSeed,
        ReaderStudySeed,
        Seed,
        ValueSeed,
    )

_ORDER_STEP = 10
_SEEDED = "seeded"


def plant(sandbox: Furnishing, state: State, seed: Seed, path: Path) -> None:
    """Apply the limits of a seed file, and make everything else if the sandbox is new.

    Raises:
        SeedError: The file cannot be used; nothing was made.
    """
    with naming(path), state.store.transaction():
        with at("limits"):
            check_limits(seed.limits)
        if sandbox.is_new and not state.store.rows(Meta, "pk = ?", _SEEDED):
            _Planting(sandbox, state, path.parent.resolve()).plant(seed)
            state.remember(_SEEDED, str(path))
    vars(state.limits).update(seed.limits)


class _Planting:
    """Makes the parts of one seed file."""

    def __init__(self, sandbox: Furnishing, state: State, folder: Path) -> None:
        self._sandbox, self._state, self._folder = sandbox, state, folder
        self._creator = factories.user(state, "sandbox").pk

    def plant(self, seed: Seed) -> None:
        """Make everything, in the order in which one thing needs another."""
        for index, user in enumerate(seed.users):
            with at(f"users[{index}]"):
                factories.user(self._state, user.name, user.token)
        for index, socket in enumerate(seed.sockets):
            with at(f"sockets[{index}]"):
                self._sandbox.add_socket(**vars(socket))
        for index, archive in enumerate(seed.archives):
            self._archive(archive, f"archives[{index}]")
        for username in seed.viewer_sessions:
            self._sandbox.add_viewer_session(username)
        for index, study in enumerate(seed.reader_studies):
            self._reader_study(study, f"reader_studies[{index}]")
        for index, algorithm in enumerate(seed.algorithms):
            with at(f"algorithms[{index}]"):
                self._algorithm(algorithm)

    def _archive(self, seed: ArchiveSeed, where: str) -> None:
        with at(where):
            slug = self._sandbox.add_archive(**_without(vars(seed), "items"))
        archive = factories.existing(self._state, Archive, slug)
        for index, item in enumerate(seed.items):
            made = self._state.store.add(ArchiveItem(archive=archive.pk, title=item.title))
            self._values(made.pk, item.values, f"{where}.items[{index}].values")

    def _reader_study(self, seed: ReaderStudySeed, where: str) -> None:
        questions = [question.as_question() for question in seed.questions]
        with at(where):
            given = _without(vars(seed), "display_sets", "questions")
            slug = self._sandbox.add_reader_study(**given, questions=questions)
        study = factories.existing(self._state, ReaderStudy, slug)
        for index, one in enumerate(seed.display_sets):
            place = f"{where}.display_sets[{index}]"
            order = _ORDER_STEP * (index + 1)
            made = DisplaySet(reader_study=study.pk, title=one.title, order=order)
            self._state.store.add(made)
            self._values(made.pk, one.values, f"{place}.values")
            with at(f"{place}.ground_truth"):
                self._sandbox.add_ground_truth(made.pk, one.ground_truth)

    def _algorithm(self, seed: AlgorithmSeed) -> None:
        interfaces = [(one.inputs, one.outputs) for one in seed.interfaces]
        given: dict[str, Any] = {**vars(seed), "interfaces": interfaces}
        self._sandbox.add_algorithm(**given, folder=self._folder)

    def _values(self, owner: str, values: Mapping[str, ValueSeed], where: str) -> None:
        for slug, seed in values.items():
            with at(f"{where}.{slug}"):
                self._value(owner, factories.socket_named(self._state, slug), seed)

    def _value(self, owner: str, socket: Socket, seed: ValueSeed) -> None:
        wanted = "a value" if super_kind_of(socket) == "Value" else "files"
        if bool(seed.files) != (wanted == "files"):
            raise ValueError(f"the socket takes {wanted}")
        if not seed.files:
            if problem := json_problem(socket, seed.value):
                raise ValueError(problem)
            made = json_record(self._state.store, socket, seed.value)
            attach(self._state.store, owner, "values", made)
        else:
            uploads = [self._upload(self._folder / name) for name in seed.files]
            self._import(owner, socket, uploads, seed)

    def _upload(self, path: Path) -> str:
        """Make a completed upload of a file."""
        if not path.is_file():
            raise ValueError(f"there is no file {path}")
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
        etag = objects.Staged.measure(copy).etag
        part = Part(upload=upload.pk, number=1, etag=etag, size=copy.stat().st_size)
        objects.keep_part(self._state, part, copy)
        return upload.pk

    def _import(self, owner: str, socket: Socket, uploads: list[str], seed: ValueSeed) -> None:
        """Leave the files to the worker, as a PATCH does."""
        place = {"owner": owner, "role": "values", "socket": socket.pk, "user": self._creator}
        if super_kind_of(socket) == "File":
            if len(uploads) > 1:
                raise ValueError("the socket takes one file")
            self._state.schedule("file", owner, {**place, "upload": uploads[0]})
        elif kind_of(socket).is_dicom:
            name = seed.image_name or socket.title
            self._state.schedule("dicom", owner, {**place, "name": name, "uploads": uploads})
        else:
            session = UploadSession(creator=self._creator, uploads=uploads, target=place)
            self._state.store.add(session)
            self._state.schedule("import", owner, {"session": session.pk})


def _without(mapping: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if key not in keys}
