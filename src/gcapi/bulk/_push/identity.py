"""The identity of a row in a journal: its values, and the names and contents of its files.

Length and modification time show that a file is unchanged, and cost no reading. A file that was touched, copied or
moved is read and compared by its SHA-256. Every file is read for that once, before it is uploaded.
"""

from __future__ import annotations

import hashlib
import json
import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Self

from gcapi._util.file_digests import sha256_of

#: Begins the titles of cases that have none of their own.
GENERATED_TITLE_PREFIX = "gcapi-"
_DIGEST_BYTES = 16


@dataclass(frozen=True)
class RowIdentity:
    """The identity of a row.

    Attributes:
        fingerprint: Of its title, order, values, and the relative paths, lengths and times of its files.
        shape: Of its title, order, values, and the names and lengths of its files: equal if the content is.
        place: Of its title and the relative paths of its files; empty if it has neither.
        paths: Its files.
    """

    fingerprint: bytes
    shape: bytes
    place: bytes
    paths: tuple[Path, ...] = field(repr=False)

    @classmethod
    def of(
        cls,
        title: str,
        order: int | None,
        values: Mapping[str, Any],
        files: Mapping[str, Mapping[Path, os.stat_result]],
        folder: Path,
    ) -> Self:
        """Return the identity of a row.

        Args:
            title: Its title; empty for none.
            order: Its order.
            values: Its values that are no files, by socket slug.
            files: Its files by socket slug, with their status.
            folder: The folder of the manifest, in which relative paths start, since it may be mounted somewhere else.
        """
        stamped: dict[str, list[list[Any]]] = {}
        named: dict[str, list[list[Any]]] = {}
        placed: dict[str, list[str]] = {}
        for slug, statuses in files.items():
            relative = (
                path.relative_to(folder) if path.is_relative_to(folder) else path
                for path in statuses
            )
            # Copies between Macs and other systems change the form.
            places = [unicodedata.normalize("NFC", path.as_posix()) for path in relative]
            sizes = [status.st_size for status in statuses.values()]
            times = [status.st_mtime_ns for status in statuses.values()]
            stamped[slug] = [*map(list, zip(places, sizes, times, strict=True))]
            named[slug] = [
                [unicodedata.normalize("NFC", path.name), size]
                for path, size in zip(statuses, sizes, strict=True)
            ]
            placed[slug] = places
        return cls(
            _digest([title, order, values, stamped]),
            _digest([title, order, values, named]),
            _digest([title, placed]) if title or placed else b"",
            tuple(chain.from_iterable(files.values())),
        )

    @cached_property
    def content(self) -> bytes:
        """The digest of its values, and of the names and contents of its files, which are read.

        Raises:
            OSError: A file cannot be read.
        """
        digest = hashlib.sha256(self.shape)
        for path in self.paths:
            digest.update(bytes.fromhex(sha256_of(path)))
        return digest.digest()[:_DIGEST_BYTES]

    @property
    def generated_title(self) -> str:
        """The title of its case if it has none of its own; its files are read."""
        digest = hashlib.sha256(self.place + self.content).hexdigest()
        return f"{GENERATED_TITLE_PREFIX}{digest[:16]}"


def _digest(parts: list[Any]) -> bytes:
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:_DIGEST_BYTES]
