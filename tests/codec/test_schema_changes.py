"""Rows outlive the declaration they were written under; readers of either age keep working."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal

import codec_cases as cases
import pytest

from featurestore.codec.decode import RowDecoder, UnknownSchemas
from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import RowSchema
from featurestore.errors import OnlineStoreError
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
)


def written(features, row):
    view = cases.feature_view(features=features)
    ((_, encoded),) = RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"customer_id": 1, **row}])).pairs()
    return RowSchema.of(view), encoded


def read(features, *written_rows):
    view = cases.feature_view(features=features)
    decoder = RowDecoder(view.name, view.features)
    for schema, _ in written_rows:
        decoder.learn(RowSchema.from_document(view.name, schema.to_document()))
    return [list(column) for column in decoder.decode([row for _, row in written_rows]).columns]


CITY = StructType((("name", STRING), ("since", DATE)))
NEWER_CITY = StructType((("since", DATE), ("size", INT64)))
INT32, FLOAT32 = IntegerType(32), FloatType(32)


@pytest.mark.parametrize(
    ("was", "value", "became", "expected"),
    [
        (INT32, 7, INT64, 7),
        (INT64, 7, FLOAT64, 7.0),
        (INT64, 7, DecimalType(10, 2), Decimal("7.00")),
        (FLOAT32, 0.5, FLOAT64, 0.5),
        (DecimalType(10, 2), Decimal("1.25"), DecimalType(12, 4), Decimal("1.2500")),
        (DecimalType(10, 2), Decimal("1.25"), FLOAT64, 1.25),
        (DATE, date(2024, 5, 1), TIMESTAMP, datetime(2024, 5, 1)),
        (TIMESTAMP, datetime(2024, 5, 1), TIMESTAMP_UTC, datetime(2024, 5, 1, tzinfo=timezone.utc)),
        (ListType(INT32), [1, None], ListType(FLOAT64), [1.0, None]),
        (CITY, {"name": "Riga", "since": date(2024, 5, 1)}, NEWER_CITY, {"since": date(2024, 5, 1), "size": None}),
        (MapType(STRING, INT64), {"a": 1, "b": None}, MapType(STRING, FLOAT64), {"a": 1.0, "b": None}),
    ],
)  # fmt: skip
def test_a_widened_value_reads_in_its_new_type(was, value, became, expected):
    ((answer,),) = read({"f": became}, written({"f": was}, {"f": value}))
    assert cases.same(answer, expected)


@pytest.mark.parametrize(
    ("was", "value", "became"),
    [
        (INT64, 2**40, INT32),
        (INT64, -1, IntegerType(64, signed=False)),
        (INT64, 1000, DecimalType(4, 2)),
        (DecimalType(10, 2), Decimal("1.25"), DecimalType(10, 1)),
        (STRING, "7", INT64),
        (INT64, 7, STRING),
        (FLOAT64, 7.0, INT64),
        (STRING, "7", BYTES),
        (BOOLEAN, True, INT64),
        (TIMESTAMP, datetime(2024, 5, 1), DATE),
        (INT64, 7, ListType(INT64)),
        (ListType(STRING), ["7"], StructType((("a", STRING),))),
    ],
)
def test_a_value_that_the_new_type_cannot_hold_reads_as_null(was, value, became):
    assert read({"f": became}, written({"f": was}, {"f": value})) == [[None]]


@pytest.mark.parametrize(("value_type", "value"), [(INT32, 7), (DecimalType(4, 2), Decimal("9.50")), (DecimalType(10, 1), Decimal("1.5"))])
def test_a_value_that_fits_the_narrower_type_still_reads(value_type, value):
    wide = INT64 if isinstance(value_type, IntegerType) else DecimalType(20, 5)
    ((answer,),) = read({"f": value_type}, written({"f": wide}, {"f": value}))
    assert cases.same(answer, value)


def test_rows_of_before_and_after_a_change_read_side_by_side():
    old = written({"orders": INT64, "city": STRING}, {"orders": 1, "city": "Riga"})
    new = written({"city": STRING, "spent": FLOAT64}, {"city": "Oslo", "spent": 2.5})
    assert read({"city": STRING, "spent": FLOAT64}, old, new, old) == [["Riga", "Oslo", "Riga"], [None, 2.5, None]]
    assert read({"orders": INT64}, new, old) == [[None, 1]]


def test_a_feature_that_is_added_reads_as_null_until_it_is_written():
    assert read({"orders": INT64, "spent": FLOAT64}, written({"orders": INT64}, {"orders": 1})) == [[1], [None]]


def test_an_unknown_schema_is_told_by_its_id():
    schema, row = written({"orders": INT64}, {"orders": 1})
    decoder = RowDecoder("customer_orders", ())
    with pytest.raises(UnknownSchemas) as caught:
        decoder.decode([row])
    assert caught.value.schema_ids == {schema.schema_id}


@pytest.mark.parametrize("junk", [b"", b"junk", b"\xdc\x00\x01\x01", b"\x93\x01\x02\x03", b"\xdc\x00\x05\xd3"])
def test_bytes_that_are_no_row_are_an_error_that_names_the_view(junk):
    decoder = RowDecoder("customer_orders", ())
    with pytest.raises(OnlineStoreError, match="'customer_orders'"):
        decoder.decode([junk])


def test_a_schema_is_known_by_the_hash_of_its_names_and_types():
    schema = RowSchema("a", (("orders", INT64), ("spent", DecimalType(10, 2))))
    assert json.loads(schema.to_document()) == {"fields": [["orders", "int64"], ["spent", "decimal(10, 2)"]], "format": 1}
    assert RowSchema.from_document("a", schema.to_document()) == schema
    others = [(("spent", DecimalType(10, 2)), ("orders", INT64)), (("orders", INT64),), (("orders", INT32), ("spent", DecimalType(10, 2)))]
    assert len({schema.schema_id, *(RowSchema("a", fields).schema_id for fields in others)}) == 4
    assert schema.document_name == f"schema/a/{schema.schema_id:08x}"


def test_a_schema_of_a_later_format_says_to_update():
    with pytest.raises(OnlineStoreError, match=r"format 2, this version reads 1\. Update"):
        RowSchema.from_document("orders", b'{"fields":[],"format":2}')
