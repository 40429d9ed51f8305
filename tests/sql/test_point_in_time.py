"""Every strategy, pruned or not, gives each spine row what the reference gives it; so does the query of newest rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from asking import Asked, assert_trained, load, published, shown, trained, winners
from histories import MOMENTS, START, TICK, World, worlds
from hypothesis import strategies as st
from reference import Row, instant
from warehouses import WAREHOUSES, RunningWarehouse, for_all, opened

from featurestore.registry.value_types import DATE, TIMESTAMP_UTC
from featurestore.sql.dialects import dialect_named
from featurestore.sql.latest import view_bounds
from featurestore.warehouse.base import Warehouse

ANY_WORLD = st.one_of(worlds(), worlds("disjoint"), worlds("overlapping"))


@pytest.fixture(scope="module")
def asked(running: RunningWarehouse, warehouse_name: str) -> Iterator[Asked]:
    warehouse: Warehouse = opened(running)
    with warehouse.session() as session:
        yield Asked(session, dialect_named(warehouse.dialect), WAREHOUSES[warehouse_name].examples)


def test_each_row_sees_what_was_known_then(asked: Asked) -> None:
    @for_all(asked.examples, world=worlds())
    def _(world: World) -> None:
        assert_trained(asked, world, asked.any_rows)


def test_a_snapshot_row_counts_until_it_ends(asked: Asked) -> None:
    @for_all(asked.examples, world=worlds("disjoint"))
    def _(world: World) -> None:
        assert_trained(asked, world, asked.any_rows)


def test_where_validity_overlaps_the_newest_row_valid_then_wins(asked: Asked) -> None:
    @for_all(asked.examples, world=worlds("overlapping"))
    def _(world: World) -> None:
        assert_trained(asked, world, asked.overlapping)


def test_the_newest_rows_are_what_training_says_for_that_instant(asked: Asked) -> None:
    @for_all(asked.examples, world=ANY_WORLD, at=MOMENTS)
    def _(world: World, at: datetime) -> None:
        assert published(asked, world, at) == winners(world, at)


def test_what_began_to_count_or_ended_since_then_is_found_again(asked: Asked) -> None:
    """Whatever an incremental run leaves out must be online already, as it was published before."""

    @for_all(asked.examples, world=ANY_WORLD, at=MOMENTS, before=MOMENTS)
    def _(world: World, at: datetime, before: datetime) -> None:
        before, at = sorted((before, at))
        then, now = winners(world, before), winners(world, at)
        updated = published(asked, world, at, counted_at=before)
        assert updated.items() <= now.items()
        untouched = {keys: row for keys, row in then.items() if keys not in updated}
        gone = {keys for keys, row in untouched.items() if row.valid_to is not None and instant(row.valid_to) <= at}
        assert {keys: row for keys, row in {**untouched, **updated}.items() if keys not in gone} == now


def test_a_key_with_a_row_written_since_then_is_found_again(asked: Asked) -> None:
    @for_all(asked.examples, world=worlds().filter(lambda world: world.view.created_timestamp is not None), at=MOMENTS, since=MOMENTS)
    def _(world: World, at: datetime, since: datetime) -> None:
        history = [row for row in world.rows if row.event_timestamp is not None]
        written = {shown(row.keys) for row in history if (created := instant(row.created_timestamp)) is not None and created >= since}
        wanted = {keys: row for keys, row in winners(world, at).items() if keys in written}
        assert published(asked, world, at, changed_since=since) == wanted


def test_nothing_changes_before_the_next_change(asked: Asked) -> None:
    @for_all(asked.examples, world=ANY_WORLD, at=MOMENTS)
    def _(world: World, at: datetime) -> None:
        load(asked, world)
        following = asked.session.query(view_bounds(world.view, at, asked.dialect.name)).read_all().to_pylist()[0]["next_change"]
        following = at + timedelta(days=30) if following is None else instant(following)
        assert following > at
        then, just_before = winners(world, at), winners(world, following - TICK)
        assert {keys: row for keys, row in then.items() if row.valid_to is None or instant(row.valid_to) > following - TICK} == just_before


def test_rows_of_later_than_each_asked_instant_change_nothing(asked: Asked) -> None:
    """The future is added and rewritten; the training set stays."""

    @for_all(asked.examples, world=worlds().filter(asks), future=st.lists(MOMENTS, max_size=6), data=st.data())
    def _(world: World, future: list[datetime], data: st.DataObject) -> None:
        latest = max(instant(moment) for _, moment in world.spine if moment is not None)
        rewritten = tuple(row for row in world.rows if (moment := instant(row.event_timestamp)) is None or moment <= latest)
        keys = data.draw(st.sampled_from([keys for keys, _ in world.spine]))
        # A date after the last instant may begin before it, so dates start on the following day.
        first = latest + (timedelta(days=1) if world.view.event_timestamp.value_type == DATE else TICK)
        zone = timezone.utc if world.view.event_timestamp.value_type == TIMESTAMP_UTC else None
        rewritten += tuple(Row(keys, (first + (moment - START + TICK)).replace(tzinfo=zone), (9, 9.0, "later")) for moment in future)
        plan = data.draw(st.sampled_from(asked.any_rows))
        load(asked, world)
        before = trained(asked, world, plan)
        load(asked, replace(world, rows=rewritten))
        assert trained(asked, world, plan) == before


def asks(world: World) -> bool:
    return any(moment is not None for _, moment in world.spine)
