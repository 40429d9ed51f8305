"""What a spine asks of a view of aggregations: how often about one key, and between which instants. One look at the spine alone tells."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
from sqlglot import exp

from featurestore.registry.definitions import FeatureView
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import column, named, table
from featurestore.sql.instants import instant
from featurestore.timestamps import FIRST_INSTANT, LAST_INSTANT, from_micros
from featurestore.warehouse.base import WarehouseSession

from .spine import UPLOADED, LoadedSpine


@dataclass(frozen=True, slots=True)
class Crowd:
    """What a spine asks of a view of aggregations."""

    rows_per_key: float
    """How many of its rows the key of one of them has: the average over rows, so that a crowded key weighs as it costs."""

    between: tuple[datetime, datetime] | None = None
    """Its first and its last instant. None: it has none, or none in the calendar."""


def crowd_of(session: WarehouseSession, view: FeatureView, loaded: LoadedSpine, dialect: Dialect, event_timestamp: str) -> Crowd:
    """What the spine that stands in the warehouse asks of that view."""
    asked_at = next(each for each in loaded.columns if each.name == event_timestamp)
    moment = instant(column(asked_at.name), asked_at.value_type, dialect)
    rows = named(exp.cast(exp.Count(this=exp.Star()), exp.DType.DOUBLE), "asked")
    edges = [named(exp.Min(this=moment), "first_asked"), named(exp.Max(this=moment.copy()), "last_asked")]
    keys = exp.select(rows, *edges).from_(table(UPLOADED)).group_by(*(column(key.name) for key in view.join_keys))
    asked = column("asked")
    weighed = exp.Div(this=exp.Sum(this=exp.Mul(this=asked, expression=asked.copy())), expression=exp.Sum(this=asked.copy()))
    told = exp.select(
        named(weighed, "rows_per_key"),
        named(exp.Min(this=column("first_asked")), "first_asked"),
        named(exp.Max(this=column("last_asked")), "last_asked"),
    )
    answer = session.query(told.from_(keys.subquery(exp.to_identifier("keys", quoted=True)))).read_all()
    rows_per_key, first, last = (each[0] for each in answer.columns)
    return Crowd(float(rows_per_key.as_py() or 0), _between(_instant(first), _instant(last)))


def _between(first: datetime | None, last: datetime | None) -> tuple[datetime, datetime] | None:
    return None if first is None or last is None else (first, last)


def _instant(scalar: pa.Scalar) -> datetime | None:
    """An Arrow timestamp as an instant; None where there is none, or one beyond what a calendar holds."""
    micros = scalar.cast(pa.timestamp("us")).cast(pa.int64()).as_py()
    return None if micros is None or not FIRST_INSTANT < micros < LAST_INSTANT else from_micros(micros)
