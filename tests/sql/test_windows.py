"""Both plans for views of aggregations give each spine row what the reference gives it, to the last bit the same as each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from asking import Asked
from asking_windows import expected, load, near, plans_of, trained
from event_histories import AMOUNT, COLUMNS, RATIO, EventWorld, event_worlds
from hypothesis import strategies as st
from reference import Row, Rules, Windowed, instant
from warehouses import WAREHOUSES, RunningWarehouse, for_all, opened

from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, TIMESTAMP
from featurestore.sql.dialects import dialect_named

IN_A_FRAME = frozenset(AggregateFunction) - {AggregateFunction.STDDEV}


@pytest.fixture(scope="module")
def asked(running: RunningWarehouse, warehouse_name: str) -> Iterator[Asked]:
    warehouse = opened(running)
    with warehouse.session() as session:
        yield Asked(session, dialect_named(warehouse.dialect), WAREHOUSES[warehouse_name].examples)


def test_each_window_holds_the_events_that_were_known_then_and_had_not_left_it(asked: Asked) -> None:
    @for_all(asked.examples, world=event_worlds())
    def _(world: EventWorld) -> None:
        load(asked, world)
        wanted = expected(world)
        for plan in plans_of(asked, world):
            assert near(trained(asked, world, plan), wanted), plan


def test_what_a_frame_can_hold_is_the_same_to_the_last_bit_by_a_join(asked: Asked) -> None:
    @for_all(asked.examples // 2, world=event_worlds(IN_A_FRAME))
    def _(world: EventWorld) -> None:
        load(asked, world)
        answers = [trained(asked, world, plan) for plan in plans_of(asked, world)]
        assert all(answer == answers[0] for answer in answers)


def test_no_answer_depends_on_the_order_of_the_events(asked: Asked) -> None:
    @for_all(asked.examples // 2, world=event_worlds(), data=st.data())
    def _(world: EventWorld, data: st.DataObject) -> None:
        plan = data.draw(st.sampled_from(plans_of(asked, world)))
        load(asked, world)
        before = trained(asked, world, plan)
        load(asked, replace(world, events=tuple(data.draw(st.permutations(world.events)))))
        assert trained(asked, world, plan) == before


def test_events_of_later_than_each_asked_instant_change_nothing(asked: Asked) -> None:
    @for_all(asked.examples // 2, world=event_worlds().filter(asks), data=st.data())
    def _(world: EventWorld, data: st.DataObject) -> None:
        latest = max(instant(moment) for _, moment in world.spine if moment is not None)
        then = tuple(event for event in world.events if event.event_timestamp is None or instant(event.event_timestamp) <= latest)
        plan = data.draw(st.sampled_from(plans_of(asked, world)))
        load(asked, world)
        with_the_future = trained(asked, world, plan)
        load(asked, replace(world, events=then))
        assert trained(asked, world, plan) == with_the_future


def asks(world: EventWorld) -> bool:
    return any(moment is not None for _, moment in world.spine)


NOON = datetime(2024, 3, 1, 12)
HOUR = timedelta(hours=1)


def asked_at_noon(*events: Row, functions: Sequence[AggregateFunction], place: int, created: bool = False) -> EventWorld:
    """One key and one hour, asked about at noon."""
    of = COLUMNS[place]
    view = FeatureView(
        name="orders",
        unique_id="model.world.orders",
        path="models/orders.sql",
        relation=Relation("orders"),
        entities=(Entity("customer", (Column("key", INT64),)),),
        event_timestamp=Column("happened", TIMESTAMP),
        created_timestamp=Column("written", TIMESTAMP) if created else None,
        features=tuple(
            Feature(
                feature_name(of.name, function, HOUR),
                function.result_type(of.value_type) or of.value_type,
                aggregation=Aggregation(function, HOUR, of),
            )
            for function in functions
        ),
    )
    windowed = tuple(Windowed(function.value, HOUR, place) for function in functions)
    return EventWorld(view, Rules(), windowed, events, TIMESTAMP, (((1,), NOON),))


def event(minutes: float, created: float = 0, **values: Any) -> Row:
    """An event so many minutes before noon, of key 1."""
    features = tuple(values.get(column.name) for column in COLUMNS)
    return Row((1,), NOON - minutes * timedelta(minutes=1), features, created_timestamp=NOON + created * timedelta(minutes=1))


@pytest.mark.parametrize("unsummable", [float("nan"), float("inf"), -float("inf"), 2.0**42, -5e300])
def test_a_window_with_a_float_that_has_no_exact_sum_has_none(asked: Asked, unsummable: float) -> None:
    functions = [AggregateFunction(name) for name in ("sum", "avg", "count", "max")]
    world = asked_at_noon(event(10, ratio=0.5), event(20, ratio=unsummable), event(30, ratio=-0.25), functions=functions, place=RATIO)
    load(asked, world)
    for plan in plans_of(asked, world):
        (row,) = trained(asked, world, plan)
        assert row[2:5] == ("not a number", "not a number", 3), plan
        assert near([row], expected(world)), plan


@pytest.mark.parametrize(
    ("events", "last"),
    [
        ([event(10, amount=1), event(20, amount=9), event(5)], 1),
        ([event(10, amount=1), event(10, amount=3), event(10, amount=2)], 3),
        ([event(10, 1, amount=1), event(10, 3, amount=-2), event(10, 2, amount=3)], -2),
        ([event(60, amount=1)], None),
    ],
    ids=["newest with a value", "then the greatest", "but first the one created last", "an hour old"],
)
def test_the_last_value_is_the_same_by_every_plan(asked: Asked, events: list[Row], last: int | None) -> None:
    world = asked_at_noon(*events, functions=[AggregateFunction.LAST], place=AMOUNT, created=True)
    load(asked, world)
    assert [trained(asked, world, plan)[0][-1] for plan in plans_of(asked, world)] == [last] * len(plans_of(asked, world))


def test_sums_are_exact_where_floats_added_one_by_one_are_not(asked: Asked) -> None:
    world = asked_at_noon(*(event(minute, ratio=0.1) for minute in range(10)), functions=[AggregateFunction.SUM], place=RATIO)
    load(asked, world)
    assert {trained(asked, world, plan)[0][-1] for plan in plans_of(asked, world)} == {1.0}
    assert sum([0.1] * 10) != 1.0
