"""Warehouses of the tests reached through dbt's adapter, as those are that have no way of their own here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from duckdb_file import DuckDBFile, duckdb_file
from postgres_server import PostgresDatabase, postgres_database

from featurestore.dbt.profiles import Target
from featurestore.warehouse.adapter import AdapterWarehouse
from featurestore.warehouse.adapter_session import AdapterSession
from featurestore.warehouse.base import Warehouse


class ClosedDuckDB(AdapterWarehouse):
    """dbt-duckdb keeps its file open until its process ends; a test that writes to the file needs it closed."""

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[AdapterSession]:
        from dbt.adapters.duckdb.connections import DuckDBConnectionManager

        try:
            with super().session(read_only=read_only) as session:
                yield session
        finally:
            DuckDBConnectionManager.close_all_connections()


@dataclass(frozen=True)
class AdapterDuckDB(DuckDBFile):
    """A database file. It is opened anew each time: a closed dbt-duckdb cannot be connected again."""

    @property
    def output(self) -> dict[str, object]:
        return {**super().output, "path": str(self.path)}

    def opened(self, target: Target) -> Warehouse:
        return ClosedDuckDB.of_target(target)


@dataclass(frozen=True)
class AdapterPostgres(PostgresDatabase):
    """A database of a running server."""

    made: list[AdapterWarehouse] = field(default_factory=list)

    def opened(self, target: Target) -> Warehouse:
        # dbt takes a second to make an adapter, so it is made once, as in a program that asks several times.
        if not self.made:
            self.made.append(AdapterWarehouse.of_target(target))
        return self.made[0]


@contextmanager
def adapter_duckdb(directory: Path) -> Iterator[AdapterDuckDB]:
    """A database file in a folder."""
    with duckdb_file(directory) as file:
        yield AdapterDuckDB(file.directory)


@contextmanager
def adapter_postgres(directory: Path) -> Iterator[AdapterPostgres]:
    """A server of its own."""
    with postgres_database(directory) as database:
        yield AdapterPostgres(database.server, directory)
