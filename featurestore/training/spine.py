"""The spine: join keys and instants that training asks about, whatever they come as, put into the warehouse once, in their order.

What may be read only once is kept in a temporary file on the way. Columns that DuckDB would hand back under another Arrow type travel
in one that it keeps, and are given their own again at the end: the spine's columns come back as they went in.
"""

from __future__ import annotations

import re
import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Protocol

import pyarrow as pa
from sqlglot import TokenType, exp, tokenize
from sqlglot.errors import TokenError

from featurestore.errors import EntityDataframeError, did_you_mean
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
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
from featurestore.sql.expressions import identifier, named, relation, table, unused
from featurestore.sql.point_in_time.join import Spine
from featurestore.warehouse.base import WarehouseSession

from .arrow_columns import given_back, travelling

UPLOADED = "entity_df"
"""The temporary table that the spine is put into."""

_REF = re.compile(r"\s*ref\(\s*(['\"])(?P<model>[\w.]+)\1\s*(?:,\s*(?:v|version)\s*=\s*['\"]?(?P<version>\w+)['\"]?\s*)?\)\s*")


@dataclass(frozen=True, slots=True)
class Ref:
    """A dbt model, snapshot or seed whose rows are the spine."""

    model: str
    """Its name; `name.v2` for one version of a versioned model."""


def ref(model: str, *, version: str | int | None = None) -> Ref:
    """The rows of a dbt model, as a spine: `ref("departures")`."""
    return Ref(model if version is None else f"{model}.v{version}")


def parse_spine(text: str) -> Ref | str:
    """Read `ref('departures')` as a reference to that model; anything else is SQL text."""
    found = _REF.fullmatch(text)
    return ref(found["model"], version=found["version"]) if found else text


class SpineSource(Protocol):
    """Where the rows of a spine come from."""

    def put(self, session: WarehouseSession) -> LoadedSpine:
        """Put the rows, numbered in their order, into the temporary table `UPLOADED`."""
        ...


@dataclass(frozen=True, slots=True)
class LoadedSpine:
    """A spine that stands in the warehouse, numbered."""

    columns: tuple[Column, ...]
    row_number: str
    text: exp.Expression | None = None
    """The query that it came from, where it came from one: what a person is shown instead of the temporary table."""

    arrow_schema: pa.Schema | None = None
    """What it was in Arrow, where it came as Arrow."""

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
        return QuerySpine(relation(relation_of(entity_df.model)))
    if isinstance(entity_df, str):
        return QuerySpine(_subquery(entity_df, dialect))
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

    def put(self, session: WarehouseSession) -> LoadedSpine:
        """Run it once: it may answer otherwise, or in another order, the next time."""
        columns = session.columns(exp.select("*").from_(self.rows.copy()))
        row_number = _row_number(column.name for column in columns)
        numbered = exp.select(named(exp.Window(this=exp.RowNumber()), row_number), "*").from_(self.rows.copy())
        session.keep(UPLOADED, numbered)
        return LoadedSpine(columns, row_number, self.rows)


@dataclass(frozen=True)
class ArrowSpine:
    """A spine that the caller holds."""

    open: Callable[[], pa.RecordBatchReader]

    def put(self, session: WarehouseSession) -> LoadedSpine:
        """Upload it."""
        reader = self.open()
        names = reader.schema.names
        twice = next((name for name in names if sum(name.casefold() == other.casefold() for other in names) > 1), None)
        if twice is not None:
            raise EntityDataframeError(f"The entity dataframe has two columns called {twice!r}. Rename one.")
        if not names:
            raise EntityDataframeError("The entity dataframe has no columns. It needs the join keys and a timestamp.")
        row_number = _row_number(names)
        session.upload(UPLOADED, _numbered(reader, row_number))
        columns = session.columns(exp.select("*").from_(table(UPLOADED)))
        resolved = [
            Column(column.name, UnresolvedType()) if pa.types.is_null(reader.schema.field(column.name).type) else column
            for column in columns
            if column.name != row_number
        ]
        return LoadedSpine(tuple(resolved), row_number, arrow_schema=reader.schema)


def checked_spine(loaded: LoadedSpine, views: tuple[RequestedView, ...], event_timestamp: str, *, shown: bool = False) -> Spine:
    """The spine that a join needs. Raises EntityDataframeError naming the column that is missing, of a wrong type, or in the way.

    Args:
        loaded: the spine in the warehouse.
        views: what is asked for.
        event_timestamp: the name of its timestamp column.
        shown: read it from the query it came from, as a person would write it, not from the temporary table.
    """
    columns = {column.name: column for column in loaded.columns}
    _check_timestamp(columns, event_timestamp)
    for requested in views:
        for key in requested.view.join_keys:
            _check_key(columns, requested.view, key)
        _check_names(columns, requested)
    if shown and loaded.text is not None:
        return Spine(loaded.text, loaded.columns, event_timestamp)
    return Spine(loaded.source, loaded.columns, event_timestamp, loaded.row_number)


def restored(batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of the answer, its spine columns as they were in Arrow."""
    return pa.RecordBatch.from_arrays(
        [given_back(column, field.type) for column, field in zip(batch.columns, schema, strict=True)], schema=schema
    )


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


def _numbered(reader: pa.RecordBatchReader, row_number: str) -> pa.RecordBatchReader:
    """The rows with their number, in the types they travel in."""
    fields = [pa.field(row_number, pa.int64()), *(pa.field(field.name, travelling(field.type)) for field in reader.schema)]
    schema = pa.schema(fields)

    def batches() -> Iterator[pa.RecordBatch]:
        seen = 0
        for batch in reader:
            numbers = pa.array(range(seen + 1, seen + batch.num_rows + 1), pa.int64())
            seen += batch.num_rows
            columns = [_travelled(column, field.type) for column, field in zip(batch.columns, fields[1:], strict=True)]
            yield pa.RecordBatch.from_arrays([numbers, *columns], schema=schema)

    return pa.RecordBatchReader.from_batches(schema, batches())


def _travelled(column: pa.Array, data_type: pa.DataType) -> pa.Array:
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    return column if column.type == data_type else column.cast(data_type)


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
