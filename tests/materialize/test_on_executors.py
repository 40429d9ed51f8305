"""Where a warehouse runs functions on its rows, they are encoded and written there, and nothing of them passes through this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from history_project import HistoryProject, Row, at_hour
from redis import Redis
from redis_server import RedisServer
from warehouses import RunningWarehouse

from featurestore.errors import MaterializeError, OnlineStoreUnavailableError
from featurestore.materialize import publish
from featurestore.materialize.watermarks import read_watermarks
from featurestore.online_store.connect import open_store
from featurestore.online_store.redis import RedisStore
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, STRING, TIMESTAMP

pytestmark = pytest.mark.parametrize(
    "warehouse_name", [pytest.param("spark", marks=pytest.mark.xdist_group("warehouse spark"))], indirect=True
)
VIEW = FeatureView(
    name="readings",
    unique_id="model.lawful.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64),)),),
    event_timestamp=Column("read_at", TIMESTAMP),
    features=(Feature("value", INT64), Feature("unit", STRING)),
)
SENSORS = 50_000


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def project(running: RunningWarehouse, redis: RedisServer) -> HistoryProject:
    with Redis(port=redis.port) as client:
        client.flushall()
    return HistoryProject(running, redis.url, VIEW)


def readings(first: int, last: int, version: int, hour: float) -> list[Row]:
    read_at = at_hour(hour).replace(tzinfo=None)
    return [{"sensor_id": key, "read_at": read_at, "value": key * version, "unit": f"v{version}"} for key in range(first, last)]


def a_few(keys: range) -> list[Row]:
    return [{"sensor_id": key} for key in keys]


def test_no_row_passes_through_this_process(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot encode here, and publishes all the same; the report and the watermark are those of any other road."""
    newest = readings(0, SENSORS, 2, 9)
    newest[7] = {**newest[7], "read_at": at_hour(9.5).replace(tzinfo=None)}
    project.build([*readings(0, SENSORS, 1, 1), *newest])

    def refuse(*_: object) -> None:
        raise AssertionError("encoded in this process")

    monkeypatch.setattr(publish.RowEncoder, "encode", refuse)
    told: list[int] = []
    report = project.materialize(at_hour(10), progress=lambda _, rows: told.append(rows))
    assert [(view.rows, view.removed) for view in report.published] == [(SENSORS, 0)]
    assert sum(told) == SENSORS
    assert max(told) <= 16_384, "told part by part"
    watermark = watermark_of(project)
    assert (watermark.rows, watermark.event_timestamp) == (SENSORS, at_hour(9.5))
    asked = a_few(range(0, SENSORS, 997))
    assert project.online(asked, at_hour(10)) == project.training(asked, at_hour(10))


def test_what_left_the_view_is_removed(project: HistoryProject) -> None:
    project.build(readings(0, 300, 1, 1))
    project.materialize(at_hour(10))
    project.build(readings(100, 300, 2, 2))
    report = project.materialize(at_hour(11))
    assert [(view.rows, view.removed) for view in report.published] == [(200, 100)]
    asked = a_few(range(90, 110))
    assert project.online(asked, at_hour(11)) == project.training(asked, at_hour(11))


def test_a_task_that_fails_is_tried_again_and_counted_once(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt dies after it has written; the second writes the same rows over them."""
    project.build(readings(0, SENSORS, 1, 1))
    failing(monkeypatch, attempts=1)
    report = project.materialize(at_hour(10))
    assert [view.rows for view in report.published] == [SENSORS]
    asked = a_few(range(0, SENSORS, 997))
    assert project.online(asked, at_hour(10)) == project.training(asked, at_hour(10))


def test_after_a_job_that_died_every_row_is_old_or_new_and_the_next_run_completes_it(
    project: HistoryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.build(readings(0, SENSORS, 1, 1))
    project.materialize(at_hour(10))
    before = watermark_of(project)
    project.build(readings(0, SENSORS, 2, 2))
    with monkeypatch.context() as patch:
        failing(patch, attempts=99)
        with pytest.raises(MaterializeError, match="the executor died"):
            project.materialize(at_hour(11))
    assert watermark_of(project) == before
    asked = a_few(range(0, SENSORS, 97))
    values = {(row["value"] // max(row["sensor_id"], 1), row["unit"]) for row in project.online(asked, at_hour(11)) if row["sensor_id"]}
    assert values == {(1, "v1"), (2, "v2")}, "some of each, and no row of both"
    project.materialize(at_hour(11))
    assert project.online(asked, at_hour(11)) == project.training(asked, at_hour(11))


def test_a_store_that_executors_cannot_reach_is_named(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project.build(readings(0, 100, 1, 1))
    monkeypatch.setattr(
        RedisStore, "shared_url", property(lambda _: "redis://user:hunter2@127.0.0.1:1/0?retry_writes_for=1&retry_reads_for=1")
    )
    with pytest.raises(MaterializeError, match="on an executor") as caught:
        project.materialize(at_hour(10))
    failure = caught.value.report.failed[0].error
    assert isinstance(failure, OnlineStoreUnavailableError)
    assert "hunter2" not in str(failure)


def test_a_file_of_this_machine_is_written_from_here(running: RunningWarehouse, tmp_path: Path) -> None:
    """Executors on other machines could not."""
    project = HistoryProject(running, f"sqlite:///{tmp_path}/online.db", VIEW)
    project.build(readings(0, 1000, 1, 1))
    assert project.materialize(at_hour(10)).published[0].rows == 1000
    asked = a_few(range(0, 1100, 100))
    assert project.online(asked, at_hour(10)) == project.training(asked, at_hour(10))


def watermark_of(project: HistoryProject) -> Any:
    store = open_store(project.url)
    try:
        return read_watermarks(store, "lawful", [project.view])["readings"]
    finally:
        store.close()


def failing(monkeypatch: pytest.MonkeyPatch, attempts: int) -> None:
    """Make so many attempts of each task die after the first part that they write."""
    write_there: Any = publish._WriteThere

    # Inside, so that it travels to the executors as it is.
    def dying(*arguments: Any) -> Any:
        write = write_there(*arguments)

        def write_and_die(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            from pyspark import TaskContext

            for said in write(batches):
                if TaskContext.get().attemptNumber() < attempts:
                    raise OSError("the executor died")
                yield said

        return write_and_die

    monkeypatch.setattr(publish, "_WriteThere", dying)
