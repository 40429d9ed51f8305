"""A log of served values agrees with training where serving did, says what was only older, and shows each planted fault."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from duckdb_file import duckdb_file
from history_project import PROJECT, HistoryProject, Row, at_hour

from featurestore import OnlineFeatureStore, ServedLog
from featurestore.arrow import arrow_type
from featurestore.audit.outcomes import FeatureAudit, Outcome
from featurestore.audit.report import to_prometheus
from featurestore.audit.run import AuditReport
from featurestore.audit.served import ServedAudit
from featurestore.audit.served_log import LinesRead, ServedLines
from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import RowSchema, run_sequence
from featurestore.errors import RequestError
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_store
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import (
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
)

READINGS = FeatureView(
    name="readings",
    unique_id="model.lawful.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64), Column("site", STRING))),),
    event_timestamp=Column("read_at", TIMESTAMP),
    features=(
        Feature("level", FLOAT64),
        Feature("number", INT64),
        Feature("price", DecimalType(12, 4)),
        Feature("checked_at", TIMESTAMP_UTC),
        Feature("vector", ListType(FloatType(32))),
    ),
    ttl=timedelta(days=2),
)
SITE = "north, 50%"
NOBODY = 99
NOW = at_hour(100)


def reading(sensor: int, hour: float, level: float | None = 0.1, **values: Any) -> Row:
    return {
        "sensor_id": sensor,
        "site": SITE,
        "read_at": at_hour(hour).replace(tzinfo=None),
        "level": level,
        "number": 2**62 + sensor,
        "price": "12345678.0001",
        "checked_at": at_hour(hour - 1),
        "vector": [0.5, float("nan"), None],
    } | values


ROWS = [reading(sensor, hour) for sensor in range(6) for hour in (1, 2)]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[HistoryProject]:
    with duckdb_file(tmp_path) as running:
        project = HistoryProject(running, f"sqlite:///{tmp_path}/online.db", READINGS)
        build(project, *ROWS, reading(6, -100))
        project.materialize(at_hour(10))
        yield project


def build(project: HistoryProject, *rows: Row) -> None:
    price = pa.decimal128(12, 4)
    project.build([row | ({"price": pa.scalar(row["price"]).cast(price).as_py()} if "price" in row else {}) for row in rows])


def serve(project: HistoryProject, folder: Path, *hours: float, features: str = "readings:*", keys: list[Any] | None = None) -> None:
    """Ask for some sensors at those hours, with all of it logged."""
    instants: list[datetime] = [at_hour(hours[0])]
    log = ServedLog(folder, rate=1.0)
    asked = [0, 1, 2, 3, 4, 5, 6, NOBODY, None] if keys is None else keys
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: instants[0], served_log=log) as reader:
        for hour in hours:
            instants[0] = at_hour(hour)
            reader.get_online_features([{"sensor_id": sensor, "site": SITE, "by": "the way"} for sensor in asked], [features])
    assert log.dropped == 0


def audit(project: HistoryProject, folder: Path, *, view: FeatureView | None = None, since: datetime | None = None) -> AuditReport:
    view = view or project.view
    return ServedAudit(project.warehouse, {view.name: view}, 2).run(ServedLines(folder, PROJECT, since), at=NOW)


def of_feature(report: AuditReport, feature: str = "level") -> FeatureAudit:
    (found,) = [each for each in report.views[0].features if each.reference.feature == feature]
    return found


def found(report: AuditReport, feature: str = "level") -> dict[str, int]:
    """The outcomes that are not equal, with their numbers."""
    counts = of_feature(report, feature).counts
    return {outcome.value: count for outcome, count in counts.items() if count and outcome is not Outcome.EQUAL}


def overwrite(project: HistoryProject, *rows: Row, view: FeatureView | None = None) -> None:
    """Put rows online as no materialization would."""
    view = view or project.view
    store, schema = open_store(project.url), RowSchema.of(view)
    store.write_documents(PROJECT, {schema.document_name: schema.to_document()})
    types = {of.name: arrow_type(of.value_type) for of in (*view.join_keys, *view.features)}
    names = [*(key.name for key in view.join_keys), view.event_timestamp.name, "valid_to", *(feature.name for feature in view.features)]
    fields = pa.schema([(name, types.get(name, pa.timestamp("us"))) for name in names])
    columns = {name: [row.get(name) for row in rows] for name in names}
    columns = {name: pa.array([row.get(name) for row in rows]).cast(fields.field(name).type) for name in names}
    batch = pa.RecordBatch.from_arrays(list(columns.values()), schema=fields)
    store.write(RowEncoder(PROJECT, view, run_sequence(1000)).encode(batch), WriteMode.EXACT)
    store.close()


class TestWhereServingWasRight:
    def test_every_value_of_every_type_is_equal(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10, 11, 30)
        report = audit(project, tmp_path / "log")
        assert report.agrees
        assert [found(report, feature.name) for feature in READINGS.features] == [{}] * len(READINGS.features)
        assert of_feature(report).counts[Outcome.EQUAL] == report.views[0].keys == 27
        assert report.served is not None
        assert (report.served.since, report.served.until, report.at, report.views[0].watermark) == (
            at_hour(10),
            at_hour(30),
            NOW,
            at_hour(10),
        )

    def test_rows_that_expire_meanwhile_expire_on_both_sides(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 49, 50, 51)
        assert audit(project, tmp_path / "log").agrees

    def test_what_was_asked_before_is_left_out(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10, 11, 12)
        assert audit(project, tmp_path / "log", since=at_hour(11)).views[0].keys == 18

    def test_other_projects_and_the_torn_line_of_a_killed_process_are_left_out(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10)
        (file,) = (tmp_path / "log").iterdir()
        line = file.read_text()
        (tmp_path / "log" / "other.jsonl").write_text(line.replace('"lawful"', '"another"') + line[:100])
        report = audit(project, tmp_path / "log")
        assert (report.agrees, report.views[0].keys, report.served and report.served.log) == (True, 9, LinesRead(2, 1, 1, 1, 0))
        text = to_prometheus(report)
        assert 'featurestore_audit_agrees{of="served",feature_view="readings"} 1' in text
        assert 'featurestore_audit_unreadable_lines{of="served"} 1' in text


class TestBetweenTwoMaterializations:
    def test_a_value_of_the_materialization_before_is_stale_and_as_it_should_be(self, project: HistoryProject, tmp_path: Path) -> None:
        build(project, *ROWS, *(reading(sensor, 11, 0.5) for sensor in range(4)), reading(NOBODY, 11, 0.5))
        serve(project, tmp_path / "log", 12)
        report = audit(project, tmp_path / "log")
        assert (found(report), of_feature(report).between) == ({"stale": 5}, 5)
        assert report.agrees
        assert not of_feature(report).examples, "there is nothing to look into"

    def test_a_row_that_expired_meanwhile_was_the_one_before(self, project: HistoryProject, tmp_path: Path) -> None:
        build(project, *ROWS, reading(0, 49, 0.5))
        serve(project, tmp_path / "log", 51)
        report = audit(project, tmp_path / "log")
        assert (found(report), of_feature(report).between, report.agrees) == ({"stale": 1}, 1, True)

    def test_a_row_that_is_newer_than_the_watermark_that_was_known_is_no_fault(self, project: HistoryProject, tmp_path: Path) -> None:
        build(project, *ROWS, *(reading(0, hour, hour / 7) for hour in (11, 12, 13)))
        instants = [at_hour(10)]
        log = ServedLog(tmp_path / "log", rate=1.0)
        with OnlineFeatureStore(project.url, PROJECT, clock=lambda: instants[0], served_log=log, refresh_after=timedelta(days=9)) as reader:
            assert reader.registry.views, "from now on it goes by this snapshot, and by the watermarks of that moment"
            project.materialize(at_hour(12))
            instants[0] = at_hour(14)
            reader.get_online_features([{"sensor_id": 0, "site": SITE}], ["readings:level"])
        report = audit(project, tmp_path / "log")
        assert (found(report), of_feature(report).between, report.agrees) == ({"stale": 1}, 1, True)

    def test_a_late_row_was_not_known_where_the_view_says_when_rows_were_written(self, tmp_path: Path) -> None:
        view = replace(READINGS, created_timestamp=Column("loaded_at", TIMESTAMP))
        late = {"loaded_at": at_hour(20).replace(tzinfo=None)}
        with duckdb_file(tmp_path) as running:
            project = HistoryProject(running, f"sqlite:///{tmp_path}/online.db", view)
            in_time = [reading(0, 1, loaded_at=at_hour(1).replace(tzinfo=None))]
            build(project, *in_time)
            project.materialize(at_hour(10))
            serve(project, tmp_path / "log", 11, keys=[0])
            build(project, *in_time, reading(0, 5, 0.7, **late), reading(0, 1, 0.9, **late))
            report = audit(project, tmp_path / "log")
        assert (found(report), of_feature(report).between, report.agrees) == ({"stale": 1}, 1, True)


class TestPlantedFaults:
    def test_a_shifted_value(self, project: HistoryProject, tmp_path: Path) -> None:
        overwrite(project, reading(2, 2, shifted := 0.1 + 2e-17))
        serve(project, tmp_path / "log", 12)
        report = audit(project, tmp_path / "log")
        assert (found(report), found(report, "number"), report.agrees) == ({"different": 1}, {}, False)
        (example,) = of_feature(report).examples
        assert (example.keys, example.online, example.offline) == ({"sensor_id": 2, "site": SITE}, shifted, 0.1)
        assert (example.online_event_timestamp, example.offline_event_timestamp) == (at_hour(2), at_hour(2))
        assert (example.asked_at, example.materialized_at) == (at_hour(12), at_hour(10))

    def test_a_time_zone_that_was_shifted(self, project: HistoryProject, tmp_path: Path) -> None:
        overwrite(project, reading(1, 2, checked_at=at_hour(2)))
        serve(project, tmp_path / "log", 12)
        report = audit(project, tmp_path / "log")
        assert (found(report, "checked_at"), found(report)) == ({"different": 1}, {})

    @pytest.mark.parametrize(("feature", "value"), [("number", 2**31 - 1), ("price", "12345678.0000"), ("vector", [0.5, 0.0, None])])
    def test_a_type_that_cut_a_value(self, project: HistoryProject, tmp_path: Path, feature: str, value: Any) -> None:
        overwrite(project, reading(1, 2, **{feature: value}))
        serve(project, tmp_path / "log", 12)
        assert found(audit(project, tmp_path / "log"), feature) == {"different": 1}

    def test_a_type_of_another_width(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 12)
        narrow = replace(project.view, features=(project.view.features[0], Feature("number", IntegerType(32)), *project.view.features[2:]))
        report = audit(project, tmp_path / "log", view=narrow)
        assert report.views[0].drift == ("number was served as int64, and the project has int32",)
        assert not report.agrees

    def test_a_row_older_than_the_materialization_before(self, project: HistoryProject, tmp_path: Path) -> None:
        overwrite(project, reading(1, 1))
        build(project, *[row for row in ROWS if row["sensor_id"] != 1], reading(1, 1), reading(1, 2, 0.7))
        serve(project, tmp_path / "log", 12)
        report = audit(project, tmp_path / "log")
        assert (found(report), of_feature(report).between, report.agrees) == ({"stale": 1}, 0, False)

    def test_a_shifted_value_of_an_old_row_is_not_taken_for_an_old_value(self, project: HistoryProject, tmp_path: Path) -> None:
        build(project, *ROWS, reading(1, 11, 0.5))
        overwrite(project, reading(1, 2, 0.3))
        serve(project, tmp_path / "log", 12)
        assert found(audit(project, tmp_path / "log")) == {"different": 1}

    def test_a_lost_write(self, project: HistoryProject, tmp_path: Path) -> None:
        build(project, *ROWS, reading(NOBODY, 3))
        serve(project, tmp_path / "log", 12)
        report = audit(project, tmp_path / "log")
        assert (found(report), report.agrees) == ({"missing": 1}, False)

    def test_a_row_that_training_does_not_have(self, project: HistoryProject, tmp_path: Path) -> None:
        overwrite(project, reading(NOBODY, 2))
        serve(project, tmp_path / "log", 12)
        assert found(audit(project, tmp_path / "log")) == {"extra": 1}

    def test_a_ttl_that_only_one_side_has(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 12, 60)
        without = audit(project, tmp_path / "log", view=replace(project.view, ttl=None))
        assert found(without) == {"expired": 8}
        shorter = audit(project, tmp_path / "log", view=replace(project.view, ttl=timedelta(hours=1)))
        assert found(shorter) == {"extra": 6}

    def test_a_feature_a_view_and_keys_that_are_no_more(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 12)
        fewer = audit(project, tmp_path / "log", view=replace(project.view, features=project.view.features[1:]))
        assert fewer.views[0].drift == ("level was served, and the project has it no more",)
        gone = ServedAudit(project.warehouse, {}, 2).run(ServedLines(tmp_path / "log", PROJECT), at=NOW)
        assert (gone.agrees, gone.views[0].drift) == (False, ("readings was served, and the project has it no more",))
        keys = (Entity("sensor", (Column("sensor_id", STRING), Column("site", STRING))),)
        (drift,) = audit(project, tmp_path / "log", view=replace(project.view, entities=keys)).views[0].drift
        assert drift == "its keys were served as sensor_id int64, site string, and the project has sensor_id string, site string"

    def test_no_log_is_an_error(self, project: HistoryProject, tmp_path: Path) -> None:
        with pytest.raises(RequestError, match=r"holds no log of served values: there is no file named \*.jsonl"):
            audit(project, tmp_path)


class TestNothingToCompare:
    """That nothing differs of nothing is no answer."""

    def test_what_is_there_is_said(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10)
        (file,) = (tmp_path / "log").iterdir()
        line = file.read_text()
        file.write_text(line + line.replace('"lawful"', '"another"') + "no line\n")
        with pytest.raises(RequestError, match=r"^Nothing was compared") as raised:
            audit(project, tmp_path / "log", since=at_hour(13))
        assert "Lines of the 1 files" in str(raised.value)
        assert "1 could not be read, 1 of other projects than 'lawful', 1 of what was asked before 2024" in str(raised.value)

    @pytest.mark.parametrize("text", ["", "no line\n\n[]\n", "null"])
    def test_of_lines_that_are_none_too(self, project: HistoryProject, tmp_path: Path, text: str) -> None:
        (tmp_path / "a.jsonl").write_text(text)
        with pytest.raises(RequestError, match=r"^Nothing was compared"):
            audit(project, tmp_path / "a.jsonl")

    def test_of_views_that_were_not_chosen_too(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10)
        with pytest.raises(RequestError, match="1 of feature views that were not chosen"):
            ServedAudit(project.warehouse, {}, 2).run(ServedLines(tmp_path / "log", PROJECT), at=NOW, left_out=["readings"])

    def test_a_folder_that_is_named_as_a_file_of_a_log_is_none(self, project: HistoryProject, tmp_path: Path) -> None:
        (tmp_path / "log" / "x.jsonl").mkdir(parents=True)
        with pytest.raises(RequestError, match="there is no file named"):
            audit(project, tmp_path / "log")


def _in_values(feature: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda line: line["values"][feature].__setitem__(0, value)


BROKEN: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a decimal that is none": _in_values("price", "abc"),
    "a decimal of more digits": _in_values("price", "123456789.0001"),
    "a day that is none": _in_values("checked_at", "2026-99-99T00:00:00Z"),
    "an integer that is too large": _in_values("number", 2**80),
    "an integer with a fraction": _in_values("number", 0.5),
    "a truth for an integer": _in_values("number", True),
    "an integer for a truth": lambda line: (line["features"].update(ok="boolean"), line["values"].update(ok=[1] * 9)),
    "a truth for a float": _in_values("level", True),
    "an object for an integer": _in_values("number", {"a": 1}),
    "a text for a float": _in_values("level", "much"),
    "a text in a list": _in_values("vector", ["much"]),
    "a key that is none": lambda line: line["entity_keys"].__setitem__(0, "abc,north"),
    "a key that is too large": lambda line: line["entity_keys"].__setitem__(0, f"{2**80},north"),
    "a key of fewer parts": lambda line: line["entity_keys"].__setitem__(0, "1"),
    "no values of a feature": lambda line: line["values"].pop("level"),
    "values of a feature that is not named": lambda line: line["features"].pop("level"),
    "an input without a value": lambda line: line["inputs"].update(basket="int64"),
    "an input that is none": lambda line: (line["inputs"].update(basket="int64"), line["input_values"].update(basket=["zz"] * 9)),
    "no features": lambda line: line.update(features={}, values={}),
    "a type that is none": lambda line: line["features"].update(level="wibble(3"),
    "a value too few": lambda line: line["values"]["level"].pop(),
    "a value too many": lambda line: line["values"]["level"].append(0.5),
    "event timestamps too few": lambda line: line.update(event_timestamps=[]),
    "statuses too few": lambda line: line.update(statuses=["NOT_FOUND"]),
    "a status that is none": lambda line: line.update(statuses=["WHAT"] * 9),
    "an instant before all time": lambda line: line.update(asked_at="0001-01-01T00:00:00+14:00"),
    "a materialization before all time": lambda line: line.update(materialized_at="0001-01-01T00:00:00Z"),
    "lists without an end": lambda line: line["values"].update(level=json.loads("[" * 900 + "]" * 900)),
}


class TestBrokenLines:
    def test_one_costs_no_other_line(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10, 11)
        (file,) = (tmp_path / "log").iterdir()
        first, second = file.read_text().splitlines()
        broken = []
        for kind, do in BROKEN.items():
            line = json.loads(first)
            do(line)
            broken.append(json.dumps(line))
            file.write_text("\n".join([first, broken[-1], second]))
            lines = ServedLines(tmp_path / "log", PROJECT)
            assert (sum(map(len, lines.tables())), lines.read) == (18, LinesRead(1, 2, 1, 0, 0)), kind
        file.write_text("\n".join([first, *broken, second]))
        report = audit(project, tmp_path / "log")
        assert (report.agrees, report.views[0].keys, report.served and report.served.log.unreadable) == (True, 18, len(BROKEN))

    def test_one_that_is_too_long_is_not_held(self, project: HistoryProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        serve(project, tmp_path / "log", 10)
        (file,) = (tmp_path / "log").iterdir()
        line = file.read_text()
        limit = len(line.encode())
        monkeypatch.setattr("featurestore.audit.served_log.MOST_LINE_BYTES", limit)
        file.write_text("".join([line, "x" * limit, line, "x" * (2 * limit - 1) + "\n", line]))
        log = audit(project, tmp_path / "log").served
        assert log is not None
        assert log.log == LinesRead(1, 2, 2, 0, 0)


class TestWhatWaits:
    def logged(self, project: HistoryProject, folder: Path) -> int:
        """Four kinds of lines, one by one. Returns the length of one."""
        serve(project, folder, 10, 11)
        (file,) = folder.iterdir()
        lines = [
            line.replace('"readings"', f'"readings{number}"') for line in file.read_text().splitlines(keepends=True) for number in range(4)
        ]
        file.write_text("".join(lines))
        return len(lines[0].encode())

    def test_the_order_of_features_makes_no_kind_of_its_own(self, project: HistoryProject, tmp_path: Path) -> None:
        serve(project, tmp_path / "log", 10)
        (file,) = (tmp_path / "log").iterdir()
        line = json.loads(file.read_text())
        turned = line | {"features": dict(reversed(line["features"].items()))}
        file.write_text(f"{json.dumps(line)}\n{json.dumps(turned)}\n")
        assert [len(table) for table in ServedLines(tmp_path / "log", PROJECT).tables()] == [18]

    def test_little_of_all_kinds_waits(self, project: HistoryProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        length = self.logged(project, tmp_path / "log")
        whole = [len(table) for table in ServedLines(tmp_path / "log", PROJECT).tables()]
        monkeypatch.setattr("featurestore.audit.served_log.MOST_WAITING_BYTES", 3 * length)
        bounded = [len(table) for table in ServedLines(tmp_path / "log", PROJECT).tables()]
        assert (whole, sum(bounded), max(bounded)) == ([18] * 4, 72, 9)


WINDOWS = replace(
    READINGS,
    name="readings",
    features=(
        Feature("level", FLOAT64, aggregation=Aggregation(AggregateFunction.SUM, timedelta(hours=6), Column("amount", FLOAT64))),
        Feature("number", INT64, aggregation=Aggregation(AggregateFunction.COUNT, timedelta(hours=6), filter="amount > 0")),
    ),
    ttl=None,
)


class TestAggregations:
    @pytest.fixture
    def windows(self, tmp_path: Path) -> Iterator[HistoryProject]:
        with duckdb_file(tmp_path) as running:
            project = HistoryProject(running, f"sqlite:///{tmp_path}/online.db", WINDOWS, columns=[Column("amount", FLOAT64)])
            project.build([event(sensor, hour) for sensor in range(6) for hour in (1, 5, 9)])
            project.materialize(at_hour(10))
            yield project

    def test_windows_slide_on_both_sides_alike(self, windows: HistoryProject, tmp_path: Path) -> None:
        serve(windows, tmp_path / "log", 10, 12, 14, 18)
        report = audit(windows, tmp_path / "log")
        assert (found(report), found(report, "number"), report.agrees) == ({}, {}, True)

    def test_events_after_the_materialization_make_what_was_served_stale(self, windows: HistoryProject, tmp_path: Path) -> None:
        before = [event(sensor, hour) for sensor in range(6) for hour in (1, 5, 9)]
        windows.build([*before, event(1, 11), event(2, 11.5), event(NOBODY, 11)])
        serve(windows, tmp_path / "log", 12, 16)
        report = audit(windows, tmp_path / "log")
        assert (found(report), of_feature(report).between) == ({"stale": 6}, 6)
        assert (found(report, "number"), report.agrees) == ({"stale": 6}, True)

    def test_an_event_that_was_not_counted_is_a_fault(self, windows: HistoryProject, tmp_path: Path) -> None:
        serve(windows, tmp_path / "log", 12)
        windows.build([event(sensor, hour) for sensor in range(6) for hour in (1, 5, 8, 9)])
        report = audit(windows, tmp_path / "log")
        assert (found(report), found(report, "number"), report.agrees) == ({"different": 6}, {"different": 6}, False)


def event(sensor: int, hour: float, amount: float = 0.25) -> Row:
    return {"sensor_id": sensor, "site": SITE, "read_at": at_hour(hour).replace(tzinfo=None), "amount": amount}
