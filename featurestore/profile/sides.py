"""Where the values to profile come from: a view's rows, a training set, or what is online now; each ends as a temporary table.

What the warehouse holds never leaves it. Files and online values are sent there, a batch at a time, and then everything is asked of all
sides in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from featurestore.arrow import arrow_type
from featurestore.audit.keys import OnlineKeys
from featurestore.codec.keys import key_space
from featurestore.errors import RequestError
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.serving.reader import OnlineFeatureStore
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import relation, table
from featurestore.sql.profile import Kind, Profiled, plain_rows, profiled, rows_between
from featurestore.training.entity_df import parse_spine
from featurestore.training.parquet_files import ParquetRows
from featurestore.training.retrieval import parse_table
from featurestore.training.spine import Ref
from featurestore.warehouse.base import WarehouseSession


def time_range(start: datetime | None, end: datetime | None) -> TimeRange:
    """The rows between two instants. Raises RequestError where there can be none."""
    if start is not None and end is not None and start >= end:
        raise RequestError(f"A range that begins at {start:%Y-%m-%d %H:%M:%S} has to end later than at {end:%Y-%m-%d %H:%M:%S}.")
    return TimeRange(start, end)


def training_set(text: str, relation_of: Callable[[str], Relation], dialect: str) -> TrainingFile | TrainingTable:
    """The training set that a text names: a Parquet file, `ref('a_model')`, or a table. Raises RequestError, UnknownNameError."""
    found = parse_spine(text)
    if isinstance(found, ParquetRows):
        return TrainingFile(found.path)
    return TrainingTable(relation_of(found.model) if isinstance(found, Ref) else parse_table(found, dialect))


class Side(Protocol):
    """Values of a view's features."""

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> tuple[Profiled, ...]:
        """Put them into a temporary table of that name, and say which features it has."""
        ...


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The rows of the view whose event timestamp is at `start` or later, and before `end`."""

    start: datetime | None
    end: datetime | None

    def __str__(self) -> str:
        since = f" from {self.start:%Y-%m-%d %H:%M:%S} on" if self.start else ""
        until = f" before {self.end:%Y-%m-%d %H:%M:%S}" if self.end else ""
        return f"rows{since}{until}, UTC" if since or until else "all rows"

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> tuple[Profiled, ...]:
        if view.aggregated:
            raise RequestError(
                f"{view.name} has aggregations, whose values are in no row of the warehouse. "
                "Profile what is online (--online), or a training set against it (--against)."
            )
        session.keep(name, rows_between(view, self.start, self.end, dialect))
        return profiled(view.features)


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A table of the warehouse with columns called as the features, or `view__feature`."""

    relation: Relation

    def __str__(self) -> str:
        return str(self.relation)

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> tuple[Profiled, ...]:
        source = relation(self.relation)
        columns = {each.name: each for each in session.columns(exp.select("*").from_(source))}
        chosen = _chosen(view, list(columns), str(self))
        stored = {each: Column(columns[there].stored_name, each.value_type) for each, there in chosen.items()}
        session.keep(name, plain_rows(source.copy(), stored, dialect))
        return tuple(chosen)


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A Parquet file with such columns."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> tuple[Profiled, ...]:
        names = ParquetRows(self.path).open().schema.names
        chosen = _chosen(view, names, str(self))
        with ParquetRows(self.path, tuple(chosen.values())).open() as rows:
            _upload(session, name, rows, tuple(chosen), dialect)
        return tuple(chosen)


@dataclass(frozen=True)
class Online:
    """What a service would be told now, of so many entity keys of the view."""

    project: str
    store: OnlineStore
    reader: OnlineFeatureStore
    sample: int | None
    """None: all."""

    def __str__(self) -> str:
        return "what is online"

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> tuple[Profiled, ...]:
        served = {each.name: each for each in self.reader.registry.views}.get(view.name)
        if served is None or not served.online:
            raise RequestError(f"{view.name} is not served. Run `fsdbt materialize`.")
        # What is served in another type, or not yet, `fsdbt status` and `fsdbt audit` tell.
        same = {feature.name: feature.value_type for feature in served.features}
        columns = tuple(each for each in profiled(view.features) if same.get(each.feature) == each.value_type)
        schema = pa.schema([(each.feature, arrow_type(each.value_type)) for each in columns])
        keys = OnlineKeys(served, space := key_space(self.project, served), self.store.scan(space), self.sample)
        batches = self._batches(view, columns, schema, keys)
        _upload(session, name, pa.RecordBatchReader.from_batches(schema, batches), columns, dialect)
        return columns

    def _batches(self, view: FeatureView, columns: Sequence[Profiled], schema: pa.Schema, keys: OnlineKeys) -> Iterator[pa.RecordBatch]:
        wanted = [f"{view.name}:{each.feature}" for each in columns]
        for asked in keys.tables():
            if asked.num_rows and wanted:
                answer = self.reader.get_online_features(asked.to_pydict(), wanted).to_arrow()
                yield from answer.select(schema.names).cast(schema).to_batches()


def _upload(session: WarehouseSession, name: str, rows: pa.RecordBatchReader, columns: Sequence[Profiled], dialect: Dialect) -> None:
    """Send rows, whose columns are those in that order, and make the plain ones of them there."""
    sent = f"{name}_sent"
    types = [pa.bool_() if each.kind is Kind.OPAQUE else rows.schema.field(place).type for place, each in enumerate(columns)]
    schema = pa.schema([(each.name, kind) for each, kind in zip(columns, types, strict=True)])
    session.upload(sent, pa.RecordBatchReader.from_batches(schema, (_sendable(batch, columns, schema) for batch in rows)))
    session.keep(name, plain_rows(table(sent), {each: Column(each.name, each.value_type) for each in columns}, dialect))


def _sendable(batch: pa.RecordBatch, columns: Sequence[Profiled], schema: pa.Schema) -> pa.RecordBatch:
    """Of what is only null or not, only that: not every warehouse takes an embedding."""
    arrays = []
    for place, each in enumerate(columns):
        values = batch.column(place)
        if each.kind is Kind.OPAQUE:
            values = pa.array([True if there else None for there in values.is_valid().to_pylist()], pa.bool_())
        arrays.append(values)
    return pa.record_batch(arrays, schema=schema)


def _chosen(view: FeatureView, names: Sequence[str], where: str) -> dict[Profiled, str]:
    """Which column has each feature of the view. Raises RequestError where there is none at all."""
    folded = {name.casefold(): name for name in names}
    found = {}
    for each in profiled(view.features):
        for candidate in (f"{view.name}__{each.feature}", each.feature):
            if candidate.casefold() in folded:
                found[each] = folded[candidate.casefold()]
                break
    if not found:
        raise RequestError(f"{where} has no column of a feature of {view.name}: none is called {_names(view)}. Choose views with --select.")
    return found


def _names(view: FeatureView) -> str:
    shown = [feature.name for feature in view.features[:3]]
    return ", ".join(shown) + (", …" if len(view.features) > 3 else "")
