"""The inspector: findings about the files of one value, by what its socket takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect import dicom, images, other_files
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi.findings import Finding

#: Inspects the files of one value; takes the files, the socket, and whether to read all of their content.
Inspector = Callable[[Sequence[Path], "models.ComponentInterface", bool], list[Finding]]

_INSPECTORS: dict[StorageKind, Inspector] = {
    StorageKind.IMAGE: images.inspect_image,
    StorageKind.DICOM: dicom.inspect_image_set,
}


def inspect_files(
    files: Sequence[Path], socket: models.ComponentInterface, *, deep: bool = False
) -> list[Finding]:
    """Return the findings about the files of one value, errors first.

    Reads at most a few KiB of each file, and once through the element headers of DICOM files.

    Args:
        files: The files, all of which can be read.
        socket: The socket that they are for.
        deep: Whether to read all of their content: checksums, and decoding where SimpleITK is installed.

    Raises:
        SpecFileError: A file cannot be read.
    """
    inspect = _INSPECTORS.get(storage_kind(socket), other_files.inspect_file)
    findings = inspect(files, socket, deep)
    return sorted(findings, key=lambda finding: finding.level)
