"""Feature views, value types and values for the codec, the stores and serving: by hand and drawn at random."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from featurestore.arrow import arrow_type, python_values
from featurestore.codec.layout import RowSchema
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
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

CUSTOMER = (Column("customer_id", INT64),)
NOON = datetime(2024, 5, 1, 12)


def feature_view(
    name: str = "customer_orders",
    features: Mapping[str, ValueType] | None = None,
    *,
    join_keys: Sequence[Column] = CUSTOMER,
    entity: str = "customer",
    **more: Any,
) -> FeatureView:
    """A feature view with those features."""
    return FeatureView(
        name=name,
        unique_id=f"model.shop.{name}",
        path=f"models/{name}.sql",
        relation=Relation(name),
        entities=(Entity(entity, tuple(join_keys)),),
        event_timestamp=Column("event_timestamp", TIMESTAMP),
        features=tuple(Feature(feature, value_type) for feature, value_type in (features or {"orders_7d": INT64}).items()),
        **more,
    )


def batch_of(view: FeatureView, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """What the warehouse would answer for that view; `event_timestamp` is noon and `valid_to` null where a row does not say."""
    columns = {key.name: key.value_type for key in view.join_keys}
    columns |= {"event_timestamp": TIMESTAMP, "valid_to": TIMESTAMP}
    columns |= dict(RowSchema.of(view).fields)
    defaults = {"event_timestamp": NOON}
    arrays = []
    for name, value_type in columns.items():
        values = [row.get(name, defaults.get(name)) for row in rows]
        arrays.append(pa.array(python_values(values, value_type), arrow_type(value_type)))
    return pa.RecordBatch.from_arrays(arrays, names=list(columns))


def same(left: Any, right: Any) -> bool:
    """Equality that tells types, signs of zero and NaN apart."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return struct.pack(">d", left) == struct.pack(">d", right) or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[name], right[name]) for name in left)
    if isinstance(left, Decimal):
        return left.as_tuple() == right.as_tuple()
    return bool(left == right)


integers = st.sampled_from([IntegerType(bits, signed) for bits in (8, 16, 32, 64) for signed in (True, False)])
decimals = st.integers(1, 38).flatmap(lambda precision: st.integers(0, precision).map(lambda scale: DecimalType(precision, scale)))
plain_types: st.SearchStrategy[ValueType] = st.one_of(
    st.sampled_from([BOOLEAN, STRING, BYTES, DATE, TIME, TIMESTAMP, TIMESTAMP_UTC, FloatType(32), FloatType(64)]), integers, decimals
)
key_types: st.SearchStrategy[ValueType] = st.one_of(
    st.sampled_from([BOOLEAN, STRING, BYTES, DATE, TIMESTAMP, TIMESTAMP_UTC]), integers, decimals
)
field_names = st.text('abcé"<: ', min_size=1, max_size=6)


def _nested(inner: st.SearchStrategy[ValueType]) -> st.SearchStrategy[ValueType]:
    fields = st.lists(st.tuples(field_names, inner), min_size=1, max_size=3, unique_by=lambda field: field[0])
    return st.one_of(
        inner.map(ListType),
        fields.map(lambda pairs: StructType(tuple(pairs))),
        st.tuples(st.sampled_from([STRING, INT64, DATE]), inner).map(lambda pair: MapType(*pair)),
    )


value_types: st.SearchStrategy[ValueType] = st.recursive(plain_types, _nested, max_leaves=3)

texts = st.text(st.characters(codec="utf-8"), max_size=40)


def _edges(low: int, high: int) -> st.SearchStrategy[int]:
    """Integers of that range, often those at which a msgpack form begins or ends."""
    borders = [edge + step for bits in (5, 7, 8, 12, 15, 16, 31, 32, 63) for edge in (2**bits, -(2**bits)) for step in (-1, 0, 1)]
    return st.one_of(st.integers(low, high), st.sampled_from([n for n in (*borders, 0, low, high) if low <= n <= high]))


def values(value_type: ValueType, *, nulls: bool = True) -> st.SearchStrategy[Any]:
    """Values of that type as a reader gets them, null among them."""
    of_type = _of_type(value_type)
    return st.one_of(st.none(), of_type) if nulls else of_type


def _of_type(value_type: ValueType) -> st.SearchStrategy[Any]:
    match value_type:
        case BooleanType():
            return st.booleans()
        case IntegerType(bits, signed):
            return _edges(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else _edges(0, 2**bits - 1)
        case FloatType(bits):
            return st.floats(width=32 if bits == 32 else 64)
        case DecimalType(precision, scale):
            unscaled = _edges(-(10**precision) + 1, 10**precision - 1)
            return unscaled.map(lambda number: Decimal((int(number < 0), tuple(map(int, str(abs(number)))), -scale)))
        case StringType():
            return st.one_of(texts, st.sampled_from([31, 32, 255, 256, 2047, 2048, 65_535, 65_536]).map("x".__mul__))
        case BytesType():
            return st.one_of(st.binary(max_size=40), st.sampled_from([b"\xc0" * 255, b"\x00" * 256, b"\xff" * 65_535, b"\r\n" * 33_000]))
        case DateType():
            return st.dates()
        case TimeType():
            return st.times()
        case TimestampType(utc):
            return st.datetimes(timezones=st.just(timezone.utc)) if utc else st.datetimes()
        case ListType(item):
            return st.one_of(st.lists(values(item), max_size=3), values(item).map(lambda value: [value] * 16))
        case StructType(fields):
            return st.fixed_dictionaries({name: values(item) for name, item in fields})
        case MapType(key, value):
            return st.dictionaries(_of_type(key), values(value), max_size=3)
    raise AssertionError(value_type)


@st.composite
def views_and_rows(draw: st.DrawFn, types: st.SearchStrategy[ValueType] = value_types) -> tuple[FeatureView, list[dict[str, Any]]]:
    """A view and rows of it."""
    features = draw(st.dictionaries(field_names, types, min_size=1, max_size=4))
    view = feature_view(features={f"f_{name}": value_type for name, value_type in features.items()})
    row = st.fixed_dictionaries({feature.name: values(feature.value_type) for feature in view.features})
    rows = draw(st.lists(row, min_size=1, max_size=4))
    return view, [{"customer_id": number, **values} for number, values in enumerate(rows)]
