"""What the user says: a value for a socket and where it comes from, checked without a server and without the disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, overload

from gcapi._util.json_types import is_sequence
from gcapi.exceptions import SpecError, SpecTypeError
from grand_challenge_api.types import UNSET, Unset

if TYPE_CHECKING:
    from gcapi.models import HyperlinkedComponentInterfaceValue

#: Where a socket value can come from; a specification names exactly one.
SOURCES = ("value", "file", "files", "existing_socket_value", "existing_image_api_url")
#: The longest image name that the server takes, in characters.
MAX_IMAGE_NAME = 255


@dataclass(frozen=True, repr=False)
class SocketValueSpec:
    """A value for one socket, and the one source that it comes from.

    Files are looked at when a call is planned, not here, so that a specification can be made before its files are.

    Args:
        socket_slug: The socket, as in the address of its page.
        value: A JSON value; `None` is a value too (JSON ``null``).
        file: One local file.
        files: Several local files that make one image, in any sequence.
        image_name: What to call the image, 1 to 255 characters: needed with the files of a DICOM image set, and
            refused everywhere else.
        existing_image_api_url: The ``api_url`` of an image on the server, to use it again.
        existing_socket_value: A value of the same socket as read from the server, to use it again.

    Raises:
        SpecError: Not exactly one source (also a `ValueError`).
        SpecTypeError: A source of the wrong type (also a `TypeError`).

    Examples:
        >>> SocketValueSpec("lung-volume", value=1.9)
        SocketValueSpec(socket_slug='lung-volume', value=1.9)
    """

    socket_slug: str
    value: Any = UNSET
    file: str | PathLike[str] | Unset = UNSET
    files: Sequence[str | PathLike[str]] | Unset = UNSET
    image_name: str | Unset = UNSET
    existing_image_api_url: str | Unset = UNSET
    existing_socket_value: HyperlinkedComponentInterfaceValue | Unset = UNSET

    if TYPE_CHECKING:
        # One for each source, so that two are refused before anything runs.
        @overload
        def __init__(self, socket_slug: str, value: Any) -> None: ...

        @overload
        def __init__(
            self, socket_slug: str, *, file: str | PathLike[str], image_name: str | Unset = UNSET
        ) -> None: ...

        @overload
        def __init__(
            self,
            socket_slug: str,
            *,
            files: Sequence[str | PathLike[str]],
            image_name: str | Unset = UNSET,
        ) -> None: ...

        @overload
        def __init__(self, socket_slug: str, *, existing_image_api_url: str) -> None: ...

        @overload
        def __init__(
            self, socket_slug: str, *, existing_socket_value: HyperlinkedComponentInterfaceValue
        ) -> None: ...

        def __init__(self, socket_slug: str, *sources: Any, **named: Any) -> None: ...

    def __post_init__(self) -> None:
        self._check_slug()
        self._check_sources()
        self._check_files()
        self._check_image_name()

    @property
    def source(self) -> str:
        """The name of the one source that is given."""
        return self._given()[0]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The local files that are given, by `file` or `files`; empty for other sources."""
        if not isinstance(self.file, Unset):
            return (Path(self.file),)
        return () if isinstance(self.files, Unset) else tuple(Path(path) for path in self.files)

    def _given(self) -> list[str]:
        return [name for name in SOURCES if not isinstance(getattr(self, name), Unset)]

    def _check_slug(self) -> None:
        if not isinstance(self.socket_slug, str):
            raise SpecTypeError(f"socket_slug must be a string, not {self.socket_slug!r}.")
        if not self.socket_slug:
            raise SpecError("socket_slug is empty; it is the last part of the socket's address.")

    def _check_sources(self) -> None:
        given = self._given()
        if len(given) != 1:
            got = f"{' and '.join(given)} are given" if given else "none is given"
            raise SpecError(
                f"Socket {self.socket_slug!r}: exactly one of {', '.join(SOURCES)} makes a value; {got}."
            )

    def _check_files(self) -> None:
        if not isinstance(self.file, Unset) and not _is_path(self.file):
            raise SpecTypeError(
                f"Socket {self.socket_slug!r}: file must be a path, not {self.file!r}."
                " Several files go to files=[…]."
            )
        if not isinstance(self.files, Unset):
            self._check_sequence(self.files)

    def _check_sequence(self, files: Sequence[object]) -> None:
        if isinstance(files, str | bytes | PathLike) or not isinstance(files, Sequence):
            raise SpecTypeError(
                f"Socket {self.socket_slug!r}: files must be a list of paths, not {files!r};"
                " a single path goes to file=."
            )
        for path in files:
            if not _is_path(path):
                raise SpecTypeError(
                    f"Socket {self.socket_slug!r}: files has {path!r} in it, which is no path."
                )

    def _check_image_name(self) -> None:
        name = self.image_name
        if isinstance(name, Unset):
            return
        if not isinstance(name, str):
            raise SpecTypeError(
                f"Socket {self.socket_slug!r}: image_name must be a string, not {name!r}."
            )
        if not 1 <= len(name.strip()) <= MAX_IMAGE_NAME or len(name) > MAX_IMAGE_NAME:
            raise SpecError(
                f"Socket {self.socket_slug!r}: image_name must have 1 to {MAX_IMAGE_NAME} characters;"
                f" this one has {len(name)}."
            )
        if self.source not in {"file", "files"}:
            raise SpecError(
                f"Socket {self.socket_slug!r}: image_name names the files of a DICOM image set;"
                f" it cannot go with {self.source}."
            )

    def __repr__(self) -> str:
        given = [
            f"{field.name}={_plain_paths(getattr(self, field.name))!r}"
            for field in fields(self)
            if not isinstance(getattr(self, field.name), Unset)
        ]
        return f"{type(self).__name__}({', '.join(given)})"


def _plain_paths(source: Any) -> Any:
    """Return paths as strings: what is printed can then be run with nothing but this package imported."""
    if not isinstance(source, str) and _is_path(source):
        return fspath(source)
    if is_sequence(source) and any(isinstance(item, PathLike) for item in source):
        return [fspath(path) for path in source]
    return source


def _is_path(value: object) -> TypeGuard[str | PathLike[str]]:
    return isinstance(value, str | PathLike) and isinstance(fspath(value), str)
