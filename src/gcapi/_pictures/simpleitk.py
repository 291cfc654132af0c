"""SimpleITK, which is an extra and takes long to import."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi.exceptions import MissingExtra


def load_sitk() -> Any:
    """Return SimpleITK, with its warnings on stderr turned off.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        sitk: Any = import_module("SimpleITK")
    except ImportError as error:
        raise MissingExtra(
            "Pictures of images need SimpleITK. Install it from the checkout of gcapi: pip install '.[images]'"
        ) from error
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def read_header(sitk: Any, path: Path) -> Any:
    """Return a reader of SimpleITK that has read the header of a file.

    Raises:
        RuntimeError: It cannot be read.
        UnicodeEncodeError: Its name is not UTF-8, for which SimpleITK would end the process.
    """
    name = str(path)
    name.encode()
    reader = sitk.ImageFileReader()
    reader.SetFileName(name)
    reader.ReadImageInformation()
    return reader
