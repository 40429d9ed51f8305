"""The spine: join keys and instants that training asks about, whatever they come as, put into the warehouse once, in their order.

Of a spine that the caller holds, only the join keys, the instants and the rows' numbers travel; its columns stand beside the answer again
because both are in its order, and so come back as they went in, whatever their type. All of them travel only where the answer stays in
the warehouse. What may be read only once is kept in a temporary file on the way.
"""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import TokenType, exp, tokenize
from sqlglot.errors import TokenError

from featurestore.arrow import value_type
from featurestore.errors import EntityDataframeError, UnsupportedTypeError, did_you_mean
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    UNRESOLVED,
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    IntegerType,
    StringType,
    TimestampType,
    UnresolvedType,
    ValueType,
    is_instant,
)
from featurestore.sql.dialects import Dialect, dialect_named
from featurestore.sql.expressions import column, identifier, named, numbered, relation, table, unused
from featurestore.sql.point_in_time.join import Spine
from featurestore.warehouse.base import WarehouseSession

from .arrow_columns import travelling
from .parquet_files import ParquetRows
from .rows import Rows

UPLOADED = "entity_df"
"""The temporary table that the spine is put into."""

_REF = re.compile(r"\s*ref\(\s*(['\"])(?P<model>[\w.]+)\1\s*(?:,\s*(?:v|version)\s*=\s*['\"]?(?P<version>\w+)['\"]?\s*)?\)\s*")

_FILE = re.compile(r"\s*\S+\.(?:parquet|pq)\s*")
"""No SQL is a single word that ends like this."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A dbt model, snapshot or seed whose rows are the spine."""

    model: str
    """Its name; `name.v2` for one version of a versioned model."""


def ref(model: str, *, version: str | int | None = None) -> Ref:
    """The rows of a dbt model, as a spine: `ref("departures")`."""
    return Ref(model if version is None else f"{model}.v{version}")


def parse_spine(text: str) -> Ref | ParquetRows | str:
    """Read `ref('departures')` as a reference to that model, and `labels.parquet` as that file; anything else is SQL text."""
    found = _REF.fullmatch(text)
    if found:
        return ref(found["model"], version=found["version"])
    return ParquetRows(Path(text.strip())) if _FILE.fullmatch(text) else text


@dataclass(frozen=True, slots=True)
class SpineUse:
    """What a job needs of its spine in the warehouse."""

    event_timestamp: str
    join_keys: frozenset[str]
    whole: bool = False
    """Whether all its columns are needed there, because the answer stays there."""

    first_rows: int | None = None
    """How many rows are asked about. None: all."""

    def travels(self, column: str) -> bool:
        """Whether a column of that name goes into the warehouse."""
        return self.whole or column == self.event_timestamp or column in self.join_keys


class SpineSource(Protocol):
    """Where the rows of a spine come from."""

    @property
    def given(self) -> Ref | str | None:
        """The model or the SQL text that it was given as; None for a dataframe."""
        ...

    def put(self, session: WarehouseSession, use: SpineUse) -> LoadedSpine:
        """Put the rows, numbered in their order, into the temporary table `UPLOADED`."""
        ...

    def beside(self, answer: pa.RecordBatchReader, use: SpineUse) -> pa.RecordBatchReader:
        """The answer with those columns of the spine before it that stayed with the caller."""
        ...


@dataclass(frozen=True, slots=True)
class LoadedSpine:
    """A spine that stands in the warehouse, numbered."""

    columns: tuple[Column, ...]
    row_number: str
    text: exp.Expression | None = None
    """The query that it came from, where it came from one: what a person is shown instead of the temporary table."""

    kept_aside: tuple[Column, ...] | None = None
    """The columns that did not travel. None: the warehouse has them all, and answers with them."""

    @property
    def source(self) -> exp.Table:
        """The temporary table."""
        return table(UPLOADED)


