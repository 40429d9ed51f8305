"""Entity keys of whole Arrow columns: the same bytes as `featurestore.codec.keys` spells for one row at a time."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.registry.value_types import BooleanType, BytesType, DecimalType, IntegerType, StringType, TimestampType, ValueType

from .gather import binary_array, offsets_of
from .keys import ESCAPED
from .pack import decimal_text

_UNSAFE = "[" + "".join(f"\\x{ord(character):02x}" for character in ESCAPED) + "]"


def key_texts(columns: Sequence[pa.Array], value_types: Sequence[ValueType]) -> list[pa.BinaryArray]:
    """The spelling of each join key's values, without what stands around and between them."""
    if any(column.null_count for column in columns):
        raise ValueError("A null identifies no entity: rows with a null join key are left out before they are encoded.")
    return [_text(column, value_type).cast(pa.binary()) for column, value_type in zip(columns, value_types, strict=True)]


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
    ends = offsets_of(column)
    content = memoryview(column.buffers()[2] or b"")[ends[0].as_py() : ends[-1].as_py()]
    return binary_array(content.hex().encode(), pc.multiply(pc.subtract(ends, ends[0]), pa.scalar(2, pa.int32())))
