"""Rules for file names, both ways: what the server takes as a name, and what a name from the server may become."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from gcapi.exceptions import SpecError, UnsafeName

#: The longest file name that the server takes for an upload, in characters.
MAX_FILENAME = 128
#: Suffixes of two parts that say one thing together.
DOUBLE_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff", ".tar.gz")
#: How long a folder that is named after a title may be called, in characters and in bytes: beside the key that tells
#: two of them apart, and below a path of usual length, every system takes it.
MAX_FOLDER, MAX_FOLDER_BYTES = 80, 160
#: Names that Windows keeps for devices, whatever suffix they have.
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
#: What cannot stand in a file name on every system.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]')


def check_upload_name(name: str) -> str:
    """Return a name under which the server takes an upload.

    Raises:
        SpecError: Blank, longer than `MAX_FILENAME`, with a slash in it, or not Unicode.
    """
    problem = _upload_name_problem(name)
    if problem:
        raise SpecError(
            f"The file name {name!r} {problem}; the server takes no such name. Rename the file."
        )
    return name


def _upload_name_problem(name: str) -> str:
    if not name.strip():
        return "is blank"
    if len(name) > MAX_FILENAME:
        return f"has {len(name)} characters, and {MAX_FILENAME} is the limit"
    if "/" in name or name == ".":
        return "is not a plain name without directories"
    if "\x00" in name or any("\ud800" <= character <= "\udfff" for character in name):
        return "has characters that are not Unicode text"
    return ""


def full_suffix(name: str) -> str:
    """Return the suffix of a name, a known double one such as ``.nii.gz`` whole; empty if it has none."""
    lower = name.lower()
    for suffix in DOUBLE_SUFFIXES:
        if lower.endswith(suffix):
            return name[-len(suffix) :]
    return PurePosixPath(name).suffix


def name_of(url_path: str) -> str:
    """Return the last part of a URL's path as a safe file name.

    Raises:
        UnsafeName: Nothing that can be a file name.
    """
    return safe_name(unquote(url_path.rpartition("/")[2]))


def safe_name(name: str) -> str:
    """Return a name from the server as it is, if it is a plain file name on every system.

    Raises:
        UnsafeName: It would leave its directory, or name a device.
    """
    if (
        name in {"", ".", ".."}
        or _FORBIDDEN.search(name)
        or _RESERVED.fullmatch(name)
        or name != name.rstrip(" .")
    ):
        raise UnsafeName(
            f"The server names a file {name!r}, which is not written: it is not a plain file name."
        )
    return name


def folder_name(title: str) -> str:
    """Return a name for a folder on every system that is as near to a title as can be; empty if nothing of it is left.

    Always the same for the same title; different titles may get the same.
    """
    plain = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", " ".join(title.split())))
    cut = plain[:MAX_FOLDER].encode()[:MAX_FOLDER_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{cut}" if _RESERVED.fullmatch(cut) else cut


def folded(name: str) -> str:
    """Return what two names have in common that are one to a file system which does not tell cases or accents apart."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def inside(directory: Path, relative_path: str) -> Path:
    """Return a socket's relative path below a directory.

    Args:
        directory: Where the result lies in; made absolute.
        relative_path: As the server gives it, with ``/`` between its parts; empty for the directory itself.

    Raises:
        UnsafeName: The path would leave the directory.
    """
    parts = relative_path.split("/") if relative_path else []
    return directory.absolute().joinpath(*(safe_name(part) for part in parts))
