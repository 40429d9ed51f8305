"""The written format, byte for byte. A difference here is a change of the public format: it needs a new format number."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import codec_cases as cases
import pytest

from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import RowSchema
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Feature
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
)
from featurestore.timestamps import to_micros

GOLDEN = Path(__file__).parent / "format_1.txt"
GOLDEN_AGGREGATIONS = GOLDEN.with_name("format_1_aggregations.txt")

EXAMPLES = (
    (BOOLEAN, True),
    (BOOLEAN, False),
    (INT64, None),
    *((INT64, number) for number in (0, 127, 128, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1)),
    *((INT64, number) for number in (-1, -32, -33, -128, -129, -32_768, -32_769, -(2**31), -(2**31) - 1, -(2**63))),
    (IntegerType(64, signed=False), 2**64 - 1),
    *((FLOAT64, number) for number in (0.0, -0.0, 1.5, float("inf"), float("-inf"), float("nan"))),
    (FloatType(32), 1.5),
    (DecimalType(10, 2), Decimal("-1234.50")),
    (DecimalType(38, 20), Decimal("0.00000000000000000001")),
    (STRING, ""),
    (STRING, "Rīga"),
    (STRING, "x" * 32),
    (BYTES, b"\x00\xff"),
    (DATE, date(1969, 12, 31)),
    (DATE, date(9999, 12, 31)),
    (TIME, time(23, 59, 59, 999_999)),
    (TIMESTAMP, datetime(2024, 5, 1, 12, 0, 0, 1)),
    (TIMESTAMP_UTC, datetime(1969, 12, 31, 23, 59, 59, tzinfo=timezone.utc)),
    (ListType(FloatType(32)), [0.5, None]),
    (ListType(STRING), ["a"] * 16),
    (StructType((("city", STRING), ("zip", INT64))), {"city": "Riga", "zip": None}),
    (MapType(STRING, INT64), {"a": 1, "b": None}),
)


def test_the_bytes_of_format_1_never_change():
    lines = []
    for value_type, value in EXAMPLES:
        view = cases.feature_view(features={"f": value_type})
        ((_, row),) = RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"customer_id": 1, "f": value}])).pairs()
        lines.append(f"{value_type}: {value!r}: {row[23:].hex()}")
    pair = (Column("day", DATE), Column("merchant", STRING))
    view = cases.feature_view("merchant_orders", {"orders_7d": INT64, "spent": DecimalType(10, 2)}, join_keys=pair, entity="merchant_day")
    whole = {"merchant": "a,b", "day": date(2024, 5, 1), "event_timestamp": datetime(2024, 5, 1), "orders_7d": 3, "spent": Decimal("9.90")}
    rows = [whole, {**whole, "event_timestamp": datetime(1969, 12, 31, 23, 59, 59), "valid_to": datetime(2024, 6, 1), "spent": None}]
    for key, row in RowEncoder("shop", view, 258).encode(cases.batch_of(view, rows)).pairs():
        lines += [f"key: {key.decode()}", f"row: {row.hex()}"]
    schema = RowSchema.of(view)
    lines += [f"schema: {schema.document_name}: {schema.to_document().decode()}"]

    assert "\n".join(lines) + "\n" == GOLDEN.read_text(encoding="utf-8")


def test_the_bytes_of_a_row_of_aggregations_never_change():
    """Two payments in the last hour, one of which leaves the hour after a quarter of it; both leave the day within it."""
    hour, day, noon = timedelta(hours=1), timedelta(days=1), cases.NOON.replace(tzinfo=timezone.utc)
    amount, count = Column("amount", DecimalType(10, 2)), AggregateFunction.COUNT
    features = (
        Feature("amount_sum_1h", DecimalType(38, 2), aggregation=Aggregation(AggregateFunction.SUM, hour, amount)),
        Feature("count_1d", INT64, aggregation=Aggregation(count, day)),
    )
    view = replace(cases.feature_view("payments"), features=features)
    row = {
        "customer_id": 1,
        "event_timestamp": cases.NOON - hour / 2,
        "exact_until": to_micros(noon + day),
        "counted_from": [to_micros(noon), to_micros(noon + day - hour / 2)],
        "newest_event": [to_micros(noon - hour / 2), None],
        "from_1h": [to_micros(noon), to_micros(noon + hour / 4), to_micros(noon + hour / 2)],
        "from_1d": [to_micros(noon), to_micros(noon + day - 3 * hour / 4), to_micros(noon + day - hour / 2)],
        "amount_sum_1h": [Decimal("12.50"), Decimal("2.50"), None],
        "count_1d": [2, 1, None],
    }
    ((key, written),) = RowEncoder("shop", view, 258).encode(cases.batch_of(view, [row])).pairs()
    schema = RowSchema.of(view)
    lines = [f"key: {key.decode()}", f"row: {written.hex()}", f"schema: {schema.document_name}: {schema.to_document().decode()}"]
    assert "\n".join(lines) + "\n" == GOLDEN_AGGREGATIONS.read_text(encoding="utf-8")


@pytest.mark.parametrize("golden", [GOLDEN, GOLDEN_AGGREGATIONS])
def test_the_documented_example_is_the_golden_one(golden):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "row-format.md").read_text(encoding="utf-8")
    example = [line for line in golden.read_text(encoding="utf-8").splitlines() if line.startswith(("key: ", "row: ", "schema: "))]
    assert "\n".join(f"    {line}" for line in example) in page
