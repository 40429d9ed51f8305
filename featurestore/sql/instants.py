"""Instants and durations: every instant is naive UTC with microseconds in a query, however its column is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from sqlglot import exp

from featurestore.errors import WarehouseError
from featurestore.registry.value_types import DateType, TimestampType, ValueType
from featurestore.timestamps import as_utc, duration_micros, format_duration

from .dialects import Dialect, Durations, Microseconds, ZonedToUtc

_UTC = exp.Literal.string("UTC")


_UNITS = (("DAY", 86_400_000_000), ("HOUR", 3_600_000_000), ("MINUTE", 60_000_000), ("SECOND", 1_000_000), ("MICROSECOND", 1))


@lru_cache(maxsize=64)
def timestamp_type(dialect: Dialect) -> exp.DataType:
    """The type of naive instants with microseconds."""
    return exp.DataType.build(dialect.timestamp, dialect=dialect.name)


def instant(value: exp.Expression, value_type: ValueType, dialect: Dialect) -> exp.Expression:
    """A timestamp or date as naive UTC with microseconds; a type nobody declared is cast, and the warehouse says if it cannot be."""
    if isinstance(value_type, TimestampType) and value_type.utc:
        match dialect.zoned_to_utc:
            case ZonedToUtc.MICROSECONDS:
                return exp.Anonymous(this="MAKE_TIMESTAMP", expressions=[exp.Anonymous(this="EPOCH_US", expressions=[value])])
            case ZonedToUtc.AT_TIME_ZONE:
                return exp.AtTimeZone(this=value, zone=_UTC.copy())
            case ZonedToUtc.AT_TIME_ZONE_THEN_CAST:
                value = exp.AtTimeZone(this=value, zone=_UTC.copy())
            case ZonedToUtc.CONVERT_TIMEZONE:
                value = exp.ConvertTimezone(target_tz=_UTC.copy(), timestamp=value)
            case ZonedToUtc.DATETIME:
                return exp.Anonymous(this="DATETIME", expressions=[value, _UTC.copy()])
    return exp.cast(value, timestamp_type(dialect))


def microseconds(moment: exp.Expression, dialect: Dialect) -> exp.Expression:
    """Naive UTC as whole microseconds since 1970, as the dialect's range frames are ordered by."""
    if dialect.range_frame is Microseconds.EPOCH_US:
        return exp.Anonymous(this="EPOCH_US", expressions=[moment])
    if dialect.range_frame is Microseconds.UNIX_MICROS:
        return exp.Anonymous(this="UNIX_MICROS", expressions=[exp.cast(moment, exp.DType.TIMESTAMPTZ)])
    if dialect.range_frame is Microseconds.DATE_PART:
        return exp.Anonymous(this="DATE_PART", expressions=[exp.var("EPOCH_MICROSECOND"), moment])
    seconds = exp.Extract(this=exp.var("EPOCH"), expression=moment)
    return exp.cast(exp.Mul(this=seconds, expression=exp.Literal.number(1_000_000)), exp.DType.BIGINT)


def stored_as(moment: exp.Expression, value_type: ValueType) -> exp.Expression:
    """A naive UTC instant as what a timestamp column is compared with; for one of dates, the date that has begun by then."""
    if isinstance(value_type, TimestampType) and value_type.utc:
        return exp.AtTimeZone(this=exp.paren(moment), zone=_UTC.copy())
    return exp.cast(moment, exp.DType.DATE) if isinstance(value_type, DateType) else moment


def instant_literal(at: datetime, dialect: Dialect) -> exp.Expression:
    """That instant, as naive UTC."""
    text = as_utc(at).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return exp.cast(exp.Literal.string(text), timestamp_type(dialect))


def later(moment: exp.Expression, duration: timedelta, dialect: Dialect) -> exp.Expression:
    """`moment + duration`, or the moment itself when there is nothing to add."""
    return _moved(moment, duration_micros(duration), dialect, exp.Add, exp.DatetimeAdd)


def earlier(moment: exp.Expression, duration: timedelta, dialect: Dialect) -> exp.Expression:
    """`moment - duration`, or the moment itself when there is nothing to take away."""
    return _moved(moment, duration_micros(duration), dialect, exp.Sub, exp.DatetimeSub)


def _moved(
    moment: exp.Expression,
    micros: int,
    dialect: Dialect,
    operator: type[exp.Add | exp.Sub],
    function: type[exp.DatetimeAdd | exp.DatetimeSub],
) -> exp.Expression:
    if not micros:
        return moment
    match dialect.durations:
        case Durations.INTERVAL:
            return operator(this=moment, expression=_interval(micros, dialect))
        case Durations.DATETIME_ADD:
            unit, count = _in_one_unit(micros)
            return function(this=moment, expression=exp.Literal.number(count), unit=exp.var(unit))
        case Durations.DATEADD:
            sign = 1 if operator is exp.Add else -1
            for unit, count in _in_small_counts(micros):
                moment = exp.Anonymous(this="DATEADD", expressions=[exp.var(unit), exp.Literal.number(sign * count), moment])
            return moment


def _interval(micros: int, dialect: Dialect) -> exp.Interval:
    shortest = duration_micros(dialect.shortest_interval)
    if micros % shortest:
        raise WarehouseError(
            f"{format_duration(timedelta(microseconds=micros))} cannot be said in {dialect.name}, whose intervals count in "
            f"{format_duration(dialect.shortest_interval)}. Round the duration in the feature view's meta."
        )
    unit, count = _in_one_unit(micros)
    if unit == "MICROSECOND" and shortest > 1:
        return exp.Interval(this=exp.Literal.string(f"{micros / 1_000_000:.6f}".rstrip("0")), unit=exp.var("SECOND"))
    return exp.Interval(this=exp.Literal.string(str(count)), unit=exp.var(unit))


def _in_one_unit(micros: int) -> tuple[str, int]:
    """The greatest unit that says it exactly, and how many of them."""
    return next((unit, micros // size) for unit, size in _UNITS if micros % size == 0)


def _in_small_counts(micros: int) -> list[tuple[str, int]]:
    """The same in one unit where its count is an integer of 32 bits, else in several."""
    unit, count = _in_one_unit(micros)
    if count < 2**31:
        return [(unit, count)]
    days, rest = divmod(micros, 86_400_000_000)
    parts = (("DAY", days), ("SECOND", rest // 1_000_000), ("MICROSECOND", rest % 1_000_000))
    return [(unit, count) for unit, count in parts if count]
