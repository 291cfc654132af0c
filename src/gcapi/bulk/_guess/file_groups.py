"""The files of a tree, grouped into values: a DICOM series of a folder, a header with its data files, or one file.

The content of a file decides what it is; its suffix decides where the content has no mark, as in JSON, or where the
file is damaged, so that a check of the manifest reports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcapi._inspect.formats import (
    DATA_SUFFIXES,
    DICOM_SUFFIXES,
    IMAGE_SUFFIXES,
    Format,
    Head,
    read_head,
)
from gcapi._inspect.image_data import HeaderError, numbered_names
from gcapi._inspect.series import series_and_study
from gcapi._transfer.file_names import full_suffix
from gcapi._transfer.local_files import check_local_file
from gcapi.bulk._guess.file_tree import LeftOutList
from gcapi.exceptions import SpecFileError

IMAGE, SEGMENTATION, DICOM = "image", "segmentation", "dicom"

_IMAGE_FORMATS = frozenset(
    {Format.METAIMAGE, Format.NIFTI, Format.NRRD, Format.PNG, Format.JPEG, Format.TIFF}
)
#: Files that some kind of socket takes and that have no mark, or one that other files have too.
_FILE_SUFFIXES = frozenset(
    (".json", ".csv", ".pdf", ".newick", ".obj", ".sqreg", ".mp4", ".biom", ".zip")
)
#: Headers that may have their data in files of other names.
_HEADER_SUFFIXES = frozenset({".mhd", ".mha", ".nhdr", ".nrrd", ".hdr"})
#: The first bytes of an Analyze header and of the header of a NIfTI pair: its length, in both byte orders.
_ANALYZE_SIGNATURES = (b"\x5c\x01\x00\x00", b"\x00\x00\x01\x5c")
#: The names of the data files in a MetaImage or NRRD header, and all lines after them.
_DATA_FILES = re.compile(
    rb"^(?:ElementDataFile[ \t]*=|data ?file:)[ \t]*([^\r\n]+)([\x00-\xff]*)",
    re.MULTILINE | re.IGNORECASE,
)
#: The longest list of data files in a header, in bytes.
_MAX_HEADER_BYTES = 2**20
#: The SOP class of a DICOMDIR, with its length, in the file meta information.
_DICOMDIR_CLASS = b"UI\x14\x001.2.840.10008.1.3.10"


@dataclass(frozen=True)
class FileGroup:
    """The files of one value.

    Attributes:
        kind: ``"image"``, ``"segmentation"``, ``"dicom"``, or the suffix of a file without its dot.
        files: The files, sorted; a header comes before its data.
        series: The SeriesInstanceUID; empty if it is unknown, and for other kinds.
        study: The StudyInstanceUID; empty if it is unknown, and for other kinds.
    """

    kind: str
    files: tuple[Path, ...]
    series: str = ""
    study: str = ""

    @property
    def folder(self) -> Path:
        """The folder of the first file."""
        return self.files[0].parent

    @property
    def stem(self) -> str:
        """The name of the first file without its suffix."""
        name = self.files[0].name
        return name.removesuffix(full_suffix(name))

    @property
    def is_image(self) -> bool:
        """True if it is an image of any kind."""
        return self.kind in {IMAGE, SEGMENTATION, DICOM}


def group_files(files: Sequence[Path], left_out: LeftOutList) -> list[FileGroup]:
    """Return the values that files make, in the order of their first files; what makes none is left out."""
    heads: dict[Path, Head] = {}
    for path in files:
        try:
            check_local_file(path)  # a pipe would block
            heads[path] = read_head(path)
        except SpecFileError as error:
            left_out.add_unreadable(path, error)
    data_of = _data_files(heads)
    with_header = {path for data in data_of.values() for path in data}
    groups: list[FileGroup] = []
    series: dict[tuple[Path, str], list[tuple[Path, str]]] = {}
    for path, head in heads.items():
        if path in with_header:
            continue
        kind = _kind_of(head)
        if kind == DICOM and _DICOMDIR_CLASS in head.data:
            left_out.add(path, "it is a DICOMDIR, an index of other files")
        elif kind == DICOM:
            uid, study = series_and_study(path)
            series.setdefault((path.parent, uid), []).append((path, study))
        elif kind:
            groups.append(FileGroup(kind, (path, *data_of.get(path, ()))))
        elif path.name.lower().endswith(tuple(DATA_SUFFIXES)):
            left_out.add(path, "it may be the data of an image, and no header names it")
        else:
            left_out.add(path, "no kind of socket takes it")
    groups += (
        FileGroup(DICOM, tuple(path for path, _ in members), uid, members[0][1])
        for (_, uid), members in series.items()
    )
    return sorted(groups, key=lambda group: group.files[0])


def _kind_of(head: Head) -> str:
    """Return the kind of a file; empty if no socket takes it."""
    found, suffix = head.format, full_suffix(head.path.name).lower()
    if found == Format.DICOM or (suffix in DICOM_SUFFIXES and found not in _IMAGE_FORMATS):
        return DICOM
    is_header = suffix in _HEADER_SUFFIXES and (
        head.data.startswith(_ANALYZE_SIGNATURES) or _DATA_FILES.search(head.data)
    )
    if found in _IMAGE_FORMATS or is_header:
        return IMAGE
    if found == Format.PDF:
        return "pdf"
    if suffix in IMAGE_SUFFIXES:
        return IMAGE
    return suffix.removeprefix(".") if suffix in _FILE_SUFFIXES else ""


# ---------------------------------------------------------------- headers and data


def _data_files(heads: dict[Path, Head]) -> dict[Path, list[Path]]:
    """Return the data files of each header that has some among the files."""
    headers = [path for path in heads if full_suffix(path.name).lower() in _HEADER_SUFFIXES]
    found: dict[Path, list[Path]] = {}
    taken: set[Path] = set(headers)
    for path in headers:
        named = dict.fromkeys(_named_data_files(heads[path]))
        if found_files := [data for data in named if data in heads and data not in taken]:
            found[path] = found_files
            taken.update(found_files)
    # Analyze headers name no files, and damaged ones may not.
    by_stem = {path.with_name(_stem(path)): path for path in headers if path not in found}
    for path in heads:
        header = by_stem.get(path.with_name(_stem(path)))
        if header and path not in taken and path.name.lower().endswith(tuple(DATA_SUFFIXES)):
            found.setdefault(header, []).append(path)
            taken.add(path)
    return found


def _stem(path: Path) -> str:
    """Return what the names of a header and its data have in common."""
    name = path.name.lower()
    suffix = next((suffix for suffix in (".raw.gz", ".img.gz") if name.endswith(suffix)), None)
    return path.name.removesuffix(path.name[-len(suffix) :] if suffix else path.suffix)


def _named_data_files(head: Head) -> Iterator[Path]:
    """Yield the data files that a MetaImage or NRRD header names, beside those that it has itself."""
    match = _DATA_FILES.search(head.data)
    if match is None:
        return
    words, rest = match[1].decode("utf-8", "surrogateescape").split(), match[2]
    names: Iterable[str] = [" ".join(words)]
    if not words or words[0].upper() == "LOCAL":
        return
    if words[0].upper() == "LIST":
        if head.size > len(head.data):
            with head.path.open("rb") as file:
                rest = file.read(_MAX_HEADER_BYTES)[match.start(2) :]
        names = rest.decode("utf-8", "surrogateescape").split("\n")
    elif "%" in words[0] and len(words) > 1:
        try:
            names = numbered_names(" ".join(words), default_step="1")
        except HeaderError:
            return
    for name in names:
        if name.strip() and "\0" not in name:
            yield head.path.parent / name.strip()
