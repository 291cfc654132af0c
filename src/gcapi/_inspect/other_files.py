"""Inspection of files that are no images: JSON, text, PDF and others.

The server parses JSON, Newick and BIOM files only, and stores every other file as it is, even an empty one or one of
another format. So these errors are for the next reader. Names are not compared with contents, because the server gives
each file of a socket the name that its readers expect.
"""

from __future__ import annotations

import codecs
import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from gcapi import models
from gcapi._inspect.formats import Format, Head, read_head
from gcapi._inspect.json_files import MAX_CHECKED_BYTES, json_file_problem, read_whole
from gcapi._inspect.socket_kinds import TEXT_KINDS, StorageKind, storage_kind
from gcapi.findings import Finding

#: Readers of PDF find the header in this many bytes at the beginning.
_PDF_HEADER_BYTES = 1024
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
#: The types of the first box of an MP4 or QuickTime file, which follow its length.
_MP4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide"})
#: Formats that no text begins like.
_BINARY_FORMATS = frozenset(
    {Format.DICOM, Format.GZIP, Format.JPEG, Format.PDF, Format.PNG, Format.TIFF, Format.ZIP}
)
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
#: Quoted labels and comments of a Newick tree, in which parentheses have no meaning.
_NEWICK_TEXT = re.compile(r"'[^']*'|\[[^\]]*\]")


def inspect_file(
    files: Sequence[Path], socket: models.ComponentInterface, _deep: bool
) -> list[Finding]:
    """Return the findings about the file of one value; see `inspect_files`."""
    (path,) = files
    head = read_head(path)
    kind = socket.kind.casefold()
    if head.format == Format.EMPTY:
        findings: Iterator[Finding] = _error(path, "the file is empty", "Copy or export it again")
    elif storage_kind(socket) == StorageKind.JSON:
        problem = json_file_problem(path, head.size, socket.kind)
        findings = _error(path, problem, "Correct the file") if problem else iter(())
    elif kind in TEXT_KINDS:
        findings = _text_findings(head, socket)
    elif kind in _SIGNATURES and not _SIGNATURES[kind](head):
        findings = _another_format(head, socket)
    else:
        findings = iter(())
    return list(findings)


def _error(path: Path, what: str, fix: str) -> Iterator[Finding]:
    yield Finding("error", what, fix, path)


def _another_format(head: Head, socket: models.ComponentInterface) -> Iterator[Finding]:
    """Yield that a file is not of its socket's kind, and of which it is if that is known."""
    found = "" if head.format == Format.UNKNOWN else f": it begins like {head.format}"
    what = f"the content is not that of a {socket.kind}{found}"
    return _error(head.path, what, f"Give a {socket.kind}, or use a socket of the file's kind")


def _text_findings(head: Head, socket: models.ComponentInterface) -> Iterator[Finding]:
    if head.data.startswith(_UTF16_MARKS):
        yield Finding("warning", "the text is UTF-16", "Save it as UTF-8", head.path)
    elif head.format in _BINARY_FORMATS or b"\0" in head.data:
        yield from _another_format(head, socket)
    elif not _is_utf8(head.data):
        yield Finding("warning", "the text is not UTF-8", "Save it as UTF-8", head.path)
    elif socket.kind.casefold() == "newick tree-format file" and head.size <= MAX_CHECKED_BYTES:
        text = _NEWICK_TEXT.sub("", read_whole(head.path).decode(errors="replace")).strip()
        if not text.endswith(";") or text.count("(") != text.count(")"):
            what = "it is no Newick tree, which ends with a semicolon and closes every parenthesis"
            yield from _error(head.path, what, "Correct the file")


def _is_utf8(beginning: bytes) -> bool:
    """Return whether the beginning of a text, which may end within a character, is UTF-8."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        return False
    return True


def _is_zip(head: Head) -> bool:
    with head.path.open("rb") as file:  # its directory is at the end
        return zipfile.is_zipfile(file)


#: Whether a file is of a kind, by the kind's lowercase label.
_SIGNATURES: dict[str, Callable[[Head], bool]] = {
    "pdf file": lambda head: b"%PDF-" in head.data[:_PDF_HEADER_BYTES],
    "thumbnail jpg": lambda head: head.format == Format.JPEG,
    "thumbnail png": lambda head: head.format == Format.PNG,
    "mp4 file": lambda head: head.data[4:8] in _MP4_BOXES,
    "biom format": lambda head: head.data.startswith(_HDF5_SIGNATURE),
    "zip file": _is_zip,
}
