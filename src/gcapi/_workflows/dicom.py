"""De-identification of DICOM files before they are uploaded, into private files on this machine.

The procedure is that of Grand Challenge's own package, which the server uses too; it is an extra. It cleans the
elements of a data set. The rest of a file is not copied: preamble, file meta group, surplus pixel data, and all that
follows the pixel data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gcapi._inspect.dicom_extra import deidentifier_class, sop_classes
from gcapi._inspect.dicom_headers import (
    PIXEL_DATA_TAG,
    SAME_IN_ALL_FILES,
    STANDARD_SYNTAXES,
    DicomHeader,
    read_dicom_header,
)
from gcapi.exceptions import DeidentificationError

#: The UIDs that all files of an image set have to keep in common.
_SAME_UIDS = ("StudyInstanceUID", "SeriesInstanceUID")
_PREAMBLE_AND_MARK = bytes(128) + b"DICM"
#: The attributes of a file meta group that is written here.
_FILE_META = frozenset(
    {
        "FileMetaInformationGroupLength",
        "FileMetaInformationVersion",
        "MediaStorageSOPClassUID",
        "MediaStorageSOPInstanceUID",
        "TransferSyntaxUID",
        "ImplementationClassUID",
        "ImplementationVersionName",
    }
)


def check_installed() -> None:
    """Check that the extra is installed.

    Raises:
        MissingExtra: It is not.
    """
    deidentifier_class()


def check_headers(files: Iterable[Path]) -> None:
    """Check what shows in headers of the files of one image set, before the first of them is uploaded.

    Raises:
        DeidentificationError: A file would be refused when its turn comes.
        SpecFileError: A file cannot be read.
    """
    taken = sop_classes()
    first: DicomHeader | None = None
    for path in files:
        try:
            header = read_dicom_header(path)
        except ValueError as error:
            raise DeidentificationError(
                f"{path} is not a DICOM file that can be de-identified; nothing was sent. ({error})"
            ) from error
        if header.text("SOPClassUID") not in taken:
            raise DeidentificationError(
                f"{path} cannot be de-identified, and nothing was sent: its SOP class is not taken."
            )
        first = first or header
        different = [
            name for name in SAME_IN_ALL_FILES if header.shared(name) != first.shared(name)
        ]
        if different:
            raise DeidentificationError(
                f"{path} cannot be de-identified, and nothing was sent: it differs from the files before it in"
                f" {' and '.join(different)}."
            )


def file_name(number: int) -> str:
    """Return the name of a de-identified file, which has nothing of the original's name."""
    return f"dicom_image_{number}.dcm"


class Deidentifier:
    """De-identifies files of one image set, one at a time.

    Args:
        secret: If several processes share an image set, what they derive its new UIDs from, so that each original UID
            gets the same new one everywhere; `None` for random ones.
        reference: A file of the set, with which the others have to agree; `None` for the first one that is given.
    """

    def __init__(self, secret: str | None = None, reference: Path | None = None) -> None:
        self._judge = deidentifier_class()(assert_unique_value_for=SAME_IN_ALL_FILES)
        if secret is not None:
            self._judge.uid_map = _SharedUids(secret)
        if reference is not None:
            # What is wrong with this file is reported in its own turn.
            with suppress(Exception):
                self._judge.deidentify_dataset(_read_dataset(reference))

    def clean(self, source: Path, target: Path) -> tuple[str, ...]:
        """Write a de-identified file, and return its UIDs of study and series.

        Raises:
            DeidentificationError: The file is not DICOM, of a kind that is refused, or of another series.
            OSError: It cannot be read, or the disk is full.
        """
        from grand_challenge_dicom_de_identifier.exceptions import RejectedDICOMFileError

        try:
            dataset = _read_dataset(source)
            self._judge.deidentify_dataset(dataset)
            dataset.preamble = None  # pydicom writes zeros
            dataset.file_meta = _fresh_file_meta(dataset)
            dataset.save_as(target, enforce_file_format=True)
            check_written(target, dataset.SOPInstanceUID)
            return tuple(str(dataset.get(name, "")) for name in _SAME_UIDS)
        except RejectedDICOMFileError as error:
            raise DeidentificationError(
                f"{source} cannot be de-identified and was not sent: {error.justification}"
            ) from error
        except DeidentificationError as error:
            raise DeidentificationError(f"{source} {error}; it was not sent.") from error
        except OSError as error:
            # pydicom wraps the system's error, and drops its number.
            cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
            raise OSError(
                cause.errno,
                f"{source} could not be de-identified into {target.parent}, and was not sent:"
                f" {cause.strerror or cause}. Temporary files are written to the directory in TMPDIR",
            ) from error
        except Exception as error:
            # Files that are not DICOM fail with various errors, whose messages may show values; none may be sent.
            raise DeidentificationError(
                f"{source} is not a DICOM file that can be de-identified; it was not sent."
                f" ({type(error.__cause__ or error).__name__})"
            ) from error


