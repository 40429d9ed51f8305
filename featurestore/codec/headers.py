"""What stands in msgpack before a string, bytes, an array or a map: what it is and how long, in the shortest form."""

from __future__ import annotations


def string_header(length: int) -> bytes:
    """Of a string of that many bytes."""
    return bytes((0xA0 | length,)) if length < 32 else _longer(length, 0xD9)


def bytes_header(length: int) -> bytes:
    """Of that many bytes."""
    return _longer(length, 0xC4)


def array_header(length: int) -> bytes:
    """Of an array of that many elements."""
    return bytes((0x90 | length,)) if length < 16 else _long(length, 0xDC)


def map_header(length: int) -> bytes:
    """Of a map of that many entries."""
    return bytes((0x80 | length,)) if length < 16 else _long(length, 0xDE)


def _longer(length: int, marker: int) -> bytes:
    return bytes((marker, length)) if length < 2**8 else _long(length, marker + 1)


def _long(length: int, marker: int) -> bytes:
    if length < 2**16:
        return bytes((marker,)) + length.to_bytes(2, "big")
    return bytes((marker + 1,)) + length.to_bytes(4, "big")
