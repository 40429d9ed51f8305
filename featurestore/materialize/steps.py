"""Puts the rows of a view of aggregations together: from what holds at each instant of a key, one after the other, to lists.

Batches stream through. Of a key whose instants go on in the next batch, what came already waits for it; nothing else is kept. However busy
a key is, its row holds no more than `MOST_STEPS` instants, and is exact until the next one that it leaves out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.arrow import arrow_type, conformed
from featurestore.codec.layout import RowSchema
from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import TIMESTAMP
from featurestore.timestamps import to_micros

MOST_STEPS = 5_000
"""So many instants of one key are stored at most: some hundred kilobytes, which every read of it has to carry."""

_INSTANT = arrow_type(TIMESTAMP)


def stepped_rows(batches: Iterable[pa.RecordBatch], view: FeatureView, at: datetime) -> Iterator[pa.RecordBatch]:
    """Batches of rows as the encoder takes them: join keys, event timestamp, valid_to, then the fields of a stepped row.

    Args:
        batches: what `sql.steps.step_rows` answers.
        view: a view of aggregations.
        at: the instant of the materialization.

    A key in none of whose steps the longest window holds an event has no row.
    """
    waiting: pa.Table | None = None
    for batch in batches:
        if batch.num_rows == 0:
            continue
        steps = pa.Table.from_batches([batch])
        if waiting is not None:
            steps = pa.concat_tables([waiting, steps]).combine_chunks()
        last = _starts(steps, len(view.join_keys))[-1].as_py()
        # One more than are stored, since that one says until when they are exact.
        waiting = steps.slice(last, MOST_STEPS + 1)
        if last:
            yield from _rows(steps.slice(0, last), view, at)
    if waiting is not None:
        yield from _rows(waiting, view, at)


def _rows(steps: pa.Table, view: FeatureView, at: datetime) -> Iterator[pa.RecordBatch]:
    width = len(view.join_keys)
    steps, exact_until = _bounded(steps, width, to_micros(at + view.exact_for))
    columns = [_one(column) for column in steps.columns]
    keys, instants, newest, features = columns[:width], columns[width], columns[width + 1], columns[width + 2 :]
    newest = conformed(newest, _INSTANT)
    starts = _starts(steps, width)
    begins = _marks(starts, len(instants))
    micros = _micros(instants)
    lists = [*_stepped(micros, [newest.cast(pa.int64())], begins, starts)]
    values: dict[str, pa.Array] = {}
    for window in view.windows:
        of_window = [
            (feature, conformed(column, arrow_type(feature.value_type)))
            for feature, column in zip(view.features, features, strict=True)
            if feature.aggregation and feature.aggregation.window == window
        ]
        from_instants, *stepped = _stepped(micros, [column for _, column in of_window], begins, starts)
        lists.append(from_instants)
        values.update((feature.name, column) for (feature, _), column in zip(of_window, stepped, strict=True))
    lists += [values[feature.name] for feature in view.features]
    event_times = _first_valid(newest, starts, begins)
    found = event_times.is_valid()
    arrays = [*(key.take(starts) for key in keys), event_times, pa.nulls(len(starts), _INSTANT), exact_until, *lists]
    names = [f"column_{place}" for place in range(len(arrays))]
    kept = pa.RecordBatch.from_arrays(arrays, names=names).filter(found)
    assert len(arrays) == width + 2 + len(RowSchema.of(view).fields)
    if kept.num_rows:
        yield kept


def _bounded(steps: pa.Table, width: int, until: int) -> tuple[pa.Table, pa.Array]:
    """The first `MOST_STEPS` steps of each key, and until when, in microseconds, they say what holds."""
    starts = _starts(steps, width)
    first = starts.take(_key_numbers(_marks(starts, steps.num_rows)))
    number = pc.subtract(pa.array(range(steps.num_rows), pa.int32()), first)
    left_out = pc.indices_nonzero(pc.equal(number, pa.scalar(MOST_STEPS, pa.int32())))
    stored = steps.filter(pc.less(number, pa.scalar(MOST_STEPS, pa.int32())))
    before_it = pc.subtract(_micros(_one(steps.column(width))).take(left_out), pa.scalar(1, pa.int64()))
    cut = before_it.take(pc.index_in(starts, first.take(left_out)))
    return stored, pc.coalesce(cut, pa.scalar(until, pa.int64()))


def _micros(instants: pa.Array) -> pa.Array:
    return instants.cast(_INSTANT).cast(pa.int64())


def _stepped(instants: pa.Array, columns: Sequence[pa.Array], begins: pa.Array, starts: pa.Array) -> list[pa.Array]:
    """Lists of instants, and of each column's values from them on, with those left out at which none of the columns changes."""
    changes = begins
    for column in columns:
        changes = pc.or_(changes, _differs(column))
    kept = pc.indices_nonzero(changes)
    # How many steps stand before each key's first: where its list begins.
    before = pc.subtract(pc.cumulative_sum(changes.cast(pa.int32())).take(starts), pa.scalar(1, pa.int32()))
    ends = pa.concat_arrays([before.cast(pa.int32()), pa.array([len(kept)], pa.int32())])
    return [pa.ListArray.from_arrays(ends, column.take(kept)) for column in (instants, *columns)]


def _differs(column: pa.Array) -> pa.Array:
    """Whether each value is another one than that before it. What cannot be compared, and not-a-number, is always another."""
    if len(column) < 2:
        return pa.array([False] * len(column), pa.bool_())
    before, after = column.slice(0, len(column) - 1), column.slice(1)
    if pa.types.is_nested(column.type):
        changed = pa.array([True], pa.bool_()).take(pa.array([0] * len(after), pa.int32()))
    else:
        changed = pc.not_equal(before, after).fill_null(pa.scalar(True))
        changed = pc.and_not(changed, pc.and_(before.is_null(), after.is_null()))
    return pa.concat_arrays([pa.array([False], pa.bool_()), changed])


def _starts(steps: pa.Table, width: int) -> pa.Array:
    """The places of each key's first step."""
    begins = pa.array([False] * steps.num_rows, pa.bool_())
    for key in steps.columns[:width]:
        begins = pc.or_(begins, _differs(_one(key)))
    first = pa.array([True] + [False] * (steps.num_rows - 1), pa.bool_())
    return pc.indices_nonzero(pc.or_(begins, first)).cast(pa.int32())


def _marks(starts: pa.Array, count: int) -> pa.Array:
    """True at those places."""
    return pc.is_in(pa.array(range(count), pa.int32()), starts)


def _key_numbers(begins: pa.Array) -> pa.Array:
    """Of each step, the number of its key, from 0."""
    return pc.subtract(pc.cumulative_sum(begins.cast(pa.int32())), pa.scalar(1, pa.int32()))


def _first_valid(column: pa.Array, starts: pa.Array, begins: pa.Array) -> pa.Array:
    """Of each key, the first of its values that is not null."""
    first = pa.table({"key": _key_numbers(begins), "value": column}).filter(column.is_valid())
    found = first.group_by("key", use_threads=False).aggregate([("value", "first")])
    places = pc.index_in(pa.array(range(len(starts)), pa.int32()), _one(found["key"]))
    return _one(found["value_first"]).take(places)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    combined = column.combine_chunks()
    return combined if isinstance(combined, pa.Array) else combined.chunk(0)
