"""The specification of a socket value, checked without the server and without the disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, overload

from gcapi._util.json_types import is_sequence, without_arrays
from gcapi._util.litter import is_litter
from gcapi.exceptions import SpecError, SpecTypeError
from grand_challenge_api.types import UNSET, Unset

if TYPE_CHECKING:
    from gcapi.models import ComponentInterface, HyperlinkedComponentInterfaceValue

#: The sources of a socket value; a specification has exactly one.
SOURCES = ("value", "file", "files", "existing_socket_value", "existing_image_api_url")
#: The longest image name that the server accepts, in characters.
MAX_IMAGE_NAME = 255


@dataclass(frozen=True, repr=False)
class SocketValueSpec:
    """A value for one socket, and the one source that it comes from.

    Files are checked by the call that uses the specification, so it can be made before its files exist. In `files`, a
    folder stands for the files in it, without subfolders and hidden files.

    Args:
        socket_slug: The slug of the socket, the last part of its URL, or the socket.
        value: A JSON value, whose numbers and arrays may be NumPy's; `None` is a value too (JSON ``null``).
        file: One local file. A JSON file is checked in full up to 64 MiB; see the documentation of archives.
        files: Several local files that make one image, in any order, or their folder.
        image_name: The name of the image, 1 to 255 characters: required with the files of a DICOM image set, and
            refused for everything else.
        existing_image_api_url: The ``api_url`` of an image on the server, to reuse it.
        existing_socket_value: A value of the same socket as read from the server, to reuse it.

    Raises:
        SpecError: There is not exactly one source (also a `ValueError`).
        SpecTypeError: A source has the wrong type (also a `TypeError`).

    Examples:
        >>> SocketValueSpec("lung-volume", value=1.9)
        SocketValueSpec(socket_slug='lung-volume', value=1.9)
    """

    socket_slug: str
    value: Any = UNSET
    file: str | PathLike[str] | Unset = UNSET
    files: Sequence[str | PathLike[str]] | PathLike[str] | Unset = UNSET
    image_name: str | Unset = UNSET
    existing_image_api_url: str | Unset = UNSET
    existing_socket_value: HyperlinkedComponentInterfaceValue | Unset = UNSET

    if TYPE_CHECKING:
        # One for each source, so that type checkers refuse two.
        @overload
        def __init__(self, socket_slug: str | ComponentInterface, value: Any) -> None: ...

        @overload
        def __init__(
            self,
            socket_slug: str | ComponentInterface,
            *,
            file: str | PathLike[str],
            image_name: str | Unset = UNSET,
        ) -> None: ...

        @overload
        def __init__(
            self,
            socket_slug: str | ComponentInterface,
            *,
            files: Sequence[str | PathLike[str]] | PathLike[str],
            image_name: str | Unset = UNSET,
        ) -> None: ...

        @overload
        def __init__(
            self, socket_slug: str | ComponentInterface, *, existing_image_api_url: str
        ) -> None: ...

        @overload
        def __init__(
            self,
            socket_slug: str | ComponentInterface,
            *,
            existing_socket_value: HyperlinkedComponentInterfaceValue,
        ) -> None: ...

        def __init__(
            self, socket_slug: str | ComponentInterface, *sources: Any, **named: Any
        ) -> None: ...

    def __post_init__(self) -> None:
        slug: object = getattr(self.socket_slug, "slug", self.socket_slug)
        if not isinstance(slug, str):
            raise SpecTypeError(f"socket_slug must be a string or a socket, not {slug!r}.")
        object.__setattr__(self, "socket_slug", slug)
        if not self.socket_slug:
            raise SpecError("socket_slug is empty. Use the last part of the socket's URL.")
        with suppress(RecursionError):  # refused later, with the name of the socket
            object.__setattr__(self, "value", without_arrays(self.value))
        try:
            self._check_source()
            self._check_image_name()
        except SpecError as error:
            error.args = (f"Socket {self.socket_slug!r}: {error}",)
            raise

    @property
    def source(self) -> str:
        """The name of the one source that is given."""
        return self._given()[0]

    @property
    def paths(self) -> tuple[Path, ...]:
        """The local files of `file` or `files`, or in a folder that is among these; empty for other sources."""
        if not isinstance(self.file, Unset):
            return (Path(self.file),)
        if isinstance(self.files, Unset):
            return ()
        given = [self.files] if isinstance(self.files, str | PathLike) else self.files
        return tuple(file for path in given for file in _files_in(Path(path)))

    def _given(self) -> list[str]:
        return [name for name in SOURCES if not isinstance(getattr(self, name), Unset)]

    def _check_source(self) -> None:
        given = self._given()
        if len(given) != 1:
            found = f"{' and '.join(given)} are given" if given else "none is given"
            raise SpecError(f"give exactly one of {', '.join(SOURCES)}; {found}.")
        file, files = self.file, self.files
        if not isinstance(file, Unset) and not _is_path(file):
            raise SpecTypeError(f"file must be a path, not {file!r}. Use files=[…] for several.")
        if isinstance(files, Unset):
            return
        if _is_path(files):
            return
        if isinstance(files, bytes) or not isinstance(files, Sequence):
            raise SpecTypeError(
                f"files must be a list of paths or a folder, not {files!r}. Use file= for one."
            )
        for path in files:
            if not _is_path(path):
                raise SpecTypeError(f"files has {path!r}, which is not a path.")

    def _check_image_name(self) -> None:
        name = self.image_name
        if isinstance(name, Unset):
            return
        if not isinstance(name, str):
            raise SpecTypeError(f"image_name must be a string, not {name!r}.")
        if not name.strip() or len(name) > MAX_IMAGE_NAME:
            limits = f"1 to {MAX_IMAGE_NAME} characters"
            raise SpecError(f"image_name must have {limits}, and this one has {len(name)}.")
        if self.source not in {"file", "files"}:
            raise SpecError(f"image_name is for DICOM files, and cannot go with {self.source}.")

    def __repr__(self) -> str:
        sources = [
            f"{field.name}={_with_plain_paths(value)!r}"
            for field in fields(self)
            if not isinstance(value := getattr(self, field.name), Unset)
        ]
        return f"{type(self).__name__}({', '.join(sources)})"


def _with_plain_paths(source: Any) -> Any:
    """Return paths as strings, so that a printed specification runs without importing `pathlib`."""
    if not isinstance(source, str) and _is_path(source):
        return fspath(source)
    if is_sequence(source) and any(isinstance(item, PathLike) for item in source):
        return [fspath(path) for path in source]
    return source


def _files_in(path: Path) -> Sequence[Path]:
    """Return the files in a folder; anything else, or a folder that cannot be listed, as it is."""
    try:
        entries = sorted(path.iterdir()) if path.is_dir() else [path]
    except OSError:
        return [path]
    return [
        entry for entry in entries if entry == path or not (is_litter(entry.name) or entry.is_dir())
    ]


def _is_path(value: object) -> TypeGuard[str | PathLike[str]]:
    return isinstance(value, str | PathLike) and isinstance(fspath(value), str)
