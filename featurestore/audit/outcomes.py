"""What an audit says of each value: online and offline side by side, with no tolerance.

Decided row by row, from both answers and the event times of the rows they come from. Two values are equal when they are the same to the
last bit; not-a-number is itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import pyarrow as pa

from featurestore.registry.definitions import FeatureReference
from featurestore.serving.online_features import Status
from featurestore.training.digest import moved


class Outcome(str, Enum):
    """How the online answer for one key compares with training's."""

    EQUAL = "equal"
    DIFFERENT = "different"
    """Both have a row of the same event time, and another value."""

    MISSING = "missing"
    """Training has a row, and the online store has none."""

    EXTRA = "extra"
    """The online store answers from a row that training does not have, or no longer counts."""

    STALE = "stale"
    """The online store answers from an older row than training does."""

    EXPIRED = "expired"
    """The online store says that its row is too old, and training has its values."""


@dataclass(frozen=True, slots=True)
class Example:
    """One value that is not equal, and where each side of it comes from."""

    keys: Mapping[str, Any]
    outcome: Outcome
    online: Any
    offline: Any
    online_event_timestamp: datetime | None
    offline_event_timestamp: datetime | None
    """Null too where the view's features are aggregations over windows."""

    asked_at: datetime | None = None
    """Of a served value: when it was asked for."""

    materialized_at: datetime | None = None
    """Of a served value: as of when its view had been materialized by then."""


@dataclass(frozen=True, slots=True)
class FeatureAudit:
    """What was found of one feature."""

    reference: FeatureReference
    counts: Mapping[Outcome, int]
    examples: tuple[Example, ...] = ()
    between: int = 0
    """Of served values: how many of the stale ones were what training says of the materialization before, as they are between two."""

    @property
    def agrees(self) -> bool:
        """Whether every value was equal, or of a log, as it is between two materializations."""
        return sum(count for outcome, count in self.counts.items() if outcome is not Outcome.EQUAL) == self.between


@dataclass(frozen=True, slots=True)
class Answers:
    """What both sides say of one feature, for the same keys in the same order."""

    offline: pa.Array
    offline_times: Sequence[datetime | None] | None
    """None: training does not say from which row a value comes, since it is an aggregation."""

    offline_there: Sequence[bool]
    online: pa.Array
    online_times: Sequence[datetime | None]
    online_statuses: Sequence[Status]


def outcomes(of: Answers) -> list[Outcome]:
    """The outcome of each row."""
    differs: list[bool] = moved(of.online, of.offline).to_pylist()
    times = of.offline_times if of.offline_times is not None else [None] * len(differs)
    return [_outcome(*row) for row in zip(differs, of.offline_there, of.online_statuses, of.online_times, times, strict=True)]


def _outcome(differs: bool, offline_there: bool, status: Status, online_time: datetime | None, offline_time: datetime | None) -> Outcome:
    online_there = status in (Status.PRESENT, Status.NULL_VALUE)
    if not offline_there:
        return Outcome.EXTRA if online_there and differs else Outcome.EQUAL
    if online_there and not differs:
        return Outcome.EQUAL
    if online_time is not None and offline_time is not None and online_time < offline_time:
        return Outcome.STALE
    if online_there:
        return Outcome.DIFFERENT
    return Outcome.EXPIRED if status is Status.OUTSIDE_MAX_AGE else Outcome.MISSING


class Tally:
    """Counts outcomes of one feature, batch by batch, and keeps the first few examples of each kind."""

    def __init__(self, reference: FeatureReference, examples: int) -> None:
        self._reference, self._most = reference, examples
        self._counts = dict.fromkeys(Outcome, 0)
        self._examples: dict[Outcome, list[Example]] = {}

    def add(self, keys: Mapping[str, Sequence[Any]], of: Answers) -> None:
        """Count the rows of a batch."""
        for row, outcome in enumerate(outcomes(of)):
            self._counts[outcome] += 1
            kept = self._examples.setdefault(outcome, [])
            if outcome is not Outcome.EQUAL and len(kept) < self._most:
                kept.append(
                    Example(
                        {name: column[row] for name, column in keys.items()},
                        outcome,
                        of.online[row].as_py(),
                        of.offline[row].as_py(),
                        of.online_times[row],
                        of.offline_times[row] if of.offline_times is not None else None,
                    )
                )

    def result(self) -> FeatureAudit:
        """What was counted."""
        examples = tuple(example for kept in self._examples.values() for example in kept)
        return FeatureAudit(self._reference, dict(self._counts), examples)
