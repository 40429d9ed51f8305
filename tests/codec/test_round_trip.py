"""What is encoded from Arrow is what is decoded without it, for every type."""

from __future__ import annotations

from datetime import datetime, timedelta

import codec_cases as cases
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.codec.decode import RowDecoder
from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import RowSchema, row_version
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import BOOLEAN, FLOAT64, INT64, STRING, DecimalType, FloatType, ListType
from featurestore.timestamps import to_micros


def decoded_columns(view, rows):
    decoder = RowDecoder(view.name, view.features)
    decoder.learn(RowSchema.of(view))
    return decoder.decode(rows)


@settings(max_examples=150, deadline=None)
@given(cases.views_and_rows(), st.data())
def test_every_value_comes_back_as_it_was(case, data):
    view, rows = case
    batch = cases.batch_of(view, rows)
    start = data.draw(st.integers(0, len(rows) - 1))
    encoded = RowEncoder("shop", view, 1).encode(batch.slice(start))

    columns = decoded_columns(view, [row for _, row in encoded.pairs()]).columns

    for feature, column in zip(view.features, columns, strict=True):
        expected = [row[feature.name] for row in rows[start:]]
        assert all(map(cases.same, expected, column)), (feature, expected, list(column))


@settings(max_examples=40, deadline=None)
@given(cases.views_and_rows())
def test_the_same_row_is_always_the_same_bytes(case):
    view, rows = case
    encoder = RowEncoder("shop", view, 1)
    together = list(encoder.encode(cases.batch_of(view, rows)).pairs())
    alone = [pair for row in rows for pair in encoder.encode(cases.batch_of(view, [row])).pairs()]
    assert together == alone


@settings(max_examples=100, deadline=None)
@given(cases.views_and_rows(cases.plain_types), st.data())
def test_bulk_strings_are_the_pairs_with_their_lengths(case, data):
    view, rows = case
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows))
    start = data.draw(st.integers(0, len(rows)))
    stop = data.draw(st.integers(start, len(rows)))
    pairs = list(encoded.pairs())[start:stop]
    assert bytes(encoded.bulk_keys(start, stop)) == b"".join(b"$%d\r\n%s\r\n" % (len(key), key) for key, _ in pairs)
    assert bytes(encoded.bulk_rows(start, stop)) == b"".join(b"$%d\r\n%s\r\n" % (len(row), row) for _, row in pairs)


@given(st.datetimes(), st.integers(0, 2**32 - 1), st.one_of(st.none(), st.datetimes()))
def test_event_time_and_run_stand_at_fixed_offsets(event_time, sequence, valid_to):
    view = cases.feature_view()
    batch = cases.batch_of(view, [{"customer_id": 1, "event_timestamp": event_time, "valid_to": valid_to, "orders_7d": 3}])
    ((_, row),) = RowEncoder("shop", view, sequence).encode(batch).pairs()

    assert row_version(row) == (to_micros(event_time), sequence)
    assert int.from_bytes(row[4:12], "big", signed=True) == to_micros(event_time)
    assert int.from_bytes(row[18:22], "big") == RowSchema.of(view).schema_id
    assert msgspec.msgpack.decode(row) == [
        to_micros(event_time),
        sequence,
        RowSchema.of(view).schema_id,
        None if valid_to is None else to_micros(valid_to),
        3,
    ]


def test_integers_take_their_shortest_form():
    view = cases.feature_view()
    numbers = [0, 127, 128, 255, 256, 4095, 4096, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1]
    numbers += [-1, -32, -33, -128, -129, -(2**15), -(2**15) - 1, -(2**31), -(2**31) - 1, -(2**63), None]
    rows = [{"customer_id": number, "orders_7d": value} for number, value in enumerate(numbers)]
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows)).pairs()
    assert [row[23:] for _, row in encoded] == [msgspec.msgpack.encode(number) for number in numbers]


def test_an_empty_batch_is_no_rows():
    view = cases.feature_view(features={"orders_7d": INT64, "names": ListType(STRING)})
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, []))
    assert len(encoded) == 0
    assert list(encoded.pairs()) == []


def test_a_column_of_only_nulls_reads_as_nulls():
    features = {"a": INT64, "b": STRING, "c": FLOAT64, "d": BOOLEAN, "e": ListType(FloatType(32)), "f": DecimalType(38, 20)}
    view = cases.feature_view(features=features)
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"customer_id": 1}, {"customer_id": 2}]))
    rows = [row for _, row in encoded.pairs()]
    assert [list(column) for column in decoded_columns(view, rows).columns] == [[None, None]] * 6


def test_an_embedding_of_thousands_of_numbers_comes_back():
    view = cases.feature_view(features={"embedding": ListType(FloatType(32)), "tokens": ListType(STRING)})
    rows = [
        {"customer_id": n, "embedding": [float(i) for i in range(size)], "tokens": ["é"] * size} for n, size in enumerate((0, 1536, 70_000))
    ]
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows))
    columns = decoded_columns(view, [row for _, row in encoded.pairs()]).columns
    assert [columns[0], columns[1]] == [[row["embedding"] for row in rows], [row["tokens"] for row in rows]]


def test_a_batch_of_any_size_is_encoded_in_parts():
    view = cases.feature_view(features={"orders_7d": INT64, "note": STRING})
    rows = [{"customer_id": number, "orders_7d": number, "note": "x" * 2000} for number in range(20_000)]
    encoder = RowEncoder("shop", view, 1)
    parts = list(encoder.parts(cases.batch_of(view, rows)))
    assert len(parts) > 2
    assert list(encoder.parts(cases.batch_of(view, []))) == []
    whole = [row for part in parts for _, row in encoder.encode(part).pairs()]
    assert list(decoded_columns(view, whole).columns[0]) == list(range(20_000))


def test_values_that_are_not_of_the_declared_type_are_named():
    declared = cases.feature_view(features={"orders_7d": FloatType(64)})
    narrower = cases.feature_view(features={"orders_7d": INT64})
    batch = cases.batch_of(declared, [{"customer_id": 1, "orders_7d": 1.5}])
    with pytest.raises(UnsupportedTypeError, match="'orders_7d' is declared as int64, but the warehouse's double values"):
        RowEncoder("shop", narrower, 1).encode(batch)


def test_a_null_join_key_is_refused():
    view = cases.feature_view()
    with pytest.raises(ValueError, match="null identifies no entity"):
        RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"customer_id": None}]))


def test_instants_of_other_precision_and_zone_are_converted():
    import pyarrow as pa

    view = cases.feature_view()
    moment = datetime(2024, 5, 1, 12, 30) + timedelta(microseconds=7)
    batch = cases.batch_of(view, [{"customer_id": 1, "orders_7d": 1, "event_timestamp": moment}])
    zoned = batch.set_column(1, "event_timestamp", batch.column(1).cast(pa.timestamp("ns")).cast(pa.timestamp("ns", "UTC")))
    assert list(RowEncoder("shop", view, 1).encode(zoned).pairs()) == list(RowEncoder("shop", view, 1).encode(batch).pairs())
