"""What type of a warehouse's own a column of a value type has, where we create the table: the other way of `types.py`."""

from __future__ import annotations

from sqlglot import exp

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    TimeType,
    ValueType,
)

from .dialects import Dialect
from .expressions import text_type
from .instants import timestamp_type

_NUMERIC_SCALE = 9
"""The greatest scale of BigQuery's NUMERIC; what has more is a BIGNUMERIC."""

_INTEGERS = {8: exp.DType.SMALLINT, 16: exp.DType.SMALLINT, 32: exp.DType.INT, 64: exp.DType.BIGINT}
"""No TINYINT: it has a sign in one warehouse, none in another, and is missing in a third."""


def column_type(value_type: ValueType, dialect: Dialect) -> exp.DataType:
    """The type of a column that holds such values. Raises UnsupportedTypeError for nested ones, which no literal carries everywhere."""
    match value_type:
        case BooleanType():
            return exp.DataType(this=exp.DType.BOOLEAN)
        case IntegerType(64, False):
            return _decimal(20, 0, dialect)
        case IntegerType(bits, signed):
            return exp.DataType(this=_INTEGERS[bits if signed else 2 * bits])
        case FloatType():
            return exp.DataType(this=exp.DType.DOUBLE)
        case DecimalType(precision, scale):
            return _decimal(precision, scale, dialect)
        case StringType():
            return text_type(dialect).copy()
        case BytesType():
            return exp.DataType.build(dialect.binary, dialect=dialect.name)
        case DateType():
            return exp.DataType(this=exp.DType.DATE)
        case TimeType():
            return exp.DataType.build(dialect.time, dialect=dialect.name)
        case TimestampType():
            return timestamp_type(dialect).copy()
    raise UnsupportedTypeError(
        f"a column of type {value_type} cannot be sent to {dialect.name}. Leave it out, or put the rows into a table there and name that."
    )


def _decimal(precision: int, scale: int, dialect: Dialect) -> exp.DataType:
    if dialect.name == "bigquery" and (scale > _NUMERIC_SCALE or precision - scale > 38 - _NUMERIC_SCALE):
        return exp.DataType.build(f"BIGNUMERIC({precision}, {scale})", dialect="bigquery")
    return exp.DataType(
        this=exp.DType.DECIMAL, expressions=[exp.DataTypeParam(this=exp.Literal.number(part)) for part in (precision, scale)]
    )
