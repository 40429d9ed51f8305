"""The functions of windowed aggregations: of one column's values in the events of a window that ends when it is asked for.

A feature view of aggregations stands on an *event model*, one row per event. Its features are not columns: each is worked out at the
asked instant, from the events of the window up to it, and so goes down again when nothing happens.
"""

from __future__ import annotations

from datetime import timedelta
from enum import Enum

from featurestore.timestamps import duration_micros

from .value_types import (
    FLOAT64,
    INT64,
    UNRESOLVED,
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
    UnresolvedType,
    ValueType,
)

WIDEST_DECIMAL = 38
"""Digits of a sum of decimals."""

EXACT_FOR = timedelta(days=1)
"""How long after a materialization the online answer is exact, where a view does not say."""

_SHORT_UNITS = (("d", 86_400_000_000), ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1))
_NUMBERS = IntegerType | DecimalType | FloatType
_ORDERED = IntegerType | DecimalType | FloatType | StringType | DateType | TimeType | TimestampType
_COUNTED_ONCE = _ORDERED | BooleanType | BytesType
_ANY = _COUNTED_ONCE | ListType | StructType | MapType


class AggregateFunction(str, Enum):
    """What becomes of the values in a window. Null ones are left out by every function."""

    SUM = "sum"
    COUNT = "count"
    """How many values there are; without a column, how many events."""

    AVG = "avg"
    MIN = "min"
    MAX = "max"
    STDDEV = "stddev"
    """Of a sample: null of fewer than two values."""

    COUNT_DISTINCT = "count_distinct"
    LAST = "last"
    """The value of the newest event that has one: of the greatest timestamp, then the greatest created timestamp, then the greatest."""

    def result_type(self, column_type: ValueType | None) -> ValueType | None:
        """The type of its answer over a column of that type (None: over events). None where there can be no answer."""
        if column_type is None:
            return INT64 if self is AggregateFunction.COUNT else None
        if isinstance(column_type, UnresolvedType):
            return _FIXED.get(self, UNRESOLVED)
        if not isinstance(column_type, _TAKES[self]):
            return None
        if self in _FIXED:
            return _FIXED[self]
        return _sum_type(column_type) if self is AggregateFunction.SUM else column_type


_FIXED = {
    AggregateFunction.COUNT: INT64,
    AggregateFunction.COUNT_DISTINCT: INT64,
    AggregateFunction.AVG: FLOAT64,
    AggregateFunction.STDDEV: FLOAT64,
}
_TAKES = {
    AggregateFunction.SUM: _NUMBERS,
    AggregateFunction.AVG: _NUMBERS,
    AggregateFunction.STDDEV: _NUMBERS,
    AggregateFunction.MIN: _ORDERED,
    AggregateFunction.MAX: _ORDERED,
    AggregateFunction.COUNT_DISTINCT: _COUNTED_ONCE,
    AggregateFunction.COUNT: _ANY,
    AggregateFunction.LAST: _ANY,
}


def _sum_type(column_type: ValueType) -> ValueType:
    if isinstance(column_type, DecimalType):
        return DecimalType(WIDEST_DECIMAL, column_type.scale)
    return INT64 if isinstance(column_type, IntegerType) else FLOAT64


def window_name(window: timedelta) -> str:
    """`7d`, `90m`: the window in the greatest unit that says it as a whole number; weeks in days."""
    micros = duration_micros(window)
    unit, size = next((unit, size) for unit, size in _SHORT_UNITS if micros % size == 0)
    return f"{micros // size}{unit}"


def feature_name(name: str | None, function: AggregateFunction, window: timedelta) -> str:
    """`amount_sum_7d`: what an aggregation's feature is called. Args: name: its own name or that of its column; None for events."""
    return "_".join(part for part in (name, function.value, window_name(window)) if part)
