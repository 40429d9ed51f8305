"""How SQL moves an instant: cut down to the start of its bucket, and shifted by a fixed time, in any dialect's words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlglot import exp

from .functions import function_name

_UNITS = {
    "microsecond": timedelta(microseconds=1),
    "millisecond": timedelta(milliseconds=1),
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "date": timedelta(days=1),
    "week": timedelta(days=7),
    "isoweek": timedelta(days=7),
    "fortnight": timedelta(days=14),
    "month": timedelta(days=31),
    "quarter": timedelta(days=92),
    "year": timedelta(days=366),
    "isoyear": timedelta(days=371),
}
_SHORT = {
    "us": "microsecond", "ms": "millisecond", "s": "second", "sec": "second", "ss": "second", "mi": "minute",
    "min": "minute", "n": "minute",
        "h": "hour", "hr": "hour", "hh": "hour", "d": "day", "dd": "day", "dy": "day", "doy": "day", "w": "week",
    "wk": "week", "ww": "week",
    "mm": "month", "mon": "month", "m": "month", "q": "quarter", "qq": "quarter", "qtr": "quarter", "y": "year",
    "yy": "year", "yyyy": "year",
}  # fmt: skip
_NO_TIME = timedelta(0)
_TRUNCATIONS = (exp.TimestampTrunc, exp.DateTrunc, exp.DatetimeTrunc)
_ADDITIONS = (exp.DateAdd, exp.TimestampAdd, exp.DatetimeAdd, exp.TsOrDsAdd)
_SUBTRACTIONS = (exp.DateSub, exp.TimestampSub, exp.DatetimeSub)
_SAME_INSTANT = (exp.Paren, exp.AtTimeZone, exp.FromTimeZone, exp.TsOrDsToTimestamp, exp.TsOrDsToDatetime, exp.TimeStrToTime, exp.Alias)
_SAME_INSTANT_NAMES = frozenset(
    [
        "to_timestamp",
        "to_timestamp_ntz",
        "to_timestamp_tz",
        "to_timestamp_ltz",
        "todatetime",
        "todatetime64",
        "todatetimeoffset",
        "switchoffset",
        "timestamp",
        "assumenotnull",
        "tonullable",
        "totimezone",
        "datetime",
    ]
)
_BUCKET_NAMES = {
    "todate": "day", "to_date": "day", "todate32": "day", "tostartofday": "day", "tostartofhour": "hour", "tostartofminute": "minute",
    "tostartofweek": "week", "tostartofmonth": "month", "tostartofquarter": "quarter", "tostartofyear": "year", "tomonday": "week",
    "toyyyymm": "month", "toyyyymmdd": "day",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moved:
    """An instant in terms of another."""

    base: exp.Expr
    """What is moved."""

    bucket: timedelta = _NO_TIME
    """How long the bucket is to whose start it is cut down; nothing where it is not."""

    shift: timedelta = _NO_TIME
    """By how much it comes later than that. The longest that it can be for the bucket, the shortest for months added: where a month
    is added to the start of a month, both are counted alike."""


def unit_length(unit: exp.Expr | str | None) -> timedelta | None:
    """How long a unit of time is at most; None where that is no unit."""
    if unit is None:
        return None
    name = (unit if isinstance(unit, str) else unit.this.name if isinstance(unit, exp.WeekStart) else unit.name).strip().casefold()
    name = name.partition("(")[0]
    name = _SHORT.get(name, name)
    return _UNITS.get(name) or _UNITS.get(name.removesuffix("s"))


def span_of(node: exp.Expr | None) -> timedelta | None:
    """The time that an INTERVAL, or what stands for one, says; None where it is not a constant."""
    if isinstance(node, exp.Paren):
        return span_of(node.this)
    if isinstance(node, exp.Neg):
        span = span_of(node.this)
        return None if span is None else -span
    if isinstance(node, exp.Interval):
        return _interval(node)
    if isinstance(node, exp.ToDays):
        count = number(node.this)
        return None if count is None else timedelta(days=count)
    name = "" if node is None else function_name(node)
    if node is not None and name.startswith(("tointerval", "to_")) and len(node.expressions) == 1:
        count, length = number(node.expressions[0]), unit_length(name.removeprefix("tointerval").removeprefix("to_"))
        return None if count is None or length is None else count * length
    if isinstance(node, exp.Cast) and node.is_type("interval") and isinstance(node.this, exp.Literal):
        return _spoken(node.this.name)
    if isinstance(node, exp.Mul):
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            count, span = number(one), span_of(other)
            if count is not None and span is not None:
                return count * span
    return None


def number(node: exp.Expr | None) -> float | None:
    """The number that a constant is; None for anything else."""
    if isinstance(node, exp.Paren):
        return number(node.this)
    if isinstance(node, exp.Neg):
        value = number(node.this)
        return None if value is None else -value
    if isinstance(node, exp.Cast):
        return number(node.this)
    if isinstance(node, exp.Mul):
        one, other = number(node.this), number(node.expression)
        return None if one is None or other is None else one * other
    if isinstance(node, exp.Literal):
        try:
            return float(node.name)
        except ValueError:
            return None
    return None


def moved(node: exp.Expr) -> Moved:
    """Split an expression into an instant and what is done to it. One that is left as it is comes back as its own base."""
    bucket = shift = _NO_TIME
    while True:
        step = _bucket(node)
        if step is not None:
            node, length = step
            # What was shifted before it was cut down is where the cut leaves it.
            bucket = max(bucket, length)
            continue
        added = _shifted(node)
        if added is not None:
            node, by = added
            shift += by
            continue
        inner = _same(node)
        if inner is None:
            return Moved(node, bucket, shift)
        node = inner


def _same(node: exp.Expr) -> exp.Expr | None:
    if isinstance(node, exp.Cast):
        return node.this if isinstance(node.this, exp.Expr) else None
    if isinstance(node, exp.Convert):
        return node.expression if isinstance(node.expression, exp.Expr) else None
    if isinstance(node, exp.ConvertTimezone):
        found = node.args.get("timestamp")
        return found if isinstance(found, exp.Expr) else None
    if isinstance(node, exp.Timestamp | exp.Datetime):
        return node.this if isinstance(node.this, exp.Expr) else None
    if isinstance(node, _SAME_INSTANT):
        return node.this if isinstance(node.this, exp.Expr) else None
    if function_name(node) in _SAME_INSTANT_NAMES and node.expressions:
        first = node.expressions[0]
        return first if isinstance(first, exp.Expr) else None
    return None


def _bucket(node: exp.Expr) -> tuple[exp.Expr, timedelta] | None:
    """What is cut down to the start of a bucket, and how long that is."""
    day = _UNITS["day"]
    if isinstance(node, _TRUNCATIONS):
        length = unit_length(node.args.get("unit"))
        return None if length is None else (node.this, length)
    if isinstance(node, exp.Cast) and node.is_type("date", "date32"):
        return node.this, day
    if isinstance(node, exp.Convert) and isinstance(node.this, exp.DataType) and node.this.is_type("date"):
        return node.expression, day
    if isinstance(node, exp.TsOrDsToDate | exp.Date) and node.this is not None:
        return node.this, day
    if isinstance(node, exp.LastDay):
        # Midnight of the last day: the day itself is still to come.
        return node.this, day
    if isinstance(node, exp.Trunc) and node.args.get("decimals") is None:
        return node.this, day
    if isinstance(node, exp.Extract) and node.name.casefold() == "date":
        return node.expression, day
    if isinstance(node, exp.DateBin | exp.TimeSlice):
        return _binned(node)
    if isinstance(node, exp.DateFromParts):
        return _from_parts(node)
    return _bucket_by_name(node)


def _bucket_by_name(node: exp.Expr) -> tuple[exp.Expr, timedelta] | None:
    name = function_name(node)
    if name in _BUCKET_NAMES and node.expressions:
        return node.expressions[0], _UNITS[_BUCKET_NAMES[name]]
    if name == "tostartofinterval" and len(node.expressions) > 1:
        span = span_of(node.expressions[1])
        return None if span is None else (node.expressions[0], span)
    if name == "date_bucket" and len(node.expressions) > 2:
        length, count = unit_length(node.expressions[0].name), number(node.expressions[1])
        return None if length is None or count is None else (node.expressions[2], count * length)
    if name == "window" and len(node.expressions) > 1 and isinstance(node.expressions[1], exp.Literal):
        span = _spoken(node.expressions[1].name)
        return None if span is None else (node.expressions[0], span)
    if name.startswith("tostartof") and node.expressions:
        words = {"fiveminutes": 5, "fiveminute": 5, "tenminutes": 10, "fifteenminutes": 15}
        minutes = words.get(name.removeprefix("tostartof"))
        return None if minutes is None else (node.expressions[0], timedelta(minutes=minutes))
    return None


def _binned(node: exp.Expr) -> tuple[exp.Expr, timedelta] | None:
    if isinstance(node, exp.TimeSlice):
        count, length = number(node.expression), unit_length(node.args.get("unit"))
        return None if count is None or length is None else (node.this, count * length)
    span = _spoken(node.this.name) if isinstance(node.this, exp.Literal) else span_of(node.this)
    return None if span is None else (node.expression, span)


def _from_parts(node: exp.DateFromParts) -> tuple[exp.Expr, timedelta] | None:
    """`make_date(year(x), month(x), 1)` is the start of the month of x."""
    columns = [column for name in ("year", "month", "day") for column in _columns(node.args.get(name))]
    if not columns or len({column.sql() for column in columns}) > 1:
        return None
    finest = next(name for name in ("day", "month", "year") if _columns(node.args.get(name)))
    return columns[0], _UNITS[finest]


def _columns(node: object) -> list[exp.Column]:
    return list(node.find_all(exp.Column)) if isinstance(node, exp.Expr) else []


def _shifted(node: exp.Expr) -> tuple[exp.Expr, timedelta] | None:
    """What is shifted, and by how much."""
    if isinstance(node, exp.DateAdd) and isinstance(node.expression, exp.DateDiff):
        # T-SQL's `dateadd(day, datediff(day, 0, x), 0)` is the start of the day of x.
        length = unit_length(node.args.get("unit"))
        return None if length is None else (_truncated(node.expression.this, node), _NO_TIME)
    if isinstance(node, (*_ADDITIONS, *_SUBTRACTIONS)) and isinstance(node.this, exp.Expr):
        span = span_of(node.expression)
        if span is None:
            count, length = number(node.expression), unit_length(node.args.get("unit") or "day")
            span = None if count is None or length is None else count * length
        return None if span is None else (node.this, -span if isinstance(node, _SUBTRACTIONS) else span)
    if isinstance(node, exp.Add | exp.Sub):
        return _summed(node)
    name = function_name(node)
    if name.startswith(("add", "subtract")) and len(node.expressions) == 2:
        length = unit_length(name.removeprefix("add").removeprefix("subtract"))
        count = number(node.expressions[1])
        if length is not None and count is not None:
            return node.expressions[0], count * length * (1 if name.startswith("add") else -1)
    return None


def _summed(node: exp.Add | exp.Sub) -> tuple[exp.Expr, timedelta] | None:
    sign = -1 if isinstance(node, exp.Sub) else 1
    span = span_of(node.expression)
    if span is not None:
        return node.this, sign * span
    span = span_of(node.this) if sign == 1 else None
    if span is not None:
        return node.expression, span
    days = number(node.expression)
    # A number added to a date counts days.
    return None if days is None else (node.this, sign * timedelta(days=days))


def _truncated(base: exp.Expr, node: exp.DateAdd) -> exp.Expr:
    return exp.TimestampTrunc(this=base.copy(), unit=node.args["unit"].copy())


def _interval(node: exp.Interval) -> timedelta | None:
    if isinstance(node.this, exp.Literal) and node.args.get("unit") is None:
        return _spoken(node.this.name)
    count, length = number(node.this), unit_length(node.args.get("unit"))
    return None if count is None or length is None else count * length


def _spoken(text: str) -> timedelta | None:
    """`1 day 12 hours`."""
    words, total = text.split(), _NO_TIME
    if len(words) == 1:
        digits = len(text) - len(text.lstrip("-0123456789."))
        words = [text[:digits], text[digits:]]
    for count, unit in zip(words[::2], words[1::2], strict=False):
        length = unit_length(unit)
        if length is None or not count.lstrip("-").replace(".", "", 1).isdigit():
            return None
        total += float(count) * length
    return total if len(words) > 1 and len(words) % 2 == 0 else None
