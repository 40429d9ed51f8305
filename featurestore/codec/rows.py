"""Rows of plain values to the very bytes that `featurestore.codec.encode` makes of Arrow columns, for writers without Arrow."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from .headers import array_header
from .layout import HEADER_ELEMENTS, LARGEST_SEQUENCE

_HEADER = struct.Struct(">BHBqBIBIB")
_encode = msgspec.msgpack.Encoder().encode


class PlainRows:
    """Full keys and row bytes, no key twice. An `EncodedRows`."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]]) -> None:
        self._pairs = pairs

    def __len__(self) -> int:
        return len(self._pairs)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Full key and row bytes of each row."""
        return iter(self._pairs)

    def bulk_strings(self) -> tuple[list[bytes], list[bytes]]:
        """The full keys and the bytes of the rows, each as a bulk string, one by one."""
        return [_bulk_string(key) for key, _ in self._pairs], [_bulk_string(row) for _, row in self._pairs]

    def bulk_keys(self, start: int, stop: int) -> memoryview:
        """The full keys of those rows as consecutive bulk strings."""
        return _bulk([key for key, _ in self._pairs[start:stop]])

    def bulk_rows(self, start: int, stop: int) -> memoryview:
        """The bytes of those rows as consecutive bulk strings."""
        return _bulk([row for _, row in self._pairs[start:stop]])


def row_bytes(event_time: int, sequence: int, schema_id: int, features: Sequence[Any]) -> bytes:
    """One row that still counts.

    Args:
        event_time: microseconds since the epoch.
        features: as `featurestore.codec.values` stores them, in the order of the schema; None is null.
    """
    if not 0 <= sequence <= LARGEST_SEQUENCE:
        raise ValueError(f"A sequence is a number from 0 to {LARGEST_SEQUENCE}, not {sequence}.")
    header = _HEADER.pack(0xDC, HEADER_ELEMENTS + len(features), 0xD3, event_time, 0xCE, sequence, 0xCE, schema_id, 0xC0)
    return header + _encode(features)[len(array_header(len(features))) :]


def _bulk(parts: Sequence[bytes]) -> memoryview:
    return memoryview(b"".join(map(_bulk_string, parts)))


def _bulk_string(part: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(part), part)
