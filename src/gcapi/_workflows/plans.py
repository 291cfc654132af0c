"""Planning: what will be sent for a specification and its socket, worked out before anything is sent.

`_PLANNERS` is a table of storage kind × source. A source that is missing from a row is refused with those that work.
Planning reads the files of values that are sent in the request, and looks whether the others can be read;
`gcapi._workflows.inspection` looks into those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from gcapi import models
from gcapi._inspect.json_files import read_json_file, shape_problem
from gcapi._inspect.socket_kinds import StorageKind, encode, storage_kind
from gcapi._transfer.file_names import check_upload_name, name_of
from gcapi._workflows.checks import check_files
from gcapi.exceptions import SpecError, SpecTypeError, UnsafeName
from gcapi.sockets import SOURCES, SocketValueSpec
from grand_challenge_api.types import Unset

# ---------------------------------------------------------------- plans


@dataclass(frozen=True)
class Content:
    """The content of a file that is made from a value."""

    data: bytes
    name: str


@dataclass(frozen=True)
class FileCopy:
    """A file on the server, which has to be downloaded and uploaded again to be used twice."""

    url: str
    name: str


@dataclass(frozen=True)
class Inline:
    """A value that is sent in the request itself, and is there when the server responds."""

    slug: str
    source: dict[str, Any]


@dataclass(frozen=True)
class Upload:
    """A value made of uploads, which the server imports in the background.

    Attributes:
        slug: The socket.
        files: The files to upload: local files as they are, content made from values, and copies.
        is_image: Whether the uploads make one image, rather than being one file.
        image_name: The name of a DICOM image set, whose files are de-identified before they are uploaded; `None` for
            everything else.
    """

    slug: str
    files: tuple[Path | Content | FileCopy, ...]
    is_image: bool = False
    image_name: str | None = None


Plan = Inline | Upload


def plan_value(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    """Return the plan of one value.

    Args:
        spec: The specification.
        socket: The socket that it names.

    Raises:
        SpecError: The socket cannot take it; the message names the socket and says what it takes.
    """
    try:
        return _planner(spec, storage_kind(socket))(spec, socket)
    except SpecError as error:
        error.args = (f"Socket {spec.socket_slug!r} ({socket.kind}): {error}",)
        raise


def _planner(spec: SocketValueSpec, kind: StorageKind) -> Planner:
    planner = _PLANNERS[kind].get(_column(spec.source))
    if planner is None:
        working = [source for source in SOURCES if _column(source) in _PLANNERS[kind]]
        raise SpecError(
            f"it takes {kind}, which cannot be made from {spec.source}. Use {' or '.join(working)}."
        )
    if not isinstance(spec.image_name, Unset) and kind != StorageKind.DICOM:
        # The server would accept it, and no image would ever appear.
        raise SpecError("image_name is for DICOM image sets only. Leave it out.")
    return planner


def _column(source: str) -> str:
    return "file" if source == "files" else source


# ---------------------------------------------------------------- values


def _plan_value(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    return _inline(spec, socket, spec.value)


def _plan_value_from_file(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    path = _single_file(spec)
    return _inline(spec, socket, read_json_file(path), place=f"{path}: ")


def _plan_existing_value(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    return _inline(spec, socket, getattr(_existing_value(spec, socket), "value", None))


def _inline(
    spec: SocketValueSpec, socket: models.ComponentInterface, value: Any, *, place: str = ""
) -> Plan:
    if value is None or isinstance(value, Unset):
        raise SpecError("null cannot be stored through the API. Leave the socket out.")
    _encoded(socket, value, place=place)
    return Inline(spec.socket_slug, {"value": value})


def _encoded(socket: models.ComponentInterface, value: Any, *, place: str = "") -> bytes:
    """Return a value as JSON text, after checking its shape."""
    try:
        data = encode(value)
    except ValueError as error:
        raise SpecError(f"the value cannot be sent: {error}.") from error
    if problem := shape_problem(socket.kind, value):
        raise SpecError(f"{place}{problem}.")
    return data


def _existing_value(
    spec: SocketValueSpec, socket: models.ComponentInterface
) -> models.HyperlinkedComponentInterfaceValue:
    value = spec.existing_socket_value
    interface: Any = getattr(value, "interface", None)
    # In the response to a write, the interface is only a slug.
    if isinstance(value, Unset) or not hasattr(interface, "pk"):
        raise SpecTypeError(
            "existing_socket_value must be a value as read from the server, an item of .values, .inputs or .outputs,"
            f" not {value!r}."
        )
    if interface.pk != socket.pk:
        raise SpecError(
            f"the existing value is of socket {interface.slug!r}. It can only be used for the same socket."
        )
    return value


# ---------------------------------------------------------------- files


def _plan_json_content(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    return _content(spec, socket, _encoded(socket, spec.value))


def _plan_text_content(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    if not isinstance(spec.value, str):
        raise SpecTypeError(
            f"its value must be the text itself, a str, not {type(spec.value).__name__}."
        )
    try:
        return _content(spec, socket, spec.value.encode())
    except UnicodeEncodeError as error:
        raise SpecError(f"the text cannot be stored as UTF-8: {error}.") from error


def _content(spec: SocketValueSpec, socket: models.ComponentInterface, data: bytes) -> Plan:
    return Upload(spec.socket_slug, (Content(data, _socket_file_name(socket)),))


def _socket_file_name(socket: models.ComponentInterface) -> str:
    return check_upload_name(PurePosixPath(socket.relative_path).name or socket.slug)


def _plan_file(spec: SocketValueSpec, _: models.ComponentInterface) -> Plan:
    path = _single_file(spec)
    check_upload_name(path.name)
    return Upload(spec.socket_slug, (path,))


def _single_file(spec: SocketValueSpec) -> Path:
    path, *others = check_files(spec.paths)
    if others:
        raise SpecError(
            f"it takes one file, and {1 + len(others)} are given. Only images are made of several."
        )
    return path


def _plan_file_copy(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    url = getattr(_existing_value(spec, socket), "file", None)
    if not isinstance(url, str):
        raise SpecError("the existing value has no file.")
    try:
        name = check_upload_name(name_of(url.partition("?")[0]))
    except (UnsafeName, SpecError):
        name = _socket_file_name(socket)
    return Upload(spec.socket_slug, (FileCopy(url, name),))


# ---------------------------------------------------------------- images


def _plan_image(spec: SocketValueSpec, _: models.ComponentInterface) -> Plan:
    paths = check_files(spec.paths)
    # The server could not tell files of the same name apart.
    name, count = Counter(check_upload_name(path.name) for path in paths).most_common(1)[0]
    if count > 1:
        raise SpecError(
            f"the files of an image need different names, and {count} are called {name!r}. Rename them."
        )
    return Upload(spec.socket_slug, paths, is_image=True)


def _plan_dicom(spec: SocketValueSpec, _: models.ComponentInterface) -> Plan:
    if isinstance(spec.image_name, Unset):
        raise SpecError("a DICOM image set needs an image_name. Add it.")
    # The files are renamed when they are de-identified, since their names may include a patient's.
    paths = check_files(spec.paths)
    return Upload(spec.socket_slug, paths, is_image=True, image_name=spec.image_name)


def _plan_image_of_value(spec: SocketValueSpec, socket: models.ComponentInterface) -> Plan:
    url = getattr(_existing_value(spec, socket), "image", None)
    if not isinstance(url, str):
        raise SpecError("the existing value has no image.")
    return Inline(spec.socket_slug, {"image": url})


def _plan_existing_image(spec: SocketValueSpec, _: models.ComponentInterface) -> Plan:
    url = spec.existing_image_api_url
    if not isinstance(url, str) or "/cases/images/" not in url:
        raise SpecTypeError(f"existing_image_api_url must be the api_url of an image, not {url!r}.")
    return Inline(spec.socket_slug, {"image": url})


Planner = Callable[[SocketValueSpec, "models.ComponentInterface"], Plan]

_COPY: dict[str, Planner] = {"existing_socket_value": _plan_file_copy}
_REUSE: dict[str, Planner] = {
    "existing_socket_value": _plan_image_of_value,
    "existing_image_api_url": _plan_existing_image,
}
#: For each storage kind, the sources that it can be made from; the row for "file" holds for "files" too.
_PLANNERS: dict[StorageKind, dict[str, Planner]] = {
    StorageKind.VALUE: {
        "value": _plan_value,
        "file": _plan_value_from_file,
        "existing_socket_value": _plan_existing_value,
    },
    StorageKind.JSON: {"value": _plan_json_content, "file": _plan_file, **_COPY},
    StorageKind.TEXT: {"value": _plan_text_content, "file": _plan_file, **_COPY},
    StorageKind.BINARY: {"file": _plan_file, **_COPY},
    StorageKind.IMAGE: {"file": _plan_image, **_REUSE},
    StorageKind.DICOM: {"file": _plan_dicom, **_REUSE},
}
