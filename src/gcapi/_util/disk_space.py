"""Full disks, which end a run at once, because all other work would fail too."""

from __future__ import annotations

import errno

#: The error numbers of a disk, or a quota on it, that is full.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def is_disk_full(error: BaseException | None) -> bool:
    """Return whether an error, or one that caused it, is that of a full disk."""
    while error is not None:
        number = error.errno if isinstance(error, OSError) else None
        if number in DISK_FULL or getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            return True
        error = error.__cause__
    return False
