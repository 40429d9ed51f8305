"""Cuts time as dbt cuts it: a batch begins on the full hour, day, month or year in UTC, and ends where the next one begins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum


class BatchSize(str, Enum):
    """How much event time a microbatch model builds at once, in dbt's words; from the finest to the coarsest."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"

    def floor(self, instant: datetime) -> datetime:
        """Where the batch that holds the instant begins."""
        midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
        if self is BatchSize.HOUR:
            return instant.replace(minute=0, second=0, microsecond=0)
        if self is BatchSize.DAY:
            return midnight
        return midnight.replace(day=1) if self is BatchSize.MONTH else midnight.replace(month=1, day=1)

    def after(self, start: datetime) -> datetime:
        """Where the batch that begins at `start` ends."""
        if self is BatchSize.HOUR:
            return start + timedelta(hours=1)
        if self is BatchSize.DAY:
            return start + timedelta(days=1)
        # Into the next month, or year, whatever the length of this one.
        return self.floor(start + timedelta(days=32 if self is BatchSize.MONTH else 366))

    def ceiling(self, instant: datetime) -> datetime:
        """The instant itself where a batch begins there, else where the batch that holds it ends."""
        floor = self.floor(instant)
        return floor if floor == instant else self.after(floor)

    def label(self, start: datetime) -> str:
        """The batch that begins there, as dbt names it: `2013-01-31T14`, `2013-01-31`, `2013-01`, `2013`."""
        return start.isoformat()[: {BatchSize.HOUR: 13, BatchSize.DAY: 10, BatchSize.MONTH: 7, BatchSize.YEAR: 4}[self]]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A stretch of time from `start` up to, and without, `end`; both UTC."""

    start: datetime
    end: datetime

    def holds(self, other: Span) -> bool:
        """Whether all of `other` lies in it."""
        return self.start <= other.start and other.end <= self.end


def coarsest(sizes: Iterable[BatchSize]) -> BatchSize:
    """The size whose batches are made up of whole batches of every one of those."""
    return max(sizes, key=list(BatchSize).index)


def aligned(span: Span, size: BatchSize) -> Span:
    """The smallest span of whole batches around `span`: what dbt makes of `--event-time-start` and `--event-time-end`."""
    return Span(size.floor(span.start), size.ceiling(span.end))


def batches(span: Span, size: BatchSize) -> Iterator[Span]:
    """The batches of an aligned span, the earliest first."""
    start = span.start
    while start < span.end:
        end = size.after(start)
        yield Span(start, end)
        start = end


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """The same time in as few spans as it takes, the earliest first."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)


def remaining(wanted: Iterable[Span], done: Sequence[Span]) -> tuple[Span, ...]:
    """Those of the wanted batches that no span of `done` (as `joined` leaves them) holds."""
    left: list[Span] = []
    position = 0
    for batch in wanted:
        while position < len(done) and done[position].end <= batch.start:
            position += 1
        if position == len(done) or not done[position].holds(batch):
            left.append(batch)
    return tuple(left)


def chunks(spans: Iterable[Span], size: BatchSize, most: int | None) -> Iterator[Span]:
    """The spans, each cut into pieces of at most `most` batches."""
    for span in spans:
        if most is None:
            yield span
            continue
        held = list(batches(span, size))
        for first in range(0, len(held), most):
            piece = held[first : first + most]
            yield Span(piece[0].start, piece[-1].end)
