"""What training says, by the very SQL of `get_historical_features`: the features asked for, and from which row they come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.registry.definitions import Feature, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.sql.expressions import unused
from featurestore.timestamps import as_utc
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.base import Warehouse


def training_answers(warehouse: Warehouse, view: FeatureView, features: Sequence[Feature], spine: Any) -> Iterator[pa.RecordBatch]:
    """The keys, the features and, except of aggregations, the event timestamp of the row they come from, in the spine's order.

    Args:
        spine: join keys, instants under the name that `asked_at` gives, and what features on demand need.
    """
    asked = list(features)
    if not view.aggregated:
        when = view.event_timestamp
        asked.append(Feature(row_time(view), when.value_type, stored_as=when.stored_name))
        # Last among the features, where it breaks no tie: rows that tie have the same.
        view = replace(view, features=(*view.features, asked[-1]))
    requested = (RequestedView(view, tuple(asked), tuple(feature.name for feature in asked)),)
    yield from historical_features(warehouse, requested, spine, relation_of=_no_model, event_timestamp=asked_at(view)).to_arrow_batches()


def asked_at(view: FeatureView) -> str:
    """What the timestamp column of a spine for that view is called."""
    return unused("asked_at", _names(view))


def row_time(view: FeatureView) -> str:
    """A name for the event timestamp of training's row that no feature has."""
    return unused("row_event_timestamp", _names(view))


def answered(view: FeatureView, features: Sequence[Feature], batch: pa.RecordBatch) -> pa.Array:
    """Whether training has a row that counts. Of aggregations it has one where any of them has a value."""
    if not view.aggregated:
        return batch.column(row_time(view)).is_valid()
    found = pa.array([False] * batch.num_rows, pa.bool_())
    for feature in features:
        found = pc.or_(found, batch.column(feature.name).is_valid())
    return found


def row_times(view: FeatureView, batch: pa.RecordBatch) -> list[datetime | None] | None:
    """The event times of training's rows; None of aggregations, which come from many."""
    if view.aggregated:
        return None
    column = batch.column(row_time(view))
    if not pa.types.is_timestamp(column.type) or column.type.tz is None:
        column = column.cast(pa.timestamp("us"))
    return [None if moment is None else as_utc(moment) for moment in column.to_pylist()]


def _names(view: FeatureView) -> list[str]:
    columns = (*view.join_keys, *view.request_inputs)
    return [*(column.name for column in columns), *(feature.name for feature in view.all_features)]


def _no_model(name: str) -> Any:
    raise AssertionError(f"no spine of an audit is a model: {name}")
