"""Where the values to profile come from: a view's rows, a training set, or what is online now; each ends as a temporary table.

What the warehouse holds never leaves it. Files and online values are sent there, a batch at a time, and then everything is asked of all
sides in the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from featurestore.arrow import arrow_type, value_type
from featurestore.audit.keys import OnlineKeys
from featurestore.codec.keys import key_space
from featurestore.errors import RequestError, UnsupportedTypeError
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.registry.value_types import UNRESOLVED, ValueType
from featurestore.serving.reader import OnlineFeatureStore
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import relation, table
from featurestore.sql.profile import Kind, Profiled, plain_rows, profiled, readable_as, rows_between
from featurestore.training.entity_df import parse_spine
from featurestore.training.lock import read_lock
from featurestore.training.parquet_files import ParquetRows, lock_path
from featurestore.training.retrieval import parse_table
from featurestore.training.spine import Ref
from featurestore.warehouse.base import WarehouseSession


def time_range(start: datetime | None, end: datetime | None) -> TimeRange:
    """The rows between two instants. Raises RequestError where there can be none."""
    if start is not None and end is not None and start >= end:
        raise RequestError(f"A range that begins at {start:%Y-%m-%d %H:%M:%S} has to end later than at {end:%Y-%m-%d %H:%M:%S}.")
    return TimeRange(start, end)


def training_set(
    text: str, relation_of: Callable[[str], Relation], dialect: str, views: Sequence[FeatureView]
) -> TrainingFile | TrainingTable:
    """The training set that a text names: a Parquet file, `ref('a_model')`, or a table. Raises RequestError, UnknownNameError.

    Args:
        views: all those of the project.
    """
    shared = shared_names(views)
    found = parse_spine(text)
    if isinstance(found, ParquetRows):
        if not Path(found.path).is_file():
            raise RequestError(f"There is no file {found.path} to compare with. `fsdbt train … --output` writes one.")
        return TrainingFile(found.path, shared)
    return TrainingTable(relation_of(found.model) if isinstance(found, Ref) else parse_table(found, dialect), shared)


@dataclass(frozen=True, slots=True)
class Put:
    """What a side has of a view."""

    columns: tuple[Profiled, ...]
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Of each feature that it may have, and that is not compared: why, in words."""


class Side(Protocol):
    """Values of a view's features."""

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> Put:
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

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> Put:
        if view.aggregated:
            raise RequestError(
                f"{view.name} has aggregations, whose values are in no row of the warehouse. "
                "Profile what is online (--online), or a training set against it (--against)."
            )
        session.keep(name, rows_between(view, self.start, self.end, dialect))
        return Put(profiled(view.features))


@dataclass(frozen=True, slots=True)
class TrainingTable:
    """A table of the warehouse with columns called as the features, or `view__feature`."""

    relation: Relation
    shared: frozenset[str] = frozenset()
    """Names that features of several views of the project have: a column called so may be any of them."""

    def __str__(self) -> str:
        return str(self.relation)

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> Put:
        source = relation(self.relation)
        columns = {each.name: each for each in session.columns(exp.select("*").from_(source))}
        types = {each.name: each.value_type for each in columns.values()}
        chosen, left_out = _chosen(view, types, str(self), self.shared, {})
        stored = {each: Column(columns[there].stored_name, columns[there].value_type) for each, there in chosen.items()}
        session.keep(name, plain_rows(source.copy(), stored, dialect))
        return Put(tuple(chosen), left_out)


@dataclass(frozen=True, slots=True)
class TrainingFile:
    """A Parquet file with such columns."""

    path: Path
    shared: frozenset[str] = frozenset()
    """As of a table. The lock beside the file, where there is one, says which it is."""

    def __str__(self) -> str:
        return str(self.path)

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> Put:
        lock = lock_path(self.path)
        locked = {(each.view, each.feature): each.column for each in read_lock(lock).features} if lock.exists() else {}
        types = {each.name: _type_of(each.type) for each in ParquetRows(self.path).open().schema}
        chosen, left_out = _chosen(view, types, str(self), self.shared, locked)
        with ParquetRows(self.path, tuple(chosen.values())).open() as rows:
            _upload(session, name, rows, {each: types[there] or UNRESOLVED for each, there in chosen.items()}, dialect)
        return Put(tuple(chosen), left_out)


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

    def put(self, session: WarehouseSession, name: str, view: FeatureView, dialect: Dialect) -> Put:
        served = {each.name: each for each in self.reader.registry.views}.get(view.name)
        if served is None or not served.online:
            raise RequestError(f"{view.name} is not served. Run `fsdbt materialize`.")
        # What is served in another type, or not yet, `fsdbt status` and `fsdbt audit` tell.
        same = {feature.name: feature.value_type for feature in served.features}
        columns = tuple(each for each in profiled(view.features) if same.get(each.feature) == each.value_type)
        schema = pa.schema([(each.feature, arrow_type(each.value_type)) for each in columns])
        keys = OnlineKeys(served, space := key_space(self.project, served), self.store.scan(space), self.sample)
        batches = self._batches(view, columns, schema, keys)
        rows = pa.RecordBatchReader.from_batches(schema, batches)
        _upload(session, name, rows, {each: each.value_type for each in columns}, dialect)
        return Put(columns)

    def _batches(self, view: FeatureView, columns: Sequence[Profiled], schema: pa.Schema, keys: OnlineKeys) -> Iterator[pa.RecordBatch]:
        wanted = [f"{view.name}:{each.feature}" for each in columns]
        for asked in keys.tables():
            if asked.num_rows and wanted:
                answer = self.reader.get_online_features(asked.to_pydict(), wanted).to_arrow()
                yield from answer.select(schema.names).cast(schema).to_batches()


