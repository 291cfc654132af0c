"""Checksums that the store tells, and the digest of files whose ranges arrive in any order."""

from __future__ import annotations

import hashlib
import itertools
import os
import zlib
from base64 import b64encode
from collections.abc import Callable
from random import Random

import pytest

from gcapi._http.server_state import ServerState
from gcapi._transfer import checksums
from gcapi._transfer.checksums import Checksum, OrderedDigest, checksum_of, md5_of

CONTENT = os.urandom(10_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
SHA256 = hashlib.sha256(CONTENT)


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"ETag": f'"{MD5}"'}, Checksum("md5", MD5)),
        ({"ETag": f'"{MD5}-2"'}, None),
        ({"ETag": f'W/"{MD5}"'}, None),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "AES256"}, Checksum("md5", MD5)),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"}, None),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms:dsse"}, None),
        ({"ETag": f'"{MD5}"', "x-amz-server-side-encryption-customer-algorithm": "AES256"}, None),
        (
            {"ETag": f'"{MD5}"', "x-amz-checksum-sha256": b64encode(SHA256.digest()).decode()},
            Checksum("sha256", SHA256.hexdigest()),
        ),
        ({"x-amz-checksum-sha256": "AAAA-3"}, None),
        ({"x-amz-checksum-sha256": "?", "ETag": f'"{MD5}"'}, Checksum("md5", MD5)),
    ],
)
def test_checksum_of_headers(headers: dict[str, str], expected: Checksum | None) -> None:
    """A checksum of the whole object is used before an ETag, and an ETag only where it is an MD5."""
    assert checksum_of(headers, ServerState()) == expected


def test_etags_of_a_store_that_were_found_out() -> None:
    """Only other checksums are compared at a store whose ETags are no MD5 checksums."""
    server = ServerState()
    server.has_md5_etags = False
    headers = {"ETag": f'"{MD5}"'}
    assert checksum_of(headers, server) is None
    headers["x-amz-checksum-sha256"] = b64encode(SHA256.digest()).decode()
    assert checksum_of(headers, server) == Checksum("sha256", SHA256.hexdigest())


def test_encryption_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """That files cannot be verified is logged once in a process."""
    checksums._log_encryption.cache_clear()
    headers = {"ETag": f'"{MD5}"', "x-amz-server-side-encryption": "aws:kms"}
    assert [md5_of(headers, ServerState()) for _ in range(3)] == [None] * 3
    assert [record.name for record in caplog.records] == ["gcapi"]


def read_of(content: bytes) -> Callable[[int, memoryview], int]:
    """Return a function that reads from content as from a file."""

    def read_into(offset: int, buffer: memoryview) -> int:
        data = content[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        return len(data)

    return read_into


def digest_in_random_order(checksum: Checksum, content: bytes, seed: int) -> OrderedDigest:
    """Return the digest of content that was written in random ranges and blocks."""
    random = Random(seed)
    digest = OrderedDigest(checksum, read_of(content))
    cuts = sorted({0, len(content), *(random.randrange(len(content)) for _ in range(12))})
    ranges = list(itertools.pairwise(cuts))
    blocks = {one: one[0] for one in ranges}
    while blocks:
        _, end = one = random.choice(list(blocks))
        position = blocks[one]
        after = min(end, position + random.randrange(1, 700))
        if digest.add_block(position, memoryview(content)[position:after]):
            digest.catch_up()
        blocks[one] = after
        if after == end:
            del blocks[one]
    return digest


@pytest.mark.parametrize("seed", range(20))
def test_digest_does_not_depend_on_the_order(seed: int) -> None:
    """Whatever the order of ranges and blocks, the digest is that of the file."""
    crc32 = f"{zlib.crc32(CONTENT):08x}"
    for checksum in (
        Checksum("md5", MD5),
        Checksum("sha256", SHA256.hexdigest()),
        Checksum("crc32", crc32),
    ):
        assert digest_in_random_order(checksum, CONTENT, seed).checksum() == checksum
        other = CONTENT[:-1] + bytes([CONTENT[-1] ^ 1])
        assert digest_in_random_order(checksum, other, seed).checksum() != checksum


def test_blocks_are_hashed_before_the_last_one_arrives() -> None:
    """Of a file whose ranges arrive at once, only what follows the first gap is left to be hashed."""
    read: list[tuple[int, int]] = []

    def read_back(offset: int, buffer: memoryview) -> int:
        read.append((offset, len(buffer)))
        return read_of(CONTENT)(offset, buffer)

    digest = OrderedDigest(Checksum("md5", MD5), read_back)
    content = memoryview(CONTENT)
    arrivals = [(1000, 2000), (0, 1000), (4000, 9000), (3000, 4000), (9000, 10_000), (2000, 3000)]
    needed = [
        digest.add_block(*_block(content, *one)) and digest.catch_up() is None for one in arrivals
    ]
    assert needed == [False, True, False, False, False, True]
    assert read == [(1000, 1000), (3000, 7000)]
    assert digest.checksum() == Checksum("md5", MD5)


def _block(content: memoryview, start: int, end: int) -> tuple[int, memoryview]:
    return start, content[start:end]
