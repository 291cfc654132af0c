"""The models of the API, re-exported lazily from the generated package, and its enums under the names that users know.

In the generated models an enum field is a plain `str`, which a member of these enums equals:
``image_type=gcapi.models.ImageTypeEnum.MHD`` and ``image_type="MHD"`` are the same.
"""

import re
from enum import Enum, StrEnum
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast, get_args


class BlankEnum(StrEnum):
    """No choice made."""

    field_ = ""


class NullEnum(Enum):
    """Nothing known; not a string, since its one value is `None`."""

    NoneType_None = None


class ColorInterpolationEnum(StrEnum):
    """How a look-up table goes from one colour to the next."""

    RGB = "RGB"
    HLS = "HLS"
    HLSpos = "HLSpos"
    HLSneg = "HLSneg"
    Constant = "Constant"


class ColorSpaceEnum(StrEnum):
    """What the components of an image's voxels are."""

    GRAY = "GRAY"
    RGB = "RGB"
    RGBA = "RGBA"
    YCBCR = "YCBCR"


class EyeChoiceEnum(StrEnum):
    """Which eye an image shows."""

    OD = "OD"
    OS = "OS"
    U = "U"
    NA = "NA"


class FieldOfViewEnum(StrEnum):
    """What part of the eye an image shows."""

    F1M = "F1M"
    F2 = "F2"
    F3M = "F3M"
    F4 = "F4"
    F5 = "F5"
    F6 = "F6"
    F7 = "F7"
    U = "U"


class ImageTypeEnum(StrEnum):
    """How an image file is stored."""

    MHD = "MHD"
    TIFF = "TIFF"
    DZI = "DZI"


class PatientSexEnum(StrEnum):
    """A patient's sex, as DICOM has it."""

    M = "M"
    F = "F"
    O = "O"


class StatusEnum(StrEnum):
    """How an external evaluation ended."""

    Succeeded = "Succeeded"
    Failed = "Failed"


class StereoscopicChoiceEnum(StrEnum):
    """Which image of a stereoscopic pair it is."""

    L = "L"
    R = "R"
    U = "U"


if TYPE_CHECKING:
    # A type checker keeps the first of two definitions: the enums here, rather than the generated types.
    class LocationEnum(StrEnum):
        """A country, by its ISO code."""

        NL = "NL"

    class TimezoneEnum(StrEnum):
        """A time zone, by its IANA name."""

        UTC = "UTC"

    from grand_challenge_api.models import *  # pyright: ignore[reportAssignmentType]

#: Enums too long to be spelled out here, made from the generated ones when they are first touched.
_LONG_ENUMS = frozenset({"LocationEnum", "TimezoneEnum"})


def _long_enum(name: str) -> type[StrEnum]:
    """Make a `StrEnum` of a generated enum: other characters become ``_``, and what then collides is numbered."""
    members: dict[str, str] = {}
    for value in get_args(getattr(_generated(), name)):
        if value:
            members[_unused(re.sub(r"\W", "_", value), members)] = value
    return cast("type[StrEnum]", StrEnum(name, members))


def _unused(name: str, taken: dict[str, str]) -> str:
    if name not in taken:
        return name
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _generated() -> Any:
    return import_module("grand_challenge_api.models")


def __getattr__(name: str) -> Any:
    if name in _LONG_ENUMS:
        value: Any = _long_enum(name)
    elif name.startswith("_") or name not in _generated().__all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:
        value = getattr(_generated(), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_generated().__all__})
