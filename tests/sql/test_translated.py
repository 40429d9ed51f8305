"""What is written for the warehouses that no test can start answers as the reference does, when DuckDB runs it in its own words.

`translation.py` says what that proves and what it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import asking_windows
import pytest
from asking import Asked, assert_trained, load, published, winners
from event_histories import EventWorld, event_worlds
from histories import MOMENTS, START, TICK, World, worlds
from hypothesis import strategies as st
from reference import Row, Rules, instant
from translation import translated_session
from warehouses import for_all

from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import STRING, TIMESTAMP
from featurestore.sql.dialects import dialect_named
from featurestore.sql.latest import view_bounds
from featurestore.sql.point_in_time.join import ViewPlan

DIALECTS = ("snowflake", "bigquery", "databricks", "redshift", "trino", "tsql", "fabric")
EXAMPLES = 12


@pytest.fixture(scope="module", params=DIALECTS)
def asked(request: pytest.FixtureRequest) -> Iterator[Asked]:
    dialect = dialect_named(request.param)
    with translated_session(dialect) as session:
        yield Asked(session, dialect, EXAMPLES)


def sayable(asked: Asked, world: World) -> bool:
    """Whether the dialect's intervals can say the view's durations."""
    durations = (world.view.ttl or timedelta(0), world.view.available_after)
    return all(duration % asked.dialect.shortest_interval == timedelta(0) for duration in durations)


def any_world(asked: Asked, *validity: str) -> st.SearchStrategy[World]:
    return st.one_of(*(worlds(each) for each in validity)).filter(lambda world: sayable(asked, world))


@pytest.mark.parametrize("validity", ["none", "disjoint"])
def test_each_row_sees_what_was_known_then(asked: Asked, validity: str) -> None:
    @for_all(asked.examples, world=any_world(asked, validity), plan=st.sampled_from(asked.any_rows))
    def _(world: World, plan: ViewPlan) -> None:
        assert_trained(asked, world, [plan])


def test_where_validity_overlaps_the_newest_row_valid_then_wins(asked: Asked) -> None:
    @for_all(asked.examples, world=any_world(asked, "overlapping"), plan=st.sampled_from(asked.overlapping))
    def _(world: World, plan: ViewPlan) -> None:
        assert_trained(asked, world, [plan])


def test_each_window_holds_the_events_that_were_known_then_and_had_not_left_it(asked: Asked) -> None:
    @for_all(asked.examples, world=event_worlds().filter(lambda world: can_say(asked, world)), data=st.data())
    def _(world: EventWorld, data: st.DataObject) -> None:
        asking_windows.load(asked, world)
        plan = data.draw(st.sampled_from(asking_windows.plans_of(asked, world)))
        assert asking_windows.near(asking_windows.trained(asked, world, plan), asking_windows.expected(world))


def can_say(asked: Asked, world: EventWorld) -> bool:
    """Whether the dialect's intervals can say its windows."""
    durations = (world.view.available_after, world.view.exact_for, *world.view.windows)
    return all(duration % asked.dialect.shortest_interval == timedelta(0) for duration in durations)


def test_the_newest_rows_are_what_training_says_for_that_instant(asked: Asked) -> None:
    @for_all(asked.examples, world=any_world(asked, "none", "disjoint", "overlapping"), at=MOMENTS)
    def _(world: World, at: datetime) -> None:
        assert published(asked, world, at) == winners(world, at)


def test_nothing_changes_before_the_next_change(asked: Asked) -> None:
    @for_all(asked.examples, world=any_world(asked, "none", "disjoint", "overlapping"), at=MOMENTS)
    def _(world: World, at: datetime) -> None:
        load(asked, world)
        following = asked.session.query(view_bounds(world.view, at, asked.dialect.name)).read_all().to_pylist()[0]["next_change"]
        following = at + timedelta(days=30) if following is None else instant(following)
        assert following > at
        then, just_before = winners(world, at), winners(world, following - TICK)
        assert {keys: row for keys, row in then.items() if row.valid_to is None or instant(row.valid_to) > following - TICK} == just_before


def test_text_is_told_apart_and_ordered_by_its_code_points(asked: Asked) -> None:
    """Two keys that differ in case are two, and of rows that share one, the greater text wins: `a` stands above `Z`."""
    view = FeatureView(
        name="visits",
        unique_id="model.shop.visits",
        path="models/visits.sql",
        relation=Relation("visits"),
        entities=(Entity("shop", (Column("shop", STRING),)),),
        event_timestamp=Column("visited_at", TIMESTAMP),
        features=(Feature("note", STRING),),
    )
    rows = tuple(Row((key,), START, (note,)) for key, note in [("s-1", "Z"), ("s-1", "a"), ("S-1", "b")])
    world = World(view, Rules(), rows, TIMESTAMP, ((("s-1",), START + TICK), (("S-1",), START + TICK)))
    assert_trained(asked, world, asked.any_rows)
    assert published(asked, world, START) == winners(world, START)
