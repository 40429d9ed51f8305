"""Servers of the online store that are replaced during a run: every row ends online, or the run fails and its watermark does not lie."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from history_project import PROJECT, HistoryProject, at_hour
from redis_cluster import RedisCluster
from redis_server import RedisServer
from warehouses import WAREHOUSES, RunningWarehouse

from featurestore.codec.keys import key_space
from featurestore.errors import MaterializeError, OnlineStoreUnavailableError
from featurestore.materialize.plan import Mode
from featurestore.materialize.run import ATTEMPTS, Published
from featurestore.materialize.watermarks import read_watermarks
from featurestore.online_store.connect import PATIENCE_OF_A_RUN, open_store
from featurestore.online_store.redis_commands import documents_key, slot_of
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, TIMESTAMP

ORDERS = FeatureView(
    name="orders",
    unique_id="model.lawful.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", INT64),),
)
CUSTOMERS = [{"customer_id": customer} for customer in range(300)]
ROWS = [{**customer, "ordered_at": at_hour(1).replace(tzinfo=None), "amount": customer["customer_id"]} for customer in CUSTOMERS]


@pytest.fixture(scope="module")
def duckdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWarehouse]:
    with WAREHOUSES["duckdb"].start(tmp_path_factory.mktemp("duckdb")) as started:
        yield started


class Once:
    """Does something when the first rows of a run are written."""

    def __init__(self, act: Callable[[], None], times: int = 1) -> None:
        self._act, self._left = act, times

    def __call__(self, view: str, rows: int) -> None:
        if self._left:
            self._left -= 1
            self._act()


def materialized(url: str, duckdb: RunningWarehouse, act: Callable[[], None], times: int = 1) -> HistoryProject:
    project = HistoryProject(duckdb, url, ORDERS)
    project.build(ROWS)
    project.materialize(at_hour(10), progress=Once(act, times))
    return project


def assert_all_online(project: HistoryProject) -> None:
    assert project.online(CUSTOMERS, at_hour(10)) == project.training(CUSTOMERS, at_hour(10))
    store = open_store(project.url)
    watermark = read_watermarks(store, PROJECT, [project.view])["orders"]
    store.close()
    assert watermark.rows == len(CUSTOMERS)


def test_rows_that_a_failed_master_took_with_it_are_written_again(duckdb: RunningWarehouse) -> None:
    with RedisCluster(replicas=1, node_timeout=800) as cluster:
        master = cluster.owner(slot_of(key_space(PROJECT, ORDERS).key(b"7")))
        replica = cluster.replica_of(master)
        replica.stop()
        with master.client() as client:
            client.client_kill_filter(_type="replica")

        def fail() -> None:
            master.kill()
            replica.go_on()

        assert_all_online(materialized(cluster.url, duckdb, fail))


def test_rows_that_a_restarted_server_forgot_are_written_again(duckdb: RunningWarehouse) -> None:
    with RedisServer() as server:

        def restart() -> None:
            server.kill()
            server.start()

        assert_all_online(materialized(server.url, duckdb, restart))


APPENDED = replace(ORDERS, created_timestamp=Column("loaded_at", TIMESTAMP), materialized="incremental", incremental_strategy="append")
"""What an ordinary run reads only the new rows of."""


def published_and_appended_to(url: str, duckdb: RunningWarehouse, act: Callable[[], None]) -> Published:
    """Publish most of the rows, and then the rest, while something happens to what was there."""
    project = HistoryProject(duckdb, url, APPENDED)
    rows = [{**row, "loaded_at": row["ordered_at"] + timedelta(seconds=second)} for second, row in enumerate(ROWS)]
    project.build(rows[:290])
    project.materialize(at_hour(9))
    project.build(rows[:290] + [{**row, "loaded_at": at_hour(9).replace(tzinfo=None)} for row in rows[290:]])
    happened = []

    def once(view: str, written: int) -> None:
        if not happened:
            happened.append(written)
            act()

    (done,) = project.materialize(at_hour(10), progress=once).published
    assert happened == [11], "it began with the new rows and the one at the watermark"
    assert_all_online(project)
    return done


def test_rows_of_earlier_runs_that_went_with_a_server_are_written_again(duckdb: RunningWarehouse) -> None:
    """The watermark, which is on another server, says that they are there."""
    with RedisCluster() as cluster:
        slots = {key: slot_of(key_space(PROJECT, APPENDED).key(b"%d" % key)) for key in range(290)}
        documents = cluster.owner(slot_of(documents_key(PROJECT).encode()))
        master = next(owner for slot in slots.values() if (owner := cluster.owner(slot)) is not documents)

        def restart() -> None:
            master.kill()
            master.start()

        done = published_and_appended_to(cluster.url, duckdb, restart)
    assert (done.mode, done.beside) == (Mode.FULL, False)
    assert done.reason == "a server of the online store was replaced, and may have taken rows with it"


def test_a_view_whose_watermark_went_with_its_rows_is_published_as_if_for_the_first_time(duckdb: RunningWarehouse) -> None:
    with RedisServer() as server:

        def restart() -> None:
            server.kill()
            server.start()

        done = published_and_appended_to(server.url, duckdb, restart)
    assert (done.mode, done.beside) == (Mode.FULL, True)


def test_a_run_waits_for_a_server_that_is_away_for_a_while(duckdb: RunningWarehouse) -> None:
    """As a project's own run opens the store; one that asks a question is told at once that nobody is there."""
    with RedisServer() as server:
        project = HistoryProject(duckdb, server.url, ORDERS)
        project.build(ROWS)
        patient, asking = open_store(server.url, patience=PATIENCE_OF_A_RUN), open_store(server.url)

        def gone_for_a_while() -> None:
            server.kill()
            with pytest.raises(OnlineStoreUnavailableError):
                asking.read_documents(PROJECT, ["registry"])
            threading.Timer(0.5, server.start).start()

        project.materialize(at_hour(10), progress=Once(gone_for_a_while), store=patient)
        assert_all_online(project)
        patient.close()
        asking.close()


def test_a_store_whose_servers_never_last_is_told_of_and_has_no_watermark(duckdb: RunningWarehouse) -> None:
    with RedisServer() as server:

        def restart() -> None:
            server.kill()
            server.start()

        with pytest.raises(MaterializeError, match="orders: a server of the online store was restarted or replaced"):
            materialized(server.url, duckdb, restart, ATTEMPTS)
        store = open_store(server.url)
        assert read_watermarks(store, PROJECT, [ORDERS]) == {}
        store.close()
