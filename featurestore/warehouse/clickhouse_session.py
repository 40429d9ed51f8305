"""One session with a ClickHouse server: queries built as trees go in, Arrow comes out, over HTTP."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlglot import exp
from urllib3.exceptions import HTTPError

from featurestore.arrow import conformed
from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import TIMESTAMP
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import appended, column, identifier, named, relation, render, table

from .base import APPENDED
from .clickhouse_columns import column_of, stored_type, travelling_type
from .clickhouse_profile import ClickHouseProfile

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_DIALECT = dialect_named("clickhouse")
_ROWS = """
select total_rows
from system.tables
where name = {name:String} and (database = {database:String} or (is_temporary and {database:String} = ''))
"""
_UNKNOWN_TABLE, _UNKNOWN_DATABASE, _SESSION_IS_LOCKED = 60, 81, 373
_PATIENCE = 5.0
"""Seconds that a server may take to notice that nobody reads its answer any more."""

_WORDS = re.compile(r"DB::Exception: (?P<said>.*?)(?: In scope .*?)? \((?P<name>[A-Z0-9_]+)\)", re.DOTALL)
_MISSING = re.compile(r"(?:identifier|Table|Database) ['`]?([^'`\s]+(?:['`]\.['`][^'`]+)?)")


class ClickHouseSession:
    """One session with a ClickHouse server. It has one answer open at a time."""

    def __init__(self, client: Client, profile: ClickHouseProfile) -> None:
        self._client = client
        self._profile = profile
        self._kept: set[str] = set()
        self._answer: Any = None

    def close(self) -> None:
        """Give up the answer that is open, and the temporary tables, which a server would keep for a while."""
        with suppress(WarehouseError):
            self._give_up()
            for name in self._kept:
                self._run(exp.Drop(tables=[table(name)], kind="TABLE", temporary=True, exists=True))

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary table of that name, streaming."""
        columns = [exp.ColumnDef(this=identifier(field.name), kind=stored_type(field.type)) for field in rows.schema]
        self._create_temporary(name, exp.Schema(this=table(name), expressions=columns))
        with told():
            self._client.raw_insert(render(table(name), _DIALECT), insert_block=_stream(rows), fmt="ArrowStream")

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a temporary table of that name."""
        self._create_temporary(name, table(name), query)

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with ClickHouse's own words."""
        text = statement if isinstance(statement, str) else render(statement, _DIALECT, pretty=False)
        columns = self._described(text)
        text = self._as_it_travels(statement, columns) or text
        with told():
            self._answer = self._client.raw_stream(text, fmt="ArrowStream")
            batches = pa.ipc.open_stream(self._answer)
        schema = _without_zones(batches.schema, [data_type for _, data_type in columns])
        return pa.RecordBatchReader.from_batches(schema, self._whole(batches, schema))

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it."""
        return tuple(column_of(name, data_type) for name, data_type in self._described(render(query, _DIALECT, pretty=False)))

    def row_count(self, of: exp.Table) -> int | None:
        """How many rows a table has, as ClickHouse keeps count of them; those that a merge will leave out are counted. None for a view."""
        with told():
            rows = self._client.query(_ROWS, parameters={"name": of.name, "database": of.db}).result_rows
        if not rows:
            raise WarehouseError(f"The warehouse has no table or view {of.db}.{of.name}. Run `dbt build`: it makes it.")
        return None if rows[0][0] is None else int(rows[0][0])

    def create_table(self, relation_: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, and say how many rows it has."""
        self._refuse_cluster("a table made", "Write the training set to a file: to_parquet (`fsdbt train --output`).")
        target = relation(self._at_home(relation_))
        self._run(exp.Create(this=exp.Table(this=target.args["db"].copy()), kind="DATABASE", exists=True))
        order = exp.Order(expressions=[exp.Tuple()])
        engine = exp.EngineProperty(this=exp.var("MergeTree"))
        properties = exp.Properties(expressions=[engine, order])
        self._run(exp.Create(this=target, kind="TABLE", replace=True, properties=properties, expression=query))
        counted = self.query(exp.select(exp.alias_(exp.Count(this=exp.Star()), "rows")).from_(target.copy())).read_all()
        return int(counted.column(0)[0].as_py())

    def append(self, relation_: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none."""
        self._refuse_cluster("rows appended", "Let the stream that the rows come from write them there.")
        names = rows.schema.names
        self.upload(APPENDED, rows)
        self._run(appended(self._at_home(relation_), names, table(APPENDED)))

    def _at_home(self, relation_: Relation) -> Relation:
        return Relation(relation_.identifier, relation_.schema or self._profile.database)

    def _refuse_cluster(self, what: str, remedy: str) -> None:
        if self._profile.cluster:
            raise WarehouseError(
                f"The dbt target {self._profile.target} writes to the cluster {self._profile.cluster!r}, and {what} here would be on one "
                f"server of it. {remedy}"
            )

    def _create_temporary(self, name: str, this: exp.Expression, query: exp.Query | None = None) -> None:
        temporary = exp.Properties(expressions=[exp.TemporaryProperty()])
        self._run(exp.Create(this=this, kind="TABLE", replace=True, properties=temporary, expression=query))
        self._kept.add(name)

    def _described(self, text: str) -> list[tuple[str, str]]:
        """The columns of a query and their types."""
        self._give_up()
        with told():
            return [(row[0], row[1]) for row in self._client.query(f"DESCRIBE TABLE (\n{text}\n)").result_rows]

    def _as_it_travels(self, statement: exp.Expr | str, columns: list[tuple[str, str]]) -> str | None:
        """The query with those columns cast that Arrow would not say exactly. None where there are none."""
        types = [travelling_type(data_type) for _, data_type in columns]
        if not any(types):
            return None
        if isinstance(statement, exp.Select) and len(statement.expressions) == len(columns) and not statement.is_star:
            changed = statement.copy()
            chosen = [
                each if data_type is None else named(exp.cast(each.unalias(), data_type), name)
                for each, (name, _), data_type in zip(changed.expressions, columns, types, strict=True)
            ]
            changed.set("expressions", chosen)
            return render(changed, _DIALECT, pretty=False)
        text = statement if isinstance(statement, str) else render(statement, _DIALECT, pretty=False)
        rows = exp.Var(this=f"(\n{text}\n)")
        chosen = [
            column(name) if data_type is None else named(exp.cast(column(name), data_type), name)
            for (name, _), data_type in zip(columns, types, strict=True)
        ]
        return render(exp.select(*chosen).from_(rows), _DIALECT, pretty=False)

    def _run(self, statement: exp.Expression) -> None:
        self._give_up()
        with told():
            self._client.command(render(statement, _DIALECT, pretty=False))

    def _whole(self, batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """The batches of an answer that arrived to its end: what breaks off must not pass for all there is."""
        answer = self._answer
        with told("The warehouse gave up halfway"):
            for batch in batches:
                columns = [conformed(each, field.type) for each, field in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
            rest = answer.read()
        if rest:
            raise _refused("The warehouse gave up halfway", WarehouseError(rest.decode(errors="replace")))
        self._answer = None

    def _give_up(self) -> None:
        """Close an answer that is open, since a session does one thing at a time, and wait until the server has noticed."""
        if self._answer is None:
            return
        self._answer.close()
        self._answer = None
        deadline = time.monotonic() + _PATIENCE
        with told():
            while True:
                try:
                    self._client.command("SELECT 1")
                    return
                except ClickHouseError as error:
                    if getattr(error, "code", None) != _SESSION_IS_LOCKED or time.monotonic() > deadline:
                        raise
                    time.sleep(0.02)


@contextmanager
def told(about: str = "The warehouse refused the query") -> Iterator[None]:
    """What goes wrong inside, said in our words."""
    try:
        yield
    except (ClickHouseError, HTTPError, pa.ArrowException, OSError) as error:
        raise _refused(about, error) from error


def _refused(about: str, error: Exception) -> WarehouseError:
    found = _WORDS.search(str(error))
    said = f"{found['said']} ({found['name']})" if found else str(error)
    if getattr(error, "code", None) in (_UNKNOWN_TABLE, _UNKNOWN_DATABASE):
        missing = _MISSING.search(said)
        name = f" {missing[1]}" if missing else ""
        return WarehouseError(f"The warehouse has no table, view or database{name}. Run `dbt build`: it makes it.\n{said}")
    return WarehouseError(f"{about}: {said}")


def _without_zones(schema: pa.Schema, data_types: list[str]) -> pa.Schema:
    """The columns as they come, but for the zone of the session, which those have that have none of their own."""
    for place, data_type in enumerate(data_types):
        field = schema.field(place)
        if pa.types.is_timestamp(field.type) and column_of(field.name, data_type).value_type == TIMESTAMP:
            schema = schema.set(place, field.with_type(pa.timestamp(field.type.unit)))
    return schema


def _stream(rows: pa.RecordBatchReader) -> Generator[bytes, None, None]:
    """The rows as Arrow writes a stream, batch by batch."""
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        for batch in rows:
            writer.write_batch(batch)
            yield sink.getvalue()
            sink.seek(0)
            sink.truncate()
    yield sink.getvalue()
