"""Runs in DuckDB what was written for a warehouse that cannot be had here, so that its answers can be held against the reference.

The text is parsed by sqlglot's reading of the warehouse's own dialect, each construct is replaced by one of DuckDB that means the same,
and DuckDB runs it. What this proves: the text is of that dialect's grammar as sqlglot knows it, and the query, its joins, windows,
frames, arithmetic and the places of null in every order (each read as that dialect's default has them) answer as the reference does.
Where a warehouse folds the case of text by default, so does DuckDB here, so that a comparison that forgot its collation shows.

What it does not prove: that the warehouse takes the text, that its functions and types do what they are taken for here, how it orders
not-a-number, how fast it is, or what its driver brings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp, parse_one
from sqlglot.errors import ErrorLevel

from featurestore.registry.definitions import Column, Relation
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import render
from featurestore.warehouse.duckdb_session import DuckDBSession

_WITHOUT_CASE = ("tsql", "fabric")
"""Whose text compares without case unless it is told not to."""

_CODE_POINTS = "POSIX"
"""DuckDB's collation by code points."""


def in_duckdb(text: str, dialect: str) -> str:
    """The same query in DuckDB's words. Raises ParseError where it is none of the dialect."""
    tree = parse_one(text, dialect=dialect)
    if dialect in _WITHOUT_CASE:
        # FLOAT has 64 bits there, and sqlglot takes it for the 32 of DuckDB's.
        for kind in tree.find_all(exp.DataType):
            if kind.this is exp.DataType.Type.FLOAT and not kind.expressions:
                kind.set("this", exp.DataType.Type.DOUBLE)
    translated = tree.transform(_translated)
    unread = [node.sql() for node in translated.find_all(exp.Command, exp.Anonymous)]
    assert not unread, f"sqlglot knows no {unread} in {dialect}"
    return translated.sql(dialect="duckdb", unsupported_level=ErrorLevel.RAISE)


def _translated(node: exp.Expr) -> exp.Expr:
    translate = _TRANSLATIONS.get(type(node))
    return translate(node) if translate is not None else node


def _asof(join: exp.Expr) -> exp.Expr:
    """Snowflake's keeps what matches nothing; DuckDB's does so when it is told to, and has the inequality among its conditions."""
    condition = join.args.get("match_condition")
    if condition is None:
        return join
    join.set("on", exp.and_(join.args["on"], condition.pop()))
    join.set("side", "LEFT")
    return join


def _at_utc(value: exp.Expr, zone: exp.Expr) -> exp.Expr:
    assert isinstance(zone, exp.Literal)
    assert zone.name == "UTC"
    return exp.AtTimeZone(this=value, zone=zone)


def _function(call: exp.Expr) -> exp.Expr:
    """Of Trino's functions, the one that sqlglot writes and does not read."""
    return _at_utc(*call.expressions) if call.name == "AT_TIMEZONE" else call


def _of_any_length(data_type: exp.Expr) -> exp.Expr:
    """`VARCHAR(MAX)`."""
    return exp.DataType(this=exp.DType.TEXT) if any(part.name == "MAX" for part in data_type.expressions) else data_type


def _collated(collate: exp.Expr) -> exp.Expr:
    assert "BIN2" in collate.expression.name
    collate.set("expression", exp.var(_CODE_POINTS))
    return collate


_TRANSLATIONS: dict[type[exp.Expr], Callable[[Any], exp.Expr]] = {
    exp.Anonymous: _function,
    exp.Collate: _collated,
    exp.ConvertTimezone: lambda call: _at_utc(call.args["timestamp"], call.args["target_tz"]),
    exp.DataType: _of_any_length,
    exp.Datetime: lambda call: _at_utc(call.this, call.expression),
    exp.Join: _asof,
}


class TranslatedSession:
    """A session of a warehouse that is DuckDB inside."""

    def __init__(self, inside: DuckDBSession, dialect: Dialect) -> None:
        self._inside, self._dialect = inside, dialect

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        self._inside.upload(name, rows)

    def keep(self, name: str, query: exp.Query) -> None:
        rows = parse_one(in_duckdb(render(query, self._dialect, pretty=False), self._dialect.name), dialect="duckdb", into=exp.Select)
        self._inside.keep(name, rows)

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        text = statement if isinstance(statement, str) else render(statement, self._dialect, pretty=False)
        return self._inside.query(in_duckdb(text, self._dialect.name))

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        raise NotImplementedError

    def row_count(self, of: exp.Table) -> int | None:
        raise NotImplementedError

    def create_table(self, relation: Relation, query: exp.Query) -> int:
        raise NotImplementedError

    def append(self, relation: Relation, rows: pa.RecordBatchReader) -> None:
        raise NotImplementedError


@contextmanager
def translated_session(dialect: Dialect) -> Iterator[TranslatedSession]:
    """A session that takes that dialect's text."""
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET default_null_order = 'nulls_last'")
        if dialect.name in _WITHOUT_CASE:
            connection.execute("SET default_collation = 'NOCASE'")
        yield TranslatedSession(DuckDBSession(connection), dialect)
