"""What point-in-time means, written the slow obvious way: in plain Python, one row at a time, with none of the product's code.

Everything that answers for an instant (training, materialize, online reads) is held against this.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from fractions import Fraction
from typing import Any


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


@dataclass(frozen=True)
class Windowed:
    """A feature that is worked out from the events of a window."""

    function: str
    window: timedelta
    place: int | None = None
    """Of the column among a row's features. None: the events are counted."""

    condition: Callable[[Row], bool] | None = None
    """Which events take part. None: all of them."""


def windows_at(
    events: Iterable[Row],
    rules: Rules,
    features: Sequence[Windowed],
    longest: timedelta,
    keys: Sequence[object],
    at: datetime | date | None,
) -> tuple[object, ...] | None:
    """The values that a training row sees of a view of aggregations, or None where its longest window holds no event."""
    moment = instant(at)
    if moment is None or any(key is None for key in keys):
        return None
    seen = [event for event in events if event.keys == tuple(keys) and counts(event, rules, moment)]
    if not _within(seen, longest, moment):
        return None
    return tuple(_windowed(feature, _within(seen, feature.window, moment)) for feature in features)


def _within(events: Iterable[Row], window: timedelta, at: datetime) -> list[Row]:
    """The events that are younger than the window."""
    return [event for event in events if at - _timestamp(event) < window]


def _windowed(feature: Windowed, events: Sequence[Row]) -> object:
    taking_part = [event for event in events if feature.condition is None or feature.condition(event)]
    if feature.place is None:
        return len(taking_part)
    place = feature.place
    having = [event for event in taking_part if event.features[place] is not None]
    if feature.function == "last":
        newest = max(having, key=lambda event: _last_precedence(event, place), default=None)
        return None if newest is None else newest.features[place]
    return _FUNCTIONS[feature.function]([event.features[place] for event in having])


def _timestamp(event: Row) -> datetime:
    timestamp = instant(event.event_timestamp)
    assert timestamp is not None
    return timestamp


def _last_precedence(event: Row, place: int) -> tuple[object, ...]:
    return _timestamp(event), _null_lowest(instant(event.created_timestamp)), _null_lowest(event.features[place])


def _sum(values: Sequence[Any]) -> object:
    if not values:
        return None
    if isinstance(values[0], float):
        return float(sum(map(Fraction, values))) if _summable(values) else math.nan
    return sum(values)


def _avg(values: Sequence[Any]) -> object:
    if not values:
        return None
    return float(sum(map(Fraction, values)) / len(values)) if _summable(values) else math.nan


def _stddev(values: Sequence[Any]) -> object:
    if len(values) < 2:
        return None
    return float(statistics.stdev(map(Fraction, values))) if _summable(values) else math.nan


def _summable(values: Sequence[Any]) -> bool:
    """Whether no float among them is without an exact sum."""
    return all(not isinstance(value, float) or abs(value) < 2**42 for value in values)


_FUNCTIONS: dict[str, Callable[[Sequence[Any]], object]] = {
    "sum": _sum,
    "count": len,
    "avg": _avg,
    "min": lambda values: min(values, key=_null_lowest, default=None),
    "max": lambda values: max(values, key=_null_lowest, default=None),
    "stddev": _stddev,
    "count_distinct": lambda values: len(set(map(_null_lowest, values))),
}


def stability_index(baseline: Sequence[int], current: Sequence[int]) -> float:
    """The population stability index over the bins that hold anything, half a row added to each bin of both sides."""
    there = [place for place in range(len(baseline)) if baseline[place] + current[place] > 0]
    total = 0.0
    for place in there:
        was = (baseline[place] + 0.5) / (sum(baseline) + 0.5 * len(there))
        now = (current[place] + 0.5) / (sum(current) + 0.5 * len(there))
        total += (now - was) * math.log(now / was)
    return total


def jensen_shannon(baseline: Sequence[int], current: Sequence[int]) -> float:
    """The Jensen-Shannon distance: the root of the entropy, in bits, of the mixture less the mean entropy of both."""

    def entropy(parts: Sequence[float]) -> float:
        return -sum(part * math.log2(part) for part in parts if part > 0)

    was = [count / sum(baseline) for count in baseline]
    now = [count / sum(current) for count in current]
    mixed = [(one + other) / 2 for one, other in zip(was, now, strict=True)]
    return math.sqrt(max(0.0, entropy(mixed) - (entropy(was) + entropy(now)) / 2))