class _SharedUids(dict[str, Any]):
    """New UIDs by their originals, the same in all processes that know the secret."""

    def __init__(self, secret: str) -> None:
        super().__init__()
        self._secret = secret

    def __missing__(self, original: str) -> Any:
        from grand_challenge_dicom_de_identifier.deidentifier import GRAND_CHALLENGE_ROOT_UID
        from pydicom.uid import generate_uid

        entropy = [self._secret, str(original)]
        self[original] = generate_uid(prefix=GRAND_CHALLENGE_ROOT_UID, entropy_srcs=entropy)
        return self[original]


def _read_dataset(source: Path) -> Any:
    """Return the data set of a file up to its pixel data, which are cut to the length that it declares."""
    from pydicom.filereader import read_partial

    header = read_dicom_header(source)
    with source.open("rb") as file:
        dataset = read_partial(file, _is_after_pixel_data(), force=True)
    is_native = header.pixels is not None and header.pixels.fragments is None
    declared = header.declared_bytes
    if is_native and 0 < declared < len(dataset.PixelData):
        dataset.PixelData = dataset.PixelData[: declared + declared % 2]
    return dataset


def _is_after_pixel_data() -> Callable[[int, str | None, int], bool]:
    """Return a condition that is met by the first element after the pixel data."""
    was_seen = False

    def is_after(tag: int, _vr: str | None, _length: int) -> bool:
        nonlocal was_seen
        is_pixel_data = int(tag) == PIXEL_DATA_TAG
        was_seen = was_seen or is_pixel_data
        return was_seen and not is_pixel_data

    return is_after


def _fresh_file_meta(dataset: Any) -> Any:
    """Return a file meta group that has nothing of the original but its transfer syntax."""
    from pydicom import uid
    from pydicom.dataset import FileMetaDataset

    by_encoding = {
        (True, True): uid.ImplicitVRLittleEndian,
        (False, True): uid.ExplicitVRLittleEndian,
        (False, False): uid.ExplicitVRBigEndian,
    }
    syntax = dataset.file_meta.get("TransferSyntaxUID") or by_encoding[dataset.original_encoding]
    if not syntax.startswith(STANDARD_SYNTAXES):
        raise DeidentificationError("has a transfer syntax that is not in the standard")
    fresh = FileMetaDataset()
    fresh.TransferSyntaxUID = syntax
    return fresh


def check_written(path: Path, sop_instance_uid: str) -> None:
    """Check that a de-identified file has a zero preamble and a file meta group that was written here.

    Args:
        path: The file.
        sop_instance_uid: Its new SOPInstanceUID.

    Raises:
        DeidentificationError: It has something of the original there.
    """
    from pydicom.filereader import read_partial
    from pydicom.uid import PYDICOM_IMPLEMENTATION_UID

    with path.open("rb") as file:
        start = file.read(len(_PREAMBLE_AND_MARK))
        file.seek(0)
        meta = read_partial(file, lambda _tag, _vr, _length: True, force=True).file_meta
    is_fresh = (
        start == _PREAMBLE_AND_MARK
        and {element.keyword for element in meta} <= _FILE_META
        and meta.ImplementationClassUID == PYDICOM_IMPLEMENTATION_UID
        and meta.MediaStorageSOPInstanceUID == sop_instance_uid
    )
    if not is_fresh:
        raise DeidentificationError(
            "could not be de-identified: its preamble or file meta is not new"
        )
