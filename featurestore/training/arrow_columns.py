"""How a column of the spine travels into the warehouse, which keeps values and not spellings: a category is text there, a zone is UTC."""

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
