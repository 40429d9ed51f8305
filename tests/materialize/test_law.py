"""The law: after materializing at t, the online answer for a key is the training answer for (key, t). In every store, whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from history_project import HistoryProject, Row, at_hour
from hypothesis import strategies as st
from postgres_server import PostgresDatabase
from redis import Redis
from redis_server import RedisServer
from warehouses import WAREHOUSES, RunningWarehouse, for_all, pairs_with_stores

from featurestore.materialize.plan import Mode
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.value_types import FLOAT64, INT64, STRING, TIMESTAMP, DecimalType, ListType

ORDERS = FeatureView(
    name="orders",
    unique_id="model.lawful.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    features=(Feature("amount", DecimalType(10, 2)), Feature("kind", STRING)),
)
APPENDED = replace(ORDERS, materialized="incremental", incremental_strategy="append")
KEYS = [{"customer_id": key} for key in (1, 2, 3, 99)]
pytestmark = pytest.mark.parametrize(("warehouse_name", "store"), pairs_with_stores(), indirect=["warehouse_name"])


def order(customer: int | None, hour: float, amount: str | None = "1.00", kind: str | None = "web", loaded: float | None = None) -> Row:
    return {
        "customer_id": customer,
        "ordered_at": at_hour(hour).replace(tzinfo=None),
        "loaded_at": at_hour(hour if loaded is None else loaded).replace(tzinfo=None),
        "amount": None if amount is None else Decimal(amount),
        "kind": kind,
    }


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


def assert_law(project: HistoryProject, hour: float, keys: list[dict[str, Any]] = KEYS) -> None:
    at = at_hour(hour)
    assert project.online(keys, at) == project.training(keys, at)


def test_after_a_first_load(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 1), order(1, 2, "2.00"), order(2, 1, None, None), order(3, 50), order(None, 1)])
    report = project.materialize(at_hour(10))
    assert report.published[0].rows == 2
    assert_law(project, 10)
    assert project.online(KEYS[:1], at_hour(10)) == [{"customer_id": 1, "amount": Decimal("2.00"), "kind": "web"}]


def test_after_an_incremental_change(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, APPENDED)
    rows = [order(1, 1), order(2, 1), order(3, 2)]
    project.build(rows)
    project.materialize(at_hour(10))
    project.build([*rows, order(1, 11, "3.00")])
    report = project.materialize(at_hour(12))
    assert [(one.mode, one.rows) for one in report.published] == [(Mode.INCREMENTAL, 2)], "keys 3 (at the watermark) and 1"
    assert_law(project, 12)


def test_a_late_row_behind_the_watermark_is_not_lost(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, APPENDED)
    rows = [order(1, 1), order(2, 8)]
    project.build(rows)
    project.materialize(at_hour(10))
    project.build([*rows, order(1, 5, "5.00", loaded=5)])
    report = project.materialize(at_hour(11))
    assert report.published[0].mode is Mode.FULL
    assert "behind the watermark" in report.published[0].reason
    assert_law(project, 11)


def test_a_rebuild_that_was_never_published_is_not_lost(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, APPENDED)
    project.build([order(1, 1, "10.00"), order(2, 2), order(3, 2)])
    project.materialize(at_hour(10))
    rebuilt = [order(1, 1, "999.00"), order(2, 2)]
    project.build(rebuilt)
    project.build([*rebuilt, order(2, 11)])
    report = project.materialize(at_hour(12))
    assert report.published[0].mode is Mode.FULL
    assert_law(project, 12)


def test_a_sentinel_near_the_end_of_the_calendar_does_no_harm(url: str, running: RunningWarehouse) -> None:
    """It counts only after the calendar's end."""
    project = HistoryProject(running, url, replace(APPENDED, available_after=timedelta(days=1)))
    never = {**order(1, 1), "ordered_at": datetime(9999, 12, 31, 12)}
    project.build([order(1, 1), order(2, 1), never])
    assert not project.materialize(at_hour(40)).failed
    assert_law(project, 40)


def test_infinite_timestamps_do_no_harm(url: str, running: RunningWarehouse, warehouse_name: str) -> None:
    project = HistoryProject(running, url, APPENDED)
    project.build([order(1, 1), order(2, 1)])
    # Arrow has no infinity, so it is put in by SQL where it is known.
    inserts = (
        "insert into orders select 2, timestamp 'infinity', timestamp '2024-01-01', 9, 'never'",
        "insert into orders select 3, timestamp '-infinity', timestamp '-infinity', 3, 'always'",
    )
    if warehouse_name == "duckdb":
        with duckdb.connect(running.directory / running.output["path"]) as connection:
            for insert in inserts:
                connection.execute(insert)
    if isinstance(running, PostgresDatabase):
        running.execute(*inserts)
    assert not project.materialize(at_hour(40)).failed
    assert_law(project, 40)


@pytest.mark.parametrize("view", [ORDERS, APPENDED], ids=["table", "appended"])
def test_after_a_correction_under_the_same_event_time(url: str, running: RunningWarehouse, view: FeatureView) -> None:
    project = HistoryProject(running, url, view)
    rows = [order(1, 1, "10.00"), order(2, 1)]
    project.build(rows)
    project.materialize(at_hour(10))
    corrected = order(1, 1, "777.00", loaded=10.5)
    project.build([*rows, corrected] if view is APPENDED else [corrected, rows[1]])
    project.materialize(at_hour(11))
    assert_law(project, 11)
    assert project.online(KEYS[:1], at_hour(11))[0]["amount"] == Decimal("777.00")


