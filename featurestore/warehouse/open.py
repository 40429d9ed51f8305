"""Opens the warehouse of a dbt target."""

from __future__ import annotations

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError

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
    raise WarehouseError(
        f"The dbt target {target} is of the type {target.type!r}, and only duckdb, postgres and spark can be used so far. "
        "Choose another one with --target."
    )
