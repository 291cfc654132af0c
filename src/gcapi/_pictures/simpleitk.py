"""SimpleITK, which is an extra and takes long to import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gcapi._util.extras import import_extra
from gcapi.exceptions import MissingExtra


def load_sitk() -> Any:
    """Return SimpleITK, with its warnings on stderr turned off.

    Raises:
        MissingExtra: It is not installed.
    """
    missing = MissingExtra(
        "Pictures of images need SimpleITK. Install it from the checkout of gcapi: pip install '.[images]'"
    )
    sitk = import_extra("SimpleITK", missing)
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    return sitk


def detached_headers(files: Sequence[Path]) -> list[Path]:
    """Return the files that are headers of other files."""
    return [path for path in files if path.suffix.lower() in {".mhd", ".nhdr", ".hdr"}]


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
