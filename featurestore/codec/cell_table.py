"""The ready-made cells: short integers, and the headers that say how long what follows is."""

from __future__ import annotations

from functools import lru_cache

import pyarrow as pa

from .headers import array_header, bytes_header, string_header

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
            *map(bytes_header, lengths),
            *map(array_header, lengths),
            *(b"$%d\r\n" % length for length in lengths),
        ),
        pa.binary(),
    )


def _integer(value: int) -> bytes:
    if value < -32:
        return b"\xd0" + value.to_bytes(1, "big", signed=True)
    if value < 0:
        return value.to_bytes(1, "big", signed=True)
    if value < 128:
        return value.to_bytes(1, "big")
    return b"\xcc" + value.to_bytes(1, "big") if value < 2**8 else b"\xcd" + value.to_bytes(2, "big")
