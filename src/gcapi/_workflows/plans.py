"""From (specification, socket) to a plan: pure but for a look at the local files, and before anything is sent.

`_TABLE` holds every cell of source × target that works. What is not in it is refused, with the sources that would.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from gcapi._transfer.file_names import check_upload_name, name_of
from gcapi._workflows import socket_kinds
from gcapi.exceptions import (
    InterfaceMismatch,
    SpecError,
    SpecFileError,
    SpecFileNotFound,
    SpecTypeError,
    UnexpectedAnswer,
    UnsafeName,
)
from gcapi.sockets import SOURCES, SocketValueSpec
from grand_challenge_api.types import Unset

if TYPE_CHECKING:
    from gcapi.models import (
        Algorithm,
        AlgorithmInterface,
        ComponentInterface,
        HyperlinkedComponentInterfaceValue,
        HyperlinkedImage,
    )

# ---------------------------------------------------------------- what a plan is


@dataclass(frozen=True)
class LocalFile:
    """A file of the user's, to be uploaded as it is."""

    path: Path
    name: str


@dataclass(frozen=True)
class Content:
    """Bytes that this package made, to be uploaded as a file."""

    data: bytes
    name: str


@dataclass(frozen=True)
class RemoteFile:
    """A file on the server, to be fetched and uploaded again: the API has no other way to use it twice."""

    url: str
    name: str


@dataclass(frozen=True)
class Inline:
    """A value that travels in the request itself and is there when the server answers."""

    slug: str
    source: dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """A value made of uploads, which the server takes up in the background.

    Attributes:
        slug: The socket.
        files: What is uploaded.
        is_image: Whether the uploads make one image, rather than being one file.
        image_name: Set for a DICOM image set, whose files are de-identified before they are uploaded.
    """

    slug: str
    files: tuple[LocalFile | Content | RemoteFile, ...]
    is_image: bool = False
    image_name: str | None = None


Plan = Inline | Upload

# ---------------------------------------------------------------- planning one value

VALUE, JSON, TEXT, BINARY, IMAGE, DICOM = (
    "a value",
    "a JSON file",
    "a text file",
    "a file",
    "an image",
    "a DICOM image set",
)


def target(socket: ComponentInterface) -> str:
    """Return which of six ways a socket stores its values.

    The super kind is read, never derived: some kinds are stored either as a value or as a file.
    """
    if not isinstance(socket.kind, str) or not isinstance(socket.super_kind, str):
        raise UnexpectedAnswer(f"The server does not say of what kind socket {socket.slug!r} is.")
    kind = socket.kind.casefold()
    super_kind = socket.super_kind.casefold()
    if super_kind == "value":
        return VALUE
    if super_kind == "image":
        return DICOM if kind == socket_kinds.DICOM_KIND else IMAGE
    if kind in socket_kinds.JSON_KINDS or (socket.relative_path or "").lower().endswith(".json"):
        return JSON
    return TEXT if kind in socket_kinds.TEXT_KINDS else BINARY


