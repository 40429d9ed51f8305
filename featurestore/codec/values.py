"""One plain Python value at a time: checked strictly against its type, then as msgpack holds it.

Nothing is guessed, cut or rounded but to the precision of a float: a number of another kind, an integer out of range, a decimal with more
digits than its scale, a struct with a field too few is refused, with what it should be. What numpy made is taken for the plain value it is.
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Context, Decimal
from typing import Any
from uuid import UUID

import msgspec

from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StringType,
    StructType,
    TimestampType,
    TimeType,
    ValueType,
)
from featurestore.timestamps import to_micros

from .headers import array_header

Storing = Callable[[Any], Any]
"""From a Python value, never None, to what msgpack holds of it."""

_EPOCH_DAY = date(1970, 1, 1).toordinal()
_EXACT = Context(prec=200)
_SHOWN = 40


class WrongValue(Exception):
    """A value that is not of its type. Says what it should be, what it is, and in which part of a nested one."""

    def __init__(self, wanted: str, value: object, path: str = "") -> None:
        super().__init__(wanted, value, path)
        self.wanted, self.value, self.path = wanted, value, path

    def inside(self, part: str) -> WrongValue:
        """The same, seen from the value that has this one as a part."""
        return WrongValue(self.wanted, self.value, part + self.path)

    def __str__(self) -> str:
        text = repr(self.value)
        shown = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
        return f"{f'at {self.path} ' if self.path else ''}must be {self.wanted}, not {shown} ({type(self.value).__name__})"


def storing(value_type: ValueType) -> Storing:
    """How values of that type are stored. What it returns raises WrongValue."""
    match value_type:
        case BooleanType():
            return _plainly(_boolean)
        case IntegerType():
            return _plainly(_integer(value_type))
        case FloatType(bits):
            return _plainly(_float64 if bits == 64 else _float32)
        case DecimalType():
            return _plainly(_decimal(value_type))
        case StringType():
            return _plainly(_string)
        case BytesType():
            return _plainly(_bytes)
        case DateType():
            return _plainly(_date)
        case TimeType():
            return _plainly(_time)
        case TimestampType():
            return _plainly(_timestamp)
        case ListType(item):
            return _plainly(_list(item))
        case StructType(fields):
            return _plainly(_struct(fields))
        case MapType(key, item):
            return _plainly(_map(key, item))
    raise ValueError(f"Values of type {value_type} cannot be stored.")


def _plainly(store: Storing) -> Storing:
    """The same, which also takes numpy's scalars and arrays."""

    def stored(value: Any) -> Any:
        try:
            return store(value)
        except WrongValue:
            if not hasattr(value, "tolist"):
                raise
            return store(value.tolist())

    return stored


def _boolean(value: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    raise WrongValue("true or false", value)


def _integer(value_type: IntegerType) -> Storing:
    least = -(2 ** (value_type.bits - 1)) if value_type.signed else 0
    greatest = 2 ** (value_type.bits - value_type.signed) - 1

    def store(value: Any) -> int:
        try:
            number = value if type(value) is int else _index(value)
        except TypeError:
            raise WrongValue(f"a whole number ({value_type})", value) from None
        if least <= number <= greatest:
            return number
        raise WrongValue(f"from {least} to {greatest} ({value_type})", value)

    return store


def _index(value: Any) -> int:
    if isinstance(value, bool):
        raise TypeError
    return operator.index(value)


def _float64(value: Any) -> float:
    """A whole number too, where a float holds exactly that one."""
    if isinstance(value, float):
        return value if type(value) is float else float(value)
    try:
        number = _index(value)
        exact = float(number)
    except (TypeError, OverflowError):
        raise WrongValue("a number (float64)", value) from None
    if exact != number:
        raise WrongValue("a number that a float64 holds exactly", value)
    return exact


def _float32(value: Any) -> msgspec.Raw:
    number = _float64(value)
    try:
        packed = struct.pack(">Bf", 0xCA, number)
    except OverflowError:
        raise WrongValue("a number that a float32 can hold", value) from None
    if not isinstance(value, float) and struct.unpack_from(">f", packed, 1)[0] != number:
        raise WrongValue("a number that a float32 holds exactly", value)
    return msgspec.Raw(packed)


def exact_decimal(value_type: DecimalType) -> Callable[[Decimal], Decimal]:
    """What gives a number all digits of that type, and zero no sign. It raises WrongValue where there are more."""
    unit, limit = Decimal(1).scaleb(-value_type.scale), Decimal(1).scaleb(value_type.precision - value_type.scale)
    zero = Decimal(0).quantize(min(unit, Decimal(1)))

    def exact(value: Decimal) -> Decimal:
        if not value.is_finite() or value.copy_abs() >= limit:
            raise WrongValue(f"of at most {value_type.precision - value_type.scale} digits before the point ({value_type})", value)
        scaled = value.quantize(unit, context=_EXACT)
        if scaled != value:
            raise WrongValue(f"of at most {value_type.scale} digits after the point ({value_type})", value)
        return scaled if scaled else zero

    return exact


def _decimal(value_type: DecimalType) -> Storing:
    exact = exact_decimal(value_type)

    def store(value: Any) -> str:
        if not isinstance(value, Decimal):
            try:
                value = Decimal(_index(value))
            except TypeError:
                raise WrongValue(f"a Decimal or a whole number ({value_type})", value) from None
        return format(exact(value), "f")

    return store


def _string(value: Any) -> str:
    """UUIDs too, which are text to every reader."""
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str):
        raise WrongValue("text", value)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise WrongValue("valid Unicode text", value) from None
    return value if type(value) is str else str.__str__(value)


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise WrongValue("bytes", value)


