"""Entity keys of whole Arrow columns: the same bytes as `featurestore.codec.keys` spells for one row at a time."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.registry.value_types import BooleanType, BytesType, DecimalType, IntegerType, StringType, TimestampType, ValueType

from .keys import ESCAPED
from .pack import Piece, binary_array, decimal_text

_UNSAFE = "[" + "".join(f"\\x{ord(character):02x}" for character in ESCAPED) + "]"


def pack_keys(columns: list[pa.Array], value_types: list[ValueType]) -> list[Piece]:
    """The pieces of the entity keys, without what their key space puts around them."""
    pieces: list[Piece] = []
    for column, value_type in zip(columns, value_types, strict=True):
        if column.null_count:
            raise ValueError("A null identifies no entity: rows with a null join key are left out before they are encoded.")
        if pieces:
            pieces.append(pa.scalar(b",", pa.binary()))
        pieces.append(_text(column, value_type).cast(pa.binary()))
    return pieces


def _text(column: pa.Array, value_type: ValueType) -> pa.Array:
    match value_type:
        case IntegerType() | BooleanType():
            return column.cast(pa.string())
        case TimestampType():
            return column.view(pa.int64()).cast(pa.string())
        case DecimalType(_, scale):
            return decimal_text(column, scale)
        case StringType():
            return _escaped(column)
        case BytesType():
            return _hex(column)
    return column.cast(pa.string())


def _escaped(column: pa.Array) -> pa.Array:
    if not pc.any(pc.match_substring_regex(column, _UNSAFE)).as_py():
        return column
    for character in ("%", *(other for other in ESCAPED if other != "%")):
        column = pc.replace_substring(column, character, f"%{ord(character):02X}")
    return column


def _hex(column: pa.Array) -> pa.Array:
    ends = pa.Array.from_buffers(pa.int32(), len(column) + 1, [None, column.buffers()[1]], offset=column.offset)
    first = ends[0]
    content = bytes(memoryview(column.buffers()[2] or b"")[first.as_py() : ends[-1].as_py()]).hex().encode()
    return binary_array(content, pc.multiply(pc.subtract(ends, first), pa.scalar(2, pa.int32())))
