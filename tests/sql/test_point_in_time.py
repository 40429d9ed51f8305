"""Every strategy, pruned or not, gives each spine row what the reference gives it; so does the query of newest rows."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from histories import MOMENTS, START, TICK, World, worlds
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import Row, features_at, instant, winner
from sqlglot import exp

from featurestore.registry.definitions import Column
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import DATE, TIMESTAMP_UTC
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import table
from featurestore.sql.latest import latest_rows, view_bounds
from featurestore.sql.point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query, point_in_time_stages
from featurestore.warehouse.duckdb_session import DuckDBSession

DUCKDB = dialect_named("duckdb")
ANY_ROWS = [ViewPlan(strategy, prune) for strategy, prune in itertools.product((Strategy.ASOF, Strategy.THIN_UNION), (False, True))]
OVERLAPPING = [ViewPlan(Strategy.VALIDITY_RANGES, prune) for prune in (False, True)]
MANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest.fixture(scope="module")
def session() -> Iterator[DuckDBSession]:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield DuckDBSession(connection)


@MANY
@given(world=worlds())
def test_each_row_sees_what_was_known_then(session: DuckDBSession, world: World) -> None:
    assert_trained(session, world, ANY_ROWS)


@MANY
@given(world=worlds("disjoint"))
def test_a_snapshot_row_counts_until_it_ends(session: DuckDBSession, world: World) -> None:
    assert_trained(session, world, ANY_ROWS)


@MANY
@given(world=worlds("overlapping"))
def test_where_validity_overlaps_the_newest_row_valid_then_wins(session: DuckDBSession, world: World) -> None:
    assert_trained(session, world, OVERLAPPING)


@MANY
@given(world=st.one_of(worlds(), worlds("disjoint"), worlds("overlapping")), at=MOMENTS)
def test_the_newest_rows_are_what_training_says_for_that_instant(session: DuckDBSession, world: World, at: datetime) -> None:
    assert published(session, world, at) == winners(world, at)


@MANY
@given(world=st.one_of(worlds(), worlds("disjoint"), worlds("overlapping")), at=MOMENTS, before=MOMENTS)
def test_what_began_to_count_or_ended_since_then_is_found_again(
    session: DuckDBSession, world: World, at: datetime, before: datetime
) -> None:
    """Whatever an incremental run leaves out must be online already, as it was published before."""
    before, at = sorted((before, at))
    then, now = winners(world, before), winners(world, at)
    updated = published(session, world, at, counted_at=before)
    assert updated.items() <= now.items()
    untouched = {keys: row for keys, row in then.items() if keys not in updated}
    gone = {keys for keys, row in untouched.items() if row.valid_to is not None and instant(row.valid_to) <= at}
    assert {keys: row for keys, row in {**untouched, **updated}.items() if keys not in gone} == now


@MANY
@given(world=worlds(), at=MOMENTS, since=MOMENTS)
def test_a_key_with_a_row_written_since_then_is_found_again(session: DuckDBSession, world: World, at: datetime, since: datetime) -> None:
    if world.view.created_timestamp is None:
        return
    history = [row for row in world.rows if row.event_timestamp is not None]
    written = {shown(row.keys) for row in history if (created := instant(row.created_timestamp)) is not None and created >= since}
    assert published(session, world, at, changed_since=since) == {keys: row for keys, row in winners(world, at).items() if keys in written}


@MANY
@given(world=st.one_of(worlds(), worlds("disjoint"), worlds("overlapping")), at=MOMENTS)
def test_nothing_changes_before_the_next_change(session: DuckDBSession, world: World, at: datetime) -> None:
    load(session, world)
    following = session.query(view_bounds(world.view, at, "duckdb")).read_all().to_pylist()[0]["next_change"]
    if following is None:
        following = at + timedelta(days=30)
    assert following > at
    then, just_before = winners(world, at), winners(world, following - TICK)
    assert {keys: row for keys, row in then.items() if row.valid_to is None or instant(row.valid_to) > following - TICK} == just_before


@MANY
@given(world=worlds(), future=st.lists(MOMENTS, max_size=6), data=st.data())
def test_rows_of_later_than_each_asked_instant_change_nothing(
    session: DuckDBSession, world: World, future: list[datetime], data: st.DataObject
) -> None:
    """The future is added and rewritten; the training set stays."""
    latest = max((instant(moment) for _, moment in world.spine if moment is not None), default=None)
    if latest is None:
        return
    rewritten = tuple(row for row in world.rows if (moment := instant(row.event_timestamp)) is None or moment <= latest)
    keys = data.draw(st.sampled_from([keys for keys, _ in world.spine]))
    # A date after the last instant may begin before it, so dates start on the following day.
    first = latest + (timedelta(days=1) if world.view.event_timestamp.value_type == DATE else TICK)
    zone = timezone.utc if world.view.event_timestamp.value_type == TIMESTAMP_UTC else None
    rewritten += tuple(Row(keys, (first + (moment - START + TICK)).replace(tzinfo=zone), (9, 9.0, "later")) for moment in future)
    plan = data.draw(st.sampled_from(ANY_ROWS))
    load(session, world)
    before = trained(session, world, plan)
    load(session, replace(world, rows=rewritten))
    assert trained(session, world, plan) == before


def assert_trained(session: DuckDBSession, world: World, plans: list[ViewPlan]) -> None:
    load(session, world)
    for plan in plans:
        assert trained(session, world, plan) == expected(world), plan


def load(session: DuckDBSession, world: World) -> None:
    session.upload(world.view.relation.identifier, world.table().to_reader())


def trained(session: DuckDBSession, world: World, plan: ViewPlan) -> list[tuple[Any, ...]]:
    """The spine's rows with their features, by the product."""
    timestamp = "asked when"
    columns = world.spine_columns(timestamp)
    numbers = pa.array(range(1, len(world.spine) + 1), pa.int64())
    session.upload("entity_df", pa.table({"n": numbers, **columns}).to_reader())
    spine_columns = (*world.view.join_keys, Column(timestamp, world.spine_type))
    spine = Spine(table("entity_df"), spine_columns, timestamp, "n")
    outputs = tuple(f"out {feature.name}" for feature in world.view.features)
    join = PointInTimeJoin(spine, (RequestedView(world.view, world.view.features, outputs),))
    answer = session.query(_in_one_or_in_steps(session, join, plan)).read_all()
    assert answer.column_names == [*columns, *outputs]
    return [tuple(map(comparable, row.values())) for row in answer.to_pylist()]


def _in_one_or_in_steps(session: DuckDBSession, join: PointInTimeJoin, plan: ViewPlan) -> exp.Select:
    """As one statement for some plans and in steps for others, so that each strategy runs both ways."""
    plans = {join.views[0].view.name: plan}
    if plan.prune is (plan.strategy is Strategy.ASOF):
        return point_in_time_query(join, plans, DUCKDB)
    stages = point_in_time_stages(join, plans, DUCKDB)
    for name, rows in stages.tables:
        session.keep(name, rows)
    return stages.answer


def expected(world: World) -> list[tuple[Any, ...]]:
    """The same, by the reference."""
    rows = []
    for keys, moment in world.spine:
        features = features_at(world.rows, world.rules, keys, moment) or (None,) * len(world.view.features)
        rows.append(tuple(map(comparable, (*keys, moment, *features))))
    return rows


def published(session: DuckDBSession, world: World, at: datetime, **restricted: datetime) -> dict[tuple[Any, ...], Row]:
    """What materialize would read, by key."""
    load(session, world)
    answer = session.query(latest_rows(world.view, at, "duckdb", **restricted)).read_all()
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
