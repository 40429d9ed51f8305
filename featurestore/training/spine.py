"""The spine: join keys and instants that training asks about, whatever they come as, put into the warehouse once, in their order.

A spine that the warehouse holds, a model's rows or a query's, is run once. Before anything is asked, its columns are checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
from sqlglot import exp

from featurestore.errors import EntityDataframeError, did_you_mean
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.registry import RequestedView, RequestInput
from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    UnresolvedType,
    ValueType,
    is_instant,
)
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import column, feature_value, named, numbered, table, unused
from featurestore.sql.point_in_time.join import Spine
from featurestore.warehouse.base import WarehouseSession

UPLOADED = "entity_df"
"""The temporary table that the spine is put into."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A dbt model, snapshot or seed whose rows are the spine."""

    model: str
    """Its name; `name.v2` for one version of a versioned model."""


def ref(model: str, *, version: str | int | None = None) -> Ref:
    """The rows of a dbt model, as a spine: `ref("departures")`."""
    return Ref(model if version is None else f"{model}.v{version}")


@dataclass(frozen=True, slots=True)
class SpineUse:
    """What a job needs of its spine in the warehouse."""

    event_timestamp: str
    needed: frozenset[str]
    """The join keys, and the inputs of features on demand."""

    whole: bool = False
    """Whether all its columns are needed there, because the answer stays there."""

    first_rows: int | None = None
    """How many rows are asked about. None: all."""

    def travels(self, column: str) -> bool:
        """Whether a column of that name goes into the warehouse."""
        return self.whole or column == self.event_timestamp or column in self.needed


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


@dataclass(frozen=True)
class QuerySpine:
    """A spine that the warehouse holds: a model's rows, or a query's."""

    rows: exp.Expression
    dialect: Dialect
    given: Ref | str

    def put(self, session: WarehouseSession, use: SpineUse) -> LoadedSpine:
        """Run it once: it may answer otherwise, or in another order, the next time."""
        columns = session.columns(exp.select("*").from_(self.rows.copy()))
        row_number = row_number_for(column.name for column in columns)
        named_columns = [named(feature_value(column(each.stored_name), each.value_type, self.dialect), each.name) for each in columns]
        chosen = exp.select(named(numbered(self.dialect), row_number), *named_columns).from_(self.rows.copy())
        session.keep(UPLOADED, chosen if use.first_rows is None else chosen.limit(use.first_rows))
        return LoadedSpine(columns, row_number, self.rows)

    def beside(self, answer: pa.RecordBatchReader, use: SpineUse) -> pa.RecordBatchReader:
        """The answer: the spine's columns are in it."""
        return answer


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
        for needed in requested.inputs:
            _check_input(columns, needed)
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


def _check_input(columns: dict[str, Column], needed: RequestInput) -> None:
    if needed.name not in columns:
        near = did_you_mean(needed.name, columns)
        raise EntityDataframeError(
            f"The entity dataframe has no column {needed.name!r}, an input of type {needed.value_type} that "
            f"{needed.needed_by!r} needs.{near}"
        )
    given = columns[needed.name].value_type
    if not _is_exactly(given, needed.value_type):
        raise EntityDataframeError(
            f"The entity dataframe's column {needed.name!r} holds {given}, but {needed.needed_by!r} takes it as {needed.value_type}. "
            "Convert it first, or declare the input with that type."
        )


def _is_exactly(given: ValueType, wanted: ValueType) -> bool:
    """Whether values of one type are values of the other, as far as they fit into it."""
    match given, wanted:
        case (UnresolvedType(), _):
            return True
        case (IntegerType(), IntegerType() | DecimalType() | FloatType()) | (DecimalType(), FloatType()) | (FloatType(), FloatType()):
            return True
        case (DecimalType(_, scale), DecimalType(_, most)):
            return scale <= most
        case (TimestampType() | DateType(), TimestampType()):
            return True
    return type(given) is type(wanted)


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


def row_number_for(names: Any) -> str:
    return unused("row_number", names)
