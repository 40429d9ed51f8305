"""What an audit says of a value that was served at some instant, from what training says of that instant and of earlier ones.

Between two materializations an online value is that of the first of them, and so older than what training says: it is stale, and as it
should be where it is what training says of the last materialization before. What is older than that was lost on the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from featurestore.serving.online_features import Status

from .outcomes import Outcome


@dataclass(frozen=True, slots=True)
class Said:
    """What training says of an entity key at some instant, beside the value that was served."""

    there: bool
    """Whether it has a row that counts."""

    same: bool
    """Whether it says the same value."""

    row_time: datetime | None
    """The event time of its row. None too of aggregations."""


@dataclass(frozen=True, slots=True)
class ServedValue:
    """One served value that training does not say at the instant when it was asked for."""

    status: Status | None
    """Why there was none. None: there was one, or a null."""

    row_time: datetime | None
    """The event time of the row that it came from."""

    at_request: Said
    without_ttl: Said
    """At the same instant, were the view without a TTL."""

    at_materialization: Said | None
    """At the last materialization before. Of aggregations: at the request, from the events that counted at the materialization.
    None: when that was is not known."""

    at_row_time: Said
    """At the instant from which on the row that was served counts."""


class Kind(Enum):
    """How the rows of a feature view come to count no longer, which tells what may happen between two materializations."""

    ROWS = "rows"
    SNAPSHOT = "snapshot"
    WINDOWS = "windows"


def judged(value: ServedValue, kind: Kind) -> tuple[Outcome, bool]:
    """The outcome; and of a stale value, whether it is as it is between two materializations."""
    if kind is Kind.WINDOWS:
        return _of_windows(value)
    if value.status is None:
        return _of_row(value)
    now, then = value.at_request, value.at_materialization
    if not now.there:
        # A feature on demand makes something of an entity that has no row, and something else than training.
        return Outcome.DIFFERENT, False
    if value.status is Status.OUTSIDE_MAX_AGE:
        if value.row_time is None or now.row_time is None or value.row_time >= now.row_time:
            return Outcome.EXPIRED, False
        return Outcome.STALE, then is not None and (then.row_time is None or then.row_time <= value.row_time)
    if then is not None and (not then.there or (kind is Kind.SNAPSHOT and then.row_time != now.row_time)):
        # It came after the materialization; of a snapshot, after the row that was online and has ended since.
        return Outcome.STALE, True
    return Outcome.MISSING, False


def _of_row(value: ServedValue) -> tuple[Outcome, bool]:
    now, then = value.at_request, value.at_materialization
    if not now.there and value.without_ttl.there and value.without_ttl.row_time == value.row_time:
        return Outcome.EXTRA, False
    if then is not None and then.there and then.same and then.row_time == value.row_time:
        return Outcome.STALE, True
    older = now.row_time is None or (value.row_time is not None and value.row_time < now.row_time)
    if older and value.at_row_time.there and value.at_row_time.same:
        newer_than_materialization = then is not None and (then.row_time is None or (value.row_time or then.row_time) > then.row_time)
        return Outcome.STALE, newer_than_materialization
    return (Outcome.DIFFERENT if now.there else Outcome.EXTRA), False


def _of_windows(value: ServedValue) -> tuple[Outcome, bool]:
    if value.at_materialization is not None and value.at_materialization.same:
        return Outcome.STALE, True
    if value.status is None:
        return (Outcome.DIFFERENT if value.at_request.there else Outcome.EXTRA), False
    if not value.at_request.there:
        return Outcome.DIFFERENT, False
    return (Outcome.EXPIRED if value.status is Status.OUTSIDE_MAX_AGE else Outcome.MISSING), False