def spine_source(entity_df: Any, relation_of: Callable[[str], Relation], dialect: str) -> SpineSource:
    """Where an entity dataframe's rows come from. Raises EntityDataframeError for what is no entity dataframe.

    Args:
        entity_df: an Arrow stream of any library, SQL text, or a `Ref`.
        relation_of: says where a dbt model of that name has its rows.
        dialect: sqlglot's name of the SQL.
    """
    if isinstance(entity_df, Ref):
        return QuerySpine(relation(relation_of(entity_df.model)), dialect_named(dialect), entity_df)
    if isinstance(entity_df, str):
        return QuerySpine(_subquery(entity_df, dialect), dialect_named(dialect), entity_df)
    if isinstance(entity_df, ParquetRows):
        return ArrowSpine(entity_df.open)
    if type(entity_df).__module__.partition(".")[0] == "pandas":
        return ArrowSpine(lambda: _from_pandas(entity_df))
    if isinstance(entity_df, pa.RecordBatchReader):
        return ArrowSpine(_Kept(lambda: entity_df))
    if hasattr(entity_df, "__arrow_c_stream__"):
        again = isinstance(entity_df, pa.Table | pa.RecordBatch) or type(entity_df).__module__.partition(".")[0] == "polars"
        return ArrowSpine(_reader_of(entity_df) if again else _Kept(_reader_of(entity_df)))
    if hasattr(entity_df, "__arrow_c_array__"):
        return ArrowSpine(lambda: pa.Table.from_batches([pa.record_batch(entity_df)]).to_reader())
    raise EntityDataframeError(
        f"A {type(entity_df).__name__} is no entity dataframe. Give a pandas or polars dataframe, an Arrow table or reader, "
        "a DuckDB relation, SQL text, or ref('a_model')."
    )


@dataclass(frozen=True)
class QuerySpine:
    """A spine that the warehouse holds: a model's rows, or a query's."""

    rows: exp.Expression
    dialect: Dialect
    given: Ref | str

    def put(self, session: WarehouseSession, use: SpineUse) -> LoadedSpine:
        """Run it once: it may answer otherwise, or in another order, the next time."""
        columns = session.columns(exp.select("*").from_(self.rows.copy()))
        row_number = _row_number(column.name for column in columns)
        named_columns = [named(column(each.stored_name), each.name) for each in columns]
        chosen = exp.select(named(numbered(self.dialect), row_number), *named_columns).from_(self.rows.copy())
        session.keep(UPLOADED, chosen if use.first_rows is None else chosen.limit(use.first_rows))
        return LoadedSpine(columns, row_number, self.rows)

    def beside(self, answer: pa.RecordBatchReader, use: SpineUse) -> pa.RecordBatchReader:
        """The answer: the spine's columns are in it."""
        return answer


