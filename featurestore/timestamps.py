"""Instants are UTC with microseconds; durations are written the way people say them.

An instant travels as whole microseconds since 1970-01-01T00:00:00Z. A naive datetime is read as UTC, a date as its midnight.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone

Clock = Callable[[], datetime]
"""Says what time it is. Passed in wherever time matters, so that a test can hold it still."""

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
FIRST_INSTANT = (datetime.min.replace(tzinfo=timezone.utc) - EPOCH) // _MICROSECOND
LAST_INSTANT = (datetime.max.replace(tzinfo=timezone.utc) - EPOCH) // _MICROSECOND
"""The microseconds of the first and the last instant that a datetime can say; warehouses know later ones, and infinity."""
_LONGEST = datetime.max - datetime.min

_UNITS = {
    "microsecond": timedelta(microseconds=1),
    "us": timedelta(microseconds=1),
    "millisecond": timedelta(milliseconds=1),
    "ms": timedelta(milliseconds=1),
    "second": timedelta(seconds=1),
    "s": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "m": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "h": timedelta(hours=1),
    "day": timedelta(days=1),
    "d": timedelta(days=1),
    "week": timedelta(weeks=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"\s*(\d+)\s*([a-z]+)\s*")


def utc_now() -> datetime:
    """The current instant, zoned UTC."""
    return datetime.now(timezone.utc)


def as_utc(instant: datetime | date) -> datetime:
    """`instant` zoned UTC: zoned values are converted, naive ones read as UTC, dates as midnight."""
    if not isinstance(instant, datetime):
        return datetime(instant.year, instant.month, instant.day, tzinfo=timezone.utc)
    if instant.tzinfo is None:
        return instant.replace(tzinfo=timezone.utc)
    return instant.astimezone(timezone.utc)


def to_micros(instant: datetime | date) -> int:
    """Whole microseconds since the epoch."""
    if isinstance(instant, datetime) and instant.tzinfo is timezone.utc:
        return (instant - EPOCH) // _MICROSECOND
    return (as_utc(instant) - EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """The instant, zoned UTC, that many microseconds after the epoch; what lies beyond the calendar is its first or last one."""
    return EPOCH + timedelta(microseconds=min(max(micros, FIRST_INSTANT), LAST_INSTANT))


def parse_instant(text: str) -> datetime:
    """Read `2013-01-31`, `2013-01-31 14:00`, `2013-01-31T14:00:00Z` or another ISO 8601 form as UTC.

    Raises ValueError naming the text.
    """
    try:
        return as_utc(datetime.fromisoformat(text.strip().replace("Z", "+00:00")))
    except ValueError:
        raise ValueError(f"{text!r} is no instant. Write it like 2013-01-31 or 2013-01-31T14:00:00Z.") from None


def parse_duration(text: str) -> timedelta:
    """Read `7 days`, `1 hour`, `90m`, `1 day 12 hours` or `7d`.

    Raises ValueError saying how a duration is written.
    """
    how = f"{text!r} is no duration. Write a whole number and a unit, like '7 days', '12 hours' or '90 minutes'."
    rest = str(text).strip().lower()
    total, position = timedelta(0), 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            raise ValueError(how)
        amount, unit = part.groups()
        length = _UNITS.get(unit) or _UNITS.get(unit.removesuffix("s"))
        if length is None:
            raise ValueError(how)
        try:
            total += int(amount) * length
        except OverflowError:
            total = timedelta.max
        if total > _LONGEST:
            raise ValueError(f"{text!r} is longer than any calendar.")
        position = part.end()
    if position == 0:
        raise ValueError(how)
    return total


def duration_micros(duration: timedelta) -> int:
    """Whole microseconds of a duration."""
    return duration // _MICROSECOND


def format_duration(duration: timedelta) -> str:
    """The shortest reading that `parse_duration` takes back: `7 days`, `1 day 12 hours`."""
    rest = duration_micros(duration)
    if rest == 0:
        return "0 seconds"
    parts = []
    for unit in ("day", "hour", "minute", "second", "microsecond"):
        size = duration_micros(_UNITS[unit])
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    return " ".join(parts)
