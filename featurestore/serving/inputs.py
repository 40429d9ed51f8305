"""The inputs that features on demand need: taken from the rows of a request, and checked against their declared types.

What JSON can say is taken for what it means: a number or a text for a decimal, a text in ISO form for a date or a timestamp. Nothing is
rounded and nothing is cut: a value that its type does not hold is an error that names it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Context, Decimal, InvalidOperation
from typing import Any, TypeAlias

from featurestore.errors import RequestError, did_you_mean
from featurestore.registry.registry import RequestInput
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

TypedInputs: TypeAlias = Mapping[tuple[str, ValueType], Sequence[Any]]
"""The values of each input, as each type that some view declares it with."""

_EXACT = Context(prec=100)
_NOT_IN_JSON = ("NaN", "Infinity", "-Infinity")
"""Floats that JSON has no numbers for."""


def typed_inputs(needed: Sequence[RequestInput], columns: Mapping[str, Sequence[object]]) -> TypedInputs:
    """What the request brings. Raises RequestError naming the input that is missing or of the wrong type, and the feature that needs it."""
    typed: dict[tuple[str, ValueType], Sequence[Any]] = {}
    for each in needed:
        if (each.name, each.value_type) not in typed:
            if each.name not in columns:
                if not columns or not len(next(iter(columns.values()))):
                    typed[each.name, each.value_type] = []
                    continue
                names = ", ".join(map(str, columns))
                raise RequestError(
                    f"Input {each.name!r} of type {each.value_type} is missing, which {each.needed_by!r} needs. "
                    f"The entity rows have: {names}.{did_you_mean(each.name, columns)}"
                )
            typed[each.name, each.value_type] = _typed(each, columns[each.name])
    return typed


def _typed(needed: RequestInput, values: Sequence[object]) -> list[Any]:
    read, example = input_reader(needed.value_type)
    answer = []
    for row, value in enumerate(values):
        try:
            answer.append(None if value is None else read(value))
        except (ValueError, TypeError, InvalidOperation, OverflowError):
            raise RequestError(
                f"Input {needed.name!r} of entity row {row} is {_shown(value)}, and {needed.needed_by!r} takes it as {needed.value_type}, "
                f"like {example}."
            ) from None
    return answer


def input_reader(value_type: ValueType) -> tuple[Callable[[Any], Any], str]:
    """What reads a value of that type, raising ValueError and its kin, and how one looks."""
    match value_type:
        case BooleanType():
            return _boolean, "true"
        case IntegerType():
            return lambda value: _integer(value, value_type), "42"
        case FloatType(bits):
            return lambda value: _float(value, bits), "0.5"
        case DecimalType():
            return _decimals(value_type), str(Decimal(15).scaleb(-min(1, value_type.scale)))
        case StringType():
            return _text, "'text'"
        case DateType():
            return _date, "'2024-01-31'"
        case TimestampType(utc):
            return lambda value: _timestamp(value, utc), "'2024-01-31T14:30:00Z'"
    raise ValueError(f"No input has the type {value_type}.")


def _boolean(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError


def _integer(value: Any, value_type: IntegerType) -> int:
    if isinstance(value, bool):
        raise TypeError
    # A number of NumPy's is one too.
    whole = value if isinstance(value, int) else int(value.__index__())
    least, greatest = (-(2 ** (value_type.bits - 1)), 2 ** (value_type.bits - 1)) if value_type.signed else (0, 2**value_type.bits)
    if not least <= whole < greatest:
        raise ValueError
    return whole


def _float(value: Any, bits: int) -> float:
    if isinstance(value, bool | bytes) or (isinstance(value, str) and value not in _NOT_IN_JSON):
        raise TypeError
    number = float(value)
    if bits == 32 and math.isfinite(number):
        import struct

        (number,) = struct.unpack("f", struct.pack("f", number))
    return float(number)


def _decimals(value_type: DecimalType) -> Callable[[Any], Decimal]:
    unit, limit = Decimal(1).scaleb(-value_type.scale), Decimal(1).scaleb(value_type.precision - value_type.scale)
    least, quantize = -limit, _EXACT.quantize

    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise TypeError
        # A float as a person wrote it, and not as the nearest sum of powers of two.
        number = Decimal(repr(float(value)) if isinstance(value, float) else value)
        rounded = quantize(number, unit)
        if rounded != number or not least < rounded < limit:
            raise ValueError
        return rounded

    return read


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    # What no text of a warehouse holds.
    if "\0" in value or (not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value)):
        raise ValueError
    return value


def _date(value: object) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise TypeError


def _timestamp(value: object, utc: bool) -> datetime:
    if isinstance(value, str):
        # Before Python 3.11, `Z` is no zone.
        value = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
    elif isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)
    if not isinstance(value, datetime):
        raise TypeError
    moment = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
    return moment if utc else moment.replace(tzinfo=None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