def _upload(session: WarehouseSession, name: str, rows: pa.RecordBatchReader, of: Mapping[Profiled, ValueType], dialect: Dialect) -> None:
    """Send rows, whose columns are those in that order and of those types, and make the plain ones of them there."""
    sent, columns = f"{name}_sent", tuple(of)
    types = [pa.bool_() if each.kind is Kind.OPAQUE else _sent_as(rows.schema.field(place).type) for place, each in enumerate(columns)]
    schema = pa.schema([(each.name, kind) for each, kind in zip(columns, types, strict=True)])
    session.upload(sent, pa.RecordBatchReader.from_batches(schema, (_sendable(batch, columns, schema) for batch in rows)))
    session.keep(name, plain_rows(table(sent), {each: Column(each.name, there) for each, there in of.items()}, dialect))


def _sendable(batch: pa.RecordBatch, columns: Sequence[Profiled], schema: pa.Schema) -> pa.RecordBatch:
    """Of what is only null or not, only that: not every warehouse takes an embedding."""
    arrays = []
    for place, each in enumerate(columns):
        values = batch.column(place)
        if each.kind is Kind.OPAQUE:
            values = pa.array([True if there else None for there in values.is_valid().to_pylist()], pa.bool_())
        elif pa.types.is_null(values.type):
            values = values.cast(pa.float64())
        arrays.append(values)
    return pa.record_batch(arrays, schema=schema)


def _sent_as(data_type: pa.DataType) -> pa.DataType:
    return pa.float64() if pa.types.is_null(data_type) else data_type


def _type_of(data_type: pa.DataType) -> ValueType | None:
    """None: no feature is of that type. What is always null is of any."""
    try:
        return UNRESOLVED if pa.types.is_null(data_type) else value_type(data_type)
    except UnsupportedTypeError:
        return None


def _chosen(
    view: FeatureView,
    types: Mapping[str, ValueType | None],
    where: str,
    shared: frozenset[str],
    locked: Mapping[tuple[str, str], str],
) -> tuple[dict[Profiled, str], dict[str, str]]:
    """Which column has each feature of the view; and of those that are left out, why. Raises RequestError where there is none at all.

    Args:
        types: the columns there are.
        shared: names that features of several views have.
        locked: the column of each view's feature, as the lock of the training set says it.
    """
    folded = {name.casefold(): name for name in types}
    found: dict[Profiled, str] = {}
    left_out: dict[str, str] = {}
    for each in profiled(view.features):
        whole, plain = f"{view.name}__{each.feature}", each.feature.casefold()
        there = locked.get((view.name, each.feature), whole)
        column = folded.get(there.casefold(), folded.get(whole.casefold()))
        if column is None and plain in folded:
            if plain in shared:
                remedy = f"call it {whole}, or choose other views with --select"
                left_out[each.feature] = f"{each.feature} of {where} may be that of another view: {remedy}"
                continue
            column = folded[plain]
        if column is None:
            continue
        said = types[column]
        if said is None or not readable_as(said, each.value_type):
            left_out[each.feature] = f"it is {said or 'of a type that no feature has'} in {where}, and {each.value_type} in the project"
        else:
            found[each] = column
    if not found:
        reasons = "".join(f" {view.name}:{name}: {why}." for name, why in left_out.items())
        none = f"none is called {_names(view)}." if not left_out else "none can be taken."
        raise RequestError(f"{where} has no column of a feature of {view.name}: {none}{reasons} Choose views with --select.")
    return found, left_out


def shared_names(views: Sequence[FeatureView]) -> frozenset[str]:
    """The names, in lower case, that features of more than one view have."""
    times = Counter(name for view in views for name in {feature.name.casefold() for feature in view.features})
    return frozenset(name for name, number in times.items() if number > 1)


def _names(view: FeatureView) -> str:
    shown = [feature.name for feature in view.features[:3]]
    return ", ".join(shown) + (", …" if len(view.features) > 3 else "")
