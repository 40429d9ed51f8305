"""One connection of a dbt adapter: queries built as trees go in, Arrow comes out. Only SQL is used that the dialect's facts speak of.

What the session keeps stands in temporary tables, or, where the warehouse has none, in tables of the target's own schema with names that
nobody else has; they are dropped when the session ends.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TypeVar

import pyarrow as pa
from sqlglot import exp

from featurestore.arrow import value_type
from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import STRING, ValueType
from featurestore.sql.dialects import Dialect, Folding, TemporaryTables
from featurestore.sql.expressions import appended, column, identifier, named, relation, render, table
from featurestore.sql.literals import insertion, new_table

from .adapter_answers import answered, columns_of
from .adapter_connection import AdapterConnection
from .base import APPENDED

ExprT = TypeVar("ExprT", bound=exp.Expr)

_INSERTED_ROWS = 500
"""Rows of one INSERT: SQL Server takes no more than a thousand, and the shortest limit on a statement is a million characters."""

_INSERTED_CHARACTERS = 500_000


class AdapterSession:
    """One connection of a dbt adapter."""

    def __init__(self, connection: AdapterConnection, dialect: Dialect) -> None:
        self._connection, self._dialect = connection, dialect
        self._kept: dict[str, exp.Table] = {}
        self._prefix = f"featurestore_{uuid.uuid4().hex[:12]}"
        for statement in dialect.session:
            with connection.transaction():
                connection.run(statement)

    def close(self) -> None:
        """Drop the tables that are no temporary ones."""
        if self._dialect.temporary_tables is TemporaryTables.NONE:
            for kept in self._kept.values():
                self._run(_drop(kept))

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a table of that name that lasts as long as the session, by INSERTs of literals."""
        columns = [Column(field.name, _type_of(field.type)) for field in rows.schema]
        target, temporary = self._place(name), self._dialect.temporary_tables is TemporaryTables.TEMPORARY
        self._run(new_table(target.copy(), columns, self._dialect, temporary=temporary))
        for batch in rows:
            for part in _parts(batch):
                self._run(insertion(target.copy(), columns, part, self._dialect))

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a table of that name that lasts as long as the session."""
        answer = self._resolved(query)
        self._run(exp.Create(this=self._place(name), kind="TABLE", properties=self._temporary(), expression=answer))

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with the warehouse's own words."""
        text = statement if isinstance(statement, str) else render(self._resolved(statement), self._dialect, pretty=False)
        return answered(self._connection, text)

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, by running it for no rows."""
        ours = all(not of.db and of.name in self._kept for of in query.find_all(exp.Table))
        nothing = render(self._resolved(query.limit(0)), self._dialect, pretty=False)
        found = columns_of(self._connection, nothing)
        return tuple(Column(name, of) if ours else stored_column(name, of, self._dialect) for name, of in found)

    def row_count(self, of: exp.Table) -> int | None:
        """How many rows a table of the session has. Of others it is not known: every warehouse has its statistics in another place."""
        if of.db or of.name not in self._kept:
            self._connection.run(render(exp.select(exp.Literal.number(1)).from_(of.copy()).limit(0), self._dialect, pretty=False))
            return None
        return self._counted(of)

    def create_table(self, relation_: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, and say how many rows it has."""
        target, answer = relation(relation_), self._as_stored(self._resolved(query))
        if relation_.schema not in (None, self._connection.home[1]) and self._dialect.temporary_tables is not TemporaryTables.HASH:
            schema = exp.Table(db=target.args["db"].copy(), catalog=target.args.get("catalog"))
            self._run(exp.Create(this=schema, kind="SCHEMA", exists=True))
        if self._dialect.replaces_tables:
            self._run(exp.Create(this=target.copy(), kind="TABLE", replace=True, expression=answer))
            return self._counted(target)
        new = relation(Relation(f"{self._prefix}_new", relation_.schema, relation_.database))
        with self._connection.transaction():
            self._run(exp.Create(this=new.copy(), kind="TABLE", expression=answer))
            self._run(_drop(target))
            self._run(exp.Alter(this=new, kind="TABLE", actions=[exp.AlterRename(this=self._renamed(target))]))
        return self._counted(target)

    def append(self, relation_: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none."""
        names = rows.schema.names
        self.upload(APPENDED, rows)
        insert = appended(relation_, names, table(APPENDED))
        insert.set("expression", self._resolved(insert.expression))
        # A query before it may have left a transaction open, which would take the rows with it at the end of the session.
        with self._connection.transaction():
            self._run(insert)

    def _renamed(self, target: exp.Table) -> exp.Table:
        """How a table is called anew: by its whole name in Trino, by its last part where a table stays in its schema."""
        return target.copy() if self._dialect.name == "trino" else exp.Table(this=target.this.copy())

    def _as_stored(self, query: exp.Query) -> exp.Query:
        """The query, its columns called so that they need no quotes where the warehouse folds names to upper case."""
        if self._dialect.folding is not Folding.UPPER:
            return query
        names = query.named_selects
        folded = [name.upper() for name in names]
        if len(set(folded)) < len(folded) or "*" in names:
            return query
        within = query.subquery(identifier("answer"))
        return exp.select(*(named(column(name), stored) for name, stored in zip(names, folded, strict=True))).from_(within)

    def _counted(self, of: exp.Table) -> int:
        rows = exp.Cast(this=exp.Count(this=exp.Star()), to=exp.DataType(this=exp.DType.BIGINT))
        answer = self.query(exp.select(exp.Alias(this=rows, alias=identifier("rows"))).from_(of.copy()))
        return int(answer.read_all().column(0)[0].as_py())

    def _place(self, name: str) -> exp.Table:
        """Where a table of that name is to stand, with nothing there."""
        if name in self._kept:
            self._run(_drop(self._kept[name]))
        match self._dialect.temporary_tables:
            case TemporaryTables.TEMPORARY:
                kept = table(name)
            case TemporaryTables.HASH:
                kept = exp.Table(this=exp.to_identifier(f"#{name}", quoted=True))
            case TemporaryTables.NONE:
                database, schema = self._connection.home
                kept = relation(Relation(f"{self._prefix}_{len(self._kept)}", schema, database))
        self._kept[name] = kept
        return kept.copy()

    def _temporary(self) -> exp.Properties | None:
        if self._dialect.temporary_tables is TemporaryTables.TEMPORARY:
            return exp.Properties(expressions=[exp.TemporaryProperty()])
        return None

    def _resolved(self, query: ExprT) -> ExprT:
        """The query, reading what the session keeps from where it keeps it."""
        query = query.copy()
        if self._dialect.temporary_tables is TemporaryTables.TEMPORARY:
            return query
        ctes = {cte.alias for cte in query.find_all(exp.CTE)}
        for of in list(query.find_all(exp.Table)):
            kept = self._kept.get(of.name)
            if kept is not None and not of.db and of.name not in ctes:
                alias = of.args.get("alias") or exp.TableAlias(this=identifier(of.name))
                of.replace(exp.Table(**{**kept.copy().args, "alias": alias}))
        return query

    def _run(self, statement: exp.Expr) -> None:
        self._connection.run(render(statement, self._dialect, pretty=False))


def stored_column(name: str, of: ValueType, dialect: Dialect) -> Column:
    """A column as the warehouse calls it: a name that needs no quotes there needs none here, and is read in lower case."""
    if dialect.folding is Folding.UPPER and name == name.upper() and name != name.lower():
        return Column(name.lower(), of, name)
    return Column(name, of)


def _drop(of: exp.Table) -> exp.Drop:
    # Which of the two a release of sqlglot writes has changed.
    return exp.Drop(this=of.copy(), tables=[of.copy()], kind="TABLE", exists=True)


def _type_of(data_type: pa.DataType) -> ValueType:
    return STRING if pa.types.is_null(data_type) else value_type(data_type)


def _parts(batch: pa.RecordBatch) -> Iterator[list[tuple[object, ...]]]:
    """The rows of a batch, as many at a time as one INSERT takes."""
    for start in range(0, batch.num_rows, _INSERTED_ROWS):
        part, size = [], 0
        for row in zip(*(values.to_pylist() for values in batch.slice(start, _INSERTED_ROWS).columns), strict=True):
            part.append(row)
            size += sum(len(value) for value in row if isinstance(value, str | bytes))
            if size > _INSERTED_CHARACTERS:
                yield part
                part, size = [], 0
        if part:
            yield part


def missing(error: WarehouseError) -> bool:
    """Whether that error says that a relation is not there."""
    return str(error).startswith("The warehouse has no such table")
