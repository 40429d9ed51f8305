"""What only Spark has: one of it in a process, an embedded metastore that one process holds, and files that executors share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from spark_server import PARAMETERS, LocalSpark
from sqlglot import exp
from warehouses import RunningWarehouse

from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Relation
from featurestore.sql.expressions import table
from featurestore.warehouse.spark import SparkWarehouse
from featurestore.warehouse.spark_profile import STAGING
from featurestore.warehouse.spark_session import SparkSQLSession

pytestmark = pytest.mark.parametrize(
    "warehouse_name", [pytest.param("spark", marks=pytest.mark.xdist_group("warehouse spark"))], indirect=True
)


@pytest.fixture
def spark(running: RunningWarehouse) -> LocalSpark:
    assert isinstance(running, LocalSpark)
    return running


@pytest.fixture
def session(spark: LocalSpark) -> Iterator[SparkSQLSession]:
    with SparkWarehouse(spark.profile).session() as session:
        yield session


def numbers(count: int, **columns: Any) -> pa.RecordBatchReader:
    return pa.table({"n": pa.array(range(count), pa.int64()), **columns}).to_reader(max_chunksize=10_000)


class TestSession:
    def test_what_was_kept_stays_as_it_was(self, session: SparkSQLSession) -> None:
        """Spark would answer otherwise each time it is asked."""
        session.keep("drawn", exp.select("rand() AS r", "monotonically_increasing_id() AS n").from_("range(1000)"))
        first = session.query("SELECT * FROM drawn ORDER BY n").read_all()
        assert first == session.query("SELECT * FROM drawn ORDER BY n").read_all()
        assert session.row_count(table("drawn")) == 1000

    def test_uploaded_rows_keep_their_values_and_types(self, session: SparkSQLSession) -> None:
        rows = pa.table(
            {"small": pa.array([255], pa.uint8()), "great": pa.array([2**64 - 1], pa.uint64()), "none": pa.nulls(1, pa.string())}
        )
        session.upload("odd_types", rows.to_reader())
        answer = session.query("SELECT * FROM odd_types").read_all()
        assert answer.to_pylist() == [{"small": 255, "great": 2**64 - 1, "none": None}]

    def test_an_untyped_null_is_text(self, session: SparkSQLSession) -> None:
        session.keep("untyped", exp.select("1 AS a", exp.alias_(exp.null(), "b b", quoted=True)))
        assert session.query("SELECT * FROM untyped").read_all().to_pylist() == [{"a": 1, "b b": None}]

    def test_an_answer_comes_in_its_order_however_many_parts_it_has(self, session: SparkSQLSession) -> None:
        session.upload("numbers", numbers(200_000))
        answer = session.query("SELECT /*+ REPARTITION(7) */ n FROM numbers ORDER BY n DESC")
        assert answer.read_all().column("n").combine_chunks() == pa.array(range(199_999, -1, -1), pa.int64())

    def test_a_staging_folder_takes_everything_through_spark(self, spark: LocalSpark, tmp_path: Path) -> None:
        """As on a cluster, whose files this process does not see."""
        profile = replace(spark.profile, parameters={**PARAMETERS, STAGING: f"file://{tmp_path}/staging"})
        with SparkWarehouse(profile).session() as session:
            session.upload("numbers", numbers(25_000, text=pa.array(["é"] * 25_000)))
            assert session.row_count(table("numbers")) == 25_000
            session.keep("more", exp.select("n", "n * 2 AS m", "text").from_("numbers"))
            answer = session.query("SELECT /*+ REPARTITION(3) */ n, m, text FROM more ORDER BY n").read_all()
            assert answer.column("m").to_pylist() == list(range(0, 50_000, 2))
            assert session.query("SELECT n FROM more WHERE n < 0").read_all().num_rows == 0
            assert list((tmp_path / "staging").iterdir())
        assert list((tmp_path / "staging").iterdir()) == []

    def test_nothing_is_left_when_it_closes(self, spark: LocalSpark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        with SparkWarehouse(spark.profile).session() as session:
            monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with SparkWarehouse(spark.profile).session() as session:
            session.upload("numbers", numbers(10))
            session.query("SELECT * FROM numbers")
            assert list(tmp_path.iterdir())
        assert list(tmp_path.iterdir()) == []
        with SparkWarehouse(spark.profile).session() as session, pytest.raises(WarehouseError, match="no table or view `numbers`"):
            session.query("SELECT * FROM numbers")

    def test_a_bare_name_is_of_the_targets_schema(self, spark: LocalSpark) -> None:
        spark.load(spark.relation("bare"), pa.table({"n": [7]}))
        with SparkWarehouse(spark.profile).session() as session:
            assert session.query("SELECT n FROM bare").read_all().to_pylist() == [{"n": 7}]

    def test_what_overflows_is_an_error_whatever_the_target_says(self, session: SparkSQLSession) -> None:
        assert PARAMETERS["spark.sql.ansi.enabled"] == "false"
        with pytest.raises(WarehouseError, match=r"(?i)cast.*overflow|out of range|malformed") as caught:
            session.query("SELECT CAST(s AS INT) AS n FROM VALUES ('many') AS t(s)").read_all()
        assert "\tat " not in str(caught.value), "no path of the stack"

    def test_a_new_table_takes_the_place_of_a_table_or_a_view(self, spark: LocalSpark, session: SparkSQLSession) -> None:
        target = Relation("taken", "another_schema")
        assert session.create_table(target, exp.select("1 AS n")) == 1
        assert session.create_table(target, exp.select("2 AS n", "'x' AS text")) == 1
        assert session.query("SELECT * FROM another_schema.taken").read_all().to_pylist() == [{"n": 2, "text": "x"}]
        spark.run("DROP TABLE another_schema.taken", "CREATE VIEW another_schema.taken AS SELECT 3 AS n")
        assert session.create_table(target, exp.select("4 AS n")) == 1
        assert session.query("SELECT * FROM another_schema.taken").read_all().to_pylist() == [{"n": 4}]
        assert session.query("SHOW TABLES IN another_schema").read_all().column("tableName").to_pylist() == ["taken"]
