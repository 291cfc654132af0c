"""The models of the API, imported lazily from the generated package, and its enums.

An enum field of a generated model is a plain `str`, which equals the members of these enums:
``image_type=gcapi.models.ImageTypeEnum.MHD`` and ``image_type="MHD"`` are the same.
"""

import re
from enum import Enum, StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast, get_args


class BlankEnum(StrEnum):
    """No choice."""

    field_ = ""


class NullEnum(Enum):
    """No value; not a `StrEnum`, since its only value is `None`."""

    NoneType_None = None


class ColorInterpolationEnum(StrEnum):
    """The interpolation between the colours of a lookup table."""

    RGB = "RGB"
    HLS = "HLS"
    HLSpos = "HLSpos"
    HLSneg = "HLSneg"
    Constant = "Constant"


class ColorSpaceEnum(StrEnum):
    """The color space of an image."""

    GRAY = "GRAY"
    RGB = "RGB"
    RGBA = "RGBA"
    YCBCR = "YCBCR"


class EyeChoiceEnum(StrEnum):
    """The eye that an image shows."""

    OD = "OD"
    OS = "OS"
    U = "U"
    NA = "NA"


class FieldOfViewEnum(StrEnum):
    """The field of view of an eye image."""

    F1M = "F1M"
    F2 = "F2"
    F3M = "F3M"
    F4 = "F4"
    F5 = "F5"
    F6 = "F6"
    F7 = "F7"
    U = "U"


class ImageTypeEnum(StrEnum):
    """The format of an image file."""

    MHD = "MHD"
    TIFF = "TIFF"
    DZI = "DZI"


class PatientSexEnum(StrEnum):
    """A patient's sex, as in DICOM."""

    M = "M"
    F = "F"
    O = "O"


class StatusEnum(StrEnum):
    """The result of an external evaluation."""

    Succeeded = "Succeeded"
    Failed = "Failed"


class StereoscopicChoiceEnum(StrEnum):
    """The position of an image in a stereoscopic pair."""

    L = "L"
    R = "R"
    U = "U"


if TYPE_CHECKING:
    # A type checker keeps the first of two definitions: these enums rather than the generated types.
    class LocationEnum(StrEnum):
        """A country by its ISO code."""

        NL = "NL"

    class TimezoneEnum(StrEnum):
        """A time zone by its IANA name."""

        UTC = "UTC"

    from grand_challenge_api.models import *  # pyright: ignore[reportAssignmentType]

#: Enums that are too long to be written out, and are built from the generated ones on first access.
_LONG_ENUMS = frozenset({"LocationEnum", "TimezoneEnum"})


def _build_enum(name: str) -> type[StrEnum]:
    """Build a `StrEnum` of a generated enum, with valid and unique member names."""
    members: dict[str, str] = {}
    for value in filter(None, get_args(getattr(_generated(), name))):
        member = unique = re.sub(r"\W", "_", value)
        number = 0
        while unique in members:
            number += 1
            unique = f"{member}_{number}"
        members[unique] = value
    return cast("type[StrEnum]", StrEnum(name, members))


def _generated() -> Any:
    return import_module("grand_challenge_api.models")


def __getattr__(name: str) -> Any:
    if name in _LONG_ENUMS:
        value: Any = _build_enum(name)
    elif name.startswith("_") or name not in _generated().__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        value = getattr(_generated(), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_generated().__all__})
