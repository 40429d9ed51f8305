"""Arrow columns as msgpack, a whole column at a time: no loop runs per row or per value.

A column becomes *pieces*: binary arrays (or scalars, for what every row shares) that, put one after the other, give each row's
msgpack value. Leaving them apart until the row is joined saves copying every value twice. A null in a piece stands for nil, which
is why rows are joined with `join`; a piece that must be empty in such a row is the empty string, never null.

Numbers become big endian by swapping a column's bytes in place and laying them out by strides; short integers and the headers of
strings, byte strings, lists and maps are taken from tables of ready-made bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DecimalType,
    FloatType,
    ListType,
    MapType,
    StringType,
    StructType,
    ValueType,
)

Piece: TypeAlias = "pa.Array | pa.Scalar"

NIL = b"\xc0"
_SMALLEST_IN_TABLE, _LARGEST_IN_TABLE = -(2**15), 2**16 - 1
_SWAPPABLE = {4: "I", 8: "Q"}
_PLAIN_SCALE = 6
"""Up to this scale Arrow spells every decimal without an exponent."""


def pack(column: pa.Array, value_type: ValueType) -> list[Piece]:
    """The pieces of a column that has the Arrow type of `value_type`."""
    match value_type:
        case BooleanType():
            return [pc.if_else(column, _scalar(b"\xc3"), _scalar(b"\xc2"))]
        case FloatType(bits):
            return [fixed_width(column, b"\xca" if bits == 32 else b"\xcb", bits // 8)]
        case DecimalType(_, scale):
            return _text(decimal_text(column, scale))
        case StringType():
            return _text(column)
        case BytesType():
            return _headed(column, pc.binary_length(column), _bytes_headers(), b"\xc6")
        case ListType(item):
            first, extents = _extents(column)
            items = column.values.slice(first, extents[-1].as_py())
            return _sequence(column, extents, join(pack(items, item)), _list_headers(), b"\xdd")
        case MapType(key, value):
            first, extents = _extents(column)
            count = extents[-1].as_py()
            entry = [_scalar(b"\x92"), *pack(column.keys.slice(first, count), key), *pack(column.items.slice(first, count), value)]
            return _sequence(column, extents, join(entry), _list_headers(), b"\xdd")
        case StructType(fields):
            return [_struct(column, fields)]
    return [integers(column)]


def join(pieces: Sequence[Piece]) -> pa.BinaryArray:
    """The pieces put together row by row, nil where they are null."""
    if len(pieces) == 1:
        return pieces[0].fill_null(NIL)
    return pc.binary_join_element_wise(*pieces, b"", null_handling="replace", null_replacement=NIL)


def piece_lengths(pieces: Sequence[Piece]) -> pa.Array:
    """How many bytes `join` will give each row."""
    shared = sum(len(piece.as_py()) for piece in pieces if isinstance(piece, pa.Scalar))
    total: pa.Array | pa.Scalar = pa.scalar(shared, pa.int32())
    for piece in pieces:
        if isinstance(piece, pa.Array):
            lengths = pc.binary_length(piece)
            total = pc.add(total, lengths.fill_null(len(NIL)) if piece.null_count else lengths)
    return total


def integers(column: pa.Array) -> pa.Array:
    """Integers, and the types stored as such, each in the shortest msgpack form."""
    column = _as_integers(column)
    bounds = pc.min_max(column)
    smallest, largest = bounds["min"].as_py(), bounds["max"].as_py()
    if smallest is None:
        return pa.nulls(len(column), pa.binary())
    packed = None
    if largest > _SMALLEST_IN_TABLE and smallest <= _LARGEST_IN_TABLE:
        within = column
        if smallest < _SMALLEST_IN_TABLE or largest > _LARGEST_IN_TABLE:
            within = pc.if_else(_between(column, _SMALLEST_IN_TABLE, _LARGEST_IN_TABLE), column, pa.scalar(0, column.type))
        packed = _small_integers().take(pc.subtract(within.cast(pa.int32()), _SMALLEST_IN_TABLE))
    for marker, width, low, high in (
        (b"\xce", 4, _LARGEST_IN_TABLE + 1, 2**32 - 1),
        (b"\xcf", 8, 2**32, 2**64 - 1),
        (b"\xd2", 4, -(2**31), _SMALLEST_IN_TABLE - 1),
        (b"\xd3", 8, -(2**63), -(2**31) - 1),
    ):
        if largest < low or smallest > high:
            continue
        wide = fixed_width(column, marker, width)
        packed = wide if packed is None else pc.if_else(_between(column, low, high), wide, packed)
    return packed


def fixed_width(column: pa.Array, marker: bytes, width: int) -> pa.Array:
    """A marker and the `width` big-endian bytes of each number; of a wider number its low bytes."""
    numbers = swapped(column)
    stride, skipped = column.type.bit_width // 8, column.type.bit_width // 8 - width
    cells = bytearray((width + 1) * len(column))
    cells[0 :: width + 1] = marker * len(column)
    for byte in range(width):
        cells[byte + 1 :: width + 1] = numbers[skipped + byte :: stride]
    return binary_array(cells, offsets(len(column), width + 1), validity(column))


def swapped(column: pa.Array) -> bytes:
    """The numbers of a column of 4 or 8 bytes each, big endian; whatever stood there where it is null."""
    size = column.type.bit_width // 8
    numbers = array(_SWAPPABLE[size])
    numbers.frombytes(memoryview(column.buffers()[1])[column.offset * size : (column.offset + len(column)) * size])
    numbers.byteswap()
    return numbers.tobytes()


def decimal_text(column: pa.Array, scale: int) -> pa.StringArray:
    """Plain text with exactly `scale` digits after the point. Arrow alone would write small numbers with an exponent."""
    if 0 <= scale <= _PLAIN_SCALE:
        return column.cast(pa.string())
    whole = pa.decimal256(76, 0) if pa.types.is_decimal256(column.type) else pa.decimal128(38, 0)
    unscaled = pa.Array.from_buffers(whole, len(column), column.buffers(), offset=column.offset).cast(pa.string())
    if scale < 0:
        zeros = pa.scalar("0" * -scale)
        return pc.if_else(pc.equal(unscaled, "0"), unscaled, pc.binary_join_element_wise(unscaled, zeros, ""))
    sign = pc.if_else(pc.starts_with(unscaled, "-"), "-", "")
    digits = pc.ascii_lpad(pc.ascii_ltrim(unscaled, "-"), scale + 1, "0")
    point = pa.scalar(".")
    return pc.binary_join_element_wise(sign, pc.utf8_slice_codeunits(digits, 0, -scale), point, pc.utf8_slice_codeunits(digits, -scale), "")


def binary_array(data: bytes | bytearray | pa.Buffer, ends: pa.Array, valid: pa.Buffer | None = None) -> pa.BinaryArray:
    """A binary array over bytes and the offsets into them."""
    content = data if isinstance(data, pa.Buffer) else pa.py_buffer(data)
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [valid, ends.buffers()[1], content])


def offsets(count: int, width: int) -> pa.Array:
    """Where `count` values of equal width begin and end."""
    return pc.multiply(_counting(max(1 << 16, 1 << count.bit_length())).slice(0, count + 1), pa.scalar(width, pa.int32()))


def validity(column: pa.Array) -> pa.Buffer | None:
    """The bitmap of a column's nulls, starting at its first row; None when it has none."""
    return pc.is_valid(column).buffers()[1] if column.null_count else None


