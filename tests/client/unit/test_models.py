"""The models in gcapi.models, and the enums under their published names."""

from enum import StrEnum
from typing import Any, get_args

import pytest

import grand_challenge_api.models as generated
from gcapi import models

#: Enums that have a generated literal of the same name.
STR_ENUMS = [
    "ColorInterpolationEnum",
    "ColorSpaceEnum",
    "EyeChoiceEnum",
    "FieldOfViewEnum",
    "ImageTypeEnum",
    "LocationEnum",
    "PatientSexEnum",
    "StatusEnum",
    "StereoscopicChoiceEnum",
    "TimezoneEnum",
]


@pytest.mark.parametrize("name", STR_ENUMS)
def test_enum_has_the_values_of_the_api(name: str) -> None:
    """An enum has exactly the non-empty values of the schema."""
    enum = getattr(models, name)
    assert issubclass(enum, StrEnum)
    assert {str(member) for member in enum} == set(get_args(getattr(generated, name))) - {""}


def test_every_literal_has_its_enum() -> None:
    """Every generated literal type has an enum."""
    literals = {name for name in generated.__all__ if name.endswith("Enum")}
    assert literals - {"BlankEnum", "NullEnum"} == set(STR_ENUMS)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("ImageTypeEnum.MHD", "MHD"),
        ("ColorInterpolationEnum.HLSpos", "HLSpos"),
        ("PatientSexEnum.O", "O"),
        ("StatusEnum.Succeeded", "Succeeded"),
        ("FieldOfViewEnum.F1M", "F1M"),
        ("BlankEnum.field_", ""),
        ("LocationEnum.NL", "NL"),
        ("TimezoneEnum.Europe_Amsterdam", "Europe/Amsterdam"),
        ("TimezoneEnum.Etc_GMT_1", "Etc/GMT+1"),
        ("TimezoneEnum.Etc_GMT_1_1", "Etc/GMT-1"),
        ("TimezoneEnum.Etc_GMT_0", "Etc/GMT+0"),
        ("TimezoneEnum.Etc_GMT_0_1", "Etc/GMT-0"),
        ("TimezoneEnum.GMT_0", "GMT+0"),
        ("TimezoneEnum.GMT_0_1", "GMT-0"),
        ("TimezoneEnum.UTC", "UTC"),
    ],
)
def test_member_equals_its_value(member: str, value: str) -> None:
    """A member equals its value in the API."""
    enum, _, name = member.partition(".")
    assert getattr(models, enum)[name] == value


def test_null_is_none() -> None:
    """The only value of NullEnum is None."""
    assert [member.value for member in models.NullEnum] == [None]


@pytest.mark.parametrize("name", sorted(set(generated.__all__) - set(STR_ENUMS)))
def test_every_generated_model_is_there(name: str) -> None:
    """Each generated model is an attribute of gcapi.models."""
    assert getattr(models, name) is getattr(generated, name)


def test_directory_lists_everything() -> None:
    """dir() lists models and enums."""
    assert set(generated.__all__) | set(STR_ENUMS) <= set(dir(models))


@pytest.mark.parametrize("name", STR_ENUMS)
def test_enum_is_made_once(name: str) -> None:
    """An enum is built once, so that members can be compared by identity."""
    assert getattr(models, name) is getattr(models, name)


@pytest.mark.parametrize("name", ["NoSuchModel", "_private", "__path__", "archive"])
def test_unknown_name_is_an_attribute_error(name: str) -> None:
    """An unknown name is an AttributeError, so that hasattr works."""
    with pytest.raises(AttributeError, match=name):
        getattr(models, name)


def test_enum_goes_into_a_model() -> None:
    """An enum member is a valid value of a model's field."""
    fields: dict[str, Any] = {"image_type": models.ImageTypeEnum.MHD, "pk": "1", "file": "f"}
    made = models.ImageFile.from_dict(fields)
    assert made.to_dict()["image_type"] == "MHD"
