"""Which of the values of a stepped row hold now: those from the last instant on that has come (see `featurestore.codec.steps`)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from featurestore.codec.decode import DecodedRows
from featurestore.codec.steps import windows_of
from featurestore.registry.definitions import Feature

from .online_features import Status


class Held(NamedTuple):
    """What some rows say at one instant, in the order of the rows."""

    columns: Sequence[Sequence[Any]]
    event_times: Callable[[], Sequence[int | None]]
    without_values: Sequence[Status | None] | None
    """NOT_FOUND or OUTSIDE_MAX_AGE where a row says nothing of that instant. None: all of them do."""


@dataclass(frozen=True, slots=True)
class Steps:
    """Where the values of the features asked for stand among what is read of a row."""

    windows: tuple[int, ...]
    """For each feature, the number of its window, shortest first."""

    @classmethod
    def of(cls, features: tuple[Feature, ...]) -> Steps:
        """How those features of one view are read."""
        windows = windows_of(features)
        return cls(tuple(windows.index(feature.aggregation.window) for feature in features if feature.aggregation))

    def held(self, rows: DecodedRows, now: int) -> Held:
        """What those rows say at the instant `now`, in microseconds."""
        exact_until, counted_from, newest_event, *rest = rows.columns
        event_times = _values(newest_event, _places(counted_from, now))
        statuses = [
            Status.OUTSIDE_MAX_AGE if until is None or now > until else Status.NOT_FOUND if newest is None else None
            for until, newest in zip(exact_until, event_times, strict=True)
        ]
        count = len(set(self.windows))
        places = [_places(instants, now) for instants in rest[:count]]
        columns = [_values(lists, places[window]) for lists, window in zip(rest[count:], self.windows, strict=True)]
        return Held(columns, lambda: event_times, statuses if any(statuses) else None)


def _places(instants: Sequence[Sequence[int] | None], now: int) -> list[int]:
    """For each row, the place of the last instant that has come; the first where a clock that is behind says that none has."""
    return [bisect_right(steps, now) - 1 if steps and steps[0] < now else 0 for steps in instants]


def _values(lists: Sequence[Sequence[Any] | None], places: Sequence[int]) -> list[Any]:
    """The value at its place; None where the row was written without that feature."""
    return [None if values is None else values[place] for values, place in zip(lists, places, strict=True)]