def _as_integers(column: pa.Array) -> pa.Array:
    if pa.types.is_integer(column.type) and column.type.bit_width == 64:
        return column
    if pa.types.is_integer(column.type):
        return column.cast(pa.int64())
    return column.view(pa.int32()).cast(pa.int64()) if pa.types.is_date32(column.type) else column.view(pa.int64())


def _between(column: pa.Array, low: int, high: int) -> pa.Array:
    signed = pa.types.is_signed_integer(column.type)
    low, high = max(low, -(2**63) if signed else 0), min(high, 2**63 - 1 if signed else 2**64 - 1)
    return pc.and_(pc.greater_equal(column, pa.scalar(low, column.type)), pc.less_equal(column, pa.scalar(high, column.type)))


def _text(column: pa.Array) -> list[Piece]:
    return _headed(column.cast(pa.binary()), pc.binary_length(column), _string_headers(), b"\xdb")


def _headed(content: pa.Array, lengths: pa.Array, headers: pa.Array, longest: bytes) -> list[Piece]:
    """A header that says how long the content is, and the content."""
    return [_headers(lengths, headers, longest), content.fill_null(b"") if content.null_count else content]


def _headers(lengths: pa.Array, headers: pa.Array, longest: bytes) -> pa.Array:
    if (pc.max(lengths).as_py() or 0) < len(headers):
        return headers.take(lengths)
    short = pc.less(lengths, len(headers))
    return pc.if_else(short, headers.take(pc.if_else(short, lengths, 0)), fixed_width(lengths, longest, 4))


