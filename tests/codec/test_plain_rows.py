"""Rows of plain values are, byte for byte, what the same values are as Arrow columns; what is not of its type is refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import codec_cases as cases
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import encode_keys, key_space
from featurestore.codec.layout import RowSchema
from featurestore.codec.rows import PlainRows, row_bytes
from featurestore.codec.values import WrongValue, storing
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
    ValueType,
)
from featurestore.timestamps import to_micros

FLOAT32 = FloatType(32)


def plain_row(view, row: Mapping[str, Any], event_time: datetime, sequence: int) -> tuple[bytes, bytes]:
    """The key and the bytes of one row, without Arrow."""
    features = [None if row[feature.name] is None else storing(feature.value_type)(row[feature.name]) for feature in view.features]
    (key,) = encode_keys(view.join_keys, [[row[key.name]] for key in view.join_keys])
    schema_id = RowSchema.of(view).schema_id
    return key_space("shop", view).key(key.encode()), row_bytes(to_micros(event_time), sequence, schema_id, features)


def unmixed(value: Any) -> Any:
    """Arrow has one not-a-number; Python's may carry anything."""
    if isinstance(value, float) and math.isnan(value):
        return math.nan
    if isinstance(value, list):
        return [unmixed(item) for item in value]
    return {name: unmixed(item) for name, item in value.items()} if isinstance(value, dict) else value


@settings(max_examples=300, deadline=None)
@given(cases.views_and_rows(), st.datetimes(), st.integers(0, 2**32 - 1))
def test_plain_values_are_the_bytes_of_arrow_columns(case, event_time, sequence):
    view, rows = case
    rows = [unmixed(row) for row in rows]
    batch = cases.batch_of(view, [{"event_timestamp": event_time, **row} for row in rows])
    encoded = RowEncoder("shop", view, sequence).encode(batch)
    assert [plain_row(view, row, event_time, sequence) for row in rows] == list(encoded.pairs())


@settings(max_examples=150, deadline=None)
@given(st.data(), cases.key_types)
def test_keys_of_plain_values_are_the_keys_of_arrow_columns(data, value_type):
    key = cases.Column("thing", value_type)
    view = cases.feature_view(join_keys=[key], entity="thing")
    value = data.draw(cases.values(value_type, nulls=False))
    storing(value_type)(value)
    ((arrow_key, _),) = RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"thing": value, "orders_7d": 1}])).pairs()
    assert plain_row(view, {"thing": value, "orders_7d": 1}, cases.NOON, 1)[0] == arrow_key


def test_bulk_strings_are_the_pairs_with_their_lengths():
    rows = PlainRows([(b"a", b"row"), (b"bb", b""), (b"c", b"x" * 300)])
    assert bytes(rows.bulk_keys(0, 2)) == b"$1\r\na\r\n$2\r\nbb\r\n"
    assert bytes(rows.bulk_rows(1, 3)) == b"$0\r\n\r\n$300\r\n" + b"x" * 300 + b"\r\n"
    assert (len(rows), next(rows.pairs())) == (3, (b"a", b"row"))


ADDRESS = StructType((("city", STRING), ("lat", FLOAT64)))
TAKEN: list[tuple[ValueType, Any, Any]] = [
    (INT64, np.int64(7), 7),
    (IntegerType(8), -128, -128),
    (FLOAT64, 3, 3.0),
    (FLOAT64, np.float32(0.5), 0.5),
    (BOOLEAN, np.bool_(True), True),
    (STRING, UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (BYTES, bytearray(b"ab"), b"ab"),
    (DecimalType(5, 2), Decimal("-0.0"), "0.00"),
    (DecimalType(5, 2), Decimal("1.5000"), "1.50"),
    (DecimalType(5, -2), 1200, "1200"),
    (DecimalType(5, -2), 0, "0"),
    (TIMESTAMP, date(1970, 1, 2), 86_400_000_000),
    (TIMESTAMP, datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))), 0),
    (TIMESTAMP_UTC, datetime(1970, 1, 1), 0),
    (ListType(INT64), np.array([1, 2]), [1, 2]),
    (MapType(DATE, INT64), [(date(1970, 1, 2), None)], [[1, None]]),
]


@pytest.mark.parametrize(("value_type", "value", "stored"), TAKEN, ids=str)
def test_other_spellings_of_the_same_value_are_taken(value_type, value, stored):
    assert storing(value_type)(value) == stored


REFUSED: list[tuple[ValueType, Any, str]] = [
    (INT64, True, "must be a whole number"),
    (INT64, 1.0, "must be a whole number"),
    (INT64, "1", "must be a whole number"),
    (INT64, 2**63, "must be from -9223372036854775808 to 9223372036854775807"),
    (IntegerType(8, signed=False), -1, "must be from 0 to 255"),
    (FLOAT64, "1.5", "must be a number"),
    (FLOAT64, True, "must be a number"),
    (FLOAT64, Decimal("1.5"), "must be a number"),
    (FLOAT64, 2**53 + 1, "float64 holds exactly"),
    (FLOAT32, 1e39, "float32 can hold"),
    (FLOAT32, 2**24 + 1, "float32 holds exactly"),
    (DecimalType(5, 2), Decimal("0.001"), "at most 2 digits after the point"),
    (DecimalType(5, 2), Decimal("1000"), "at most 3 digits before the point"),
    (DecimalType(5, 2), Decimal("NaN"), "digits before the point"),
    (DecimalType(5, 2), 1.5, "must be a Decimal"),
    (STRING, 7, "must be text"),
    (STRING, b"a", "must be text"),
    (STRING, "\ud800", "valid Unicode"),
    (BYTES, "a", "must be bytes"),
    (BOOLEAN, 1, "must be true or false"),
    (DATE, datetime(2024, 5, 1), "must be a date"),
    (TIME, time(1, tzinfo=timezone.utc), "without a zone"),
    (TIMESTAMP, "2024-05-01", "must be an instant"),
    (TIMESTAMP, datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2))), "years 1 to 9999"),
    (TIMESTAMP, np.datetime64("2024-05-01T00:00:00.000000001", "ns"), "must be an instant"),
    (ListType(INT64), "12", "must be a list"),
    (ListType(INT64), [1, None, "2"], r"at \[2\] must be a whole number"),
    (ListType(FLOAT32), [1.0, 1e39], r"at \[1\] must be a number that a float32 can hold"),
    (ADDRESS, {"city": "Rome"}, "exactly the fields 'city', 'lat'"),
    (ADDRESS, {"city": "Rome", "lat": 1.0, "lon": 2.0}, "exactly the fields"),
    (ListType(ADDRESS), [{"city": "Rome", "lat": "north"}], r"at \[0\].lat must be a number"),
    (MapType(STRING, INT64), {"a": 1.5}, r"at \['a'\] must be a whole number"),
    (MapType(STRING, INT64), [(None, 1)], "without a null key"),
]


@pytest.mark.parametrize(("value_type", "value", "why"), REFUSED, ids=str)
def test_what_is_not_of_its_type_is_refused(value_type, value, why):
    with pytest.raises(WrongValue) as refused:
        storing(value_type)(value)
    assert refused.match(why)
