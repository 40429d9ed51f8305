"""What the copy of a DuckDB file holds: which tables can be changed there, and which of their columns no two rows may share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from featurestore.registry.definitions import Relation

_TABLES = "select current_database(), schema_name, table_name, 'table' from duckdb_tables() where database_name = current_database()"
_VIEWS = "select current_database(), schema_name, view_name, 'view' from duckdb_views() where database_name = current_database()"
_CONSTRAINTS = """
select schema_name, table_name, constraint_type, constraint_column_names, referenced_table
from duckdb_constraints() where database_name = current_database()
"""


@dataclass(frozen=True, slots=True)
class StoredTable:
    """A table or a view of the file."""

    left: str = ""
    """Why its rows cannot be changed; empty where they can."""

    unique: tuple[frozenset[str], ...] = ()
    """The sets of columns that a constraint keeps unique."""


@dataclass(frozen=True)
class StoredTables:
    """What one DuckDB file holds."""

    database: str
    tables: Mapping[tuple[str, str], StoredTable]
    """By schema and name, folded."""

    def find(self, relation: Relation) -> StoredTable | None:
        """What the file has of that relation; None where it is in another database, or nowhere."""
        if relation.database is not None and relation.database.casefold() != self.database.casefold():
            return None
        return self.tables.get(((relation.schema or "main").casefold(), relation.identifier.casefold()))


def stored_tables(database: Path) -> StoredTables:
    """Read what a DuckDB file holds. Nobody else may have it open."""
    with duckdb.connect(str(database), read_only=True) as connection:
        ((name,),) = connection.execute("select current_database()").fetchall()
        listed = connection.execute(f"{_TABLES} union all {_VIEWS}").fetchall()
        constraints = connection.execute(_CONSTRAINTS).fetchall()
    unique: dict[tuple[str, str], list[frozenset[str]]] = {}
    held: dict[tuple[str, str], str] = {}
    for schema, table, kind, columns, referenced in constraints:
        at = (schema.casefold(), table.casefold())
        if kind in ("PRIMARY KEY", "UNIQUE"):
            unique.setdefault(at, []).append(frozenset(columns))
        elif kind == "CHECK":
            held.setdefault(at, "a CHECK constraint limits its values")
        elif kind == "FOREIGN KEY":
            held.setdefault(at, f"a foreign key ties it to {referenced}")
            held.setdefault((schema.casefold(), referenced.casefold()), f"a foreign key of {table} ties it")
    found: dict[tuple[str, str], StoredTable] = {}
    for _, schema, table, kind in listed:
        at = (schema.casefold(), table.casefold())
        left = "it is a view in DuckDB" if kind == "view" else held.get(at, "")
        found[at] = StoredTable(left, tuple(unique.get(at, ())))
    return StoredTables(name, found)
