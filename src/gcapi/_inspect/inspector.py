"""The inspector: findings about the files of one value, by what its socket takes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect import dicom, images, other_files
from gcapi._inspect.series import further_files_of_series
from gcapi._inspect.socket_kinds import StorageKind, storage_kind
from gcapi._transfer.local_files import check_local_file
from gcapi.findings import Finding

#: Inspects the files of one value; takes the files, the socket, and whether to read all of their content.
Inspector = Callable[[Sequence[Path], "models.ComponentInterface", bool], list[Finding]]

_INSPECTORS: dict[StorageKind, Inspector] = {
    StorageKind.IMAGE: images.inspect_image,
    StorageKind.DICOM: dicom.inspect_image_set,
}
#: The number of values without errors that are remembered, at about 200 bytes each.
_REMEMBERED_VALUES = 20_000
#: The findings about values without errors, by a digest of their files (path, inode, length and times of change).
_remembered: dict[bytes, list[Finding]] = {}


def inspect_files(
    files: Sequence[Path], socket: models.ComponentInterface, *, deep: bool = False
) -> list[Finding]:
    """Return the findings about the files of one value, errors first.

    Reads at most a few KiB of each file, once through the element headers of DICOM files, and JSON as a whole. Files
    without errors are read once in a process (check, dry run and push), until they change.

    Args:
        files: The files, all of which can be read.
        socket: The socket that they are for.
        deep: Whether to read all of their content: checksums, and decoding where SimpleITK is installed.

    Raises:
        SpecFileError: A file cannot be read.
    """
    kind = storage_kind(socket)
    identity = _identity_of(files, socket.slug, socket.kind, kind, deep)
    findings = _remembered.get(identity)
    if findings is None:
        inspect = _INSPECTORS.get(kind, other_files.inspect_file)
        findings = sorted(inspect(files, socket, deep), key=lambda finding: finding.level)
        if findings and findings[0].level == "error":
            return findings  # not remembered, so that corrected files are read again for certain
        if len(_remembered) >= _REMEMBERED_VALUES:
            _remembered.clear()
        _remembered[identity] = findings
    if kind == StorageKind.DICOM:
        return [*findings, *further_files_of_series(files)]
    return [*findings]


def _identity_of(files: Sequence[Path], *context: object) -> bytes:
    digest = hashlib.blake2b(repr(context).encode(), digest_size=16)
    for path in files:
        status = check_local_file(path)
        times = (status.st_mtime_ns, status.st_ctime_ns)
        identity = (path.absolute(), status.st_dev, status.st_ino, status.st_size, *times)
        digest.update(repr(identity).encode("utf-8", "surrogatepass"))
    return digest.digest()
