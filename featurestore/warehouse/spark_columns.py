"""The types of Spark's columns as value types, and how columns that come from elsewhere are stored so that Spark reads them exactly."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.types as kinds

from featurestore.arrow import value_type
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED

_SIGNED = {pa.uint8(): pa.int16(), pa.uint16(): pa.int32(), pa.uint32(): pa.int64(), pa.uint64(): pa.decimal128(20, 0)}
"""Spark has signed numbers only; the next wider one holds each."""


def columns_of(schema: Any) -> tuple[Column, ...]:
    """The columns of a Spark schema; one of a type that no feature can have is `UNRESOLVED`."""
    return tuple(_column(field) for field in schema.fields)


def _column(field: Any) -> Column:
    from pyspark.errors import PySparkException
    from pyspark.sql.pandas.types import to_arrow_type

    try:
        return Column(field.name, value_type(to_arrow_type(field.dataType, timezone="UTC")))
    except (UnsupportedTypeError, PySparkException):
        return Column(field.name, UNRESOLVED)


def stored_as(data_type: pa.DataType) -> pa.DataType:
    """The Arrow type whose values Spark reads exactly from Parquet; of instants, the microsecond that they fall into."""
    if data_type in _SIGNED:
        return _SIGNED[data_type]
    if kinds.is_timestamp(data_type):
        return pa.timestamp("us", data_type.tz)
    if kinds.is_time(data_type):
        return pa.time64("us")
    if kinds.is_large_string(data_type) or kinds.is_string_view(data_type):
        return pa.string()
    if kinds.is_large_binary(data_type) or kinds.is_binary_view(data_type) or kinds.is_fixed_size_binary(data_type):
        return pa.binary()
    if kinds.is_map(data_type):
        return pa.map_(stored_as(data_type.key_type), stored_as(data_type.item_type))
    if kinds.is_struct(data_type):
        return pa.struct([field.with_type(stored_as(field.type)) for field in data_type.fields])
    if kinds.is_list(data_type) or kinds.is_large_list(data_type) or kinds.is_fixed_size_list(data_type):
        return pa.list_(stored_as(data_type.value_type))
    return data_type