def _extents(column: pa.Array) -> tuple[int, pa.Array]:
    """Where the items of a list or map column begin, and each row's bounds among them."""
    first = column.offsets[0]
    return first.as_py(), pc.subtract(column.offsets, first)


def _sequence(column: pa.Array, extents: pa.Array, items: pa.BinaryArray, headers: pa.Array, longest: bytes) -> list[Piece]:
    """Rows of packed items: what lies between two items' offsets already is their concatenation, so nothing is copied."""
    ends = pa.Array.from_buffers(pa.int32(), len(items) + 1, [None, items.buffers()[1]], offset=items.offset)
    content = binary_array(items.buffers()[2] or pa.py_buffer(b""), ends.take(extents), validity(column))
    lengths = pc.subtract(extents.slice(1), extents.slice(0, len(column)))
    if column.null_count:
        lengths = pc.if_else(column.is_valid(), lengths, pa.scalar(None, pa.int32()))
    return _headed(content, lengths, headers, longest)


def _struct(column: pa.StructArray, fields: Sequence[tuple[str, ValueType]]) -> pa.Array:
    pieces: list[Piece] = []
    opening = _map_header(len(fields))
    for (name, item), values in zip(fields, column.flatten(), strict=True):
        pieces.append(_scalar(opening + _string_header(len(name.encode())) + name.encode()))
        pieces.extend(pack(values, item))
        opening = b""
    if not pieces:
        pieces = [pa.array([opening], pa.binary()).take(pa.nulls(len(column), pa.int64()).fill_null(0))]
    packed = join(pieces)
    return pc.if_else(column.is_valid(), packed, pa.scalar(None, pa.binary())) if column.null_count else packed


def _scalar(content: bytes) -> pa.Scalar:
    return pa.scalar(content, pa.binary())


@lru_cache(maxsize=4)
def _counting(count: int) -> pa.Array:
    return pa.array(range(count + 1), pa.int32())


@lru_cache(maxsize=1)
def _small_integers() -> pa.Array:
    return pa.array(map(_small_integer, range(_SMALLEST_IN_TABLE, _LARGEST_IN_TABLE + 1)), pa.binary())


def _small_integer(value: int) -> bytes:
    if -32 <= value < 128:
        return value.to_bytes(1, "big", signed=value < 0)
    if value >= 0:
        return b"\xcc" + value.to_bytes(1, "big") if value < 2**8 else b"\xcd" + value.to_bytes(2, "big")
    return b"\xd0" + value.to_bytes(1, "big", signed=True) if value >= -(2**7) else b"\xd1" + value.to_bytes(2, "big", signed=True)


@lru_cache(maxsize=1)
def _string_headers() -> pa.Array:
    return pa.array(map(_string_header, range(2**16)), pa.binary())


def _string_header(length: int) -> bytes:
    if length < 32:
        return bytes((0xA0 | length,))
    return b"\xd9" + length.to_bytes(1, "big") if length < 2**8 else b"\xda" + length.to_bytes(2, "big")


@lru_cache(maxsize=1)
def _bytes_headers() -> pa.Array:
    return pa.array((b"\xc4" + n.to_bytes(1, "big") if n < 2**8 else b"\xc5" + n.to_bytes(2, "big") for n in range(2**16)), pa.binary())


@lru_cache(maxsize=1)
def _list_headers() -> pa.Array:
    return pa.array((bytes((0x90 | n,)) if n < 16 else b"\xdc" + n.to_bytes(2, "big") for n in range(2**16)), pa.binary())


def _map_header(length: int) -> bytes:
    return bytes((0x80 | length,)) if length < 16 else b"\xde" + length.to_bytes(2, "big")
