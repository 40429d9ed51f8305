"""Counts which rows a spine has gained and lost since its file was locked. Which stand where does not matter here."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import duckdb
from sqlglot import exp

from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import column, render, table

from .parquet_files import ParquetRows
from .retrieval import RetrievalJob

_DUCKDB = dialect_named("duckdb")
_THEN, _NOW = "spine_then", "spine_now"


def moved_rows(job: RetrievalJob, locked: Path, columns: Sequence[str]) -> tuple[int, int] | tuple[None, None]:
    """How many rows the job's spine has that the locked file has not, and the other way round; duplicates count as often as they occur.

    Args:
        job: whose spine is meant.
        locked: the locked file.
        columns: those of the spine, which both have.

    None where rows cannot be told apart, as with columns of a type that has no equality.
    """
    with tempfile.TemporaryDirectory() as scratch, duckdb.connect(config={"temp_directory": scratch}) as connection:
        with job.spine_rows() as now:
            _keep(connection, _NOW, now)
        try:
            _keep(connection, _THEN, ParquetRows(locked, tuple(columns)).open())
            return _more(connection, columns, _NOW, _THEN), _more(connection, columns, _THEN, _NOW)
        except (duckdb.BinderException, duckdb.NotImplementedException):
            return None, None


def _keep(connection: duckdb.DuckDBPyConnection, name: str, rows: object) -> None:
    connection.register("given", rows)
    connection.execute(_text(exp.Create(this=table(name), kind="TABLE", expression=exp.select("*").from_(table("given")))))
    connection.unregister("given")


def _more(connection: duckdb.DuckDBPyConnection, columns: Sequence[str], of: str, than: str) -> int:
    left, right = (exp.select(*map(column, columns)).from_(table(name)) for name in (of, than))
    rows = exp.except_(left, right, distinct=False)
    counted = connection.execute(_text(exp.select(exp.Count(this=exp.Star())).from_(rows.subquery("more")))).fetchall()
    return int(counted[0][0])


def _text(statement: exp.Expression) -> str:
    return render(statement, _DUCKDB, pretty=False)
