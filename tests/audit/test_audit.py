"""An audit finds nothing where the law holds, and each planted fault where it does not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from duckdb_file import duckdb_file
from history_project import PROJECT, HistoryProject, Row, at_hour
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis_server import RedisServer

from featurestore.arrow import arrow_type
from featurestore.audit.keys import KEYS_AT_ONCE, OnlineKeys, key_values
from featurestore.audit.outcomes import Outcome
from featurestore.audit.report import to_arrow, to_prometheus
from featurestore.audit.run import Audit, AuditReport
from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import encode_keys, key_space
from featurestore.codec.layout import RowSchema, run_sequence
from featurestore.errors import EntityKeyError
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import SNAPSHOT, to_json
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    IntegerType,
    ValueType,
)
from featurestore.serving.reader import OnlineFeatureStore

READINGS = FeatureView(
    name="readings",
    unique_id="model.lawful.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64), Column("site", STRING))),),
    event_timestamp=Column("read_at", TIMESTAMP),
    features=(Feature("level", FLOAT64), Feature("number", INT64), Feature("checked_at", TIMESTAMP_UTC)),
    ttl=timedelta(days=2),
)
NUMBER_OF_KEYS = 8


def reading(sensor: int, hour: float, level: float | None = 0.1, number: int | None = 7) -> Row:
    return {
        "sensor_id": sensor,
        "site": "north, 50%",
        "read_at": at_hour(hour).replace(tzinfo=None),
        "level": level,
        "number": number,
        "checked_at": at_hour(hour - 1),
    }


ROWS = [reading(sensor, hour) for sensor in range(NUMBER_OF_KEYS - 2) for hour in (1, 2)]
OLD = [reading(NUMBER_OF_KEYS - 2, -100), reading(NUMBER_OF_KEYS - 1, 40)]
"""One that has expired, and one that does not count yet."""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[HistoryProject]:
    with duckdb_file(tmp_path) as running:
        yield published(HistoryProject(running, f"sqlite:///{tmp_path}/online.db", READINGS))


@pytest.fixture
def in_redis(tmp_path: Path) -> Iterator[HistoryProject]:
    with duckdb_file(tmp_path) as running, RedisServer() as server:
        yield published(HistoryProject(running, server.url, READINGS))


def published(project: HistoryProject) -> HistoryProject:
    project.build([*ROWS, *OLD])
    project.materialize(at_hour(10))
    return project


def audit(project: HistoryProject, hour: float = 10, *, sample: int | None = None, view: FeatureView | None = None) -> AuditReport:
    store = open_store(project.url)
    try:
        opened = partial(OnlineFeatureStore, project.url, PROJECT, clock=lambda: at_hour(hour))
        return Audit(PROJECT, project.warehouse, store, opened, at_hour(hour), sample, 2).run([view or project.view])
    finally:
        store.close()


def found(report: AuditReport, feature: str = "level") -> dict[str, int]:
    """The outcomes that are not equal, with their numbers."""
    (of,) = [each for each in report.views[0].features if each.reference.feature == feature]
    return {outcome.value: count for outcome, count in of.counts.items() if count and outcome is not Outcome.EQUAL}


def write(project: HistoryProject, *rows: Row, number: int = 1000, view: FeatureView | None = None) -> None:
    """Put rows online as no materialization would."""
    view = view or project.view
    store = open_store(project.url)
    schema = RowSchema.of(view)
    store.write_documents(PROJECT, {schema.document_name: schema.to_document()})
    names = [*(key.name for key in view.join_keys), view.event_timestamp.name, "valid_to", *(feature.name for feature in view.features)]
    batch = pa.RecordBatch.from_pylist([{"valid_to": None, **row} for row in rows], schema=batch_schema(view, names))
    store.write(RowEncoder(PROJECT, view, run_sequence(number)).encode(batch), WriteMode.EXACT)
    store.close()


def batch_schema(view: FeatureView, names: list[str]) -> pa.Schema:
    types = {of.name: arrow_type(of.value_type) for of in (*view.join_keys, *view.features)}
    return pa.schema([(name, types.get(name, pa.timestamp("us"))) for name in names])


class TestWhereTheLawHolds:
    @pytest.mark.parametrize("sample", [None, 3, 1000])
    def test_nothing_is_found(self, project: HistoryProject, sample: int | None) -> None:
        report = audit(project, sample=sample)
        assert report.agrees
        assert [found(report, name) for name in ("level", "number", "checked_at")] == [{}, {}, {}]
        assert report.views[0].watermark == at_hour(10)

    def test_nothing_is_found_in_redis_until_a_row_is_lost(self, in_redis: HistoryProject) -> None:
        assert audit(in_redis).agrees
        with Redis.from_url(in_redis.url) as client:
            assert client.delete(key_space(PROJECT, READINGS).key(entity_key(READINGS, 3))) == 1
        assert found(audit(in_redis)) == {"missing": 1}

    @pytest.mark.parametrize("sample", [None, 1000])
    def test_each_key_counts_once(self, project: HistoryProject, sample: int | None) -> None:
        remove(project, 3)
        report = audit(project, sample=sample)
        assert found(report) == {"missing": 1}
        assert len(report.views[0].features[0].examples) == 1
        project.build([row for row in ROWS if row["sensor_id"] != 2])
        assert found(audit(project, sample=sample)) == {"missing": 1, "extra": 1}

    def test_all_keys_are_asked_about(self, project: HistoryProject) -> None:
        assert audit(project).views[0].keys >= NUMBER_OF_KEYS

    def test_values_that_are_no_numbers_are_equal_to_themselves(self, project: HistoryProject) -> None:
        project.build([*ROWS, reading(0, 3, float("nan")), reading(1, 3, -0.0), reading(2, 3, None)])
        project.materialize(at_hour(11))
        assert audit(project, 11).agrees

    def test_a_ttl_that_passes_passes_on_both_sides(self, project: HistoryProject) -> None:
        assert audit(project, 10_000).agrees


class TestPlantedFaults:
    def test_a_lost_write(self, project: HistoryProject) -> None:
        remove(project, 3)
        report = audit(project)
        assert not report.agrees
        assert found(report) == {"missing": 1}
        (example,) = report.views[0].features[0].examples
        assert (example.keys, example.online, example.offline) == ({"sensor_id": 3, "site": "north, 50%"}, None, 0.1)
        assert (example.online_event_timestamp, example.offline_event_timestamp) == (None, at_hour(2))

    def test_a_stale_view(self, project: HistoryProject) -> None:
        project.build([*ROWS, *(reading(sensor, 11, 0.5) for sensor in range(4))])
        report = audit(project, 12)
        assert found(report) == {"stale": 4}
        example = report.views[0].features[0].examples[0]
        assert (example.online_event_timestamp, example.offline_event_timestamp) == (at_hour(2), at_hour(11))

    def test_a_stale_view_that_has_expired_online(self, project: HistoryProject) -> None:
        project.build([*ROWS, reading(0, 60, 0.5)])
        assert found(audit(project, 61)) == {"stale": 1}

    def test_a_row_that_left_the_view(self, project: HistoryProject) -> None:
        project.build([row for row in ROWS if row["sensor_id"] != 2])
        assert found(audit(project)) == {"extra": 1}

    def test_a_float_that_was_rounded(self, project: HistoryProject) -> None:
        write(project, reading(1, 2, 0.1 + 1e-16 * 2))
        report = audit(project)
        assert (found(report), found(report, "number")) == ({"different": 1}, {})

    def test_a_time_zone_that_was_shifted(self, project: HistoryProject) -> None:
        write(project, {**reading(1, 2), "checked_at": at_hour(2)})
        assert found(audit(project), "checked_at") == {"different": 1}

    def test_an_event_time_that_was_shifted(self, project: HistoryProject) -> None:
        write(project, {**reading(1, 1), "level": 0.7})
        assert found(audit(project)) == {"stale": 1}

    def test_a_key_that_was_spelled_otherwise(self, project: HistoryProject) -> None:
        remove(project, 3)
        write(project, {**reading(3, 2), "site": "north, 50"})
        assert found(audit(project)) == {"missing": 1, "extra": 1}

    def test_a_key_that_is_none(self, project: HistoryProject) -> None:
        store = open_store(project.url)
        space = key_space(PROJECT, project.view)
        (row,) = store.read([space.key(entity_key(project.view, 3))])
        assert row is not None
        store.write(PlainRows({space.key(b"0003,north"): row}), WriteMode.EXACT)
        store.close()
        (drift,) = audit(project).views[0].drift
        assert "1 keys are spelled as no key of it is" in drift
        assert "0003,north" in drift

    def test_a_type_of_the_wrong_width(self, project: HistoryProject) -> None:
        serve(project, replace(project.view, features=(replace(project.view.features[0]), Feature("number", IntegerType(32)))))
        drift = audit(project).views[0].drift
        assert "number is served as int32, and the project has int64" in drift
        assert "checked_at is not served yet" in drift

    def test_a_ttl_that_was_not_published(self, project: HistoryProject) -> None:
        (drift,) = audit(project, view=replace(project.view, ttl=timedelta(days=9))).views[0].drift
        assert drift == "ttl is served as 2 days, and the project has 9 days"

    def test_a_ttl_that_serving_has_and_training_does_not(self, project: HistoryProject) -> None:
        report = audit(project, 60, view=replace(project.view, ttl=None))
        assert found(report) == {"expired": NUMBER_OF_KEYS - 1, "missing": 1}, "the one that came to count since was not published"

    def test_keys_that_are_served_otherwise(self, project: HistoryProject) -> None:
        keys = (Entity("sensor", (Column("sensor_id", STRING), Column("site", STRING))),)
        (drift,) = audit(project, view=replace(project.view, entities=keys)).views[0].drift
        assert drift == "its keys are served as sensor_id int64, site string, and the project has sensor_id string, site string"

    def test_a_view_that_is_published_meanwhile_is_audited_as_it_is_then(self, project: HistoryProject) -> None:
        store = open_store(project.url)
        published: list[int] = []

        def opened() -> OnlineFeatureStore:
            reader = OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(10))
            assert reader.registry.views
            if not published:
                # The reader has the snapshot by which the first version is served, and now there is the next.
                project.materialize(at_hour(10), full_refresh=True)
                published.append(1)
            return reader

        report = Audit(PROJECT, project.warehouse, store, opened, at_hour(10), None, 2).run([project.view])
        store.close()
        assert report.agrees

    def test_a_view_that_was_never_published(self, project: HistoryProject) -> None:
        report = audit(project, view=replace(project.view, name="unknown"))
        assert not report.agrees
        assert "never published" in report.views[0].drift[0]


class TestForMachines:
    def test_an_arrow_table_has_a_row_for_each_feature(self, project: HistoryProject) -> None:
        remove(project, 3)
        table = to_arrow(audit(project))
        assert table.column("feature").to_pylist() == ["level", "number", "checked_at"]
        assert table.column("missing").to_pylist() == [1, 1, 1]

    def test_prometheus_is_told_by_outcome(self, project: HistoryProject) -> None:
        text = to_prometheus(audit(project))
        assert 'featurestore_audit_values{of="online",feature_view="readings",feature="level",outcome="missing"} 0' in text
        assert 'featurestore_audit_agrees{of="online",feature_view="readings"} 1' in text


KINDS = {
    INT64: st.integers(-(2**63), 2**63 - 1),
    STRING: st.text(),
    BOOLEAN: st.booleans(),
    DATE: st.dates(),
    TIMESTAMP: st.datetimes(),
    DecimalType(10, 2): st.decimals(-99_999_999, 99_999_999, places=2).map(lambda number: abs(number) if number == 0 else number),
    BYTES: st.binary(),
}


VALUES = st.one_of([st.tuples(st.just(value_type), values) for value_type, values in KINDS.items()])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=3))
def test_every_key_is_read_back_as_it_was_spelled(drawn: list[tuple[ValueType, object]]) -> None:
    join_keys = [Column(f"key_{at}", value_type) for at, (value_type, _) in enumerate(drawn)]
    values = [value for _, value in drawn]
    (spelled,) = encode_keys(join_keys, [[value] for value in values])
    assert key_values(join_keys, spelled) == values


@pytest.mark.parametrize("text", ["", "1,2", "one", "1.5"])
def test_another_text_is_no_key(text: str) -> None:
    with pytest.raises(EntityKeyError, match="no entity key of customer_id"):
        key_values([Column("customer_id", INT64)], text)


class PlainRows:
    """Rows to be written as they are."""

    def __init__(self, rows: dict[bytes, bytes]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        return iter(self._rows.items())

    def bulk_strings(self) -> tuple[list[bytes], list[bytes]]:
        return [bulk(key) for key in self._rows], [bulk(row) for row in self._rows.values()]

    def bulk_keys(self, start: int, stop: int) -> memoryview:
        return memoryview(b"".join(self.bulk_strings()[0][start:stop]))

    def bulk_rows(self, start: int, stop: int) -> memoryview:
        return memoryview(b"".join(self.bulk_strings()[1][start:stop]))


def bulk(text: bytes) -> bytes:
    return b"$%d\r\n%s\r\n" % (len(text), text)


def entity_key(view: FeatureView, sensor: int) -> bytes:
    (text,) = encode_keys(view.join_keys, [[sensor], ["north, 50%"]])
    return text.encode()


def remove(project: HistoryProject, sensor: int) -> None:
    """Lose one row."""
    key = key_space(PROJECT, project.view).key(entity_key(project.view, sensor))
    with sqlite3.connect(project.url.removeprefix("sqlite:///")) as connection:
        assert connection.execute("DELETE FROM rows WHERE key = ?", (key,)).rowcount == 1


def serve(project: HistoryProject, view: FeatureView) -> None:
    """Tell readers of another definition."""
    store = open_store(project.url)
    store.write_documents(PROJECT, {SNAPSHOT: to_json(Registry(PROJECT, (view,)))})
    store.close()


def test_a_sample_of_what_is_online_is_no_matter_of_the_order_of_the_scan() -> None:
    view = replace(READINGS, entities=(Entity("sensor", (Column("sensor_id", INT64),)),))
    space, number, most = key_space(PROJECT, view), 3 * KEYS_AT_ONCE, 2_000
    scanned = [space.key(str(place).encode()) for place in range(number)]

    def sampled(keys: list[bytes], sample: int | None = most) -> list[int]:
        parts = (keys[first : first + 700] for first in range(0, len(keys), 700))
        tables = list(OnlineKeys(view, space, parts, sample).tables())
        return [key for table in tables for key in table["sensor_id"].to_pylist()]

    chosen = sampled(scanned)
    assert len(chosen) == len(set(chosen)) == most
    for quarter in range(4):
        there = sum(quarter * number <= 4 * key < (quarter + 1) * number for key in chosen)
        assert abs(there - most / 4) < most / 20, "each key is as likely as any other"
    assert set(sampled([*reversed(scanned), *scanned])) == set(chosen), "in whatever order, and however often they are given"
    assert sorted(sampled(scanned[:5])) == list(range(5))
    assert sampled(scanned, None) == list(range(number))
    sizes = [table.num_rows for table in OnlineKeys(view, space, iter([scanned]), 2 * KEYS_AT_ONCE).tables()]
    assert sizes == [KEYS_AT_ONCE, KEYS_AT_ONCE], "tables are bounded, however many are wanted"
