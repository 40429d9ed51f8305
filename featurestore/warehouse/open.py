"""Opens the warehouse of a dbt target."""

from __future__ import annotations

from featurestore.dbt.profiles import Target

from .base import Warehouse


def open_warehouse(target: Target) -> Warehouse:
    """The warehouse that a target of the dbt profile names. Nothing is connected yet. Raises WarehouseError where it cannot be used."""
    if target.type == "duckdb":
        from .duckdb import DuckDBWarehouse

        return DuckDBWarehouse.of_target(target)
    if target.type == "postgres":
        from .postgres import PostgresWarehouse

        return PostgresWarehouse.of_target(target)
    if target.type == "spark":
        from .spark import SparkWarehouse

        return SparkWarehouse.of_target(target)
    if target.type == "clickhouse":
        from .clickhouse import ClickHouseWarehouse

        return ClickHouseWarehouse.of_target(target)
    from .adapter import AdapterWarehouse

    return AdapterWarehouse.of_target(target)
