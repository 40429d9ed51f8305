"""What only the way through dbt's adapters has: which warehouses it knows, what it says of a profile, what it never says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from adapter_warehouses import AdapterPostgres, adapter_postgres
from warehouses import opened

from featurestore.dbt.profiles import Target
from featurestore.errors import NotInstalledError, WarehouseError
from featurestore.sql.expressions import table
from featurestore.warehouse.adapter import AdapterWarehouse
from featurestore.warehouse.open import open_warehouse

pytestmark = pytest.mark.xdist_group("warehouse adapter-postgres")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdapterPostgres]:
    with adapter_postgres(tmp_path_factory.mktemp("postgres")) as started:
        yield started


def target(kind: str, **settings: Any) -> Target:
    return Target("shop", "prod", kind, {"type": kind, **settings}, Path.cwd())


@pytest.mark.parametrize("kind", ["snowflake", "bigquery", "databricks", "redshift", "trino", "athena", "sqlserver", "fabric"])
def test_a_warehouse_of_the_cloud_is_reached_through_its_adapter(kind: str) -> None:
    warehouse = open_warehouse(target(kind))
    assert isinstance(warehouse, AdapterWarehouse)
    with pytest.raises(NotInstalledError, match=rf"needs dbt-{kind}\. Run: pip install 'featurestore\[{kind}\]'"), warehouse.session():
        pass


def test_a_warehouse_whose_sql_nobody_has_looked_at_is_named_with_what_is_missing() -> None:
    with pytest.raises(WarehouseError, match=r"shop\.prod \(oracle\) cannot be used.*none yet for 'oracle'.*dialects\.py.*warehouses\.md"):
        open_warehouse(target("oracle"))


def test_a_setting_that_the_adapter_lacks_is_told_without_a_secret() -> None:
    warehouse = AdapterWarehouse.of_target(target("postgres", host="localhost", user="me", password="very secret"))
    with pytest.raises(WarehouseError, match=r"dbt-postgres cannot read the target shop\.prod") as caught, warehouse.session():
        pass
    assert "very secret" not in str(caught.value)
    assert "very secret" not in repr(warehouse)


def test_a_server_that_is_not_there_is_named_without_a_secret() -> None:
    settings = {"host": "/no/such/folder", "port": 5, "user": "me", "password": "very secret", "dbname": "shop", "schema": "main"}
    warehouse = AdapterWarehouse.of_target(target("postgres", **settings))
    with pytest.raises(WarehouseError, match=r"The dbt target shop\.prod \(postgres\) cannot be reached") as caught, warehouse.session():
        pass
    assert "very secret" not in str(caught.value)


def test_an_answer_is_read_in_parts(database: AdapterPostgres) -> None:
    """The driver of PostgreSQL would read all of it at once; a cursor of the server's gives so many rows at a time."""
    with opened(database).session() as session:
        answer = session.query("SELECT i, repeat('x', 100) AS text FROM generate_series(1, 35000) AS rows(i)")
        sizes = [batch.num_rows for batch in answer]
    assert sizes == [10_000, 10_000, 10_000, 5_000]


def test_a_second_answer_is_read_while_the_first_is_open(database: AdapterPostgres) -> None:
    with opened(database).session() as session:
        first = session.query("SELECT i FROM generate_series(1, 25000) AS rows(i)")
        assert first.read_next_batch().num_rows == 10_000
        assert session.query("SELECT 1 AS one").read_all().num_rows == 1
        assert first.read_all().num_rows == 15_000


def test_what_is_uploaded_and_kept_never_touches_a_table_of_that_name(database: AdapterPostgres) -> None:
    database.load(database.relation("entity_df"), pa.table({"n": pa.array([7], pa.int64())}))
    with opened(database).session() as session:
        for numbers in ([1, 2], [3]):
            session.upload("entity_df", pa.table({"n": pa.array(numbers, pa.int64())}).to_reader())
        assert session.row_count(table("entity_df")) == 1
    with opened(database).session() as session:
        assert session.query('SELECT n FROM "entity_df"').read_all().to_pylist() == [{"n": 7}]


def test_values_that_look_like_sql_are_values(database: AdapterPostgres) -> None:
    words = ["it's", "'; DROP TABLE x; --", "back\\slash", "%s %(name)s", "é 漢 🦆", "{{ jinja }}", "", None]
    with opened(database).session() as session:
        session.upload("words", pa.table({"n": pa.array(range(len(words)), pa.int64()), "word": pa.array(words)}).to_reader())
        assert session.query('SELECT word FROM "words" ORDER BY n').read_all().column("word").to_pylist() == words