def plan_value(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    """Plan one value.

    Args:
        spec: What the user says.
        socket: The socket that it names.

    Raises:
        SpecError: It cannot be made, with what would work.
    """
    kind = target(socket)
    planner = _TABLE.get((spec.source, kind))
    if planner is None:
        raise SpecError(_refusal(spec, socket))
    if not isinstance(spec.image_name, Unset) and kind != DICOM:
        raise SpecError(
            f"Socket {spec.socket_slug!r} is of kind {socket.kind}: image_name is for DICOM image sets only."
            " The server would accept it, and no image would ever appear."
        )
    return planner(spec, socket)


def _refusal(spec: SocketValueSpec, socket: ComponentInterface) -> str:
    working = [source for source in SOURCES if (source, target(socket)) in _TABLE]
    return (
        f"Socket {spec.socket_slug!r} is of kind {socket.kind} and takes {target(socket)}: it cannot be made from"
        f" {spec.source}. Use {' or '.join(working)}."
    )


def _plan_inline_value(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    return _inline_value(spec, socket, spec.value)


def _plan_value_from_file(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    path = _single_file(spec)
    return _inline_value(spec, socket, _read_json(spec, path), where=f"{path}: ")


def _plan_reused_value(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    return _inline_value(spec, socket, _existing(spec, socket).value)


def _inline_value(
    spec: SocketValueSpec, socket: ComponentInterface, value: Any, *, where: str = ""
) -> Plan:
    if value is None or isinstance(value, Unset):
        raise SpecError(
            f"Socket {spec.socket_slug!r}: null cannot be stored through the API. Leave the socket out instead."
        )
    _encoded(spec, socket, value, where=where)
    return Inline(spec.socket_slug, {"value": value})


def _plan_json_content(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    return _content(spec, socket, _encoded(spec, socket, spec.value))


def _plan_text_content(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    if not isinstance(spec.value, str):
        raise SpecTypeError(
            f"Socket {spec.socket_slug!r} is of kind {socket.kind}: its value must be the text itself, a str,"
            f" not {type(spec.value).__name__}."
        )
    try:
        data = spec.value.encode()
    except UnicodeEncodeError as error:
        raise SpecError(
            f"Socket {spec.socket_slug!r}: the text cannot be stored as UTF-8: {error}."
        ) from error
    return _content(spec, socket, data)


def _content(spec: SocketValueSpec, socket: ComponentInterface, data: bytes) -> Plan:
    return Upload(spec.socket_slug, (Content(data, _socket_file_name(socket)),))


def _socket_file_name(socket: ComponentInterface) -> str:
    return check_upload_name(PurePosixPath(socket.relative_path).name or socket.slug)


def _plan_json_file(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    path = _single_file(spec)
    _check_shape(spec, socket, _read_json(spec, path), f"{path}: ")
    return _plan_file(spec, socket)


def _plan_file(spec: SocketValueSpec, _: ComponentInterface) -> Plan:
    return Upload(spec.socket_slug, (_local(_single_file(spec)),))


def _plan_copy(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    url = _existing(spec, socket).file
    if not isinstance(url, str):
        raise SpecError(f"Socket {spec.socket_slug!r}: the existing value has no file.")
    try:
        name = check_upload_name(name_of(url.partition("?")[0]))
    except (UnsafeName, SpecError):
        name = _socket_file_name(socket)
    return Upload(spec.socket_slug, (RemoteFile(url, name),))


def _plan_image(spec: SocketValueSpec, _: ComponentInterface) -> Plan:
    files = tuple(_local(path) for path in _checked_files(spec))
    twice = [name for name, count in Counter(file.name for file in files).items() if count > 1]
    if twice:
        raise SpecError(
            f"Socket {spec.socket_slug!r}: the files of an image need different names; {twice[0]!r} is there"
            " more than once."
        )
    return Upload(spec.socket_slug, files, is_image=True)


def _plan_dicom(spec: SocketValueSpec, _: ComponentInterface) -> Plan:
    if isinstance(spec.image_name, Unset):
        raise SpecError(
            f"Socket {spec.socket_slug!r} takes a DICOM image set: give it an image_name too."
        )
    # The files get names of their own when they are de-identified: the user's may hold a patient's name.
    files = tuple(LocalFile(path, path.name) for path in _checked_files(spec))
    return Upload(spec.socket_slug, files, is_image=True, image_name=spec.image_name)


def _plan_reused_image(spec: SocketValueSpec, socket: ComponentInterface) -> Plan:
    url = _existing(spec, socket).image
    if not isinstance(url, str):
        raise SpecError(f"Socket {spec.socket_slug!r}: the existing value has no image.")
    return Inline(spec.socket_slug, {"image": url})


def _plan_existing_image(spec: SocketValueSpec, _: ComponentInterface) -> Plan:
    url = spec.existing_image_api_url
    if not isinstance(url, str) or "/cases/images/" not in url:
        raise SpecTypeError(
            f"Socket {spec.socket_slug!r}: existing_image_api_url must be the api_url of an image, not {url!r}."
        )
    return Inline(spec.socket_slug, {"image": url})


Planner = Callable[[SocketValueSpec, "ComponentInterface"], Plan]

_TABLE: dict[tuple[str, str], Planner] = {
    ("value", VALUE): _plan_inline_value,
    ("value", JSON): _plan_json_content,
    ("value", TEXT): _plan_text_content,
    **{(source, VALUE): _plan_value_from_file for source in ("file", "files")},
    **{(source, JSON): _plan_json_file for source in ("file", "files")},
    **{(source, kind): _plan_file for source in ("file", "files") for kind in (TEXT, BINARY)},
    **{(source, IMAGE): _plan_image for source in ("file", "files")},
    **{(source, DICOM): _plan_dicom for source in ("file", "files")},
    ("existing_socket_value", VALUE): _plan_reused_value,
    **{("existing_socket_value", kind): _plan_copy for kind in (JSON, TEXT, BINARY)},
    **{("existing_socket_value", kind): _plan_reused_image for kind in (IMAGE, DICOM)},
    **{("existing_image_api_url", kind): _plan_existing_image for kind in (IMAGE, DICOM)},
}

# ---------------------------------------------------------------- looking at what is given


def _existing(
    spec: SocketValueSpec, socket: ComponentInterface
) -> HyperlinkedComponentInterfaceValue:
    value = spec.existing_socket_value
    known: Any = getattr(value, "interface", None)
    if isinstance(value, Unset) or not hasattr(known, "pk"):  # a slug, as a write is answered
        raise SpecTypeError(
            f"Socket {spec.socket_slug!r}: existing_socket_value must be a value as read from the server, an item of"
            f" .values, .inputs or .outputs, not {value!r}."
        )
    if known.pk != socket.pk:
        raise SpecError(
            f"Socket {spec.socket_slug!r}: the existing value is of socket {known.slug!r}; it can only be used for"
            " the same socket."
        )
    return value


def _encoded(
    spec: SocketValueSpec, socket: ComponentInterface, value: Any, *, where: str = ""
) -> bytes:
    """Return a value as JSON, checked against its kind."""
    try:
        data = socket_kinds.encode(value)
    except ValueError as error:
        raise SpecError(
            f"Socket {spec.socket_slug!r}: the value cannot be sent: {error}."
        ) from error
    _check_shape(spec, socket, value, where)
    return data


def _check_shape(spec: SocketValueSpec, socket: ComponentInterface, value: Any, where: str) -> None:
    wrong = socket_kinds.problems(socket.kind, value)
    if wrong:
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        raise SpecError(
            f"Socket {spec.socket_slug!r} is of kind {socket.kind}: {where}{wrong[0]}{more}."
        )


def _read_json(spec: SocketValueSpec, path: Path) -> Any:
    try:
        return socket_kinds.decode(path.read_bytes())
    except OSError as error:
        raise SpecFileError(
            f"Socket {spec.socket_slug!r}: {path} cannot be read: {error}"
        ) from error
    except ValueError as error:
        raise SpecError(
            f"Socket {spec.socket_slug!r}: {path} is not valid JSON: {error}."
        ) from error


def _single_file(spec: SocketValueSpec) -> Path:
    path, *others = _checked_files(spec)
    if others:
        raise SpecError(
            f"Socket {spec.socket_slug!r} takes one file, and {1 + len(others)} are given;"
            " only images are made of several."
        )
    return path


def _checked_files(spec: SocketValueSpec) -> tuple[Path, ...]:
    if not spec.paths:
        raise SpecError(f"Socket {spec.socket_slug!r}: files is empty; name at least one file.")
    for path in spec.paths:
        _check_file(spec, path)
    return spec.paths


def _check_file(spec: SocketValueSpec, path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise SpecFileNotFound(f"Socket {spec.socket_slug!r}: there is no file {path}") from error
    except OSError as error:
        raise SpecFileError(
            f"Socket {spec.socket_slug!r}: {path} cannot be read: {error}"
        ) from error
    if stat.S_ISDIR(mode):
        raise SpecFileError(
            f"Socket {spec.socket_slug!r}: {path} is a directory. Name its files:"
            f" files=sorted(Path({str(path)!r}).iterdir())"
        )
    if not stat.S_ISREG(mode) or not os.access(path, os.R_OK):
        raise SpecFileError(f"Socket {spec.socket_slug!r}: {path} is not a file that can be read.")


def _local(path: Path) -> LocalFile:
    return LocalFile(path, check_upload_name(path.name))


def check_image_kind(image: HyperlinkedImage, socket: ComponentInterface) -> None:
    """Check that an image that is to be used again is of the socket's sort.

    Raises:
        SpecError: A DICOM image set for a plain image socket, or the other way round.
    """
    if bool(image.dicom_image_set) != (target(socket) == DICOM):
        raise SpecError(
            f"Socket {socket.slug!r} is of kind {socket.kind} and takes {target(socket)}; image {image.pk} is"
            f" {DICOM if image.dicom_image_set else IMAGE}."
        )


# ---------------------------------------------------------------- a case's own fields

#: The longest title of a case, in characters, and the highest order of a display set.
MAX_TITLE, MAX_ORDER = 255, 2**31 - 1


def check_title(title: str) -> str:
    """Return a title that the server takes.

    Raises:
        SpecError: Too long, or no string.
    """
    if not isinstance(title, str):
        raise SpecTypeError(f"title must be a string, not {title!r}.")
    if len(title) > MAX_TITLE:
        raise SpecError(f"The title has {len(title)} characters, and {MAX_TITLE} is the limit.")
    return title


def check_order(order: int) -> int:
    """Return a place in a reader study that the server takes.

    Raises:
        SpecError: Out of range, or no whole number.
    """
    if isinstance(order, bool) or not isinstance(order, int):
        raise SpecTypeError(f"order must be a whole number, not {order!r}.")
    if not 0 <= order <= MAX_ORDER:
        raise SpecError(f"order={order} must be from 0 to {MAX_ORDER}.")
    return order


# ---------------------------------------------------------------- several values


def as_tuple(specs: Iterable[SocketValueSpec]) -> tuple[SocketValueSpec, ...]:
    """Return specifications such that they can be gone through more than once.

    Raises:
        SpecTypeError: A single one in place of several.
    """
    if isinstance(specs, SocketValueSpec) or not isinstance(specs, Iterable):
        raise SpecTypeError(
            "values must be a list of SocketValueSpec objects, also where it is one."
        )
    return tuple(specs)


def check_no_socket_twice(specs: Iterable[SocketValueSpec]) -> None:
    """Refuse two values for one socket: the server would keep one of them and say nothing.

    Raises:
        SpecError: With the socket.
        SpecTypeError: Something among them is no specification.
    """
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec, SocketValueSpec):
            raise SpecTypeError(f"values must be SocketValueSpec objects, not {spec!r}.")
        if spec.socket_slug in seen:
            raise SpecError(
                f"Socket {spec.socket_slug!r} is given twice; a case has one value for a socket."
            )
        seen.add(spec.socket_slug)


def check_interface(algorithm: Algorithm, specs: Sequence[SocketValueSpec]) -> None:
    """Check that inputs are exactly the sockets of one of an algorithm's interfaces.

    Raises:
        InterfaceMismatch: With the nearest interface, and the difference.
    """
    given = {spec.socket_slug for spec in specs}
    if not algorithm.interfaces:
        raise InterfaceMismatch(
            f"Algorithm {algorithm.slug!r} has no interface yet, so it cannot be run."
        )
    nearest = min(algorithm.interfaces, key=lambda interface: len(given ^ _inputs(interface)))
    expected = _inputs(nearest)
    if given != expected:
        raise InterfaceMismatch(
            f"The inputs match no interface of algorithm {algorithm.slug!r}. The nearest takes"
            f" {_listed(expected)}: {_difference(given, expected)}."
        )


def _inputs(interface: AlgorithmInterface) -> set[str]:
    return {socket.slug for socket in interface.inputs or ()}


def _difference(given: set[str], expected: set[str]) -> str:
    parts = (("missing", expected - given), ("not among them", given - expected))
    return "; ".join(f"{words}: {_listed(slugs)}" for words, slugs in parts if slugs)


def _listed(slugs: Collection[str]) -> str:
    return ", ".join(sorted(slugs)) or "nothing"
