"""One session of a Spark: queries built as trees go in, Arrow comes out, and functions run on Arrow where the rows are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
from pyspark.errors import PySparkException
from sqlglot import exp

from featurestore.errors import FeatureStoreError, WarehouseError
from featurestore.registry.definitions import Column, Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import appended, identifier, relation, render, table, unused

from .base import APPENDED
from .spark_columns import columns_of
from .spark_errors import refused
from .spark_files import Staged, StagedFiles
from .spark_profile import SparkProfile

_DIALECT = dialect_named("spark")
_COUNTED_FROM_FOOTERS = frozenset({"parquet", "orc", "delta", "iceberg"})
"""Formats whose files say how many rows they have."""


class SparkSQLSession:
    """One session of a Spark, with temporary views of its own. It has one answer open at a time."""

    def __init__(self, spark: Any, profile: SparkProfile) -> None:
        self._spark, self._profile = spark, profile
        self._kept: dict[str, int] = {}
        with self._told():
            # A metastore that somebody else holds shows itself here, before anything is written.
            if profile.schema is not None and spark.catalog.databaseExists(profile.schema):
                spark.catalog.setCurrentDatabase(profile.schema)
        self._files = StagedFiles.of(spark, profile)

    def close(self) -> None:
        """Drop what was kept."""
        for name in self._kept:
            self._spark.catalog.dropTempView(name)
        self._files.close()

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary view of that name, streaming."""
        with self._told():
            self._show(name, self._files.put(rows))

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a temporary view of that name: computed once, and the same ever after."""
        frame = self._frame(query)
        with self._told():
            self._show(name, self._files.write(frame))

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with Spark's own words."""
        frame = self._frame(statement)
        if not frame.columns:
            raise WarehouseError("That statement is no query: it answers nothing.")
        with self._told():
            return self._files.read(self._files.write(frame), self._refused)

    def map_batches(
        self,
        statement: exp.Query,
        function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
        schema: pa.Schema,
        *,
        together: int = 0,
    ) -> pa.Table:
        """Run a function over the answer's batches on the executors that hold them, and bring back what it says of them."""
        from pyspark.sql.pandas.types import from_arrow_schema

        frame = self._frame(statement)
        if together:
            names = [identifier(name).sql("spark") for name in frame.columns[: together + 1]]
            frame = frame.repartition(*names[:-1]).sortWithinPartitions(*names)
        with self._told(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said: pa.Table = frame.mapInArrow(function, from_arrow_schema(schema)).toArrow()
            return said.cast(schema)

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it."""
        return columns_of(self._frame(query).schema)

    def describe(self, relation_: Relation) -> tuple[Column, ...] | None:
        """The columns of a relation, or None where there is none of that name."""
        name = relation(relation_).sql("spark")
        with self._told():
            return columns_of(self._spark.table(name).schema) if self._spark.catalog.tableExists(name) else None

    def row_count(self, of: exp.Table) -> int | None:
        """How many rows a table has, as its files say without being read. None of a view, or of files that do not say."""
        if of.args.get("db") is None and of.name in self._kept:
            return self._kept[of.name]
        described = {row["col_name"]: row["data_type"] for row in self._rows(exp.Describe(this=of.copy(), style="EXTENDED"))}
        if str(described.get("Provider")).lower() not in _COUNTED_FROM_FOOTERS:
            return None
        counted = self._rows(exp.select(exp.alias_(exp.Count(this=exp.Star()), identifier("rows"))).from_(of.copy()))
        return int(counted[0]["rows"])

    def create_table(self, relation_: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, and say how many rows it has.

        Not every format that Spark writes can be replaced at once, so the new table is made beside the old one, which it then replaces.
        """
        target = relation(relation_)
        if relation_.schema is not None:
            schema = exp.Table(db=target.args["db"].copy(), catalog=target.args.get("catalog"))
            self._run(exp.Create(this=schema, kind="SCHEMA", exists=True))
        beside, before = (self._free(relation_, ending) for ending in ("__new", "__old"))
        self._run(exp.Create(this=beside, kind="TABLE", expression=query))
        kind = self._kind(target)
        if kind == "VIEW":
            self._run(exp.Drop(tables=[target.copy()], kind="VIEW"))
        elif kind is not None:
            self._rename(target, before)
        self._rename(beside, target)
        if kind not in ("VIEW", None):
            self._run(exp.Drop(tables=[before], kind="TABLE"))
        counted = self._rows(exp.select(exp.alias_(exp.Count(this=exp.Star()), identifier("rows"))).from_(target.copy()))
        return int(counted[0]["rows"])

    def append(self, relation_: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none."""
        names = rows.schema.names
        self.upload(APPENDED, rows)
        self._run(appended(relation_, names, table(APPENDED)))

    def _free(self, relation_: Relation, ending: str) -> exp.Table:
        taken = [row["tableName"] for row in self._rows(f"SHOW TABLES IN {self._schema_of(relation_)}")]
        return relation(Relation(unused(f"{relation_.identifier}{ending}", taken), relation_.schema, relation_.database))

    def _schema_of(self, relation_: Relation) -> str:
        parts = [part for part in (relation_.database, relation_.schema or self._spark.catalog.currentDatabase()) if part]
        return ".".join(identifier(part).sql("spark") for part in parts)

    def _kind(self, of: exp.Table) -> str | None:
        name = of.sql("spark")
        if not self._spark.catalog.tableExists(name):
            return None
        return str(self._spark.catalog.getTable(name).tableType)

    def _rename(self, from_: exp.Table, to: exp.Table) -> None:
        self._run(exp.Alter(this=from_.copy(), kind="TABLE", actions=[exp.AlterRename(this=to.copy())]))

    def _show(self, name: str, staged: Staged) -> None:
        self._files.frame(staged).createOrReplaceTempView(identifier(name).sql("spark"))
        self._kept[name] = self._files.count(staged)

    def _frame(self, statement: exp.Expr | str) -> Any:
        text = statement if isinstance(statement, str) else render(statement, _DIALECT, pretty=False)
        with self._told():
            return _storable(self._spark.sql(text))

    def _run(self, statement: exp.Expression) -> None:
        self._frame(statement)

    def _rows(self, statement: exp.Expr | str) -> list[dict[str, Any]]:
        frame = self._frame(statement)
        with self._told():
            return [row.asDict() for row in frame.collect()]

    def _told(self) -> _Told:
        return _Told(self._refused)

    def _refused(self, error: Exception) -> FeatureStoreError:
        return refused(error, self._profile)


class _Told:
    """What goes wrong inside, said in our words."""

    def __init__(self, refused: Callable[[Exception], FeatureStoreError]) -> None:
        self._refused = refused

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from py4j.protocol import Py4JError

        if isinstance(error, PySparkException | Py4JError | pa.ArrowException | OSError):
            raise self._refused(error) from error


def _storable(frame: Any) -> Any:
    """The frame with a null that nobody gave a type as text, since no file can hold it otherwise."""
    from pyspark.sql.types import NullType, StringType

    for field in frame.schema.fields:
        if isinstance(field.dataType, NullType):
            frame = frame.withColumn(field.name, frame[identifier(field.name).sql("spark")].cast(StringType()))
    return frame
