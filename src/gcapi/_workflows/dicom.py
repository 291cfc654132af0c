"""De-identification of DICOM files on this machine, to private files on disk, before they are uploaded.

The procedure is Grand Challenge's own, from the package that the server uses too. Imported only when needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gcapi.exceptions import DeidentificationError, MissingExtra
from gcapi.progress import Listener, Progress, given_up_on_error

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

#: What the server demands to be the same in all files of one image set; checked here before anything is sent.
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
    """Fail early where the extra is missing.

    Raises:
        MissingExtra: With the command that installs it.
    """
    _deidentifier_class()


def file_name(number: int) -> str:
    """Return what the de-identified file of a number is called, whatever the original's name was."""
    return f"dicom_image_{number}.dcm"


def deidentify(files: Sequence[Path], directory: Path, listener: Listener) -> list[Path]:
    """De-identify the files of one image set.

    Args:
        files: DICOM files of one series.
        directory: A private directory; the results are called ``dicom_image_<n>.dcm``, so that nothing of the
            original names, which may hold a patient's, is left.
        listener: Hears of each file.

    Returns:
        The de-identified files, in order.

    Raises:
        DeidentificationError: A file is no DICOM, of a kind that is refused, or of another series.
        OSError: A file cannot be read, or there is no room for its copy.
    """
    deidentifier = _deidentifier_class()(assert_unique_value_for=SAME_IN_ALL_FILES)
    results: list[Path] = []
    progress = [Progress(listener, "de-identify", file.name, 1) for file in files]
    with given_up_on_error(progress):
        for number, source in enumerate(files):
            target = directory / file_name(number)
            _deidentify_one(deidentifier, source, target)
            results.append(target)
            progress[number].add(1)
    return results


def _deidentify_one(deidentifier: Any, source: Path, target: Path) -> None:
    from grand_challenge_dicom_de_identifier.exceptions import (
        RejectedDICOMFileError,
    )

    try:
        deidentifier.deidentify_file(source, output=target)
    except RejectedDICOMFileError as error:
        raise DeidentificationError(
            f"{source} cannot be de-identified and was not sent: {error.justification}"
        ) from error
    except OSError as error:
        # pydicom wraps what the system says, and drops its number.
        told = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise OSError(
            told.errno,
            f"{source} could not be de-identified into {target.parent}, and nothing was sent:"
            f" {told.strerror or told}. Temporary files go to where TMPDIR says",
        ) from error
    except Exception as error:
        # Files that are no DICOM fail in as many ways as they can be wrong; none of them may be sent.
        raise DeidentificationError(
            f"{source} is not a DICOM file that can be de-identified; nothing was sent. ({error})"
        ) from error


def _deidentifier_class() -> Any:
    try:
        from grand_challenge_dicom_de_identifier.deidentifier import (
            DicomDeidentifier,
        )
    except ImportError as error:
        raise MissingExtra(
            "DICOM files are de-identified on this machine before they are sent, which needs an extra. Install it"
            " from the checkout of gcapi: pip install '.[dicom]'"
        ) from error
    return DicomDeidentifier
