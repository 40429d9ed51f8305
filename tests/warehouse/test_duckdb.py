"""The DuckDB file of a dbt project, opened as its profile says, used, and closed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from sqlglot import exp

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError, WarehouseLockedError
from featurestore.registry.definitions import Relation
from featurestore.registry.value_types import INT64, TIMESTAMP_UTC, UNRESOLVED, DecimalType, ListType, StringType, StructType
from featurestore.sql.expressions import table
from featurestore.warehouse.duckdb import DuckDBWarehouse
from featurestore.warehouse.open import open_warehouse


def target(directory: Path, **settings: Any) -> Target:
    return Target("shop", "dev", "duckdb", {"path": "shop.duckdb", **settings}, directory)


def one(warehouse: DuckDBWarehouse, query: str) -> Any:
    with warehouse.session() as session:
        return session.query(query).read_all().to_pylist()[0]["it"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("CREATE TABLE orders AS FROM (VALUES (1), (2)) AS orders(id)")
    return tmp_path


@contextmanager
def held_by_another_process(path: Path, seconds: float) -> Iterator[None]:
    """Another process writes to the database for that long."""
    code = f"""
        import duckdb, time
        with duckdb.connect({str(path)!r}):
            print("held", flush=True)
            time.sleep({seconds})
    """
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        try:
            yield
        finally:
            holder.kill()


class TestProfile:
    def test_the_path_is_relative_to_the_project(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir("/")
        assert one(DuckDBWarehouse.of_target(target(project)), "SELECT count(*) AS it FROM orders") == 2

    def test_settings_hold(self, project: Path) -> None:
        warehouse = DuckDBWarehouse.of_target(target(project, settings={"memory_limit": "123MB", "threads": 1}))
        assert one(warehouse, "SELECT current_setting('memory_limit') AS it") == "117.3 MiB"
        assert one(warehouse, "SELECT current_setting('threads') AS it") == 1

    def test_instants_are_utc_and_nulls_come_last_whatever_the_profile_says(self, project: Path) -> None:
        warehouse = DuckDBWarehouse.of_target(
            target(project, settings={"TimeZone": "America/New_York", "default_null_order": "nulls_first"})
        )
        assert one(warehouse, "SELECT CAST(TIMESTAMPTZ '2024-01-01 00:00:00+01:00' AS VARCHAR) AS it") == "2023-12-31 23:00:00+00"
        assert one(warehouse, "SELECT i AS it FROM (VALUES (NULL), (1)) AS v(i) ORDER BY i") == 1

    def test_extensions_are_loaded(self, project: Path) -> None:
        warehouse = DuckDBWarehouse.of_target(target(project, extensions=["json", {"name": "parquet", "repo": "core"}]))
        assert one(warehouse, """SELECT CAST('{"a": 1}' AS JSON) ->> 'a' AS it""") == "1"

    def test_an_extension_that_cannot_be_had_is_named(self, project: Path) -> None:
        with (
            pytest.raises(WarehouseError, match="no_such_extension"),
            DuckDBWarehouse.of_target(target(project, extensions=["no_such_extension"])).session(),
        ):
            pass

    def test_secrets_are_there_while_the_connection_is(self, project: Path) -> None:
        secrets = [{"type": "http", "name": "web", "bearer_token": "it's secret", "extra_http_headers": {"X-Team": "growth"}}]
        warehouse = DuckDBWarehouse.of_target(target(project, secrets=secrets))
        assert "it's secret" not in repr(warehouse)
        try:
            assert one(warehouse, "SELECT name || ' ' || persistent AS it FROM duckdb_secrets()") == "web false"
        except WarehouseError as error:
            assert "httpfs" in str(error)  # noqa: PT017 - where the extension that knows the type cannot be had, it is named

    def test_other_databases_are_attached_for_reading(self, project: Path) -> None:
        (project / "lake").mkdir()
        with duckdb.connect(str(project / "lake" / "raw.duckdb")) as connection:
            connection.execute("CREATE TABLE clicks AS SELECT 5 AS n")
        warehouse = DuckDBWarehouse.of_target(target(project, attach=[{"path": "lake/raw.duckdb", "alias": "the lake"}]))
        assert one(warehouse, 'SELECT n AS it FROM "the lake".clicks') == 5
        with pytest.raises(WarehouseError, match="read-only"), warehouse.session() as session:
            session.create_table(CLICKS, exp.select("1 AS n"))
        assert [column.name for column in warehouse.describe([CLICKS])[CLICKS]] == ["n"]

    def test_views_over_files_find_them_where_dbt_did(self, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(project)
        with duckdb.connect("shop.duckdb") as connection:
            connection.execute("COPY (SELECT 7 AS n) TO 'seven.parquet'; CREATE VIEW seven AS FROM 'seven.parquet'")
        monkeypatch.chdir("/")
        assert one(DuckDBWarehouse.of_target(target(project)), "SELECT n AS it FROM seven") == 7

    def test_a_database_in_memory_cannot_be_read_by_anyone_else(self, project: Path) -> None:
        for path in (":memory:", None):
            with pytest.raises(WarehouseError, match=r"shop.dev \(duckdb\) keeps its database in memory"):
                DuckDBWarehouse.of_target(target(project, path=path))

    def test_another_adapter_is_refused_by_name(self, project: Path) -> None:
        assert isinstance(open_warehouse(target(project)), DuckDBWarehouse)
        with pytest.raises(WarehouseError, match="none yet for 'oracle'"):
            open_warehouse(Target("shop", "prod", "oracle", {}, project))


CLICKS = Relation("clicks", "main", "the lake")


class TestSession:
    def test_a_database_that_is_not_there_is_not_made(self, tmp_path: Path) -> None:
        for read_only in (True, False):
            with (
                pytest.raises(WarehouseError, match="Run `dbt build` first"),
                DuckDBWarehouse.of_target(target(tmp_path)).session(read_only=read_only),
            ):
                pass
        assert list(tmp_path.iterdir()) == []

    def test_a_file_that_is_no_database_is_named(self, project: Path) -> None:
        (project / "shop.duckdb").write_text("not a database, but long enough to look like one " * 500)
        with pytest.raises(WarehouseError, match=r"shop\.duckdb cannot be opened"), DuckDBWarehouse.of_target(target(project)).session():
            pass

    def test_a_locked_file_is_waited_for(self, project: Path) -> None:
        with held_by_another_process(project / "shop.duckdb", 0.5):
            assert one(DuckDBWarehouse.of_target(target(project)), "SELECT count(*) AS it FROM orders") == 2

    def test_a_file_that_stays_locked_is_named_with_who_holds_it(self, project: Path) -> None:
        warehouse = DuckDBWarehouse(DuckDBWarehouse.of_target(target(project)).profile, patience=timedelta(seconds=0.3))
        started = time.monotonic()
        with held_by_another_process(project / "shop.duckdb", 60), pytest.raises(WarehouseLockedError) as caught, warehouse.session():
            pass
        assert time.monotonic() - started < 10
        assert str(project / "shop.duckdb") in str(caught.value)
        assert "process " in str(caught.value)
        assert "Wait for it to end" in str(caught.value)

    def test_a_connection_of_this_very_process_in_another_mode_is_told(self, project: Path) -> None:
        with (
            duckdb.connect(str(project / "shop.duckdb")),
            pytest.raises(WarehouseLockedError, match="This process holds"),
            DuckDBWarehouse.of_target(target(project)).session(),
        ):
            pass

    def test_nothing_is_held_after_it(self, project: Path) -> None:
        one(DuckDBWarehouse.of_target(target(project)), "SELECT 1 AS it")
        duckdb.connect(str(project / "shop.duckdb")).close()

    def test_an_answer_streams(self, project: Path) -> None:
        with DuckDBWarehouse.of_target(target(project, settings={"memory_limit": "200MB"})).session() as session:
            batches = session.query("SELECT i, repeat('x', 1000) AS text FROM range(1000000) AS rows(i)")
            assert sum(batch.num_rows for batch in batches) == 1_000_000

    def test_what_goes_wrong_halfway_is_told_in_the_warehouses_words(self, project: Path) -> None:
        with DuckDBWarehouse.of_target(target(project)).session() as session:
            batches = session.query("SELECT CAST(CASE WHEN i = 900000 THEN 'many' ELSE '1' END AS INTEGER) FROM range(1000000) AS rows(i)")
            with pytest.raises(WarehouseError, match="Could not convert string 'many'"):
                batches.read_all()

    def test_uploaded_rows_keep_their_order(self, project: Path) -> None:
        with DuckDBWarehouse.of_target(target(project)).session() as session:
            numbers = pa.table({"n": pa.array(range(500_000, 0, -1))})
            session.upload("numbers", numbers.to_reader(max_chunksize=10_000))
            assert session.query("FROM numbers").read_all() == numbers
            assert session.row_count(table("numbers")) == 500_000

    def test_reading_cannot_write(self, project: Path) -> None:
        with pytest.raises(WarehouseError, match="read-only"), DuckDBWarehouse.of_target(target(project)).session() as session:
            session.query("INSERT INTO orders VALUES (3)").read_all()


def test_relations_are_described_together(project: Path) -> None:
    with duckdb.connect(str(project / "shop.duckdb")) as connection:
        connection.execute("""
            CREATE SCHEMA features;
            CREATE TABLE features."Odd Name" AS SELECT 1.5::DECIMAL(9, 2) AS amount, [1::BIGINT] AS items, {'city': 'x'} AS place,
                now() AS written, INTERVAL 1 DAY AS age;
            CREATE VIEW features.recent AS SELECT id::BIGINT AS id FROM orders;
            CREATE TABLE features.orders AS SELECT 'another' AS id;
        """)
    odd, recent, orders, gone = (
        Relation("odd name", "FEATURES", "shop"),
        Relation("recent", "features"),
        Relation("orders"),
        Relation("gone"),
    )
    described = DuckDBWarehouse.of_target(target(project)).describe([odd, recent, orders, gone])
    assert {relation: [(column.name, column.value_type) for column in columns] for relation, columns in described.items()} == {
        odd: [
            ("amount", DecimalType(9, 2)),
            ("items", ListType(INT64)),
            ("place", StructType((("city", StringType()),))),
            ("written", TIMESTAMP_UTC),
            ("age", UNRESOLVED),
        ],
        recent: [("id", INT64)],
        orders: [("id", described[orders][0].value_type)],
    }
    assert str(described[orders][0].value_type) == "int32"
