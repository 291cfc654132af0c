"""The columns of values: sockets, as far as names and kinds of files tell which, else names to be replaced."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from gcapi import models
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi.bulk._guess.file_groups import DICOM, IMAGE, SEGMENTATION
from gcapi.bulk._guess.layouts import FolderCase, LabelledFiles

#: The number of cases that must have a label before it makes a column of its own.
_RECURRING = 2


def kind_of_socket(socket: models.ComponentInterface) -> str:
    """Return the kind of files that a socket takes, as `FileGroup` names it."""
    kind = storage_kind(socket)
    if kind == StorageKind.DICOM:
        return DICOM
    if kind == StorageKind.IMAGE:
        return SEGMENTATION if socket.kind.casefold() == "segmentation" else IMAGE
    return PurePosixPath(socket.relative_path or "").suffix.lower().removeprefix(".")


class _SocketSet:
    """Sockets by the names and the kinds of their files.

    Args:
        sockets: The sockets.
    """

    def __init__(self, sockets: Iterable[models.ComponentInterface]) -> None:
        self.slugs: set[str] = set()
        #: The slug of each socket by its name, or that of its file, and its kind of files.
        self._named: dict[tuple[str, str], str] = {}
        self._of_kind: dict[str, set[str]] = defaultdict(set)
        for socket in sockets:
            kind = kind_of_socket(socket)
            # A segmentation can also be put into a socket of the kind Image.
            for taken in (SEGMENTATION, IMAGE) if kind in {SEGMENTATION, IMAGE} else (kind,):
                self._named[socket.slug, taken] = socket.slug
                stem = PurePosixPath(socket.relative_path or "").stem
                self._named.setdefault((stem, taken), socket.slug)
            self._of_kind[kind].add(socket.slug)
            self.slugs.add(socket.slug)

    def named(self, names: Iterable[str], kind: str) -> str | None:
        """Return the slug of the socket that has one of the names and takes files of the kind."""
        return next((slug for name in names if (slug := self._named.get((name, kind)))), None)

    def only(self, kind: str) -> str | None:
        """Return the slug of the only socket that takes files of the kind."""
        slugs = self._of_kind.get(kind, set())
        return min(slugs) if len(slugs) == 1 else None

    def takes(self, kind: str) -> bool:
        """Return whether any socket takes files of the kind."""
        return bool(self._of_kind.get(kind) or (kind == SEGMENTATION and self._of_kind.get(IMAGE)))


class ColumnNaming:
    """Chooses the columns of values.

    Args:
        known: The sockets of the target, which come first.
        others: Other sockets that it may take.
        cases: All cases.
    """

    def __init__(
        self,
        known: Iterable[models.ComponentInterface],
        others: Iterable[models.ComponentInterface],
        cases: Sequence[FolderCase],
    ) -> None:
        self._known, self._others = _SocketSet(known), _SocketSet(others)
        self._has_sockets = bool(self._known.slugs or self._others.slugs)
        #: The labels of each kind that make columns: those that several cases have, one of them beside another value.
        self._labels: dict[str, set[str]] = defaultdict(set)
        cases_of_label: Counter[tuple[str, str]] = Counter()
        beside_others: set[tuple[str, str]] = set()
        for case in cases:
            values_of_kind = Counter(value.group.kind for value in case.values)
            labels = {(value.group.kind, _as_slug(value.label)) for value in case.values}
            cases_of_label.update(labels)
            beside_others |= {key for key in labels if values_of_kind[key[0]] > 1}
        for kind, label in beside_others:
            if label and cases_of_label[kind, label] >= _RECURRING:
                self._labels[kind].add(label)
        #: Why each column is a guess.
        self.guessed: dict[str, str] = {}

    def takes(self, value: LabelledFiles) -> bool:
        """Return whether a socket takes the files of a value; True if no sockets are known."""
        kind = value.group.kind
        return not self._has_sockets or self._known.takes(kind) or self._others.takes(kind)

    def columns(self, values: Iterable[LabelledFiles]) -> Mapping[str, LabelledFiles]:
        """Return the values of a case by their columns."""
        found: dict[str, LabelledFiles] = {}
        numbers: dict[str, int] = defaultdict(lambda: 1)
        for value in values:
            column = base = self._column(value)
            while column in found:
                numbers[base] += 1
                column = f"{base}-{numbers[base]}"
            if column != base:
                self._note(column, f"not a socket: some cases have several values for {base}")
            found[column] = value
        return found

    def _column(self, value: LabelledFiles) -> str:
        kind, label = value.group.kind, _as_slug(value.label)
        names = [value.group.stem, label, value.group.folder.name]
        for sockets in (self._known, self._others):
            slug = sockets.named(names, kind)
            reason = "the name fits"
            if slug is None and len(self._labels[kind]) <= 1:
                slug, reason = sockets.only(kind), "no other socket takes such files"
            if slug:
                if sockets is self._others:
                    is_new = "no case has it yet, and " if self._known.slugs else ""
                    self._note(slug, is_new + reason)
                return slug
        column = label if label in self._labels[kind] else kind
        self._note(column, "not a socket: rename it to one")
        return column

    def _note(self, column: str, reason: str) -> None:
        self.guessed.setdefault(column, reason)


def _as_slug(label: str) -> str:
    """Return a label as a column name, in which a colon would have a meaning."""
    return re.sub(r"[^\w]+|_+", "-", label.lower()).strip("-")
