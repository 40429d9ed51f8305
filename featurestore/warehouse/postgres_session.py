"""One connection to PostgreSQL: queries built as trees go in, Arrow comes out.

The settings that a value's text or a timestamp's meaning hangs on are set in each transaction, whatever server, role or database say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import adbc_driver_manager
import pyarrow as pa
from sqlglot import exp

from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import appended, relation, render, table

from .base import APPENDED
from .postgres_arrow import exact, storable
from .postgres_catalog import COLUMNS, INDEXES, column_of

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection, Cursor

_DIALECT = dialect_named("postgres")
_ALWAYS = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "standard_conforming_strings": "on",
    # A spine that is a table comes in the order in which it lies there, whoever else reads it.
    "synchronize_seqscans": "off",
    # Compiling costs more than it saves in statements of so many small parts.
    "jit": "off",
}
_BESIDES_COPY = {"adbc.postgresql.use_copy": "false"}
"""For what answers with rows and is no query, such as EXPLAIN."""

_PROBED = "columns_of"
_NO_TABLE, _NOT_ALLOWED = "42P01", "42501"
_NAMED = re.compile(r'relation "(.+)" does not exist')
_AFTERWORDS = re.compile(r"\s*(Query was: .*|SQLSTATE: \w+\s*)$", re.DOTALL)


class PostgresSession:
    """One connection to PostgreSQL, in a transaction. It has one answer open at a time."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._answer: tuple[Cursor, pa.RecordBatchReader] | None = None
        self._unfinished = False
        self._counted: dict[str, int] = {}

    def begin(self, role: str | None, search_path: str | None) -> None:
        """Begin the transaction: one view of the database, and a meaning of text and time that nobody else decides."""
        self._run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        settings = {**_ALWAYS, **({"role": role} if role else {}), **({"search_path": search_path} if search_path else {})}
        self._fetched("select set_config(key, value, true) from jsonb_each_text($1::jsonb)", json.dumps(settings))

    def close(self) -> None:
        """Roll back whatever was not committed, and close the connection."""
        try:
            if self._answer is not None and self._unfinished:
                # The rest of an answer that nobody wants is not waited for.
                self._answer[0].adbc_cancel()
            self._done()
        finally:
            self._connection.close()

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary table of that name, streaming."""
        self._make_room(name)
        try:
            with self._connection.cursor() as cursor:
                self._counted[name] = cursor.adbc_ingest(name, storable(rows), mode="create", temporary=True)
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None
        self._look_at(name)

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a temporary table of that name."""
        self._make_room(name)
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        self._counted[name] = self._run(exp.Create(this=table(name), kind="TABLE", properties=temporary, expression=query))
        self._look_at(name)

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with PostgreSQL's own words."""
        self._done()
        cursor = self._connection.cursor()
        try:
            cursor.execute(_text(statement))
            batches = cursor.fetch_record_batch()
        except adbc_driver_manager.Error as error:
            cursor.close()
            raise _refused(error) from None
        if not batches.schema.names:
            cursor.close()
            raise WarehouseError("That statement is no query: it answers nothing.")
        self._answer, self._unfinished = (cursor, batches), True
        schema, rows = exact(batches)
        return pa.RecordBatchReader.from_batches(schema, self._told(rows))

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it: those of a view that it is for a moment."""
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        self._run(exp.Create(this=table(_PROBED), kind="VIEW", properties=temporary, expression=query))
        found = self.described(json.dumps([_PROBED]))
        self._run(exp.Drop(tables=[table(_PROBED)], kind="VIEW"))
        return found.get(1, ())

    def row_count(self, of: exp.Table) -> int | None:
        """About how many rows a relation has, as the planner reckons from its statistics and size; exact for a temporary table."""
        if not of.db and of.name in self._counted:
            return self._counted[of.name]
        query = exp.select("*").from_(of.copy())
        ((plan,),) = self._fetched(f"EXPLAIN (FORMAT JSON) {_text(query)}")
        return int(json.loads(plan)[0]["Plan"]["Plan Rows"])

    def indexes(self, of: exp.Table) -> tuple[tuple[str, ...], ...]:
        """The columns of each index by which any row of a relation is found, in order, as far as they are compared as they are."""
        found: dict[int, list[str | None]] = {}
        for index, name in self._fetched(INDEXES, _text(of)):
            found.setdefault(index, []).append(name)
        return tuple(tuple(_until_none(names)) for names in found.values())

    def create_table(self, relation_: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, and say how many rows it has."""
        target = relation(relation_)
        if relation_.schema is not None and not self._fetched("select 1 from pg_namespace where nspname = $1", relation_.schema):
            self._run(exp.Create(this=exp.Table(db=target.args["db"].copy()), kind="SCHEMA"))
        self._run(exp.Drop(tables=[target.copy()], kind="TABLE", exists=True))
        rows = self._run(exp.Create(this=target, kind="TABLE", expression=query))
        try:
            self._connection.commit()
            # A pool that hands this connection on would hand them on too.
            self._run("DISCARD TEMP")
            self._connection.commit()
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None
        self._counted.clear()
        return rows

    def append(self, relation_: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none."""
        names = rows.schema.names
        self.upload(APPENDED, rows)
        self._run(appended(relation_, names, table(APPENDED)))
        try:
            self._connection.commit()
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None

    def described(self, names: str) -> dict[int, tuple[Column, ...]]:
        """The columns of relations, by their place in the list, from 1. Those that do not exist are absent."""
        found: dict[int, tuple[Column, ...]] = {}
        for place, name, data_type in self._fetched(COLUMNS, names):
            found[place] = (*found.get(place, ()), column_of(name, data_type))
        return found

    def _make_room(self, name: str) -> None:
        if self._counted.pop(name, None) is not None:
            self._run(exp.Drop(tables=[table(name)], kind="TABLE"))

    def _look_at(self, name: str) -> None:
        """Nobody else gathers statistics of a temporary table."""
        self._run(exp.Analyze(tables=[table(name)]))

    def _run(self, statement: exp.Expr | str) -> int:
        """Run what answers with no rows. Returns how many it wrote."""
        self._done()
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(_text(statement))
                return cursor.rowcount
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None

    def _fetched(self, statement: str, parameter: str | None = None) -> list[tuple[Any, ...]]:
        """The rows of a small answer."""
        self._done()
        try:
            with self._connection.cursor() as cursor:
                cursor.adbc_statement.set_options(**_BESIDES_COPY)
                cursor.execute(statement, None if parameter is None else (parameter,))
                return cursor.fetchall()
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None

    def _told(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The batches, with what goes wrong on the way said in our words."""
        try:
            yield from batches
        except adbc_driver_manager.Error as error:
            raise _refused(error) from None
        except (pa.ArrowException, OSError) as error:
            raise WarehouseError(f"The warehouse gave up halfway: {_AFTERWORDS.sub('', str(error))}") from None
        self._unfinished = False

    def _done(self) -> None:
        if self._answer is not None:
            cursor, batches = self._answer
            self._answer = None
            batches.close()
            cursor.close()


def _text(statement: exp.Expr | str) -> str:
    return statement if isinstance(statement, str) else render(statement, _DIALECT, pretty=False)


def _until_none(names: list[str | None]) -> Iterator[str]:
    for name in names:
        if name is None:
            return
        yield name


def _refused(error: adbc_driver_manager.Error) -> WarehouseError:
    details = {
        str(name, "utf-8") if isinstance(name, bytes) else name: str(value, "utf-8", "replace") for name, value in error.details or ()
    }
    message = details.get("PG_DIAG_MESSAGE_PRIMARY") or _AFTERWORDS.sub("", str(error))
    more = [details[name] for name in ("PG_DIAG_MESSAGE_DETAIL", "PG_DIAG_MESSAGE_HINT") if name in details]
    words = "\n".join([message, *more])
    missing = _NAMED.search(message)
    if error.sqlstate == _NO_TABLE and missing is not None:
        return WarehouseError(f"The warehouse has no table or view {missing.group(1)}. Run `dbt build`: it makes it.\n{words}")
    if error.sqlstate == _NOT_ALLOWED:
        return WarehouseError(f"The warehouse refused: {words}. Grant it to the profile's user or role: `grants:` in dbt.")
    return WarehouseError(f"The warehouse refused the query: {words}")
