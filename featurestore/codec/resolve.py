"""From the type a value was written with to the type its reader asks for, decided once per schema and not per value.

Rows outlive the declarations that they were written under, and readers of either age keep working:

- widened numbers (a longer integer, integer to float or decimal, a decimal with more digits, decimal to float), a date that became
  a timestamp, and a timestamp that gained or lost its zone read as the value they are in the new type;
- lists, maps and structs are resolved part by part; a struct's new field reads as null, a dropped one is left out;
- a narrowed number reads as null where the value does not fit;
- anything else (text that became a number) reads as null until the next full materialization writes it anew.

Instants and dates that Python cannot hold, such as a warehouse's `infinity`, read as the greatest or least that it can.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Context, Decimal
from typing import Any

from featurestore.registry.value_types import (
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
    TimestampType,
    TimeType,
    ValueType,
)

Conversion = Callable[[Any], Any]
"""From what msgpack holds, never nil, to the reader's Python value."""

ColumnConversion = Callable[[list[Any]], list[Any]]

_EPOCH = datetime(1970, 1, 1)
_EPOCH_DAY = _EPOCH.toordinal()
_MICROS_PER_DAY = 86_400_000_000
_MOST_DAYS = 50_000
"""Of which the dates are kept."""

_EXACT = Context(prec=200)


def column_conversion(written: ValueType, wanted: ValueType) -> ColumnConversion | None:
    """The same for a column of values, nil among them."""
    convert = conversion(written, wanted)
    if convert is None:
        return None
    if convert is _date:
        return _dates
    return lambda values: [None if value is None else convert(value) for value in values]


def conversion(written: ValueType, wanted: ValueType) -> Conversion | None:
    """How to read a value written as one type where another is asked for. None: as msgpack gives it."""
    match wanted:
        case FloatType():
            return _to_float(written)
        case IntegerType():
            return _to_integer(written, wanted)
        case DecimalType():
            return _to_decimal(written, wanted)
        case DateType():
            return _date if isinstance(written, DateType) else unreadable
        case TimeType():
            return _time if isinstance(written, TimeType) else unreadable
        case TimestampType():
            return _to_timestamp(written, wanted)
        case ListType(item):
            return _to_list(conversion(written.item, item)) if isinstance(written, ListType) else unreadable
        case StructType():
            return _to_struct(written, wanted) if isinstance(written, StructType) else unreadable
        case MapType():
            return _to_map(written, wanted) if isinstance(written, MapType) else unreadable
    return None if written == wanted else unreadable


def readable(written: ValueType, wanted: ValueType) -> bool:
    """Whether values of one type may be read as another. Not where every one would be null, nor of nested values that differ in a part."""
    if isinstance(wanted, ListType | StructType | MapType):
        return written == wanted
    return conversion(written, wanted) is not unreadable


def unreadable(_: object) -> None:
    """Of a type that the wanted one cannot hold."""


def _to_float(written: ValueType) -> Conversion | None:
    if isinstance(written, FloatType):
        return None
    return float if isinstance(written, IntegerType | DecimalType) else unreadable


def _to_integer(written: ValueType, wanted: IntegerType) -> Conversion | None:
    if not isinstance(written, IntegerType):
        return unreadable
    (written_least, written_greatest), (least, greatest) = _range(written), _range(wanted)
    if least <= written_least and written_greatest <= greatest:
        return None
    return lambda value: value if least <= value <= greatest else None


def _range(integer: IntegerType) -> tuple[int, int]:
    return (-(2 ** (integer.bits - 1)), 2 ** (integer.bits - 1) - 1) if integer.signed else (0, 2**integer.bits - 1)


def _to_decimal(written: ValueType, wanted: DecimalType) -> Conversion:
    if written == wanted:
        return Decimal
    if not isinstance(written, DecimalType | IntegerType):
        return unreadable
    unit, limit = Decimal(1).scaleb(-wanted.scale), Decimal(1).scaleb(wanted.precision - wanted.scale)

    def rescaled(value: str | int) -> Decimal | None:
        number = Decimal(value)
        scaled = number.quantize(unit, context=_EXACT)
        return scaled if scaled == number and abs(number) < limit else None

    return rescaled


def _to_timestamp(written: ValueType, wanted: TimestampType) -> Conversion:
    from_micros = _zoned if wanted.utc else _naive
    if isinstance(written, TimestampType):
        return from_micros
    return (lambda days: from_micros(days * _MICROS_PER_DAY)) if isinstance(written, DateType) else unreadable


def _to_list(item: Conversion | None) -> Conversion | None:
    if item is None:
        return None
    return lambda values: [None if value is None else item(value) for value in values]


def _to_struct(written: StructType, wanted: StructType) -> Conversion | None:
    was = dict(written.fields)
    fields = [(name, conversion(was[name], item) if name in was else unreadable) for name, item in wanted.fields]
    if [name for name, _ in fields] == list(was) and all(convert is None for _, convert in fields):
        return None

    def converted(values: dict[str, Any]) -> dict[str, Any]:
        answer = {}
        for name, convert in fields:
            value = values.get(name)
            answer[name] = value if value is None or convert is None else convert(value)
        return answer

    return converted


def _to_map(written: MapType, wanted: MapType) -> Conversion:
    """A dict; a list of pairs where its keys are nested and Python cannot hash them."""
    key, value = conversion(written.key, wanted.key), conversion(written.value, wanted.value)
    gather = list if isinstance(wanted.key, ListType | StructType | MapType) else dict

    def converted(pairs: list[list[Any]]) -> Any:
        return gather((key(k) if key else k, v if v is None or value is None else value(v)) for k, v in pairs)

    return converted


class _Days(dict[int | None, date | None]):
    """Dates by their number: a column has the same few over and over, and looking one up takes a third of making it."""

    def __missing__(self, days: int) -> date:
        if len(self) > _MOST_DAYS:
            self.clear()
            self[None] = None
        made = self[days] = _date(days)
        return made


def _dates(values: list[Any]) -> list[Any]:
    """Many at once, without a call in Python for each."""
    return list(map(_days.__getitem__, values))


def _date(days: int) -> date:
    try:
        return date.fromordinal(_EPOCH_DAY + days)
    except (ValueError, OverflowError):
        return date.max if days > 0 else date.min


def _time(micros: int) -> time:
    return (_EPOCH + timedelta(microseconds=micros)).time() if micros < _MICROS_PER_DAY else time.max


def _naive(micros: int) -> datetime:
    try:
        return _EPOCH + timedelta(microseconds=micros)
    except OverflowError:
        return datetime.max if micros > 0 else datetime.min


def _zoned(micros: int) -> datetime:
    return _naive(micros).replace(tzinfo=timezone.utc)


_days = _Days({None: None})