def _date(value: Any) -> int:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.toordinal() - _EPOCH_DAY
    raise WrongValue("a date", value)


def _time(value: Any) -> int:
    if isinstance(value, time) and value.tzinfo is None:
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond
    raise WrongValue("a time of day without a zone", value)


def _timestamp(value: Any) -> int:
    """Naive ones are read as UTC, zoned ones converted, dates are midnight UTC."""
    if not isinstance(value, date) or value != value:
        raise WrongValue("an instant (datetime)", value)
    if getattr(value, "nanosecond", 0):
        raise WrongValue("an instant of whole microseconds", value)
    try:
        return to_micros(value)
    except OverflowError:
        raise WrongValue("an instant of the years 1 to 9999 in UTC", value) from None


def _list(item: ValueType) -> Storing:
    store_item = storing(item)

    def store(values: Any) -> Any:
        if not isinstance(values, list | tuple):
            raise WrongValue("a list", values)
        if item == FloatType(32) and set(map(type, values)) == {float}:
            return _float32s(values)
        return [None if value is None else _part(store_item, value, f"[{place}]") for place, value in enumerate(values)]

    return store


def _float32s(values: Sequence[float]) -> msgspec.Raw:
    """An embedding, packed at once."""
    try:
        packed = struct.pack(">" + "Bf" * len(values), *(part for value in values for part in (0xCA, value)))
    except OverflowError:
        place, value = next((place, value) for place, value in enumerate(values) if math.isfinite(value) and abs(value) > 3.4028235e38)
        raise WrongValue("a number that a float32 can hold", value, f"[{place}]") from None
    return msgspec.Raw(array_header(len(values)) + packed)


def _struct(fields: Sequence[tuple[str, ValueType]]) -> Storing:
    stores = [(name, storing(value_type)) for name, value_type in fields]
    names = {name for name, _ in fields}

    def store(values: Any) -> dict[str, Any]:
        if not isinstance(values, Mapping):
            raise WrongValue(f"a mapping with the fields {', '.join(map(repr, sorted(names)))}", values)
        if values.keys() != names:
            raise WrongValue(f"a mapping with exactly the fields {', '.join(map(repr, sorted(names)))}", values)
        return {name: None if values[name] is None else _part(store_field, values[name], f".{name}") for name, store_field in stores}

    return store


def _map(key: ValueType, item: ValueType) -> Storing:
    """A mapping, or a list of pairs, as a map with nested keys is read."""
    store_key, store_item = storing(key), storing(item)

    def store(values: Any) -> list[list[Any]]:
        pairs = list(values.items()) if isinstance(values, Mapping) else values
        if not isinstance(pairs, list | tuple) or not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs):
            raise WrongValue("a mapping or a list of pairs", values)
        stored = []
        for name, value in pairs:
            if name is None:
                raise WrongValue("a mapping without a null key", values)
            place = f"[{name!r}]"
            stored.append([_part(store_key, name, place), None if value is None else _part(store_item, value, place)])
        return stored

    return store


def _part(store: Storing, value: Any, place: str) -> Any:
    try:
        return store(value)
    except WrongValue as wrong:
        raise wrong.inside(place) from None
