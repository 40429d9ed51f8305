"""One connection to a DuckDB database: queries built as trees go in, Arrow comes out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import appended, relation, render, table

from .base import APPENDED, BATCH_ROWS
from .duckdb_columns import column_of

_DIALECT = dialect_named("duckdb")
_MISSING = re.compile(r"Table with name (\S+) does not exist")


class DuckDBSession:
    """One connection to a DuckDB database. It has one answer open at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._answer: pa.RecordBatchReader | None = None

    def close(self) -> None:
        """Give up the answer that is open: while anybody holds it, DuckDB lets nobody connect to the file anew."""
        if self._answer is not None:
            self._answer.close()
            self._answer = None

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary table of that name, streaming."""
        self._connection.register("uploaded_rows", rows)
        try:
            self.keep(name, exp.select("*").from_(table("uploaded_rows")))
        finally:
            self._connection.unregister("uploaded_rows")

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a temporary table of that name."""
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        self._run(exp.Create(this=table(name), kind="TABLE", replace=True, properties=temporary, expression=query))

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with DuckDB's own words."""
        text = statement if isinstance(statement, str) else render(statement, _DIALECT, pretty=False)
        try:
            answer = self._connection.sql(text)
            if answer is None:
                raise WarehouseError("That statement is no query: it answers nothing.")
            batches = self._answer = answer.to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise _refused(error) from error
        return pa.RecordBatchReader.from_batches(batches.schema, _told(batches))

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it."""
        rows = self._rows(exp.Describe(this=query))
        return tuple(column_of(row["column_name"], row["column_type"]) for row in rows)

    def row_count(self, of: exp.Table) -> int | None:
        """About how many rows a relation has, as DuckDB's optimizer reckons without reading it; exact for a table."""
        query = exp.select("*").from_(of.copy())
        plan = self._rows(f"EXPLAIN (FORMAT JSON) {render(query, _DIALECT, pretty=False)}")
        root = json.loads(plan[0]["explain_value"])[0]
        estimate = root.get("extra_info", {}).get("Estimated Cardinality")
        return int(estimate) if estimate is not None else None

    def create_table(self, relation_: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, and say how many rows it has."""
        target = relation(relation_)
        if relation_.schema is not None:
            schema = exp.Table(db=target.args["db"].copy(), catalog=target.args.get("catalog"))
            self._run(exp.Create(this=schema, kind="SCHEMA", exists=True))
        self._run(exp.Create(this=target, kind="TABLE", replace=True, expression=query))
        counted = self._rows(exp.select(exp.alias_(exp.Count(this=exp.Star()), "rows")).from_(target.copy()))
        return int(counted[0]["rows"])

    def append(self, relation_: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none."""
        names = rows.schema.names
        self.upload(APPENDED, rows)
        self._run(appended(relation_, names, table(APPENDED)))

    def _run(self, statement: exp.Expression) -> None:
        try:
            self._connection.execute(render(statement, _DIALECT, pretty=False))
        except duckdb.Error as error:
            raise _refused(error) from error

    def _rows(self, statement: exp.Expr | str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.query(statement).read_all().to_pylist()
        return rows


def _told(batches: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """The batches, with what goes wrong on the way said in our words."""
    try:
        yield from batches
    except duckdb.Error as error:
        raise _refused(error) from error
    except (pa.ArrowException, OSError) as error:
        raise WarehouseError(f"The warehouse gave up halfway: {error}") from error


def _refused(error: duckdb.Error) -> WarehouseError:
    missing = _MISSING.search(str(error))
    if missing is not None:
        return WarehouseError(f"The warehouse has no table or view {missing.group(1)}. Run `dbt build`: it makes it.\n{error}")
    return WarehouseError(f"The warehouse refused the query: {error}")
