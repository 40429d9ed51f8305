"""An answer laid beside the locked file: every row that differs is counted once, however either comes in batches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from featurestore.training.comparison import RowDifferences
from featurestore.training.row_differences import ComparedColumn, LockedRows

VALUES = st.sampled_from([None, 0.0, -0.0, 1.5, math.nan])
ROWS = st.lists(st.tuples(VALUES, VALUES), max_size=12)
COLUMNS = [ComparedColumn("value", ("key",), "at"), ComparedColumn("values", ("key",), "at")]


def table(values: list[Any]) -> pa.Table:
    numbers = list(range(len(values)))
    return pa.table(
        {
            "key": pa.array(numbers, pa.int64()),
            "at": pa.array([1001 + number for number in numbers], pa.timestamp("ns")),
            "value": pa.array(values, pa.float64()),
            "values": pa.array([[value, 1.0] for value in values], pa.list_(pa.float64())),
        }
    )


def beside(path: Path, now: pa.Table, batch: int) -> LockedRows:
    rows = LockedRows(path, COLUMNS)
    answer = now.to_batches(max_chunksize=batch)
    assert list(rows.beside(iter(answer))) == answer
    return rows


@given(rows=ROWS, group=st.integers(1, 5), batch=st.integers(1, 5))
def test_each_row_that_differs_is_counted_once(rows: list[tuple[Any, Any]], group: int, batch: int, tmp_path_factory: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "locked.parquet"
    pq.write_table(table([then for then, _ in rows]), path, row_group_size=group)
    found = beside(path, table([now for _, now in rows]), batch).differences
    differing = [row for row, (then, now) in enumerate(rows) if repr(then) != repr(now)]
    for column in ("value", "values"):
        assert found[column].rows == len(differing)
        example = found[column].example
        assert (example.row if example else None) == (differing[0] if differing else None)


def test_an_example_says_where_and_what(tmp_path: Path) -> None:
    pq.write_table(table([0.0, None]), tmp_path / "locked.parquet")
    found = beside(tmp_path / "locked.parquet", table([0.0, 2.5]), 1).differences["value"]
    example = found.example
    assert example is not None
    assert (example.row, example.keys, example.then, example.now) == (1, {"key": 1}, None, 2.5)
    assert example.event_timestamp.microsecond == 1


def test_a_file_of_other_rows_or_columns_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "locked.parquet"
    for then in (table([1.0]), table([1.0] * 5), table([1.0] * 3).drop_columns("values"), table([]).drop_columns(["value", "values"])):
        pq.write_table(then, path)
        beside(path, table([1.0] * 3), 2)


def test_values_of_types_that_cannot_be_compared_are_not_counted(tmp_path: Path) -> None:
    path = tmp_path / "locked.parquet"
    then = table([1.0, 2.0])
    pq.write_table(then.set_column(2, "value", pa.array(["x", "y"])), path)
    found = beside(path, then, 1).differences
    assert found["value"] == RowDifferences(None, None)
    assert found["values"] == RowDifferences(0)
