"""Our answer in Feast's form, decided without a server."""

from __future__ import annotations

import json
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any

import codec_cases as cases
import pytest
from hypothesis import given, settings

from featurestore.registry.definitions import Column
from featurestore.registry.value_types import (
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    ListType,
    MapType,
    StructType,
    ValueType,
)
from featurestore.server.feast.answer import answer_body, rfc3339
from featurestore.server.feast.keys import typed_columns
from featurestore.serving.online_features import OnlineFeatures, Status, ViewAnswer
from featurestore.timestamps import to_micros

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
EPOCH_SECONDS = int(NOON.timestamp())


def answered(value_type: ValueType, *values: Any) -> list[Any]:
    part = ViewAnswer((Column("f", value_type),), ("f",), [list(values)], lambda: [1] * len(values), None)
    online = OnlineFeatures({"k": list(range(len(values)))}, (Column("k", INT64),), [part])
    written: list[Any] = json.loads(answer_body(online, ["k"]))["results"][1]["values"]
    return written


@pytest.mark.parametrize(
    ("value_type", "value", "written"),
    [
        (DATE, date(2024, 5, 1), EPOCH_SECONDS - 43_200),
        (TIMESTAMP, datetime(2024, 5, 1, 12, 0, 0, 999_999), EPOCH_SECONDS),
        (TIMESTAMP_UTC, datetime(1969, 12, 31, 23, 59, 59, 500_000, tzinfo=timezone.utc), -1),
        (TIME, time(12, 30, 0, 1), "12:30:00.000001"),
        (DecimalType(10, 2), Decimal("4.75"), "4.75"),
        (DecimalType(20, 12), Decimal("0.000000000001"), "0.000000000001"),
        (BYTES, b"\x00\xff", "AP8="),
        (FLOAT64, float("-inf"), "-Infinity"),
        (ListType(FLOAT64), [1.5, float("nan"), None], [1.5, "NaN", None]),
        (ListType(DATE), [date(1970, 1, 2), None], [86_400, None]),
        (StructType((("at", TIMESTAMP_UTC), ("n", INT64))), {"at": NOON, "n": None}, {"at": EPOCH_SECONDS, "n": None}),
        (MapType(STRING, FLOAT64), {"a": float("inf")}, {"a": "Infinity"}),
        (MapType(INT64, STRING), {7: "x"}, {"7": "x"}),
        (INT64, 2**63 - 1, 2**63 - 1),
    ],
    ids=str,
)
def test_values_are_written_as_feast_writes_them(value_type, value, written):
    assert answered(value_type, value, None) == [written, None]


@settings(deadline=None)
@given(cases.views_and_rows())
def test_any_value_can_be_written(drawn):
    view, rows = drawn
    for feature in view.features:
        assert len(answered(feature.value_type, *(row[feature.name] for row in rows))) == len(rows)


def test_statuses_and_instants_are_those_of_the_row():
    part = ViewAnswer(
        (Column("f", INT64),),
        ("f",),
        [[None, 1, None, None]],
        lambda: [to_micros(NOON), to_micros(NOON) + 1_000, None, 250_001],
        [Status.OUTSIDE_MAX_AGE, None, Status.NOT_FOUND, None],
    )
    body = json.loads(answer_body(OnlineFeatures({"k": [1, 2, 3, 4]}, (), [part]), []))
    assert body == {
        "results": [
            {
                "values": [None, 1, None, None],
                "statuses": ["OUTSIDE_MAX_AGE", "PRESENT", "NOT_FOUND", "NULL_VALUE"],
                "event_timestamps": [
                    "2024-05-01T12:00:00Z",
                    "2024-05-01T12:00:00.001Z",
                    "1970-01-01T00:00:00Z",
                    "1970-01-01T00:00:00.250001Z",
                ],
            }
        ],
        "metadata": {"feature_names": ["f"]},
    }


def test_dbts_versions_are_feasts_where_they_are_numbers():
    views = [cases.feature_view("a", version="2"), cases.feature_view("b", version="draft"), cases.feature_view("c")]
    metadata = json.loads(answer_body(OnlineFeatures({}, (), []), [], views))["metadata"]
    assert metadata["feature_view_metadata"] == [{"name": "a", "version": 2}, {"name": "b"}, {"name": "c"}]


def test_the_first_and_the_last_instant_are_spelled():
    assert rfc3339(to_micros(datetime.min.replace(tzinfo=timezone.utc))) == "0001-01-01T00:00:00Z"
    assert rfc3339(to_micros(datetime.max.replace(tzinfo=timezone.utc))) == "9999-12-31T23:59:59.999999Z"


@pytest.mark.parametrize(
    ("value_type", "given", "typed"),
    [
        (INT64, ["1", 2, 3.0, None], [1, 2, 3, None]),
        (INT64, [1.5, True], [1.5, True]),
        (STRING, ["a", 5, 1.5, None], ["a", "5", "1.5", None]),
        (STRING, [True], [True]),
        (DATE, ["2024-05-01"], [date(2024, 5, 1)]),
        (TIMESTAMP_UTC, ["2024-05-01T12:00:00Z"], [NOON]),
    ],
    ids=str,
)
def test_keys_are_read_by_their_types(value_type, given, typed):
    read = typed_columns({"k": given, "other": ["1"]}, (Column("k", value_type),))
    assert cases.same(read, {"k": typed, "other": ["1"]})
