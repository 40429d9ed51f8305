"""A name without quotes is the one that the warehouse keeps: dbt wrote it into the table, and our SQL quotes every name."""

from __future__ import annotations

from pathlib import Path

import pytest
from manifest_files import CUSTOMER, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.registry.definitions import FeatureView, Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.history import History, history_names

COLUMNS = {"customer_id": "bigint", "ordered_at": "timestamp", "Orders7d": "bigint", "order": {"data_type": "bigint", "quote": True}}


def view_on(tmp_path: Path, adapter: str, relation_name: str | None) -> FeatureView:
    content = manifest(model("orders", CUSTOMER, COLUMNS, relation_name=relation_name))
    content["metadata"]["adapter_type"] = adapter
    read = read_manifest(write_manifest(tmp_path / "manifest.json", content))
    view = load_registry(read).views[0]
    assert read.relation("orders") == view.relation
    return view


@pytest.mark.parametrize(
    ("adapter", "relation_name", "stored"),
    [
        ("snowflake", "warehouse.main.orders", Relation("ORDERS", "MAIN", "WAREHOUSE")),
        ("snowflake", 'warehouse.main."orders"', Relation("orders", "MAIN", "WAREHOUSE")),
        ("snowflake", '"warehouse"."main"."orders"', Relation("orders", "main", "warehouse")),
        ("snowflake", None, Relation("orders", "main", "warehouse")),
        ("postgres", '"warehouse"."main"."orders"', Relation("orders", "main", "warehouse")),
        ("bigquery", "`warehouse`.`main`.`orders`", Relation("orders", "main", "warehouse")),
        ("oracle", "warehouse.main.orders", Relation("orders", "main", "warehouse")),
    ],
)
def test_a_relation_is_where_dbt_says(tmp_path: Path, adapter: str, relation_name: str | None, stored: Relation) -> None:
    assert view_on(tmp_path, adapter, relation_name).relation == stored


@pytest.mark.parametrize(
    ("adapter", "stored"),
    [
        ("snowflake", ["CUSTOMER_ID", "ORDERED_AT", "ORDERS7D", "order"]),
        ("postgres", ["customer_id", "ordered_at", "orders7d", "order"]),
        ("duckdb", ["customer_id", "ordered_at", "Orders7d", "order"]),
    ],
)
def test_columns_are_read_as_they_are_stored_and_called_as_they_are_declared(tmp_path: Path, adapter: str, stored: list[str]) -> None:
    view = view_on(tmp_path, adapter, "warehouse.main.orders")
    columns = [*view.join_keys, view.event_timestamp, *view.features]
    assert [column.name for column in columns] == ["customer_id", "ordered_at", "Orders7d", "order"]
    assert [column.stored_name for column in columns] == stored
    rows = History(view, history_names(view), dialect_named(adapter)).select(view.features)
    assert rows.named_selects == ["customer_id", "event_timestamp", "Orders7d", "order"]
