"""The law for windows that decay: the online answer is training's at the instant of materializing, and at every later one for a while."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from event_histories import COLUMNS, EventWorld, event_worlds
from histories import MOMENTS, TICK
from history_project import HistoryProject, Row, at_hour
from hypothesis import strategies as st
from redis import Redis
from redis_server import RedisServer
from reference import instant
from warehouses import WAREHOUSES, RunningWarehouse, for_all, pairs_with_stores

from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP
from featurestore.serving.online_features import Status

pytestmark = pytest.mark.parametrize(("warehouse_name", "store"), pairs_with_stores(), indirect=["warehouse_name"])
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
AMOUNT = Column("amount", FLOAT64)


def aggregated(function: AggregateFunction, window: timedelta, column: Column | None = AMOUNT) -> Feature:
    answered = function.result_type(column.value_type if column else None)
    assert answered is not None
    return Feature(
        feature_name(column.name if column else None, function, window), answered, aggregation=Aggregation(function, window, column)
    )


PAYMENTS = FeatureView(
    name="payments",
    unique_id="model.lawful.payments",
    path="models/payments.sql",
    relation=Relation("payments"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("paid_at", TIMESTAMP),
    features=tuple(
        aggregated(function, window)
        for function in (AggregateFunction.SUM, AggregateFunction.COUNT, AggregateFunction.LAST)
        for window in (HOUR, DAY)
    ),
    exact_for=timedelta(hours=12),
)
KEYS = [{"customer_id": key} for key in (1, 2, 3)]


def payment(customer: int | None, hour: float, amount: float | None = 1.0) -> Row:
    return {"customer_id": customer, "paid_at": at_hour(hour).replace(tzinfo=None), "amount": amount}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def url(store: str, redis: RedisServer, tmp_path: Path) -> str:
    return store_url(store, redis, tmp_path)


def store_url(kind: str, redis: RedisServer, directory: Path) -> str:
    if kind == "embedded":
        return f"sqlite:///{directory}/online.db"
    with Redis(port=redis.port) as client:
        client.flushall()
    return redis.url


def project_of(running: RunningWarehouse, url: str, view: FeatureView = PAYMENTS) -> HistoryProject:
    return HistoryProject(running, url, view, columns=[AMOUNT])


def assert_lawful(project: HistoryProject, keys: list[dict[str, Any]], at: datetime) -> None:
    assert comparable(project.online(keys, at)) == comparable(project.training(keys, at)), at


def test_an_event_leaves_its_window_online_at_the_microsecond_at_which_it_does_in_training(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url)
    project.build([payment(1, 9.5, 2.0), payment(1, 9.75, 3.0), payment(2, 1, 5.0)])
    project.materialize(at_hour(10))
    for at in (at_hour(10), at_hour(10.5) - TICK, at_hour(10.5), at_hour(10.75) - TICK, at_hour(10.75), at_hour(22)):
        assert_lawful(project, KEYS, at)
    sums = [project.online(KEYS[:1], at)[0]["amount_sum_1h"] for at in (at_hour(10.5) - TICK, at_hour(10.5), at_hour(10.75))]
    assert sums == [5.0, 3.0, None]
    counts = [project.online(KEYS[:1], at)[0]["amount_count_1h"] for at in (at_hour(10.5) - TICK, at_hour(10.5), at_hour(10.75))]
    assert counts == [2, 1, 0]


def test_what_was_materialized_too_long_ago_says_nothing(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url)
    project.build([payment(1, 9.5)])
    project.materialize(at_hour(10))
    assert Status.OUTSIDE_MAX_AGE not in project.statuses(KEYS, at_hour(22))
    assert project.statuses(KEYS[:1], at_hour(22) + TICK) == {Status.OUTSIDE_MAX_AGE}
    assert set(project.online(KEYS[:1], at_hour(22) + TICK)[0].values()) == {1, None}


def test_a_key_without_events_in_the_longest_window_is_not_found(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url, replace(PAYMENTS, exact_for=timedelta(days=3)))
    project.build([payment(1, 9.5), payment(2, -15), payment(3, -14)])
    report = project.materialize(at_hour(10))
    assert report.published[0].rows == 1, "those of keys 2 and 3 are a day old or older"
    assert project.statuses(KEYS[1:], at_hour(10)) == {Status.NOT_FOUND}
    assert project.statuses(KEYS[:1], at_hour(33.5) - TICK) == {Status.PRESENT, Status.NULL_VALUE}
    assert project.statuses(KEYS[:1], at_hour(33.5)) == {Status.NOT_FOUND}
    project.build([payment(2, 15)])
    assert project.materialize(at_hour(36)).published[0].removed == 1
    assert_lawful(project, KEYS, at_hour(36))


def test_an_event_that_is_not_available_yet_comes_to_count_online_too(url: str, running: RunningWarehouse) -> None:
    project = project_of(
        running, url, replace(PAYMENTS, available_after=timedelta(minutes=30), features=tuple(f for f in PAYMENTS.features))
    )
    project.build([payment(1, 9.75, 2.0), payment(2, 11, 3.0)])
    project.materialize(at_hour(10))
    for hour in (10, 10.25, 10.5, 11.25, 11.5, 11.75, 12):
        assert_lawful(project, KEYS, at_hour(hour))
        assert_lawful(project, KEYS, at_hour(hour) - TICK if hour > 10 else at_hour(hour))
    assert project.online(KEYS[:2], at_hour(11.5))[1]["amount_sum_1h"] == 3.0


def test_a_clock_that_is_a_little_behind_reads_what_was_materialized(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url)
    project.build([payment(1, 9.5, 2.0)])
    project.materialize(at_hour(10))
    assert project.online(KEYS[:1], at_hour(10) - timedelta(seconds=2)) == project.online(KEYS[:1], at_hour(10))


def test_it_is_materialized_again_without_another_dbt_run_when_half_of_its_time_is_over(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url)
    project.build([payment(1, 9.5)])
    assert project.materialize(at_hour(10)).published
    assert not project.materialize(at_hour(16) - TICK).published
    assert project.materialize(at_hour(16)).published
    assert_lawful(project, KEYS, at_hour(28))


def test_a_changed_window_or_filter_publishes_anew(url: str, running: RunningWarehouse) -> None:
    project = project_of(running, url)
    project.build([payment(1, 9.5, 2.0), payment(1, 5, -1.0)])
    project.materialize(at_hour(10))
    longer = replace(PAYMENTS, features=(aggregated(AggregateFunction.SUM, timedelta(hours=6)), *PAYMENTS.features))
    for view in (longer, replace(longer, features=tuple(filtered(feature) for feature in longer.features))):
        project = replace(project, view=view)
        assert project.materialize(at_hour(11)).published[0].reason == "its definition changed"
        assert_lawful(project, KEYS, at_hour(11))


def filtered(feature: Feature) -> Feature:
    assert feature.aggregation is not None
    return replace(feature, aggregation=replace(feature.aggregation, filter="amount > 0"))


def test_over_random_histories_of_events(store: str, redis: RedisServer, running: RunningWarehouse, warehouse_name: str) -> None:
    @for_all(WAREHOUSES[warehouse_name].examples // 2, world=event_worlds(), at=MOMENTS, later=st.lists(MOMENTS, max_size=3))
    def _(world: EventWorld, at: datetime, later: list[datetime]) -> None:
        with TemporaryDirectory() as directory:
            project = HistoryProject(running, store_url(store, redis, Path(directory)), world.view, columns=COLUMNS)
            running.load(project.view.relation, world.table())
            at = at.replace(tzinfo=timezone.utc)
            project.materialize(at)
            names = [key.name for key in world.view.join_keys]
            keys = [dict(zip(names, event.keys, strict=True)) for event in world.events] or [dict.fromkeys(names)]
            until = at + world.view.exact_for
            for asked in sorted({at, until, *(moment for moment in asked_about(world, later) if at < moment <= until)}):
                assert_lawful(project, keys, asked)
            assert project.statuses(keys, until + TICK) <= {Status.OUTSIDE_MAX_AGE, Status.NOT_FOUND}


def asked_about(world: EventWorld, later: list[datetime]) -> Iterator[datetime]:
    """Some instants, and those at which something changes and just before them."""
    moments = [instant(event.event_timestamp) for event in world.events if event.event_timestamp is not None]
    for moment in [*later, *(moment + window for moment in moments for window in world.view.windows)]:
        yield moment.replace(tzinfo=timezone.utc)
        yield moment.replace(tzinfo=timezone.utc) - TICK


def comparable(rows: list[Row]) -> list[Row]:
    """The rows with what does not equal itself replaced."""
    return [
        {name: "not a number" if isinstance(value, float) and math.isnan(value) else value for name, value in row.items()} for row in rows
    ]
