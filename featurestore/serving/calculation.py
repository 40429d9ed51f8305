"""What each operation of an expression answers for values that are there: the table in docs/reference/on-demand.md, in Python.

The warehouse's SQL answers the same to the last bit (`featurestore.sql.on_demand`). Nothing raises: what has no answer is None. Whole
numbers have 64 bits, floats are IEEE 754, decimals are exact, timestamps naive UTC.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import (
    BooleanType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    ValueType,
)

Calculation = Callable[..., Any]

_EXACT = Context(prec=100, rounding=ROUND_HALF_UP)
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)
_WHOLE = 2.0**52
"""From here on every float is a whole number."""

_MOST_EXPONENT = 690.0
"""Powers beyond e to this, or to the negative of it, are null."""

_TO_LOWER = {ord(upper): upper.lower() for upper in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
_TO_UPPER = {ord(lower): lower.upper() for lower in "abcdefghijklmnopqrstuvwxyz"}
_FIXED_UNITS = {"second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def calculation(node: Expression) -> Calculation:
    """What a node does with values of its operands, none of them null."""
    operand_type = node.operands[0].value_type
    match node.operation:
        case Operation.CAST:
            return _cast(operand_type, node.value_type)
        case Operation.EXTRACT:
            return _PARTS[node.text or ""]
        case Operation.DATE_TRUNC:
            return lambda moment: _begin(moment, node.text or "")
        case Operation.DATE_DIFF:
            return lambda first, second: _begins_between(first, second, node.text or "")
        case Operation.ADD_MONTHS:
            months = int(node.text or 0)
            return lambda moment: _month_later(moment, months)
        case Operation.ADD_MICROSECONDS:
            duration = timedelta(microseconds=int(node.text or 0))
            return lambda moment: _later(moment, duration)
        case Operation.ROUND:
            return _rounding(operand_type, int(node.text or 0))
    if isinstance(operand_type, FloatType) and node.operation in _OF_FLOATS:
        return _OF_FLOATS[node.operation]
    if isinstance(operand_type, DecimalType) and node.operation in _OF_DECIMALS:
        return _OF_DECIMALS[node.operation]
    return _OTHERWISE[node.operation]


def literal(value_type: ValueType, text: str | None) -> Any:
    """The value that a literal spells."""
    if text is None:
        return None
    match value_type:
        case IntegerType():
            return int(text)
        case DecimalType():
            return Decimal(text)
        case FloatType():
            return float(text)
        case BooleanType():
            return text == "true"
        case DateType():
            return date.fromisoformat(text)
        case TimestampType():
            return datetime.fromisoformat(text)
    return text


def as_declared(value_type: ValueType) -> Calculation | None:
    """How an answer gets the spelling of its type: a decimal all its digits. None: it has it."""
    if not isinstance(value_type, DecimalType):
        return None
    unit = Decimal(1).scaleb(-value_type.scale)
    # A decimal has no negative zero.
    return lambda value: _EXACT.plus(value.quantize(unit, context=_EXACT))


def compares(value_type: ValueType) -> tuple[Calculation, Calculation]:
    """Whether two values are equal, and whether the first is less: of floats, not-a-number is the greatest and equals itself."""
    if isinstance(value_type, FloatType):
        return _float_equal, _float_less
    return (lambda left, right: left == right), (lambda left, right: left < right)


def _float_equal(left: float, right: float) -> bool:
    return left == right or (left != left and right != right)


def _float_less(left: float, right: float) -> bool:
    return left < right or (right != right and left == left)


def _integer(value: int) -> int | None:
    return value if -(2**63) <= value < 2**63 else None


def _quotient(left: int, right: int) -> int | None:
    if right == 0:
        return None
    quotient = abs(left) // abs(right)
    return _integer(quotient if (left < 0) == (right < 0) else -quotient)


def _remainder(left: int, right: int) -> int | None:
    if right == 0:
        return None
    remainder = abs(left) % abs(right)
    return -remainder if left < 0 else remainder


def _half_away(value: float) -> float:
    """The nearest whole number, halves away from zero."""
    size = abs(value)
    if not size < _WHOLE:
        return value
    whole = float(int(size))
    return math.copysign(whole + 1.0 if size - whole >= 0.5 else whole, value)


def _rounding(value_type: ValueType, digits: int) -> Calculation:
    if isinstance(value_type, DecimalType):
        unit = Decimal(1).scaleb(-digits)
        return lambda value: value.quantize(unit, context=_EXACT)
    if digits == 0:
        return _half_away
    factor = 10.0**digits
    return lambda value: _half_away(value * factor) / factor if abs(value) < _WHOLE else value


def _float_whole(rounded: Callable[[float], int]) -> Callable[[float], float]:
    return lambda value: math.copysign(float(rounded(value)), value) if abs(value) < _WHOLE else value


def _power(base: float, exponent: float) -> float | None:
    if not (math.isfinite(base) and math.isfinite(exponent)):
        return None
    if exponent == 0:
        return 1.0
    if base == 0:
        return 0.0 if exponent > 0 else None
    if base < 0 and exponent != math.floor(exponent):
        return None
    if abs(exponent) < 1e-290:
        return 1.0
    if abs(exponent) > 1e15 or not abs(exponent) * abs(math.log(abs(base))) < _MOST_EXPONENT:
        return None
    return math.pow(base, exponent)


def _moment_micros(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _later(moment: datetime, duration: timedelta) -> datetime | None:
    try:
        return moment + duration
    except OverflowError:
        return None


def _month_later(moment: datetime, months: int) -> datetime | None:
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        return None
    for day in range(moment.day, 27, -1):
        try:
            return moment.replace(year=year, month=month + 1, day=day)
        except ValueError:
            continue
    return moment.replace(year=year, month=month + 1)


def _begin(moment: datetime, unit: str) -> datetime:
    if unit in _MONTHS:
        month = 1 if unit == "year" else moment.month - (moment.month - 1) % _MONTHS[unit]
        return datetime(moment.year, month, 1)
    if unit == "week":
        return datetime(moment.year, moment.month, moment.day) - timedelta(days=moment.weekday())
    return moment - timedelta(microseconds=_moment_micros(moment) % _FIXED_UNITS[unit])


def _begins_between(first: datetime, second: datetime, unit: str) -> int:
    if unit in _MONTHS:
        first_months, second_months = (moment.year * 12 + moment.month - 1 for moment in (first, second))
        return second_months // _MONTHS[unit] - first_months // _MONTHS[unit]
    if unit == "week":
        # The epoch is a Thursday.
        first_weeks, second_weeks = ((_moment_micros(moment) // _FIXED_UNITS["day"] + 3) // 7 for moment in (first, second))
        return second_weeks - first_weeks
    return _moment_micros(second) // _FIXED_UNITS[unit] - _moment_micros(first) // _FIXED_UNITS[unit]


_PARTS: Mapping[str, Callable[[datetime], Any]] = {
    "year": lambda moment: moment.year,
    "quarter": lambda moment: (moment.month + 2) // 3,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "hour": lambda moment: moment.hour,
    "minute": lambda moment: moment.minute,
    "second": lambda moment: moment.second,
    "dow": lambda moment: moment.isoweekday() % 7,
    "isodow": lambda moment: moment.isoweekday(),
    "doy": lambda moment: moment.timetuple().tm_yday,
    "week": lambda moment: moment.isocalendar()[1],
    "epoch": lambda moment: float(_moment_micros(moment)) / 1e6,
}


def _cast(given: ValueType, wanted: ValueType) -> Calculation:
    match given, wanted:
        case IntegerType() | BooleanType(), IntegerType(bits):
            return lambda value: int(value) if -(2 ** (bits - 1)) <= value < 2 ** (bits - 1) else None
        case ((FloatType() | DecimalType()), IntegerType(bits)):
            return lambda value: _whole_number(value, bits)
        case FloatType(), DecimalType(precision, scale):
            return lambda value: _float_as_decimal(value, precision, scale)
        case ((IntegerType() | DecimalType()), DecimalType(precision, scale)):
            return lambda value: _as_decimal(Decimal(value), precision, scale)
        case ((IntegerType() | DecimalType()), FloatType()):
            # What rounding or a product left of a decimal may be a negative zero, which a decimal has not.
            return lambda value: float(value) + 0.0
        case DecimalType(_, scale), StringType():
            unit = Decimal(1).scaleb(-scale)
            return lambda value: format(_EXACT.plus(value.quantize(unit, context=_EXACT)), "f")
        case BooleanType(), StringType():
            return lambda value: "true" if value else "false"
        case DateType(), StringType():
            return date.isoformat
        case DateType(), TimestampType():
            return lambda value: datetime(value.year, value.month, value.day)
        case TimestampType(), DateType():
            return datetime.date
        case TimestampType(True), TimestampType(False):
            return lambda value: value.astimezone(timezone.utc).replace(tzinfo=None)
        case IntegerType(), StringType():
            return str
    return lambda value: value


def _whole_number(value: float | Decimal, bits: int) -> int | None:
    if isinstance(value, float):
        if not abs(value) < 2.0**64:
            return None
        whole = int(_half_away(value))
    else:
        whole = int(value.quantize(Decimal(1), context=_EXACT))
    return whole if -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1) else None


def _as_decimal(value: Decimal, precision: int, scale: int) -> Decimal | None:
    rounded = value.quantize(Decimal(1).scaleb(-scale), context=_EXACT)
    return rounded if rounded.copy_abs() < Decimal(1).scaleb(precision - scale) else None


def _float_as_decimal(value: float, precision: int, scale: int) -> Decimal | None:
    if not abs(value) < 10.0 ** (18 - scale):
        return None
    return _as_decimal(Decimal(int(_half_away(value * 10.0**scale))).scaleb(-scale, context=_EXACT), precision, scale)


_OF_FLOATS: Mapping[Operation, Calculation] = {
    Operation.ADD: lambda left, right: left + right,
    Operation.SUBTRACT: lambda left, right: left - right,
    Operation.MULTIPLY: lambda left, right: left * right,
    Operation.DIVIDE: lambda left, right: left / right if right else None,
    Operation.NEGATE: lambda value: -value,
    Operation.ABS: abs,
    Operation.FLOOR: _float_whole(math.floor),
    Operation.CEIL: _float_whole(math.ceil),
    Operation.TRUNC: _float_whole(math.trunc),
    Operation.SQRT: lambda value: None if value < 0 else math.sqrt(value),
    Operation.LN: lambda value: math.log(value) if 0 < value < math.inf else None,
    Operation.EXP: lambda value: math.exp(value) if abs(value) < 700 else None,
    Operation.POWER: _power,
}
_OF_DECIMALS: Mapping[Operation, Calculation] = {
    Operation.ADD: _EXACT.add,
    Operation.SUBTRACT: _EXACT.subtract,
    Operation.MULTIPLY: _EXACT.multiply,
    Operation.NEGATE: _EXACT.minus,
    Operation.ABS: _EXACT.abs,
    Operation.FLOOR: lambda value: Decimal(math.floor(value)),
    Operation.CEIL: lambda value: Decimal(math.ceil(value)),
    Operation.TRUNC: lambda value: Decimal(math.trunc(value)),
}
_OTHERWISE: Mapping[Operation, Calculation] = {
    Operation.ADD: lambda left, right: _integer(left + right),
    Operation.SUBTRACT: lambda left, right: _integer(left - right),
    Operation.MULTIPLY: lambda left, right: _integer(left * right),
    Operation.INTEGER_DIVIDE: _quotient,
    Operation.MOD: _remainder,
    Operation.NEGATE: lambda value: _integer(-value),
    Operation.ABS: lambda value: _integer(abs(value)),
    Operation.NOT: lambda value: not value,
    Operation.LOWER: lambda text: text.translate(_TO_LOWER),
    Operation.UPPER: lambda text: text.translate(_TO_UPPER),
    Operation.TRIM: lambda text: text.strip(" "),
    Operation.LTRIM: lambda text: text.lstrip(" "),
    Operation.RTRIM: lambda text: text.rstrip(" "),
    Operation.LENGTH: len,
    Operation.SUBSTRING: lambda text, start, length=None: text[start - 1 :] if length is None else text[start - 1 : start - 1 + length],
    Operation.RIGHT: lambda text, length: text[-length:] if length else "",
    Operation.CONCAT: lambda left, right: left + right,
    Operation.REPLACE: lambda text, old, new: text.replace(old, new) if old else text,
    Operation.STARTS_WITH: lambda text, part: text.startswith(part),
    Operation.ENDS_WITH: lambda text, part: text.endswith(part),
    Operation.CONTAINS: lambda text, part: part in text,
}
