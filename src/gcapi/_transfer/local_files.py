"""Errors for the user's own files: what the operating system says, the path, and what to do."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gcapi.exceptions import SpecFileError, SpecFileNotFound


def local_file_error(path: Path, error: OSError | ValueError) -> SpecFileError:
    """Return the error for a local file that cannot be read.

    Args:
        path: The file.
        error: The exception of the system call; a `ValueError` for a path with a NUL character.
    """
    reason = getattr(error, "strerror", None) or error
    if isinstance(error, FileNotFoundError) and path.is_symlink():
        return SpecFileNotFound(
            f"{path} cannot be read: it is a link to {path.readlink()}, which does not exist. Restore that file, or"
            " remove the link."
        )
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
        return SpecFileNotFound(f"{path} cannot be read: {reason}. Check the path.")
    return SpecFileError(f"{path} cannot be read: {reason}. Check its permissions and the disk.")


def check_local_file(path: Path) -> os.stat_result:
    """Return the status of a file that can be read.

    Raises:
        SpecFileNotFound: There is no such file.
        SpecFileError: It is a directory or a pipe, or the system does not let this user read it.
    """
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise local_file_error(path, error) from error
    if stat.S_ISDIR(status.st_mode):
        raise SpecFileError(
            f"{path} is a directory. If its files make one image, use files={str(path)!r}."
        )
    if not stat.S_ISREG(status.st_mode):
        raise SpecFileError(f"{path} is not a regular file. Copy its content into one.")
    if not os.access(path, os.R_OK):
        raise local_file_error(path, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    return status
