"""Both plans for views of aggregations give each spine row what the reference gives it, to the last bit the same as each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from asking import Asked
from asking_windows import expected, load, near, plans_of, trained
from event_histories import EventWorld, event_worlds
from hypothesis import strategies as st
from reference import instant
from warehouses import WAREHOUSES, RunningWarehouse, for_all, opened

from featurestore.registry.aggregations import AggregateFunction
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
