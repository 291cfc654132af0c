"""DICOM series: the series of a file, and folders with further files of a series."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from gcapi._inspect.folders import list_folder
from gcapi._inspect.formats import Format, read_head
from gcapi.findings import Finding


def series_and_study(path: Path) -> tuple[str, str]:
    """Return the SeriesInstanceUID and the StudyInstanceUID of a file; empty where they cannot be read."""
    tags = ["SeriesInstanceUID", "StudyInstanceUID"]
    pydicom = _pydicom()
    if pydicom is None:
        return "", ""
    try:
        dataset = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=tags)
    except Exception:  # noqa: BLE001 - damaged files fail in many ways, which their inspection reports
        return "", ""
    return str(dataset.get(tags[0], "")), str(dataset.get(tags[1], ""))


@cache
def _pydicom() -> Any:
    """Return pydicom, which comes with the extra `dicom`; `None` if it is not installed."""
    try:
        return import_module("pydicom")
    except ImportError:
        return None


def can_read_series() -> bool:
    """Return whether the series of a file can be read, for which pydicom is needed."""
    return _pydicom() is not None


def further_files_of_series(files: Sequence[Path]) -> list[Finding]:
    """Return a warning for each subfolder that begins with a file of the series of the given files.

    Raises:
        SpecFileError: A folder cannot be listed, or its first file cannot be read.
    """
    if len(files) < 2:  # noqa: PLR2004 - a folder of single files has subfolders for other reasons
        return []
    folders = {path.parent for path in files}
    series, _ = series_and_study(files[0])
    return [
        Finding(
            "warning",
            f"it has {len(inside)} further files of the series, which are not among those to send",
            "Name this folder, too, if the image needs them",
            folder,
        )
        for above in sorted(folders)
        for folder, inside in _filled_folders(above)
        if folder not in folders
        and read_head(inside[0]).format == Format.DICOM
        and series_and_study(inside[0])[0] == series
    ]


def _filled_folders(folder: Path) -> Iterator[tuple[Path, Sequence[Path]]]:
    """Yield the folders below a folder that have files, and these; links are not followed."""
    for inner in list_folder(folder).folders:
        if inner.is_symlink():
            continue
        files = list_folder(inner).files
        if files:
            yield inner, files
        yield from _filled_folders(inner)
