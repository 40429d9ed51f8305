"""How a column of the spine travels through the warehouse and comes back as it was.

The warehouse keeps values, not spellings: a category comes back as text, a zone as UTC, nanoseconds of a zoned timestamp not at all.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds


def travelling(data_type: pa.DataType) -> pa.DataType:
    """The Arrow type whose values the warehouse keeps exactly."""
    if isinstance(data_type, pa.BaseExtensionType):
        return travelling(data_type.storage_type)
    if kinds.is_dictionary(data_type):
        return travelling(data_type.value_type)
    if kinds.is_null(data_type):
        return pa.string()
    if kinds.is_duration(data_type):
        return pa.int64()
    if kinds.is_float16(data_type):
        return pa.float32()
    if kinds.is_timestamp(data_type) and data_type.tz is not None:
        # What is stored is UTC already. Without its zone the warehouse keeps nanoseconds as well.
        return pa.timestamp(data_type.unit)
    return data_type


def given_back(column: pa.Array, data_type: pa.DataType) -> pa.Array:
    """A column that travelled, in the type it had before."""
    if column.type == data_type:
        return column
    if kinds.is_null(data_type):
        return pa.nulls(len(column))
    if isinstance(data_type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(data_type, given_back(column, data_type.storage_type))
    if kinds.is_dictionary(data_type):
        return given_back(column, data_type.value_type).dictionary_encode().cast(data_type)
    if kinds.is_timestamp(data_type) and data_type.tz is not None:
        return column.cast(pa.timestamp(data_type.unit)).cast(data_type)
    return column.cast(data_type)
