"""Rules for file names: those that the server accepts, and those that names from the server must follow."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from gcapi.exceptions import SpecError, UnsafeName

#: The maximal length of an upload's file name on the server, in characters.
MAX_FILENAME = 128
#: Suffixes that consist of two parts.
DOUBLE_SUFFIXES = (".nii.gz", ".ome.tif", ".ome.tiff", ".tar.gz")
#: The maximal length of a folder name that is made from a title, in characters and in bytes. Followed by a primary key,
#: below a path of the usual length, it is valid on every system.
MAX_FOLDER, MAX_FOLDER_BYTES = 80, 160
#: Names that Windows reserves for devices, with any suffix.
_RESERVED = re.compile(
    r"(con|conin\$|conout\$|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE
)
#: Characters that some system does not allow in file names, and those that control a terminal or turn text around.
_UNSAFE_CHARACTERS = re.compile(
    r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]'
)


def check_upload_name(name: str) -> str:
    """Return a file name that the server accepts for an upload.

    Raises:
        SpecError: It is blank, longer than `MAX_FILENAME`, contains a slash, or is not Unicode text.
    """
    problems = {
        "is blank": not name.strip(),
        f"has {len(name)} characters, and {MAX_FILENAME} is the limit": len(name) > MAX_FILENAME,
        "is not a plain name without directories": "/" in name or name == ".",
        "has characters that are not Unicode text": re.search(r"[\x00\ud800-\udfff]", name),
    }
    for problem, is_found in problems.items():
        if is_found:
            raise SpecError(
                f"The server does not accept the file name {name!r}: it {problem}. Rename the file."
            )
    return name


def full_suffix(name: str) -> str:
    """Return the suffix of a name, including both parts of a double one such as ``.nii.gz``; empty if it has none."""
    lower = name.lower()
    for suffix in DOUBLE_SUFFIXES:
        if lower.endswith(suffix):
            return name[-len(suffix) :]
    return PurePosixPath(name).suffix


def name_of(url_path: str) -> str:
    """Return the last segment of a URL's path as a safe file name.

    Raises:
        UnsafeName: It cannot be a file name.
    """
    return safe_name(unquote(url_path.rpartition("/")[2]))


def safe_name(name: str) -> str:
    """Return a name from the server unchanged, if it is a plain file name on every system.

    Raises:
        UnsafeName: It would leave its directory, or is the name of a device.
    """
    if (
        name in {"", ".", ".."}
        or _UNSAFE_CHARACTERS.search(name)
        or _RESERVED.fullmatch(name)
        or name != name.rstrip(" .")
    ):
        raise UnsafeName(
            f"The server names a file {name!r}. It was not written: that is not a plain file name."
        )
    return name


def folder_name(title: str) -> str:
    """Return a folder name that is valid on every system and similar to a title; empty if no character remains.

    The same title always gives the same name; different titles may give the same one.
    """
    plain = _UNSAFE_CHARACTERS.sub("_", unicodedata.normalize("NFC", " ".join(title.split())))
    cut = plain[:MAX_FOLDER].encode()[:MAX_FOLDER_BYTES].decode("utf-8", "ignore").strip(" .")
    return f"_{cut}" if _RESERVED.fullmatch(cut) else cut


def case_folded(name: str) -> str:
    """Return a key that is equal for names which a file system may not distinguish: by case, or by Unicode form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def inside(directory: Path, relative_path: str) -> Path:
    """Return the absolute path of a relative path below a directory.

    Args:
        directory: The directory.
        relative_path: From the server, with ``/`` between its parts; empty for the directory itself.

    Raises:
        UnsafeName: The path would leave the directory.
    """
    parts = relative_path.split("/") if relative_path else []
    return directory.absolute().joinpath(*(safe_name(part) for part in parts))
