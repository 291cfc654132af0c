"""The amount of work of each row, for both clients, the server and the table."""

from __future__ import annotations

from pattern import MIB

#: The number of connections, the default of both clients.
CONNECTIONS = 10
#: The size of the large file in bytes.
LARGE = 256 * MIB
#: The number and size of the files of a case.
FILES, FILE_SIZE = 200, MIB // 2
#: The number of cases with a file and a value.
CASES, CASE_SIZE = 60, MIB // 16
#: The number of slices of a DICOM set that is uploaded, and the number of rows and columns of each: 0.5 MiB.
SLICES, SLICE_SIDE = 200, 512
#: The number and size of the instances of a DICOM image set.
INSTANCES, INSTANCE_SIZE = 300, MIB // 2
#: The number of archive items in the list, and the server's largest page.
ITEMS, LARGEST_PAGE = 20_000, 1_000


def upload_name(offset: int, suffix: str) -> str:
    """Return a file name that contains the file's offset in the pattern."""
    return f"from-{offset}.{suffix}"


def offset_of(name: str) -> int:
    """Return the offset in the pattern that a file name contains."""
    return int(name.removeprefix("from-").partition(".")[0])
