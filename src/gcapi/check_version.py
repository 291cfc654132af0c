"""Alias for `UnsupportedVersionError`, kept for existing imports."""

from gcapi.exceptions import UnsupportedVersionError as UnsupportedVersionError
