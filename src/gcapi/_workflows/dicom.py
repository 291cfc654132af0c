"""De-identification of DICOM files before they are uploaded, into private files on this machine.

The procedure is that of Grand Challenge's own package, which the server uses too; it is an extra. It cleans the
elements of a data set. The rest of a file is not copied: preamble, file meta group, surplus pixel data, and all that
follows the pixel data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from gcapi._inspect.dicom_extra import deidentifier_class
from gcapi._inspect.dicom_headers import (
    PIXEL_DATA_TAG,
    SAME_IN_ALL_FILES,
    STANDARD_SYNTAXES,
    read_dicom_header,
)
from gcapi.exceptions import DeidentificationError
from gcapi.progress import Listener, Progress, given_up_on_error

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


def file_name(number: int) -> str:
    """Return the name of a de-identified file, which has nothing of the original's name."""
    return f"dicom_image_{number}.dcm"


def deidentify(files: Sequence[Path], directory: Path, listener: Listener) -> list[Path]:
    """De-identify the files of one image set.

    Args:
        files: DICOM files of one series.
        directory: A private directory for the results.
        listener: Called for each file.

    Returns:
        The de-identified files, in order.

    Raises:
        DeidentificationError: A file is not DICOM, of a kind that is refused, or of another series.
        OSError: A file cannot be read, or the disk is full.
    """
    deidentifier = deidentifier_class()(assert_unique_value_for=SAME_IN_ALL_FILES)
    targets = [directory / file_name(number) for number in range(len(files))]
    progress = [Progress(listener, "de-identify", file.name, 1) for file in files]
    with given_up_on_error(progress):
        for source, target, step in zip(files, targets, progress, strict=True):
            _deidentify_one(deidentifier, source, target)
            step.add(1)
    return targets


def _deidentify_one(deidentifier: Any, source: Path, target: Path) -> None:
    from grand_challenge_dicom_de_identifier.exceptions import RejectedDICOMFileError

    try:
        dataset = _read_dataset(source)
        deidentifier.deidentify_dataset(dataset)
        dataset.preamble = None  # pydicom writes zeros
        dataset.file_meta = _fresh_file_meta(dataset)
        dataset.save_as(target, enforce_file_format=True)
        check_written(target, dataset.SOPInstanceUID)
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
            f"{source} could not be de-identified into {target.parent}, and nothing was sent:"
            f" {cause.strerror or cause}. Temporary files are written to the directory in TMPDIR",
        ) from error
    except Exception as error:
        # Files that are not DICOM fail with various errors, whose messages may show values; none of them may be sent.
        raise DeidentificationError(
            f"{source} is not a DICOM file that can be de-identified; nothing was sent."
            f" ({type(error.__cause__ or error).__name__})"
        ) from error


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
    seen: set[int] = set()

    def is_after(tag: int, _vr: str | None, _length: int) -> bool:
        seen.add(tag)
        return PIXEL_DATA_TAG in seen and tag != PIXEL_DATA_TAG

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
