"""Checks of what the user gives, made before anything is sent."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi._transfer.local_files import check_local_file
from gcapi.exceptions import InterfaceMismatch, SpecError, SpecTypeError
from gcapi.sockets import SocketValueSpec

#: The longest title of a case, in characters.
MAX_TITLE_LENGTH = 255
#: The highest order of a display set.
MAX_ORDER = 2**31 - 1

# ---------------------------------------------------------------- a case's own fields


def check_title(title: str) -> str:
    """Return a title that the server accepts, in NFC.

    Raises:
        SpecTypeError: It is not a string.
        SpecError: It is too long.
    """
    if not isinstance(title, str):
        raise SpecTypeError(f"title must be a string, not {title!r}.")
    if len(title) > MAX_TITLE_LENGTH:
        raise SpecError(
            f"The title has {len(title)} characters, and {MAX_TITLE_LENGTH} is the limit. Shorten it."
        )
    return unicodedata.normalize("NFC", title)


def check_order(order: int) -> int:
    """Return an order of a display set that the server accepts.

    Raises:
        SpecTypeError: It is not a whole number.
        SpecError: It is out of range.
    """
    if isinstance(order, bool) or not isinstance(order, int):
        raise SpecTypeError(f"order must be a whole number, not {order!r}.")
    if not 0 <= order <= MAX_ORDER:
        raise SpecError(
            f"order={order} must be from 0 to {MAX_ORDER}. Choose another order, or 0 for the last place."
        )
    return order


# ---------------------------------------------------------------- several values


def check_specs(specs: Iterable[SocketValueSpec]) -> tuple[SocketValueSpec, ...]:
    """Return the specifications of a call, at most one for each socket.

    Raises:
        SpecTypeError: They are not an iterable of specifications.
        SpecError: A socket is given twice; the server would silently keep one of the values.
    """
    if isinstance(specs, SocketValueSpec) or not isinstance(specs, Iterable):
        raise SpecTypeError(
            "values must be a list of SocketValueSpec objects, even if there is only one."
        )
    specs = tuple(specs)
    seen: set[str] = set()
    for spec in specs:
        if not isinstance(spec, SocketValueSpec):
            raise SpecTypeError(f"values must be SocketValueSpec objects, not {spec!r}.")
        if spec.socket_slug in seen:
            raise SpecError(
                f"Socket {spec.socket_slug!r} is given twice. Give one value for each socket."
            )
        seen.add(spec.socket_slug)
    return specs


def check_interface(algorithm: models.Algorithm, specs: Sequence[SocketValueSpec]) -> None:
    """Check that inputs are exactly the sockets of one of an algorithm's interfaces.

    Raises:
        InterfaceMismatch: They are not; the message has the nearest interface and the difference.
    """
    if not algorithm.interfaces:
        raise InterfaceMismatch(
            f"Algorithm {algorithm.slug!r} has no interface yet, so it cannot be run. Ask its editors to add one."
        )
    given = {spec.socket_slug for spec in specs}
    interfaces = [
        {socket.slug for socket in interface.inputs or ()} for interface in algorithm.interfaces
    ]
    nearest = min(interfaces, key=lambda inputs: len(given ^ inputs))
    if given != nearest:
        parts = (("missing", nearest - given), ("not among them", given - nearest))
        difference = "; ".join(
            f"{name}: {_comma_separated(slugs)}" for name, slugs in parts if slugs
        )
        raise InterfaceMismatch(
            f"The inputs match no interface of algorithm {algorithm.slug!r}. The nearest takes"
            f" {_comma_separated(nearest)}: {difference}."
        )


def _comma_separated(slugs: Collection[str]) -> str:
    return ", ".join(sorted(slugs)) or "nothing"


# ---------------------------------------------------------------- files and images


def check_files(paths: tuple[Path, ...]) -> tuple[Path, ...]:
    """Return the paths of at least one file, all of which can be read.

    Raises:
        SpecError: There are none.
        SpecFileError: One of them cannot be read.
    """
    if not paths:
        raise SpecError("files is empty, or a folder without files. Name at least one file.")
    for path in paths:
        check_local_file(path)
    return paths


def check_image_kind(image: models.HyperlinkedImage, socket: models.ComponentInterface) -> None:
    """Check that a socket takes an image that is already on the server.

    Raises:
        SpecError: A DICOM image set for a plain image socket, or the other way round.
    """
    given = StorageKind.DICOM if image.dicom_image_set else StorageKind.IMAGE
    expected = storage_kind(socket)
    if (given == StorageKind.DICOM) != (expected == StorageKind.DICOM):
        raise SpecError(
            f"Socket {socket.slug!r} ({socket.kind}) takes {expected}, and image {image.pk} is {given}."
        )
