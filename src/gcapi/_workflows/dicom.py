"""De-identification of DICOM files before they are uploaded, into private files on this machine.

The procedure is that of Grand Challenge's own package, which the server uses too; it is an extra.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcapi.exceptions import DeidentificationError, MissingExtra
from gcapi.progress import Listener, Progress, given_up_on_error

#: The attributes that the server requires to be the same in all files of an image set.
SAME_IN_ALL_FILES = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "PatientID",
    "StudyID",
    "StudyDate",
    "AccessionNumber",
    "SeriesNumber",
)


def check_installed() -> None:
    """Check that the extra is installed.

    Raises:
        MissingExtra: It is not.
    """
    _deidentifier_class()


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
    deidentifier = _deidentifier_class()(assert_unique_value_for=SAME_IN_ALL_FILES)
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
        deidentifier.deidentify_file(source, output=target)
    except RejectedDICOMFileError as error:
        raise DeidentificationError(
            f"{source} cannot be de-identified and was not sent: {error.justification}"
        ) from error
    except OSError as error:
        # pydicom wraps the system's error, and drops its number.
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OSError(
            cause.errno,
            f"{source} could not be de-identified into {target.parent}, and nothing was sent:"
            f" {cause.strerror or cause}. Temporary files are written to the directory in TMPDIR",
        ) from error
    except Exception as error:
        # Files that are not DICOM fail with various errors; none of them may be sent.
        raise DeidentificationError(
            f"{source} is not a DICOM file that can be de-identified; nothing was sent. ({error})"
        ) from error


def _deidentifier_class() -> Any:
    try:
        from grand_challenge_dicom_de_identifier.deidentifier import DicomDeidentifier
    except ImportError as error:
        raise MissingExtra(
            "DICOM files are de-identified on this machine before they are sent, which needs an extra. Install it"
            " from the checkout of gcapi: pip install '.[dicom]'"
        ) from error
    return DicomDeidentifier
