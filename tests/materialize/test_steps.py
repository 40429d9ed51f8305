"""Steps of keys become rows, however the warehouse cuts them into batches."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from featurestore.materialize.steps import MOST_STEPS, stepped_rows
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, STRING, TIMESTAMP, ListType
from featurestore.timestamps import to_micros

AT = datetime(2024, 1, 1, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
VIEW = FeatureView(
    name="visits",
    unique_id="model.shop.visits",
    path="models/visits.sql",
    relation=Relation("visits"),
    entities=(Entity("customer", (Column("customer", STRING),)),),
    event_timestamp=Column("visited_at", TIMESTAMP),
    features=(
        Feature("count_1d", INT64, aggregation=Aggregation(AggregateFunction.COUNT, timedelta(days=1))),
        Feature(
            "basket_last_1h", ListType(INT64), aggregation=Aggregation(AggregateFunction.LAST, HOUR, Column("basket", ListType(INT64)))
        ),
        Feature("count_1h", INT64, aggregation=Aggregation(AggregateFunction.COUNT, HOUR)),
    ),
)
NEWEST = AT - HOUR / 2
STEPS: list[tuple[str, datetime, datetime | None, int | None, list[int] | None, int | None]] = [
    ("a", AT, NEWEST, 2, [1, 2], 1),
    ("a", AT + HOUR / 2, NEWEST, 2, None, 0),
    ("a", AT + HOUR, NEWEST, 1, None, 0),
    ("b", AT, None, None, None, None),
    ("c", AT, None, None, None, None),
    ("c", AT + HOUR, AT + HOUR, 1, [3], 1),
    ("d", AT, NEWEST, 1, None, 0),
    ("d", AT + HOUR, None, None, None, None),
]


def at(*moments: datetime | None) -> list[int | None]:
    return [None if moment is None else to_micros(moment) for moment in moments]


UNTIL = AT + timedelta(days=1)
ROWS = [
    # key, event time, valid_to, exact_until, counted_from, newest_event, from_1h, from_1d, then the features in their order
    ("a", NEWEST, None, *at(UNTIL), at(AT), at(NEWEST), at(AT, AT + HOUR / 2, AT + HOUR), at(AT, AT + HOUR), [2, 1], [[1, 2], None, None]),
    (
        "c",
        AT + HOUR,
        None,
        *at(UNTIL),
        at(AT, AT + HOUR),
        at(None, AT + HOUR),
        at(AT, AT + HOUR),
        at(AT, AT + HOUR),
        [None, 1],
        [None, [3]],
    ),
    ("d", NEWEST, None, *at(UNTIL), at(AT, AT + HOUR), at(NEWEST, None), at(AT, AT + HOUR), at(AT, AT + HOUR), [1, None], [None, None]),
]
COUNTS_1H = [[1, 0, 0], [None, 1], [0, None]]


def batches(cuts: list[int]) -> list[pa.RecordBatch]:
    instant = pa.timestamp("us")
    types = [pa.string(), instant, instant, pa.int64(), pa.list_(pa.int64()), pa.int64()]
    bounds = [0, *cuts, len(STEPS)]
    return [
        pa.RecordBatch.from_arrays(
            [pa.array([_naive(step[place]) for step in STEPS[start:stop]], data_type) for place, data_type in enumerate(types)],
            names=["customer", "instant", "newest_event", "count_1d", "basket_last_1h", "count_1h"],
        )
        for start, stop in itertools.pairwise(bounds)
    ]


def _naive(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, datetime) else value


@pytest.mark.parametrize("cuts", [[], [1], [2], [3], [1, 2, 3, 4, 5, 6, 7], [0, 4, 4, 8], [6], [7]])
def test_each_window_has_the_instants_at_which_it_changes(cuts: list[int]) -> None:
    rows = [row for batch in stepped_rows(batches(cuts), VIEW, AT) for row in zip(*(c.to_pylist() for c in batch.columns), strict=True)]
    expected = [(key, _naive(event_time), *rest, counts) for (key, event_time, *rest), counts in zip(ROWS, COUNTS_1H, strict=True)]
    assert rows == expected


def test_nothing_is_no_rows() -> None:
    assert list(stepped_rows([], VIEW, AT)) == []
    assert list(stepped_rows(batches([])[0:0], VIEW, AT)) == []


@pytest.mark.parametrize("rows_per_batch", [700, MOST_STEPS, 10 * MOST_STEPS])
def test_a_busy_key_says_what_holds_as_long_as_its_row_can(rows_per_batch: int) -> None:
    tick = timedelta(seconds=1)
    count = MOST_STEPS + 300
    busy = [("b", AT + number * tick, NEWEST, count - number, None, 0) for number in range(count)]
    names = ("customer", "instant", "newest", "count_1d", "basket_last_1h", "count_1h")
    types = (pa.string(), pa.timestamp("us", "UTC"), pa.timestamp("us", "UTC"), pa.int64(), pa.list_(pa.int64()), pa.int64())
    columns = zip(*[STEPS[0], *busy, ("c", AT, NEWEST, 1, None, 0)], strict=True)
    arrays = [pa.array(values, data_type) for values, data_type in zip(columns, types, strict=True)]
    batches = pa.table(dict(zip(names, arrays, strict=True))).to_batches(max_chunksize=rows_per_batch)
    found = [
        row for batch in stepped_rows(batches, VIEW, AT) for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
    ]
    assert [row[0] for row in found] == ["a", "b", "c"]
    assert [row[3] for row in found] == at(UNTIL, AT + MOST_STEPS * tick - timedelta(microseconds=1), UNTIL)
    assert [len(row[7]) for row in found] == [1, MOST_STEPS, 1]
    assert found[1][8][-1] == count - (MOST_STEPS - 1)
