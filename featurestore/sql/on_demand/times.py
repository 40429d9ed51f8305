"""Functions of dates and timestamps in a warehouse's SQL, all of them naive UTC, from the year 1 to the year 9999."""

from __future__ import annotations

from datetime import timedelta

from sqlglot import exp

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import STRING, TIMESTAMP, DateType, TimestampType, ValueType
from featurestore.sql.expressions import BIGINT
from featurestore.sql.instants import earlier, instant, later, microseconds

from .pieces import Pieces, call, grouped, when

_FIRST, _LAST = "0001-01-01 00:00:00.000000", "9999-12-31 23:59:59.999999"
_MICROS = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000, "week": 604_800_000_000}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def cast_time(value: exp.Expression, given: ValueType, wanted: ValueType, pieces: Pieces) -> exp.Expression:
    """A cast between dates and timestamps, or of a date to text."""
    if isinstance(wanted, TimestampType):
        return instant(value, given, pieces.dialect)
    return pieces.cast(value, STRING) if isinstance(given, DateType) else exp.cast(value, exp.DType.DATE)


def time_function(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """One of them."""
    match node.operation:
        case Operation.EXTRACT:
            return _part(node.text or "", operands[0], pieces)
        case Operation.DATE_TRUNC:
            return _begin(node.text or "", operands[0], pieces)
        case Operation.DATE_DIFF:
            return _begins_between(node.text or "", operands[0], operands[1], pieces)
    count = int(node.text or 0)
    if node.operation is Operation.ADD_MONTHS:
        interval = exp.Interval(this=exp.Literal.string(str(abs(count))), unit=exp.var("MONTH"))
        moved: exp.Expression = (exp.Add if count > 0 else exp.Sub)(this=grouped(operands[0]), expression=interval)
    else:
        move = later if count > 0 else earlier
        moved = move(grouped(operands[0]), timedelta(microseconds=abs(count)), pieces.dialect)
    return pieces.named([moved], lambda moment: _in_calendar(moment, pieces))


def _in_calendar(moment: exp.Expression, pieces: Pieces) -> exp.Expression:
    first, last = (pieces.literal(text, TIMESTAMP) for text in (_FIRST, _LAST))
    return when(exp.Between(this=moment, low=first, high=last), moment.copy())


def _begin(unit: str, moment: exp.Expression, pieces: Pieces) -> exp.Expression:
    return pieces.cast(call("DATE_TRUNC", exp.Literal.string(unit), moment), TIMESTAMP)


def _part(part: str, moment: exp.Expression, pieces: Pieces) -> exp.Expression:
    if part == "epoch":
        micros = exp.cast(microseconds(moment, pieces.dialect), exp.DType.DOUBLE)
        return exp.Div(this=micros, expression=pieces.float(1e6), typed=True, safe=False)
    if part == "dow":
        return exp.Mod(this=_part("isodow", moment, pieces), expression=exp.Literal.number(7))
    found: exp.Expression = exp.Extract(this=exp.var(part.upper()), expression=moment)
    if part == "second":
        found = call("FLOOR", found)
    return exp.cast(found, BIGINT)


def _begins_between(unit: str, first: exp.Expression, second: exp.Expression, pieces: Pieces) -> exp.Expression:
    """Counted from one begin to the other, so that every quotient is whole."""
    if unit in _MICROS:
        begins = (microseconds(_begin(unit, each, pieces), pieces.dialect) for each in (second, first))
        return _quotient(_difference(*begins), _MICROS[unit])
    return _difference(*(_quotient(_months(each, pieces), _MONTHS[unit]) for each in (second, first)))


def _months(moment: exp.Expression, pieces: Pieces) -> exp.Expression:
    """Months since the year 0."""
    years = exp.Mul(this=_part("year", moment, pieces), expression=exp.Literal.number(12))
    return exp.Sub(this=exp.Add(this=years, expression=_part("month", moment.copy(), pieces)), expression=exp.Literal.number(1))


def _difference(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Sub(this=grouped(left), expression=grouped(right))


def _quotient(value: exp.Expression, by: int) -> exp.Expression:
    return value if by == 1 else exp.IntDiv(this=exp.Paren(this=value), expression=exp.Literal.number(by))