@dataclass(frozen=True)
class ArrowSpine:
    """A spine that the caller holds."""

    open: Callable[[], pa.RecordBatchReader]

    @property
    def given(self) -> None:
        """It has no text."""

    def put(self, session: WarehouseSession, use: SpineUse) -> LoadedSpine:
        """Upload what is needed of it."""
        with self.open() as reader:
            names = reader.schema.names
            twice = next((name for name in names if sum(name.casefold() == other.casefold() for other in names) > 1), None)
            if twice is not None:
                raise EntityDataframeError(f"The entity dataframe has two columns called {twice!r}. Rename one.")
            if not names:
                raise EntityDataframeError("The entity dataframe has no columns. It needs the join keys and a timestamp.")
            row_number = _row_number(names)
            session.upload(UPLOADED, _travelling_rows(reader, row_number, use))
        columns = tuple(
            Column(each.name, UNRESOLVED) if pa.types.is_null(reader.schema.field(each.name).type) else each
            for each in session.columns(exp.select("*").from_(table(UPLOADED)))
            if each.name != row_number
        )
        kept_aside = None if use.whole else tuple(_column_of(each) for each in reader.schema if not use.travels(each.name))
        return LoadedSpine(columns, row_number, kept_aside=kept_aside)

    def beside(self, answer: pa.RecordBatchReader, use: SpineUse) -> pa.RecordBatchReader:
        """The answer, row by row beside the caller's own columns."""
        schema = self.open().schema
        whole = pa.schema([*schema, *answer.schema], schema.metadata)
        return pa.RecordBatchReader.from_batches(whole, self._aligned(answer, whole))

    def _aligned(self, answer: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Rows of both sides in the largest parts that neither has to be copied for."""
        spine = Rows(iter(self.open()))
        for batch in answer:
            start = 0
            while start < batch.num_rows:
                own = spine.next(batch.num_rows - start)
                if own is None:
                    raise RuntimeError("The warehouse answered with more rows than the spine has.")
                yield pa.RecordBatch.from_arrays([*own.columns, *batch.slice(start, own.num_rows).columns], schema=schema)
                start += own.num_rows


def checked_spine(loaded: LoadedSpine, views: tuple[RequestedView, ...], event_timestamp: str, *, shown: bool = False) -> Spine:
    """The spine that a join needs. Raises EntityDataframeError naming the column that is missing, of a wrong type, or in the way.

    Args:
        loaded: the spine in the warehouse.
        views: what is asked for.
        event_timestamp: the name of its timestamp column.
        shown: read it from the query it came from, as a person would write it, not from the temporary table.
    """
    columns = {each.name: each for each in (*loaded.columns, *(loaded.kept_aside or ()))}
    _check_timestamp(columns, event_timestamp)
    for requested in views:
        for key in requested.view.join_keys:
            _check_key(columns, requested.view, key)
        _check_names(columns, requested)
    if shown and loaded.text is not None:
        return Spine(loaded.text, loaded.columns, event_timestamp)
    return Spine(loaded.source, loaded.columns, event_timestamp, loaded.row_number, answered=shown or loaded.kept_aside is None)


def _check_timestamp(columns: dict[str, Column], name: str) -> None:
    if name not in columns:
        instants = [column.name for column in columns.values() if is_instant(column.value_type)]
        say = f" Say event_timestamp={instants[0]!r} if that is it." if instants else did_you_mean(name, columns)
        raise EntityDataframeError(f"The entity dataframe has no timestamp column {name!r}.{say}")
    value_type = columns[name].value_type
    if not (is_instant(value_type) or isinstance(value_type, UnresolvedType)):
        remedy = "Parse it first, for example with pandas.to_datetime." if isinstance(value_type, StringType) else "Convert it first."
        raise EntityDataframeError(f"The entity dataframe's column {name!r} holds {value_type}, not timestamps or dates. {remedy}")


def _check_key(columns: dict[str, Column], view: FeatureView, key: Column) -> None:
    if key.name not in columns:
        near = did_you_mean(key.name, columns)
        raise EntityDataframeError(f"The entity dataframe has no column {key.name!r}, by which feature view {view.name!r} is joined.{near}")
    given = columns[key.name].value_type
    if not _comparable(given, key.value_type):
        raise EntityDataframeError(
            f"The entity dataframe's column {key.name!r} holds {given}, but it is {key.value_type} in feature view {view.name!r}. "
            "Convert one to the other's type."
        )


def _check_names(columns: dict[str, Column], requested: RequestedView) -> None:
    taken = {name.casefold(): name for name in columns}
    for output in requested.output_names:
        if output.casefold() in taken:
            raise EntityDataframeError(
                f"The entity dataframe has a column {taken[output.casefold()]!r}, as a feature of {requested.view.name!r} is called. "
                "Rename it, or ask with full_feature_names=True."
            )


def _comparable(given: ValueType, declared: ValueType) -> bool:
    if isinstance(given, UnresolvedType) or isinstance(declared, UnresolvedType):
        return True
    numbers = IntegerType | DecimalType
    if isinstance(given, numbers) and isinstance(declared, numbers):
        return True
    return any(
        isinstance(given, kind) and isinstance(declared, kind) for kind in (BooleanType, StringType, BytesType, DateType, TimestampType)
    )


def _row_number(names: Any) -> str:
    return unused("row_number", names)


def _subquery(text: str, dialect: str) -> exp.Subquery:
    """The caller's own SQL, word for word; on lines of its own, since it may end in a comment."""
    stripped = _without_last_semicolon(text, dialect).strip()
    if not stripped:
        raise EntityDataframeError("The entity dataframe is an empty SQL text.")
    return exp.Subquery(this=exp.Var(this=f"\n{stripped}\n"), alias=exp.TableAlias(this=identifier("spine_query")))


def _without_last_semicolon(text: str, dialect: str) -> str:
    """SQL as it can stand in parentheses. Text that cannot even be split into words is left for the warehouse to refuse."""
    try:
        tokens = tokenize(text, dialect)
    except TokenError:
        return text
    while tokens and tokens[-1].token_type is TokenType.SEMICOLON:
        text = text[: tokens.pop().start]
    return text if tokens else ""


def _reader_of(entity_df: Any) -> Callable[[], pa.RecordBatchReader]:
    return lambda: pa.RecordBatchReader.from_stream(entity_df)


def _from_pandas(entity_df: Any) -> pa.RecordBatchReader:
    try:
        return pa.Table.from_pandas(entity_df, preserve_index=False).to_reader()
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise EntityDataframeError(
            f"The entity dataframe has a column of mixed or unknown type: {'; '.join(map(str, error.args))}"
        ) from None


def _travelling_rows(reader: pa.RecordBatchReader, row_number: str, use: SpineUse) -> pa.RecordBatchReader:
    """The rows that are asked about, with their number and the columns that travel."""
    travelling = [place for place, name in enumerate(reader.schema.names) if use.travels(name)]
    instants = use.event_timestamp
    types = [_travels_as(reader.schema.field(place), instants) for place in travelling]
    names = [reader.schema.field(place).name for place in travelling]
    schema = pa.schema([pa.field(row_number, pa.int64()), *map(pa.field, names, types)])

    def batches() -> Iterator[pa.RecordBatch]:
        seen = 0
        for batch in reader:
            if use.first_rows is not None:
                batch = batch.slice(0, max(0, use.first_rows - seen))
            numbers = pa.array(range(seen + 1, seen + batch.num_rows + 1), pa.int64())
            seen += batch.num_rows
            columns = [_travelled(batch.column(place), data_type) for place, data_type in zip(travelling, types, strict=True)]
            yield pa.RecordBatch.from_arrays([numbers, *columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _column_of(of: pa.Field) -> Column:
    try:
        return Column(of.name, value_type(of.type))
    except UnsupportedTypeError:
        return Column(of.name, UNRESOLVED)


def _travels_as(of: pa.Field, event_timestamp: str) -> pa.DataType:
    if of.name == event_timestamp and pa.types.is_timestamp(of.type):
        return pa.timestamp("us")
    return travelling(of.type)


def _travelled(column: pa.Array, data_type: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.type == data_type:
        return column
    if pa.types.is_timestamp(data_type) and data_type.unit == "us" and column.type.unit == "ns":
        # Downwards: a feature of the next microsecond is not known yet, however near it is.
        return pc.floor_temporal(column.cast(pa.timestamp("ns")), unit="microsecond").cast(data_type)
    return column.cast(data_type)


@dataclass
class _Kept:
    """Opens a stream that may be read only once as often as need be: its batches are kept in a temporary file."""

    first: Callable[[], pa.RecordBatchReader]
    _file: IO[bytes] | None = field(default=None, init=False)

    def __call__(self) -> pa.RecordBatchReader:
        if self._file is None:
            reader = self.first()
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the job does
            weakref.finalize(self, self._file.close)
            with pa.ipc.new_stream(self._file, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)
        self._file.seek(0)
        return pa.ipc.open_stream(self._file)
