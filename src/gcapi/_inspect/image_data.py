"""The data of an image as its header declares them, and as they are on the disk.

The modules of the formats read a header and return `ImageData`; what is the same for all formats is here.
"""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

from gcapi._transfer.local_files import local_file_error

#: The length of a block that is read of a file, in bytes.
BLOCK_BYTES = 2**20
Compression = Literal["gzip", "zlib"]
#: What to do about a file that is damaged.
COPY_AGAIN = "Copy or export it again"
#: The largest number of data files that a header may number.
_MAX_DATA_FILES = 100_000
#: The last bytes of a gzip file: the length of its last member before compression, modulo 2**32.
_GZIP_LENGTH_BYTES = 4


class HeaderError(Exception):
    """Raised when a header cannot be read.

    Attributes:
        what: What is wrong with the file.
        fix: What to do about it.
    """

    def __init__(self, what: str, fix: str = COPY_AGAIN) -> None:
        super().__init__(what)
        self.what, self.fix = what, fix


@dataclass(frozen=True)
class ImageData:
    """The data of an image, or of a part of it, in one file.

    Attributes:
        name: The name of the file in the header; `None` for the file of the header.
        start: Where they begin in the file, in bytes.
        length: Their declared length in bytes, before compression with gzip but after that with zlib; `None` if the
            header has none.
        compression: How they are compressed; `None` if they are not, or in the way of their format.
        is_whole_file: Whether nothing but the data belongs into the file.
    """

    name: str | None = None
    start: int = 0
    length: int | None = None
    compression: Compression | None = None
    is_whole_file: bool = False


def numbered_names(text: str, *, default_step: str = "") -> list[str]:
    """Return the data files that a header numbers.

    Args:
        text: A pattern, the first number, the last number and the step, such as ``slice%03d.raw 1 20 1``.
        default_step: The step if there is none; empty if there has to be one.

    Raises:
        HeaderError: The text cannot be read.
    """
    try:
        pattern, *numbers = [*text.split(), default_step][:4]
        first, last, step = map(int, numbers)
        wanted = range(first, last + (1 if step > 0 else -1), step)
        return [pattern % number for number in islice(wanted, _MAX_DATA_FILES)]
    except (TypeError, ValueError, OverflowError):
        raise HeaderError(f"its header has the data files {text!r}, which cannot be read") from None


def stored_length(path: Path, data: ImageData) -> int:
    """Return the length of the data that a file has, before compression.

    The length at the end of a gzip file is trusted if it is the declared one. Else the file is truncated or has several
    members, and is decompressed up to the declared length.

    Raises:
        SpecFileError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            if data.compression != "gzip" or data.length is None:
                return max(0, size - data.start)
            file.seek(max(0, size - _GZIP_LENGTH_BYTES))
            if int.from_bytes(file.read(), "little") == data.length % 2**32:
                return data.length
            file.seek(data.start)
            return _decompressed_length(gzip.GzipFile(fileobj=file), data.length)
    except OSError as error:
        raise local_file_error(path, error) from error


def _decompressed_length(file: gzip.GzipFile, limit: int) -> int:
    length = 0
    try:
        while length < limit and (block := file.read1(BLOCK_BYTES)):
            length += len(block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        pass
    return length


def compression_problem(path: Path, data: ImageData) -> str:
    """Return what is wrong with compressed data, all of which are read; empty if nothing is.

    Raises:
        SpecFileError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.seek(data.start)
            if data.compression == "gzip":
                content = gzip.GzipFile(fileobj=file)
                while content.read1(BLOCK_BYTES):
                    pass
            elif data.compression == "zlib":
                _decompress(file)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        return str(error)
    except OSError as error:
        raise local_file_error(path, error) from error
    return ""


def _decompress(file: BinaryIO) -> None:
    decompressor = zlib.decompressobj()
    while not decompressor.eof:
        block = decompressor.unconsumed_tail or file.read(BLOCK_BYTES)
        if not block:
            raise EOFError("the compressed data end early")
        decompressor.decompress(block, BLOCK_BYTES)
