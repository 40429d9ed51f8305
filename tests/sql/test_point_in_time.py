"""Every strategy, pruned or not, gives each spine row what the reference gives it; so does the query of newest rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest
from histories import MOMENTS, START, TICK, World, worlds
from hypothesis import strategies as st
from reference import Row, features_at, instant, winner
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, for_all, opened

from featurestore.registry.definitions import Column
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import DATE, TIMESTAMP_UTC
from featurestore.sql.dialects import Dialect, dialect_named
from featurestore.sql.expressions import table
from featurestore.sql.latest import latest_rows, view_bounds
from featurestore.sql.point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query, point_in_time_stages
from featurestore.warehouse.base import Warehouse, WarehouseSession

ANY_WORLD = st.one_of(worlds(), worlds("disjoint"), worlds("overlapping"))


@dataclass(frozen=True)
class Asked:
    """A session that stays open, and what is to be asked in it."""

    session: WarehouseSession
    dialect: Dialect
    examples: int

    @property
    def any_rows(self) -> list[ViewPlan]:
        """Every way to read a view without overlapping validity."""
        strategies = (Strategy.ASOF, Strategy.THIN_UNION) if self.dialect.asof_join else (Strategy.THIN_UNION,)
        return [ViewPlan(strategy, prune) for strategy, prune in itertools.product(strategies, (False, True))]

    @property
    def overlapping(self) -> list[ViewPlan]:
        """Every way to read one with it."""
        return [ViewPlan(Strategy.VALIDITY_RANGES, prune) for prune in (False, True)]


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


def assert_trained(asked: Asked, world: World, plans: list[ViewPlan]) -> None:
    load(asked, world)
    for plan in plans:
        assert trained(asked, world, plan) == expected(world), plan


def load(asked: Asked, world: World) -> None:
    asked.session.upload(world.view.relation.identifier, world.table().to_reader())


def trained(asked: Asked, world: World, plan: ViewPlan) -> list[tuple[Any, ...]]:
    """The spine's rows with their features, by the product."""
    timestamp = "asked when"
    columns = world.spine_columns(timestamp)
    numbers = pa.array(range(1, len(world.spine) + 1), pa.int64())
    asked.session.upload("entity_df", pa.table({"n": numbers, **columns}).to_reader())
    spine_columns = (*world.view.join_keys, Column(timestamp, world.spine_type))
    spine = Spine(table("entity_df"), spine_columns, timestamp, "n")
    outputs = tuple(f"out {feature.name}" for feature in world.view.features)
    join = PointInTimeJoin(spine, (RequestedView(world.view, world.view.features, outputs),))
    answer = asked.session.query(_in_one_or_in_steps(asked, join, plan)).read_all()
    assert answer.column_names == [*columns, *outputs]
    return [tuple(map(comparable, row.values())) for row in answer.to_pylist()]


def _in_one_or_in_steps(asked: Asked, join: PointInTimeJoin, plan: ViewPlan) -> exp.Select:
    """As one statement for some plans and in steps for others, so that each strategy runs both ways."""
    plans = {join.views[0].view.name: plan}
    if plan.prune is (plan.strategy is Strategy.ASOF):
        return point_in_time_query(join, plans, asked.dialect)
    stages = point_in_time_stages(join, plans, asked.dialect)
    for name, rows in stages.tables:
        asked.session.keep(name, rows)
    return stages.answer


def expected(world: World) -> list[tuple[Any, ...]]:
    """The same, by the reference."""
    rows = []
    for keys, moment in world.spine:
        features = features_at(world.rows, world.rules, keys, moment) or (None,) * len(world.view.features)
        rows.append(tuple(map(comparable, (*keys, moment, *features))))
    return rows


def published(asked: Asked, world: World, at: datetime, **restricted: datetime) -> dict[tuple[Any, ...], Row]:
    """What materialize would read, by key."""
    load(asked, world)
    answer = asked.session.query(latest_rows(world.view, at, asked.dialect.name, **restricted)).read_all()
    width = len(world.view.join_keys)
    found = {}
    for row in zip(*(answer.column(index).to_pylist() for index in range(answer.num_columns)), strict=True):
        keys, timestamp, valid_to, *features = row[:width], row[width], row[width + 1], *row[width + 2 :]
        assert shown(keys) not in found
        found[shown(keys)] = Row(shown(keys), timestamp, tuple(map(comparable, features)), valid_to=valid_to)
    return found


def winners(world: World, at: datetime) -> dict[tuple[Any, ...], Row]:
    """The same, by the reference."""
    found = {}
    for keys in {row.keys for row in world.rows}:
        row = winner(world.rows, world.rules, keys, at)
        if row is not None:
            features = tuple(map(comparable, row.features))
            found[shown(keys)] = Row(shown(keys), instant(row.event_timestamp), features, valid_to=instant(row.valid_to))
    return found


def shown(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(comparable, keys))


def comparable(value: Any) -> Any:
    """A value that equals itself, instants by their UTC."""
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return value
