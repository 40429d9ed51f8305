"""What point-in-time means, written the slow obvious way: in plain Python, one row at a time, with none of the product's code.

Everything that answers for an instant (training, materialize, online reads) is held against this.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone


@dataclass(frozen=True)
class Row:
    """One row of a feature view, as it stands in the warehouse."""

    keys: tuple[object, ...]
    event_timestamp: datetime | date | None
    features: tuple[object, ...]
    created_timestamp: datetime | date | None = None
    valid_to: datetime | date | None = None
    is_deleted: str | None = None


@dataclass(frozen=True)
class Rules:
    """What a feature view declares about time."""

    ttl: timedelta | None = None
    available_after: timedelta = timedelta(0)
    as_known: bool = False


def instant(moment: datetime | date | None) -> datetime | None:
    """Naive UTC: zoned values converted, naive ones read as UTC, dates as midnight."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        return datetime(moment.year, moment.month, moment.day)
    if moment.tzinfo is None:
        return moment
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def counts(row: Row, rules: Rules, at: datetime) -> bool:
    """Whether the row was known at that instant, and had not ended."""
    timestamp, created, ends = instant(row.event_timestamp), instant(row.created_timestamp), instant(row.valid_to)
    if timestamp is None or any(key is None for key in row.keys):
        return False
    if row.is_deleted is not None and row.is_deleted.lower() == "true":
        return False
    if timestamp + rules.available_after > at:
        return False
    if rules.as_known and created is not None and created > at:
        return False
    return ends is None or at < ends


def winner(rows: Iterable[Row], rules: Rules, keys: Sequence[object], at: datetime | date | None) -> Row | None:
    """The row that an asker with those keys sees at that instant, expired or not."""
    moment = instant(at)
    if moment is None or any(key is None for key in keys):
        return None
    seen = [row for row in rows if row.keys == tuple(keys) and counts(row, rules, moment)]
    return max(seen, key=_precedence, default=None)


def features_at(rows: Iterable[Row], rules: Rules, keys: Sequence[object], at: datetime | date | None) -> tuple[object, ...] | None:
    """The values that a training row sees, or None where it sees none."""
    row, moment = winner(rows, rules, keys, at), instant(at)
    if row is None or moment is None:
        return None
    timestamp = instant(row.event_timestamp)
    assert timestamp is not None
    if rules.ttl is not None and moment - timestamp > rules.ttl:
        return None
    return row.features


def _precedence(row: Row) -> tuple[object, ...]:
    """Greatest timestamp, then greatest created timestamp, then the features one after another, then the row that ends last."""
    ends = instant(row.valid_to)
    return (
        instant(row.event_timestamp),
        _null_lowest(instant(row.created_timestamp)),
        *(_null_lowest(value) for value in row.features),
        (1,) if ends is None else (0, ends),
    )


def _null_lowest(value: object) -> tuple[object, ...]:
    """Null below everything, and not-a-number above every number, as SQL orders them."""
    if value is None:
        return (0,)
    if isinstance(value, float) and math.isnan(value):
        return (2,)
    return (1, value)
