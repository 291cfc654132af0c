"""How much work each row is; both clients, the server and the table read it here."""

from __future__ import annotations

from pattern import MIB

#: Connections that either client may use at once: the default of both.
CONNECTIONS = 10
#: One large file, in bytes, up or down.
LARGE = 256 * MIB
#: The files of one case, up.
FILES, FILE_SIZE = 200, MIB // 2
#: Cases of one file and one value, one after another or pushed.
CASES, CASE_SIZE = 60, MIB // 16
#: The instances of one DICOM image set, down.
INSTANCES, INSTANCE_SIZE = 300, MIB // 2
#: Archive items in the list, and how many the server gives in one page at most.
ITEMS, LARGEST_PAGE = 20_000, 1_000


def upload_name(offset: int, suffix: str) -> str:
    """Return a file name that tells the server where in the pattern the file begins."""
    return f"from-{offset}.{suffix}"


def offset_of(name: str) -> int:
    """Return where in the pattern a file of this name begins."""
    return int(name.removeprefix("from-").partition(".")[0])
