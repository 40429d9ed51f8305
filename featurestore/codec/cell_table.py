"""The ready-made cells: short integers, and the headers that say how long what follows is."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

LONGEST = 2047
"""The longest length that a header in the table tells."""

SMALLEST_INTEGER, LARGEST_INTEGER = -128, 4095

_MARKERS = (
    *(b"\xc0", b"", b"\xc2", b"\xc3", b"\xca", b"\xcb", b"\xcd", b"\xce", b"\xcf", b"\xd1", b"\xd2", b"\xd3"),
    *(b"\xdb", b"\xc6", b"\xdd"),
)
NIL, EMPTY, FALSE, TRUE, FLOAT32, FLOAT64, UINT16, UINT32, UINT64, INT16, INT32, INT64, *_ = range(len(_MARKERS))
STRING32, BYTES32, ARRAY32 = range(12, len(_MARKERS))

INTEGERS = len(_MARKERS) - SMALLEST_INTEGER
"""The place of the integer 0."""

STRINGS = INTEGERS + LARGEST_INTEGER + 1
"""The places of the headers of what is that long begin here."""

BYTES = STRINGS + LONGEST + 1
ARRAYS = BYTES + LONGEST + 1
BULKS = ARRAYS + LONGEST + 1
"""`$<length>\\r\\n` of the Redis protocol."""


@lru_cache(maxsize=1)
def cell_table() -> pa.BinaryArray:
    """All of them, each at its place."""
    lengths = range(LONGEST + 1)
    return pa.array(
        (
            *_MARKERS,
            *map(_integer, range(SMALLEST_INTEGER, LARGEST_INTEGER + 1)),
            *map(string_header, lengths),
            *map(_bytes_header, lengths),
            *map(array_header, lengths),
            *(b"$%d\r\n" % length for length in lengths),
        ),
        pa.binary(),
    )


def string_header(length: int) -> bytes:
    """Of a string of fewer than 2^16 bytes."""
    if length < 32:
        return bytes((0xA0 | length,))
    return b"\xd9" + length.to_bytes(1, "big") if length < 2**8 else b"\xda" + length.to_bytes(2, "big")


def array_header(length: int) -> bytes:
    """Of an array of fewer than 2^16 elements."""
    return bytes((0x90 | length,)) if length < 16 else b"\xdc" + length.to_bytes(2, "big")


def map_header(length: int) -> bytes:
    """Of a map of fewer than 2^16 entries."""
    return bytes((0x80 | length,)) if length < 16 else b"\xde" + length.to_bytes(2, "big")


def _bytes_header(length: int) -> bytes:
    return b"\xc4" + length.to_bytes(1, "big") if length < 2**8 else b"\xc5" + length.to_bytes(2, "big")


def _integer(value: int) -> bytes:
    if value < -32:
        return b"\xd0" + value.to_bytes(1, "big", signed=True)
    if value < 0:
        return value.to_bytes(1, "big", signed=True)
    if value < 128:
        return value.to_bytes(1, "big")
    return b"\xcc" + value.to_bytes(1, "big") if value < 2**8 else b"\xcd" + value.to_bytes(2, "big")
