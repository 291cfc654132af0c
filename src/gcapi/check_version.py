"""Where `UnsupportedVersionError` used to live."""

from gcapi.exceptions import UnsupportedVersionError as UnsupportedVersionError
