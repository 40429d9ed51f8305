"""A spine that the caller holds: its join keys, its instants and the rows' numbers travel, and its other columns wait where they are.

They stand beside the answer again because both are in the same order, and so come back as they went in, whatever their type. All of them
travel only where the answer stays in the warehouse. What may be read only once is kept in a temporary file on the way.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from featurestore.arrow import value_type
from featurestore.errors import EntityDataframeError, UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.expressions import table
from featurestore.warehouse.base import WarehouseSession

from .arrow_columns import travelling
from .rows import Rows
from .spine import UPLOADED, LoadedSpine, SpineUse, row_number_for


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
            row_number = row_number_for(names)
            session.upload(UPLOADED, _travelling_rows(reader, row_number, use))
        stored = session.columns(exp.select("*").from_(table(UPLOADED)))
        columns = tuple(_travelled_column(each, reader.schema.field(each.name)) for each in stored if each.name != row_number)
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


def _travelling_rows(reader: pa.RecordBatchReader, row_number: str, use: SpineUse) -> pa.RecordBatchReader:
    """The rows that are asked about, with their number and the columns that travel."""
    travelling = [place for place, name in enumerate(reader.schema.names) if use.travels(name)]
    types = [_travels_as(reader.schema.field(place), use) for place in travelling]
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


def _travelled_column(stored: Column, of: pa.Field) -> Column:
    """As the warehouse has it. What has lost its digits there, as numbers that are uploaded to PostgreSQL do, has those it came with."""
    if pa.types.is_null(of.type):
        return Column(stored.name, UNRESOLVED)
    return _column_of(of) if stored.value_type == UNRESOLVED else stored


def _travels_as(of: pa.Field, use: SpineUse) -> pa.DataType:
    # What is asked with has microseconds; what only comes back with the answer keeps its nanoseconds.
    if pa.types.is_timestamp(of.type) and (of.name == use.event_timestamp or of.name in use.needed):
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
class Kept:
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
