"""A DuckDB file for tests, set up by an awkward neighbour: what the product does must not depend on its time zone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from featurestore.registry.definitions import Relation


@dataclass(frozen=True)
class DuckDBFile:
    """A database file."""

    directory: Path

    @property
    def output(self) -> Mapping[str, Any]:
        return {"type": "duckdb", "path": "shop.duckdb", "schema": "main", "threads": 1, "settings": {"TimeZone": "America/New_York"}}

    @property
    def path(self) -> Path:
        return self.directory / "shop.duckdb"

    def relation(self, name: str) -> Relation:
        return Relation(name, "main", "shop")

    def load(self, relation: Relation, rows: pa.Table) -> None:
        quoted = relation.identifier.replace('"', '""')
        with duckdb.connect(self.path) as connection:
            connection.register("loaded_rows", rows)
            connection.execute(f'create or replace table "{relation.schema}"."{quoted}" as select * from loaded_rows')


@contextmanager
def duckdb_file(directory: Path) -> Iterator[DuckDBFile]:
    """A database file in a folder."""
    running = DuckDBFile(directory)
    duckdb.connect(running.path).close()
    yield running
