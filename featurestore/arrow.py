"""Arrow types and value types are the same thing said twice; what a reader asked for decides where Arrow has several spellings.

Every Arrow type that holds the same values (large, view, dictionary-encoded, fixed-size) is one value type; each value type has
one Arrow type, which is what the codec and training data use.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    STRING,
    TIME,
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StringType,
    StructType,
    TimestampType,
    TimeType,
    ValueType,
)

_LONGEST_DECIMAL128 = 38


def arrow_type(value_type: ValueType) -> pa.DataType:
    """The Arrow type of a value type. Raises UnsupportedTypeError for one that is not resolved."""
    match value_type:
        case BooleanType():
            return pa.bool_()
        case IntegerType(bits, signed):
            return getattr(pa, f"{'' if signed else 'u'}int{bits}")()
        case FloatType(bits):
            return pa.float32() if bits == 32 else pa.float64()
        case DecimalType(precision, scale):
            return pa.decimal128(precision, scale) if precision <= _LONGEST_DECIMAL128 else pa.decimal256(precision, scale)
        case StringType():
            return pa.string()
        case BytesType():
            return pa.binary()
        case DateType():
            return pa.date32()
        case TimeType():
            return pa.time64("us")
        case TimestampType(utc):
            return pa.timestamp("us", "UTC" if utc else None)
        case ListType(item):
            return pa.list_(arrow_type(item))
        case StructType(fields):
            return pa.struct([(name, arrow_type(item)) for name, item in fields])
        case MapType(key, value):
            return pa.map_(arrow_type(key), arrow_type(value))
    raise UnsupportedTypeError(f"A column of type {value_type} has no Arrow type yet: declare its data_type, or build its model first.")


def value_type(data_type: pa.DataType) -> ValueType:
    """The value type of an Arrow type. Raises UnsupportedTypeError naming the type where there is none."""
    if isinstance(data_type, pa.BaseExtensionType):
        return _extension(data_type)
    if kinds.is_boolean(data_type):
        return BOOLEAN
    if kinds.is_integer(data_type):
        return IntegerType(data_type.bit_width, kinds.is_signed_integer(data_type))
    if kinds.is_floating(data_type):
        return FloatType(max(32, data_type.bit_width))
    if kinds.is_decimal(data_type):
        return DecimalType(data_type.precision, data_type.scale)
    if kinds.is_string(data_type) or kinds.is_large_string(data_type) or kinds.is_string_view(data_type):
        return STRING
    if _is_binary(data_type):
        return BYTES
    if kinds.is_date(data_type):
        return DATE
    if kinds.is_time(data_type):
        return TIME
    if kinds.is_timestamp(data_type):
        return TimestampType(utc=data_type.tz is not None)
    if kinds.is_dictionary(data_type):
        return value_type(data_type.value_type)
    return _nested(data_type)


def plain_type(data_type: pa.DataType) -> pa.DataType:
    """The same type, or what a column is read as that is of no value type and nobody declared: a number of any number of digits, as
    PostgreSQL's `avg` of integers is one, is floating point.
    """
    opaque = isinstance(data_type, pa.BaseExtensionType) and getattr(data_type, "type_name", "") == "numeric"
    return pa.float64() if opaque else data_type


def conformed(column: pa.Array, data_type: pa.DataType) -> pa.Array:
    """The same values in another Arrow type that holds them all. Raises pyarrow.ArrowInvalid where one does not fit."""
    if column.type.equals(data_type):
        return column
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if kinds.is_timestamp(column.type) and kinds.is_timestamp(data_type) and (column.type.tz is None) is not (data_type.tz is None):
        # A zone is how an instant is read, not which it is; Arrow's own cast would ask for one.
        column = column.cast(pa.timestamp(column.type.unit)).cast(pa.timestamp(data_type.unit))
    return column.cast(data_type)


def unboxed(boxes: pa.ListArray) -> pa.Array:
    """The first value of each list, or null where a list is empty."""
    starts = pc.if_else(pc.greater(pc.list_value_length(boxes), 0), boxes.offsets[:-1], None)
    return boxes.values.take(starts)


def _nested(data_type: pa.DataType) -> ValueType:
    if kinds.is_map(data_type):
        return MapType(value_type(data_type.key_type), value_type(data_type.item_type))
    if kinds.is_struct(data_type):
        return StructType(tuple((field.name, value_type(field.type)) for field in data_type.fields))
    if _is_list(data_type):
        return ListType(value_type(data_type.value_type))
    raise UnsupportedTypeError(f"A column of Arrow type {data_type} cannot be a feature or a key: cast it in the model.")


def _is_binary(data_type: pa.DataType) -> bool:
    return any(is_kind(data_type) for is_kind in (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view, kinds.is_fixed_size_binary))


def _is_list(data_type: pa.DataType) -> bool:
    list_kinds = (kinds.is_list, kinds.is_large_list, kinds.is_fixed_size_list, kinds.is_list_view, kinds.is_large_list_view)
    return any(is_kind(data_type) for is_kind in list_kinds)


def _extension(data_type: pa.BaseExtensionType) -> ValueType:
    """UUID and JSON are text, as the warehouses cast them; any other extension is what it is stored as."""
    if data_type.extension_name == "arrow.uuid":
        return STRING
    return value_type(data_type.storage_type)


def python_values(values: Sequence[Any], value_type: ValueType) -> Sequence[Any]:
    """Values as `pyarrow.array` takes them for the Arrow type of `value_type`: a map is a list of pairs there."""
    convert = _to_pairs(value_type)
    return values if convert is None else [None if value is None else convert(value) for value in values]


def _to_pairs(value_type: ValueType) -> Callable[[Any], Any] | None:
    match value_type:
        case ListType(item):
            return (lambda values: python_values(values, item)) if _to_pairs(item) else None
        case StructType(fields):
            if not any(_to_pairs(item) for _, item in fields):
                return None
            return lambda struct: {name: python_values([struct[name]], item)[0] for name, item in fields}
        case MapType(key, item):

            def pairs(mapping: Any) -> list[tuple[Any, Any]]:
                entries = list(mapping.items() if isinstance(mapping, dict) else mapping)
                keys = python_values([k for k, _ in entries], key)
                return list(zip(keys, python_values([v for _, v in entries], item), strict=True))

            return pairs
    return None
