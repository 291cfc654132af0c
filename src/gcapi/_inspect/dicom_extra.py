"""The extra `dicom`: the package that de-identifies, and the SOP classes that it takes."""

from __future__ import annotations

from typing import Any

from gcapi.exceptions import MissingExtra

_NUMBER_OF_FRAMES = "(0028,0008)"
_KEEP = "K"


def deidentifier_class() -> Any:
    """Return the class that de-identifies data sets.

    Raises:
        MissingExtra: The extra is not installed.
    """
    try:
        from grand_challenge_dicom_de_identifier.deidentifier import DicomDeidentifier
    except ImportError as error:
        raise MissingExtra(
            "DICOM files are de-identified on this machine before they are sent, which needs an extra. Install it"
            " from the checkout of gcapi: pip install '.[dicom]'"
        ) from error
    return DicomDeidentifier


def sop_classes() -> dict[str, str]:
    """Return the names of the SOP classes that are taken, by UID."""
    return {uid: sop_class_name(uid) for uid in _procedures()}


def sop_class_name(uid: str) -> str:
    """Return the name of a SOP class; those that are not in the standard have none of their own."""
    from pydicom._uid_dict import UID_dictionary

    return (
        UID_dictionary[uid][0] if uid in UID_dictionary else "a class that is not in the standard"
    )


def keeps_frames(sop_class: str) -> bool:
    """Return whether de-identification keeps the number of frames of a SOP class that is taken."""
    actions: dict[str, Any] = _procedures()[sop_class]["tag"].get(_NUMBER_OF_FRAMES, {})
    return actions.get("default") == _KEEP


def _procedures() -> dict[str, Any]:
    procedures: dict[str, Any] = deidentifier_class()().procedure["sopClass"]
    return procedures
