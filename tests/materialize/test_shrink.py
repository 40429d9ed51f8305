"""A source that suddenly lost many of its entity keys is not published, whatever made it lose them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from duckdb_file import duckdb_file
from history_project import HistoryProject, Row, at_hour

from featurestore.errors import MaterializeError, ShrinkError
from featurestore.materialize.plan import Mode
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, STRING, TIMESTAMP

READINGS = FeatureView(
    name="readings",
    unique_id="model.lawful.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64),)),),
    event_timestamp=Column("read_at", TIMESTAMP),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    features=(Feature("value", INT64),),
)
DAY = 24


@pytest.fixture
def project(tmp_path: Path) -> Iterator[HistoryProject]:
    with duckdb_file(tmp_path) as running:
        yield HistoryProject(running, f"sqlite:///{tmp_path}/online.db", READINGS)


def readings(sensors: range, hour: float) -> list[Row]:
    at = at_hour(hour).replace(tzinfo=None)
    return [{"sensor_id": sensor, "read_at": at, "loaded_at": at, "value": sensor} for sensor in sensors]


def published(project: HistoryProject, hour: float, allow_shrink: bool = False) -> int:
    return project.materialize(at_hour(hour), allow_shrink=allow_shrink, everything=True).published[0].rows


def refused(project: HistoryProject, hour: float) -> str:
    keys = [{"sensor_id": sensor} for sensor in range(12)]
    before = project.online(keys, at_hour(hour))
    with pytest.raises(MaterializeError) as caught:
        published(project, hour)
    error = caught.value.report.failed[0].error
    assert isinstance(error, ShrinkError)
    assert project.online(keys, at_hour(hour)) == before, "what is online stays"
    return str(error)


def test_up_to_half_of_the_keys_may_go(project: HistoryProject) -> None:
    project.build(readings(range(10), 1))
    assert published(project, 2) == 10
    project.build(readings(range(5), 1))
    assert published(project, 3) == 5
    project.build(readings(range(2), 1))
    assert refused(project, 4).startswith("3 of 5 entity keys are gone from shop.main.readings since it was published last")
    assert published(project, 4, allow_shrink=True) == 2
    assert published(project, 5) == 2, "allowed once, it is what the next run compares with"


def test_an_empty_source_publishes_nothing_and_says_how_to(project: HistoryProject) -> None:
    project.build([])
    assert published(project, 1) == 0, "there is nothing to compare the first publication with"
    project.build(readings(range(1), 1))
    published(project, 2)
    project.build([])
    assert "no entity key is left" in refused(project, 3)
    assert "--allow-shrink" in refused(project, 3)
    assert published(project, 3, allow_shrink=True) == 0
    assert published(project, 4) == 0


@pytest.mark.parametrize(("limit", "left"), [(0.0, 10), (0.2, 8), (1.0, 0)])
def test_a_view_says_for_itself_how_many_may_go(project: HistoryProject, limit: float, left: int) -> None:
    project = replace(project, view=replace(project.view, max_shrink=limit))
    project.build(readings(range(10), 1))
    published(project, 2)
    if left:
        project.build(readings(range(left - 1), 1))
        refused(project, 3)
    project.build(readings(range(left), 1))
    assert published(project, 3) == left


def test_keys_that_aged_out_are_not_gone(project: HistoryProject) -> None:
    """All but one are past their TTL, and past the time for which they are kept after it."""
    project = replace(project, view=replace(project.view, ttl=timedelta(days=1)))
    rows = readings(range(10), 1)
    project.build(rows)
    assert published(project, 2) == 10
    rows += readings(range(1), 20 * DAY)
    project.build(rows)
    assert published(project, 20 * DAY + 1) == 1
    assert published(project, 20 * DAY + 2) == 1


def test_keys_whose_rows_moved_back_out_of_reach_are_gone(project: HistoryProject) -> None:
    project = replace(project, view=replace(project.view, ttl=timedelta(days=1)))
    project.build(readings(range(10), 20 * DAY))
    assert published(project, 20 * DAY + 1) == 10
    project.build(readings(range(10), 1))
    assert "no entity key is left" in refused(project, 20 * DAY + 2)


def test_an_incremental_run_hands_on_what_was_counted(project: HistoryProject) -> None:
    project = replace(project, view=replace(project.view, materialized="incremental", incremental_strategy="append"))
    rows = readings(range(10), 1)
    project.build(rows)
    published(project, 2)
    project.build([*rows, *readings(range(1), 3)])
    assert project.materialize(at_hour(4), allow_shrink=False).published[0].mode is Mode.INCREMENTAL
    project.build(readings(range(4), 1))
    assert "6 of 10 entity keys are gone" in refused(project, 5)


def test_a_view_of_aggregations_is_compared_by_the_keys_in_its_windows(project: HistoryProject) -> None:
    over_a_day = Aggregation(AggregateFunction.COUNT, timedelta(days=1))
    features = (Feature("count_1d", INT64, aggregation=over_a_day),)
    columns = (Column("unit", STRING),)
    project = replace(project, view=replace(project.view, features=features), columns=columns)
    project.build([{**row, "unit": "C"} for row in readings(range(10), 1)])
    assert published(project, 2) == 10
    project.build([{**row, "unit": "C"} for row in readings(range(4), 1)])
    assert "6 of 10 entity keys are gone" in refused(project, 3)


def test_another_entity_has_other_keys(project: HistoryProject) -> None:
    """How many there are of one says nothing of the other; that there are none says something."""
    project.build(readings(range(10), 1))
    published(project, 2)
    project = replace(project, view=replace(project.view, entities=(Entity("unit", (Column("unit", STRING),)),)))
    project.build([{**row, "unit": "C"} for row in readings(range(10), 1)])
    assert published(project, 3) == 1
    project = replace(project, view=replace(project.view, entities=(Entity("unit", (Column("unit", INT64),)),)))
    project.build([])
    with pytest.raises(MaterializeError, match="no entity key is left"):
        published(project, 4)
