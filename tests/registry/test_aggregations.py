"""What an aggregation's feature is called, and of what type it is."""

from __future__ import annotations

from datetime import timedelta

import pytest

from featurestore.registry.aggregations import AggregateFunction, feature_name, window_name
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    UNRESOLVED,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    ValueType,
)


@pytest.mark.parametrize(
    ("window", "name"),
    [
        (timedelta(hours=1), "1h"),
        (timedelta(days=7), "7d"),
        (timedelta(weeks=2), "14d"),
        (timedelta(hours=24), "1d"),
        (timedelta(hours=36), "36h"),
        (timedelta(minutes=90), "90m"),
        (timedelta(seconds=45), "45s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(microseconds=7), "7us"),
    ],
)
def test_a_window_is_named_in_its_greatest_whole_unit(window: timedelta, name: str) -> None:
    assert window_name(window) == name
    assert feature_name("amount", AggregateFunction.SUM, window) == f"amount_sum_{name}"
    assert feature_name(None, AggregateFunction.COUNT, window) == f"count_{name}"


@pytest.mark.parametrize(
    ("function", "column", "answer"),
    [
        ("count", None, INT64),
        ("sum", None, None),
        ("count", ListType(INT64), INT64),
        ("count_distinct", BOOLEAN, INT64),
        ("count_distinct", ListType(INT64), None),
        ("sum", IntegerType(16), INT64),
        ("sum", DecimalType(10, 4), DecimalType(38, 4)),
        ("sum", FloatType(32), FLOAT64),
        ("sum", STRING, None),
        ("avg", DecimalType(10, 4), FLOAT64),
        ("avg", DATE, None),
        ("stddev", INT64, FLOAT64),
        ("min", IntegerType(16), IntegerType(16)),
        ("max", TIMESTAMP, TIMESTAMP),
        ("max", BOOLEAN, None),
        ("max", BYTES, None),
        ("last", ListType(STRING), ListType(STRING)),
        ("sum", UNRESOLVED, UNRESOLVED),
        ("avg", UNRESOLVED, FLOAT64),
    ],
)
def test_a_function_answers_by_the_type_of_its_column(function: str, column: ValueType | None, answer: ValueType | None) -> None:
    assert AggregateFunction(function).result_type(column) == answer
