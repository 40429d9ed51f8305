"""What columns DuckDB says a table has, and the value types they become. Needs neither Arrow nor sqlglot: a listing stays quick."""

from __future__ import annotations

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.types import parse_data_type

COLUMNS = """
select database_name, schema_name, table_name, column_name, data_type, current_database(), current_schema()
from duckdb_columns()
where list_contains($1, lower(table_name))
order by database_name, schema_name, table_name, column_index
"""
"""The columns of all tables of some names, given as a list in lower case."""


def column_of(name: str, data_type: str) -> Column:
    """A column; one of a type that no feature can have is `UNRESOLVED`."""
    try:
        return Column(name, parse_data_type(data_type, "duckdb"))
    except UnsupportedTypeError:
        return Column(name, UNRESOLVED)
