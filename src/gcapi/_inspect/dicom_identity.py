"""Counting of the elements of DICOM files that can identify a patient; their values are never shown."""

from __future__ import annotations

import struct
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi._transfer.local_files import local_file_error
from gcapi._util.extras import import_extra
from gcapi.exceptions import MissingExtra

#: Elements that identify a patient or a visit, beside all names of persons.
_IDENTIFYING = frozenset(
    """
    AccessionNumber AcquisitionDate AcquisitionDateTime AdditionalPatientHistory AdmissionID AdmittingDate
    BranchOfService ContentDate CountryOfResidence DeviceSerialNumber EthnicGroup FrameOfReferenceUID
    InstitutionAddress InstitutionName InstitutionalDepartmentName IssuerOfPatientID MedicalRecordLocator
    MilitaryRank Occupation OtherPatientIDs OtherPatientIDsSequence PatientAddress PatientAge PatientBirthDate
    PatientBirthTime PatientComments PatientID PatientInsurancePlanCodeSequence PatientReligiousPreference
    PatientSex PatientSize PatientTelephoneNumbers PatientWeight ReferringPhysicianAddress
    ReferringPhysicianTelephoneNumbers RegionOfResidence RequestingService SOPInstanceUID SeriesDate
    SeriesInstanceUID StationName StudyDate StudyID StudyInstanceUID
    """.split()  # noqa: SIM905 - a list of strings would have a line for each
)


def identifying_elements(path: Path) -> int:
    """Return the number of elements of a DICOM file that can identify a patient and have a value.

    Elements in sequences are not counted; a sequence of identifiers counts as one.

    Raises:
        MissingExtra: pydicom, which comes with the extra `dicom`, is not installed.
        SpecFileError: The file cannot be read.
        ValueError: It is damaged, so that the elements cannot be counted.
    """
    missing = MissingExtra(
        "Elements of DICOM files cannot be counted without an extra. Install it from the checkout of gcapi:"
        " pip install '.[dicom]'"
    )
    pydicom = import_extra("pydicom", missing)
    tags = _identifying_tags()
    try:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True, specific_tags=tags)
    except OSError as error:
        raise local_file_error(path, error) from error
    except (
        pydicom.errors.InvalidDicomError,
        EOFError,
        KeyError,
        NotImplementedError,
        struct.error,
    ) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    # Raw elements, since conversion warns of invalid values, and shows them.
    values = [dataset.get_item(tag) for tag in tags if tag in dataset]
    return sum(1 for element in values if element is not None and _has_value(element.value))


@cache
def _identifying_tags() -> list[int]:
    dictionary: Any = import_module("pydicom.datadict").DicomDictionary
    return [
        tag
        for tag, (vr, *_, keyword) in dictionary.items()
        if vr == "PN" or keyword in _IDENTIFYING
    ]


def _has_value(value: object) -> bool:
    return bool(value.strip(b" \0") if isinstance(value, bytes) else value)
