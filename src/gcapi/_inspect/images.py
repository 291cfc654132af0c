"""Inspection of the files of one image.

Of a file, its beginning, its directories of chunks or strips, and its length are read; of a file compressed with gzip
whose end does not confirm the declared length, all up to that length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gcapi import models
from gcapi._inspect.dicom_identity import identifying_elements
from gcapi._inspect.formats import DATA_SUFFIXES, DICOM_SUFFIXES, Format, Head, format_of, read_head
from gcapi._inspect.image_data import (
    COPY_AGAIN,
    HeaderError,
    ImageData,
    compression_problem,
    stored_length,
)
from gcapi._inspect.metaimage import read_metaimage
from gcapi._inspect.nifti import read_nifti
from gcapi._inspect.nrrd import read_nrrd
from gcapi._inspect.raster import read_jpeg, read_png
from gcapi._inspect.socket_kinds import shortened
from gcapi._inspect.tiff import read_tiff
from gcapi._transfer.local_files import local_file_error
from gcapi.exceptions import MissingExtra
from gcapi.findings import Finding, Level

_READERS: dict[Format, Callable[[Head], list[ImageData]]] = {
    Format.ANALYZE: read_nifti,
    Format.JPEG: read_jpeg,
    Format.METAIMAGE: read_metaimage,
    Format.NIFTI: read_nifti,
    Format.NRRD: read_nrrd,
    Format.PNG: read_png,
    Format.TIFF: read_tiff,
}
#: The suffixes of each format; the first is the one to give a file that has none of them.
_SUFFIXES: dict[Format, tuple[str, ...]] = {
    Format.ANALYZE: (".hdr", ".hdr.gz"),
    Format.JPEG: (".jpg", ".jpeg"),
    Format.METAIMAGE: (".mha", ".mhd"),
    Format.NIFTI: (".nii", ".nii.gz", ".hdr", ".hdr.gz"),
    Format.NRRD: (".nrrd", ".nhdr"),
    Format.PNG: (".png",),
    Format.TIFF: (".tif", ".tiff"),
}
_FORMAT_BY_SUFFIX = {suffix: found for found, suffixes in _SUFFIXES.items() for suffix in suffixes}
#: Formats that the server recognises whatever the suffix is.
_RECOGNISED = frozenset({Format.PNG, Format.TIFF})
#: Formats of which upper-case suffixes are not recognised: by SimpleITK, and by the importer of Grand Challenge.
_CASE_SENSITIVE: dict[Format, Level] = {Format.METAIMAGE: "error", Format.NIFTI: "warning"}
#: Suffixes of slides of several files and of packed files, whose parts only the server's readers know.
_OPAQUE_SUFFIXES = frozenset(
    {".bif", ".mrxs", ".ndpi", ".tar", ".tar.gz", ".tgz", ".vms", ".vmu", ".zip"}
)
#: Suffixes of files that are not part of an image.
_OTHER_SUFFIXES = frozenset({".csv", ".docx", ".json", ".md", ".pdf", ".txt", ".xlsx"})


@dataclass(frozen=True)
class _Image:
    """A file with the header of an image, and the data that it declares or the error of reading it."""

    head: Head
    format: Format
    data: Sequence[ImageData] = ()
    error: HeaderError | None = None

    @property
    def is_split(self) -> bool:
        """Return whether its data are in a form of several files that the server is not known to read."""
        has_others = any(data.name is not None for data in self.data)
        return has_others and (self.format != Format.METAIMAGE or len(self.data) > 1)


def inspect_image(files: Sequence[Path], _: models.ComponentInterface, deep: bool) -> list[Finding]:
    """Return the findings about the files of one image; see `inspect_files`."""
    heads = [read_head(path) for path in files]
    if dicom := [head.path for head in heads if _is_dicom(head)]:
        return [_dicom_finding(dicom)]
    findings = [
        Finding("error", "the file is empty", COPY_AGAIN, head.path)
        for head in heads
        if head.format == Format.EMPTY
    ]
    if any(head.suffix in _OPAQUE_SUFFIXES for head in heads):
        return findings
    images = _images_of(heads)
    given = {path.name: path for path in files}
    findings += _inspect_images(images, given)
    used = {image.head.path.name for image in images} | _data_names(images)
    others = [head for head in heads if head.format != Format.EMPTY and head.path.name not in used]
    findings += (finding for head in others if (finding := _inspect_other(head, bool(images))))
    if any(finding.level == "error" for finding in findings):
        # What is left over may belong to what is wrong.
        return [finding for finding in findings if finding.level == "error"]
    if deep:
        findings += (finding for image in images for finding in _inspect_content(image, given))
    return findings


# ---------------------------------------------------------------- headers and data


def _images_of(heads: Sequence[Head]) -> list[_Image]:
    """Return the files with headers; data whose first bytes look like one are left out."""
    images = [image for head in heads if (image := _image_of(head)) is not None]
    data_names = _data_names(images)
    return [image for image in images if image.head.path.name not in data_names]


def _image_of(head: Head) -> _Image | None:
    found = format_of(head.content)
    if found not in _READERS:
        return None
    try:
        return _Image(head, found, _READERS[found](head))
    except HeaderError as error:
        return _Image(head, found, error=error)
    except OSError as error:
        raise local_file_error(head.path, error) from error


def _data_names(images: Sequence[_Image]) -> set[str]:
    return {data.name for image in images for data in image.data if data.name is not None}


def _inspect_images(images: Sequence[_Image], given: Mapping[str, Path]) -> Iterator[Finding]:
    for image in images:
        path = image.head.path
        if image.error is not None:
            yield Finding("error", image.error.what, image.error.fix, path)
        elif (finding := _suffix_finding(image)) is not None:
            yield finding
        problems = (_data_finding(image, data, given) for data in image.data)
        # One finding, even if all files of a list are missing.
        problem = next((finding for finding in problems if finding is not None), None)
        if problem is not None:
            yield problem
        elif image.is_split:
            what = f"the data of this {image.format} header are in other files, which the server may refuse"
            yield Finding("warning", what, "Save the image as one file, for example .mha", path)
    if len(images) > 1:
        names = shortened(", ".join(sorted(image.head.path.name for image in images)))
        what = f"{len(images)} images for one socket: {names}"
        yield Finding("error", what, "Give each image a case or a socket of its own")


def _data_finding(image: _Image, data: ImageData, given: Mapping[str, Path]) -> Finding | None:
    """Return what is wrong with a file of data; `None` if nothing is."""
    header, path = image.head.path, image.head.path
    if data.name is not None:
        if data.name not in given:
            return _missing_finding(header, data.name)
        path = given[data.name]
        if path.stat().st_size == 0:
            return None  # there is a finding about empty files
    actual = stored_length(path, data)
    declared = 1 if data.length is None else data.length
    if actual < declared:
        place = "its header" if path == header else header.name
        what = f"it has {actual:,} of the {declared:,} bytes of data that {place} declares"
        return Finding("error", what, COPY_AGAIN, path)
    if data.is_whole_file and actual > declared:
        what = f"it has {actual - declared:,} bytes more than {header.name} declares"
        return Finding("warning", what, "Check the size and the type of the elements", path)
    return None


def _missing_finding(header: Path, name: str) -> Finding:
    if "/" in name or "\\" in name:
        what = f"its data file is {name!r} in another folder, and all files are sent into one"
        return Finding("error", what, "Put both into one folder, and change the header", header)
    if (header.parent / name).exists():
        what = f"its data file {name!r} is not among the files of the value"
        return Finding("error", what, "Add it to the files", header)
    what = f"its data file {name!r} does not exist"
    return Finding("error", what, "Copy it too, or correct its name in the header", header)


# ---------------------------------------------------------------- names


def _suffix_finding(image: _Image) -> Finding | None:
    """Return the finding about a suffix that is not one of the content; `None` if it is."""
    head, suffixes = image.head, _SUFFIXES[image.format]
    is_gzip = head.format == Format.GZIP
    name = f"{image.format} compressed with gzip" if is_gzip else image.format
    fix = f"Rename it to end with {suffixes[0]}{'.gz' * is_gzip}"
    if head.suffix not in suffixes or (is_gzip and not head.suffix.endswith(".gz")):
        if image.format in _RECOGNISED and not is_gzip:
            level: Level = "warning"
            if head.suffix not in _FORMAT_BY_SUFFIX:
                return None
        else:
            level = "error"
        what = f"its content is {name}, and its suffix is {head.suffix or 'missing'}"
        return Finding(level, what, fix, head.path)
    if head.suffix.endswith(".gz") and not is_gzip:
        what = f"its suffix is {head.suffix}, and it is not compressed"
        return Finding("warning", what, f"Rename it to end with {suffixes[0]}", head.path)
    if image.format in _CASE_SENSITIVE and not head.path.name.endswith(head.suffix):
        what = f"its suffix {head.path.name[-len(head.suffix) :]} is not in lower case"
        return Finding(_CASE_SENSITIVE[image.format], what, fix, head.path)
    return None


def _inspect_other(head: Head, has_image: bool) -> Finding | None:
    """Return the finding about a file that is no header and that none names."""
    if (expected := _FORMAT_BY_SUFFIX.get(head.suffix)) is not None:
        found = format_of(head.content)
        content = "of an unknown format" if found == Format.UNKNOWN else found
        what = f"its suffix {head.suffix} is one of {expected}, and its content is {content}"
        if found == Format.EMPTY:
            what = "its gzip data are damaged"
        return Finding("error", what, COPY_AGAIN, head.path)
    if has_image:
        what = "it belongs to no image, and the server leaves it out"
        return Finding("warning", what, "Remove it from the files", head.path)
    if head.suffix in DATA_SUFFIXES:
        what = "it may be the data of an image, whose header is missing"
        return Finding("error", what, "Add the header to the files", head.path)
    if head.suffix in _OTHER_SUFFIXES or head.format in {Format.PDF, Format.JSON}:
        return Finding("error", "it is not an image", "Give the image, or leave it out", head.path)
    return None  # the server knows more formats


def _is_dicom(head: Head) -> bool:
    return head.format == Format.DICOM or (
        head.format == Format.UNKNOWN and head.suffix in DICOM_SUFFIXES
    )


def _dicom_finding(files: Sequence[Path]) -> Finding:
    """Return the refusal of DICOM files, which would be sent as they are."""
    subject = "it is a DICOM file" if len(files) == 1 else f"{len(files)} files are DICOM"
    try:
        count = f"{sum(map(identifying_elements, files))} identifying elements found"
    except MissingExtra:
        count = "identifying elements cannot be counted without the extra 'dicom'"
    except ValueError:
        count = "identifying elements cannot be counted, because a file is damaged"
    return Finding(
        "error",
        f"{subject} and would be sent with all that identifies the patient: {count}",
        "Use a socket of the kind DICOM Image Set with an image_name, whose files are de-identified on this machine"
        ' first, or convert them to one .mha; inspect="off" sends them as they are',
        files[0],
    )


# ---------------------------------------------------------------- all of the content


def _inspect_content(image: _Image, given: Mapping[str, Path]) -> Iterator[Finding]:
    """Yield the findings of reading all of an image: checksums, and decoding where SimpleITK is installed.

    Decoding takes as much memory as the image.
    """
    header = image.head.path
    paths = [header if data.name is None else given[data.name] for data in image.data]
    for path, data in zip(paths, image.data, strict=True):
        if problem := compression_problem(path, data):
            yield Finding("error", f"its compressed data are damaged: {problem}", COPY_AGAIN, path)
            return
    # SimpleITK knows fewer TIFF files than the server, and finds data only beside their header.
    is_readable = image.head.suffix in _SUFFIXES[image.format]
    if (
        is_readable
        and find_spec("SimpleITK")
        and {path.parent for path in paths} == {header.parent}
    ):
        sitk: Any = import_module("SimpleITK")
        sitk.ProcessObject.SetGlobalWarningDisplay(False)
        try:
            str(header).encode()  # SimpleITK ends the process for a path that is not UTF-8
            sitk.ReadImage(str(header))
        except UnicodeEncodeError:
            return
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1].strip()
            level: Level = "warning" if image.format == Format.TIFF else "error"
            yield Finding(level, f"SimpleITK cannot decode it: {reason}", COPY_AGAIN, header)
