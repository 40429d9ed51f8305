"""The embedded default: the DuckDB file that dbt builds, opened for one job and closed after it.

DuckDB lets one process write, and nobody read meanwhile. So a session is short; when another process holds the file it is waited for,
and then named. Reading sessions are read-only; what they need to keep goes into temporary tables, which spill to disk.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp

from featurestore.dbt.profiles import Target
from featurestore.errors import UnsupportedTypeError, WarehouseError, WarehouseLockedError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import column, relation, render, table
from featurestore.sql.types import parse_data_type

from .base import BATCH_ROWS
from .duckdb_profile import DuckDBProfile, read_profile

PATIENCE = timedelta(seconds=10)
"""How long a locked file is waited for."""

_DIALECT = dialect_named("duckdb")
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_ALWAYS: Mapping[str, str] = {
    "TimeZone": "UTC",
    # The queries leave out what they take for the default.
    "default_null_order": "nulls_last",
    "preserve_insertion_order": "true",
    # A table that does not exist must not turn out to be a variable of the program.
    "python_enable_replacements": "false",
    "enable_progress_bar": "false",
}
_MISSING = re.compile(r"Table with name (\S+) does not exist")


@dataclass(frozen=True)
class DuckDBWarehouse:
    """A DuckDB database."""

    profile: DuckDBProfile
    patience: timedelta = PATIENCE

    @classmethod
    def of_target(cls, target: Target) -> DuckDBWarehouse:
        """The database that a dbt-duckdb target names. Raises WarehouseError where it is in memory."""
        return cls(read_profile(target))

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return _DIALECT.name

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[DuckDBSession]:
        """Open a connection, and close it on the way out. Raises WarehouseLockedError, WarehouseError."""
        connection = self._connect(read_only)
        try:
            yield DuckDBSession(connection)
        finally:
            connection.close()

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist."""
        if not relations:
            return {}
        with self.session() as session:
            rows = session.query(_columns_of(relations)).read_all().to_pylist()
        found: dict[tuple[str, ...], list[Column]] = {}
        for row in rows:
            place = (row["database_name"], row["schema_name"], row["table_name"])
            found.setdefault(place, []).append(Column(row["column_name"], _value_type(row["data_type"])))
        described = {}
        for wanted in relations:
            columns = next((columns for place, columns in found.items() if _is_at(wanted, place, rows)), None)
            if columns is not None:
                described[wanted] = tuple(columns)
        return described

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        file = self.profile.file
        if file is not None and not file.exists():
            raise WarehouseError(f"There is no database {file}. Run `dbt build` first: it makes it.")
        deadline, wait = time.monotonic() + self.patience.total_seconds(), _FIRST_WAIT
        while True:
            try:
                return self._opened(read_only)
            except duckdb.ConnectionException as error:
                raise WarehouseLockedError(
                    f"This process holds {self.profile.path} open in another way: {error} Close that connection first."
                ) from error
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise WarehouseError(f"{self.profile.path} cannot be opened: {error}") from error
                if time.monotonic() + wait > deadline:
                    raise _locked(self.profile.path, error) from error
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except duckdb.Error as error:
                raise WarehouseError(f"{self.profile.path} cannot be opened as the dbt profile says: {error}") from error

    def _opened(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(self.profile.path, read_only=read_only, config=dict(self.profile.config))
        try:
            for extension in self.profile.extensions:
                _load_extension(connection, extension)
            for statement in self.profile.statements(read_only=read_only):
                connection.execute(statement)
            for name, value in {**self._places(), **_ALWAYS}.items():
                connection.execute(f"SET {name} = {exp.Literal.string(value).sql(dialect='duckdb')}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _places(self) -> dict[str, str]:
        """Where files are looked for (views over files name them as dbt saw them) and where to spill to, unless the profile says."""
        places = {}
        if "file_search_path" not in self.profile.settings:
            places["file_search_path"] = str(self.profile.base_dir)
        file = self.profile.file
        beside = file is not None and os.access(file.parent, os.W_OK)
        if "temp_directory" not in self.profile.settings and not beside:
            places["temp_directory"] = os.path.join(tempfile.gettempdir(), "featurestore-spill")
        return places


class DuckDBSession:
    """One connection to a DuckDB database. It has one answer open at a time."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

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

    def query(self, statement: exp.Expression | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with DuckDB's own words."""
        text = statement if isinstance(statement, str) else render(statement, _DIALECT)
        try:
            answer = self._connection.sql(text)
            if answer is None:
                raise WarehouseError("That statement is no query: it answers nothing.")
            batches = answer.to_arrow_reader(BATCH_ROWS)
        except duckdb.Error as error:
            raise _refused(error) from error
        return pa.RecordBatchReader.from_batches(batches.schema, _told(batches))

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it."""
        rows = self._rows(exp.Describe(this=query))
        return tuple(Column(row["column_name"], _value_type(row["column_type"])) for row in rows)

    def row_count(self, of: exp.Table) -> int | None:
        """About how many rows a relation has, as DuckDB's optimizer reckons without reading it; exact for a table."""
        query = exp.select("*").from_(of.copy())
        plan = self._rows(f"EXPLAIN (FORMAT JSON) {render(query, _DIALECT)}")
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

    def _run(self, statement: exp.Expression) -> None:
        try:
            self._connection.execute(render(statement, _DIALECT))
        except duckdb.Error as error:
            raise _refused(error) from error

    def _rows(self, statement: exp.Expression | str) -> list[dict[str, Any]]:
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


def _locked(path: str, error: duckdb.Error) -> WarehouseLockedError:
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    who = f" by {holder.group(1)} (process {holder.group(2)})" if holder else " by another process"
    return WarehouseLockedError(
        f"{path} is held open{who}, and DuckDB lets nobody else in meanwhile. Wait for it to end, or close it there, and try again."
    )


def _load_extension(connection: duckdb.DuckDBPyConnection, extension: Mapping[str, str]) -> None:
    name, repository = extension["name"], extension.get("repo")
    try:
        connection.load_extension(name)
    except duckdb.Error:
        connection.install_extension(name, repository=repository) if repository else connection.install_extension(name)
        connection.load_extension(name)


def _value_type(data_type: str) -> Any:
    try:
        return parse_data_type(data_type, _DIALECT.name)
    except UnsupportedTypeError:
        return UNRESOLVED


def _columns_of(relations: Sequence[Relation]) -> exp.Select:
    names = [exp.Literal.string(wanted.identifier.lower()) for wanted in relations]
    chosen = [column(name) for name in ("database_name", "schema_name", "table_name", "column_name", "data_type")]
    here = [exp.alias_(exp.Anonymous(this=f"current_{part}"), f"current_{part}") for part in ("database", "schema")]
    return (
        exp.select(*chosen, *here)
        .from_(exp.Table(this=exp.Anonymous(this="duckdb_columns")))
        .where(exp.In(this=exp.Lower(this=column("table_name")), expressions=names))
        .order_by(*(column(name) for name in ("database_name", "schema_name", "table_name", "column_index")))
    )


def _is_at(wanted: Relation, place: tuple[str, ...], rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a relation is the one at (database, schema, name). DuckDB folds case, and fills in what is left out."""
    here = rows[0]
    parts = (wanted.database or here["current_database"], wanted.schema or here["current_schema"], wanted.identifier)
    return tuple(part.casefold() for part in parts) == tuple(part.casefold() for part in place)