def test_after_a_deletion(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 1), order(2, 1), order(3, 1), order(3, 2)])
    project.materialize(at_hour(10))
    project.build([order(1, 1), order(3, 1)])
    report = project.materialize(at_hour(11))
    assert report.published[0].removed == 1
    assert_law(project, 11)
    assert project.online([{"customer_id": 2}], at_hour(11)) == [{"customer_id": 2, "amount": None, "kind": None}]


def test_after_every_row_is_gone(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 1)])
    project.materialize(at_hour(10))
    project.build([])
    project.materialize(at_hour(11))
    assert_law(project, 11)


def test_after_the_newest_row_moved_back(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 8, "8.00")])
    project.materialize(at_hour(10))
    project.build([order(1, 3, "3.00")])
    project.materialize(at_hour(11))
    assert_law(project, 11)


def test_after_a_schema_change(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 1), order(2, 1)])
    project.materialize(at_hour(10))
    wider = replace(
        ORDERS, features=(Feature("score", FLOAT64), Feature("amount", DecimalType(12, 4)), Feature("vector", ListType(FLOAT64)))
    )
    project = replace(project, view=wider)
    rows = [{**order(key, 1), "amount": Decimal("1.5000"), "score": 0.1, "vector": [1.0, None]} for key in (1, 2)]
    project.build(rows)
    project.materialize(at_hour(11))
    assert_law(project, 11)
    assert project.online(KEYS[:1], at_hour(11)) == [{"customer_id": 1, "score": 0.1, "amount": Decimal("1.5000"), "vector": [1.0, None]}]


def test_after_the_join_key_changed_its_type(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, ORDERS)
    project.build([order(1, 1)])
    project.materialize(at_hour(10))
    project = replace(project, view=replace(ORDERS, entities=(Entity("customer", (Column("customer_id", STRING),)),)))
    project.build([{**order(1, 1), "customer_id": "1"}])
    report = project.materialize(at_hour(11))
    assert report.published[0].version == 2
    assert_law(project, 11, [{"customer_id": "1"}, {"customer_id": "2"}])


def test_values_expire_at_the_same_microsecond_in_both(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, replace(ORDERS, ttl=timedelta(hours=4)))
    project.build([order(1, 1), order(2, 5), order(3, 5.0001)])
    project.materialize(at_hour(5.5))
    for late in (timedelta(0), timedelta(microseconds=1)):
        at = at_hour(9) + late
        assert project.online(KEYS, at) == project.training(KEYS, at)


def test_a_day_that_is_over_counts_without_a_new_dbt_run(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, replace(ORDERS, available_after=timedelta(days=1)))
    project.build([order(1, 0, "1.00"), order(1, 24, "2.00")])
    assert project.materialize(at_hour(47)).published
    assert_law(project, 47)
    assert not project.materialize(at_hour(47.9)).published
    assert project.materialize(at_hour(48)).published
    assert_law(project, 48)


def test_an_appended_day_that_is_over_counts_too(url: str, running: RunningWarehouse) -> None:
    project = HistoryProject(running, url, replace(APPENDED, available_after=timedelta(days=1)))
    project.build([order(1, 0, "1.00"), order(1, 24, "2.00"), order(2, 0), order(3, 30, loaded=0)])
    project.materialize(at_hour(47))
    report = project.materialize(at_hour(48))
    assert report.published[0].mode is Mode.INCREMENTAL
    assert_law(project, 48)


def test_a_snapshot_row_that_ended_is_gone(url: str, running: RunningWarehouse) -> None:
    snapshot = replace(ORDERS, created_timestamp=None, valid_to=Column("ended_at", TIMESTAMP), materialized="snapshot")
    project = HistoryProject(running, url, snapshot)

    def valid(customer: int, start: float, end: float | None) -> Row:
        return {**order(customer, start), "ended_at": None if end is None else at_hour(end).replace(tzinfo=None)}

    project.build([valid(1, 1, 5), valid(1, 5, None), valid(2, 1, 6), valid(3, 1, 20)])
    project.materialize(at_hour(10))
    assert_law(project, 10)
    for at in (at_hour(20) - timedelta(microseconds=1), at_hour(20)):
        assert project.online(KEYS, at) == project.training(KEYS, at), "ended while nothing was materialized"


hours = st.integers(0, 40).map(lambda half: half / 2)
an_order = st.builds(
    order,
    st.sampled_from([1, 2, 3, None]),
    hours,
    st.sampled_from(["1.00", "2.50", "-3.25", None]),
    st.sampled_from(["web", "shop", "", None]),
    st.one_of(st.none(), hours),
)
views = st.builds(
    replace,
    st.sampled_from([ORDERS, APPENDED]),
    ttl=st.sampled_from([None, timedelta(hours=3), timedelta(days=1)]),
    available_after=st.sampled_from([timedelta(0), timedelta(hours=2)]),
    late_data=st.sampled_from(list(LateData)),
)


def test_over_random_histories_of_loads(running: RunningWarehouse, warehouse_name: str, store: str, redis: RedisServer) -> None:
    """Each load appends its rows, or (only where dbt would) replaces all there was; then time goes on and it is materialized."""
    a_load = st.tuples(st.lists(an_order, max_size=8), st.booleans(), st.integers(1, 10))

    @for_all(WAREHOUSES[warehouse_name].examples // 2, view=views, loads=st.lists(a_load, min_size=1, max_size=4))
    def _(view: FeatureView, loads: list[tuple[list[Row], bool, int]]) -> None:
        with TemporaryDirectory() as directory:
            project = HistoryProject(running, store_url(store, redis, Path(directory)), view)
            rows: list[Row] = []
            hour = 5
            for added, replaces, later in loads:
                rows = added if replaces and view.materialized == "table" else [*rows, *added]
                hour += later
                project.build(rows)
                project.materialize(at_hour(hour))
                assert_law(project, hour)
