"""Which row stays, over random sets of writers in every order: the rule that every online store decides by itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

import codec_cases as cases
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from write_model import Stored, WriteModel, newest

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import push_sequence, row_version, run_sequence
from featurestore.online_store.base import WriteMode
from featurestore.timestamps import from_micros, to_micros

VIEW = cases.feature_view()
NEWEST, EXACT = WriteMode.NEWEST_WINS, WriteMode.EXACT
KEYS = range(4)
MINUTE = 60_000_000
NOON = to_micros(cases.NOON)
NEVER_HELD = count()
"""Each example has a project of its own in the store."""

over_random_writers = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

keys = st.sampled_from(KEYS)
# On both sides of the epoch, where the sign of an event time turns, of where its lower half does, and beyond what 53 bits hold.
turning_points = st.sampled_from([NOON, 0, 1 << 32, -(1 << 32), 5 << 31, 1 << 53, 1 << 57])
times = st.builds(lambda turn, minute: turn + minute, turning_points, st.integers(-2, 2))
numbers = st.integers(1, 6)
materialized = st.builds(Stored, times, numbers.map(run_sequence))
pushed = st.builds(Stored, times, numbers.map(push_sequence))
a_write = st.tuples(keys, materialized | pushed)


class Writer:
    """Writes rows of one project, given as event time and sequence."""

    def __init__(self, store):
        self.store, self.project = store, f"shop{next(NEVER_HELD)}"
        self.space = key_space(self.project, VIEW)

    def write(self, rows: Mapping[int, Stored], mode=NEWEST, horizon=None):
        for sequence in {row.sequence for row in rows.values()}:
            mine = {key: row for key, row in rows.items() if row.sequence == sequence}
            batch = [{"customer_id": key, "event_timestamp": from_micros(row.event_time).replace(tzinfo=None)} for key, row in mine.items()]
            self.store.write(RowEncoder(self.project, VIEW, sequence).encode(cases.batch_of(VIEW, batch)), mode, horizon=horizon)

    def write_each(self, writes: Iterable[tuple[int, Stored]]):
        for key, row in writes:
            self.write({key: row})

    @property
    def rows(self) -> dict[int, Stored]:
        found = self.store.read([self.space.key(str(key).encode()) for key in KEYS])
        return {key: Stored(*row_version(row)) for key, row in zip(KEYS, found, strict=True) if row is not None}


@over_random_writers
@given(st.data(), st.lists(a_write, min_size=1, max_size=12))
def test_newest_wins_whatever_the_order_of_runs_and_pushes(store, data, writes):
    writer = Writer(store)
    writer.write_each(data.draw(st.permutations(writes)))
    assert writer.rows == newest(writes)


@over_random_writers
@given(
    st.lists(a_write, max_size=8),
    st.dictionaries(keys, times),
    st.none() | times,
    numbers,
    st.integers(0, 12),
)
def test_a_full_run_leaves_what_the_rules_say(store, before, warehouse, horizon, number, pushed_before):
    """Against the model, whatever was there: rows of later runs, of pushes ahead of the warehouse and behind it."""
    writer, model = Writer(store), WriteModel()
    writer.write_each(before)
    model.write(newest(before))
    run = {key: Stored(time, run_sequence(number)) for key, time in warehouse.items()}
    writer.write(run, EXACT, horizon)
    model.write_exact(run, horizon)
    assert writer.rows == model.rows
    writer.store.remove_older(writer.space, run_sequence(number), pushed_before=pushed_before, horizon=horizon)
    model.remove_older(run_sequence(number), pushed_before, horizon)
    assert writer.rows == model.rows


@over_random_writers
@given(st.data(), st.dictionaries(keys, st.integers(0, 5)), st.lists(st.tuples(keys, st.integers(0, 9)), max_size=8))
def test_a_full_run_among_pushes_ends_the_same_whichever_comes_first(store, data, warehouse, pushes):
    """The run begins after some pushes; the later ones may be written before, between or after its rows.

    Pushes come in the order of their times: one that lost to a newer one before the run replaced that does not come back.
    """
    pushes = sorted(pushes, key=lambda push: push[1])
    earlier = data.draw(st.integers(0, len(pushes)))
    run = run_sequence(earlier + 1)
    pushed_rows = [
        (key, Stored(NOON + minute * MINUTE, push_sequence(number if number <= earlier else number + 1)))
        for number, (key, minute) in enumerate(pushes, 1)
    ]
    rows = [(key, Stored(NOON + minute * MINUTE, run)) for key, minute in warehouse.items()]
    horizon = max((row.event_time for _, row in rows), default=None)
    writer = Writer(store)
    writer.write_each(pushed_rows[:earlier])
    for key, row in data.draw(st.permutations([*rows, *pushed_rows[earlier:]])):
        writer.write({key: row}, NEWEST if row.pushed else EXACT, horizon)
    writer.store.remove_older(writer.space, run, pushed_before=run, horizon=horizon)
    # What the run came upon was the newest of what was pushed before it, and only that can have outlived it.
    came_upon = [(key, row) for key, row in newest(pushed_rows[:earlier]).items() if horizon is None or row.event_time > horizon]
    assert writer.rows == newest([*came_upon, *rows, *pushed_rows[earlier:]])


def test_a_late_push_that_a_full_run_overtook_never_takes_the_runs_row_with_it(store):
    """It had its number before the run began, and is written after the run has written its key."""
    writer = Writer(store)
    writer.write({1: Stored(NOON, run_sequence(1))})
    overtaken, run = push_sequence(2), run_sequence(3)
    writer.write({1: Stored(NOON, run), 2: Stored(NOON + 9 * MINUTE, run)}, EXACT, NOON + 9 * MINUTE)
    writer.write({1: Stored(NOON + MINUTE, overtaken)})
    writer.store.remove_older(writer.space, run, pushed_before=run_sequence(1), horizon=NOON + 9 * MINUTE)
    assert writer.rows == {1: Stored(NOON + MINUTE, overtaken), 2: Stored(NOON + 9 * MINUTE, run)}


@pytest.mark.parametrize("ahead", [True, False])
def test_a_push_stays_until_the_warehouse_has_caught_up_with_it(store, ahead):
    writer = Writer(store)
    writer.write({1: Stored(NOON + MINUTE, push_sequence(1)), 2: Stored(NOON + MINUTE, push_sequence(1))})
    horizon = NOON if ahead else NOON + MINUTE
    writer.write({1: Stored(NOON, run_sequence(2))}, EXACT, horizon)
    writer.store.remove_older(writer.space, run_sequence(2), pushed_before=run_sequence(2), horizon=horizon)
    pushed_row = Stored(NOON + MINUTE, push_sequence(1))
    assert writer.rows == ({1: pushed_row, 2: pushed_row} if ahead else {1: Stored(NOON, run_sequence(2))})
