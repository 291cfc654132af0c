"""The limits that the server enforces."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Limits:
    """The numbers that the server enforces; lower one to reach it in a test."""

    uploads_per_user: int = 2001
    upload_bytes: int = 128 * 1024**3
    smallest_part: int = 5 * 1024**2
    active_jobs_per_user: int = 16
    credits: int = 1000
    credits_per_job: int = 20
    free_jobs_for_editors: int = 5
    files_per_session: int = 100
    imports_per_user: int = 16
    presigned_url_seconds: int = 3600
    dicom_recipe_seconds: int = 300
    session_extension_seconds: int = 300
    session_seconds: int = 10_000
    endpoint_seconds: int = 600
    upload_seconds: int = 86_400
    evaluation_seconds: int = 86_400


_NAMES = tuple(limit.name for limit in fields(Limits))


def check_limits(limits: Mapping[str, int]) -> None:
    """Raise ValueError for an unknown limit or a negative number."""
    for name, number in limits.items():
        if name not in _NAMES:
            raise ValueError(f"limits.{name} is unknown; known are {', '.join(_NAMES)}")
        check_minimum(f"limits.{name}", number, 0)


def check_minimum(name: str, value: float | None, minimum: float) -> None:
    """Raise ValueError for a value below the minimum; None passes."""
    if value is not None and value < minimum:
        raise ValueError(f"{name} must be at least {minimum:g}, is {value:g}")
