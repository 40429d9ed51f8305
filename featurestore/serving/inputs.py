"""The inputs that features on demand need: taken from the rows of a request, and checked against their declared types.

What JSON can say is taken for what it means: a number or a text for a decimal, a text in ISO form for a date or a timestamp. What each type
holds is the codec's to say. Nothing is rounded and nothing is cut: a value that its type does not hold is an error that names it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, TypeAlias

from featurestore.codec.values import WrongValue, exact_decimal, storing
from featurestore.errors import RequestError, did_you_mean
from featurestore.registry.registry import RequestInput
from featurestore.registry.value_types import (
    STRING,
    BooleanType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    ValueType,
)
from featurestore.timestamps import from_micros

from .json_floats import NOT_IN_JSON

TypedInputs: TypeAlias = Mapping[tuple[str, ValueType], Sequence[Any]]
"""The values of each input, as each type that some view declares it with."""


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
    read, example = _reader(needed.value_type)
    answer = []
    for row, value in enumerate(values):
        try:
            answer.append(None if value is None else read(value))
        except (WrongValue, ValueError, TypeError, InvalidOperation, OverflowError):
            raise RequestError(
                f"Input {needed.name!r} of entity row {row} is {_shown(value)}, and {needed.needed_by!r} takes it as {needed.value_type}, "
                f"like {example}."
            ) from None
    return answer


def _reader(value_type: ValueType) -> tuple[Callable[[Any], Any], str]:
    """What reads a value of that type, raising WrongValue or ValueError and its kin, and how one looks."""
    match value_type:
        case BooleanType():
            return storing(value_type), "true"
        case IntegerType():
            return storing(value_type), "42"
        case FloatType():
            return _float, "0.5"
        case DecimalType():
            return _decimals(value_type), str(Decimal(15).scaleb(-min(1, value_type.scale)))
        case StringType():
            return _texts(), "'text'"
        case DateType():
            return _date, "'2024-01-31'"
        case TimestampType():
            return _instants(value_type), "'2024-01-31T14:30:00Z'"
    raise ValueError(f"No input has the type {value_type}.")


def _float(value: Any) -> float:
    """Any number, as the nearest float."""
    if isinstance(value, bool | bytes) or (isinstance(value, str) and value not in NOT_IN_JSON):
        raise TypeError
    return float(value)


def _decimals(value_type: DecimalType) -> Callable[[Any], Decimal]:
    exact = exact_decimal(value_type)

    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
            raise TypeError
        # A float as a person wrote it, and not as the nearest sum of powers of two.
        return exact(Decimal(repr(float(value)) if isinstance(value, float) else value))

    return read


def _texts() -> Callable[[Any], str]:
    store = storing(STRING)

    def read(value: Any) -> str:
        text: str = store(value)
        # What no text of a warehouse holds.
        if "\0" in text:
            raise ValueError
        return text

    return read


def _date(value: object) -> date:
    if isinstance(value, str):
        return date.fromisoformat(value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    raise TypeError


def _instants(value_type: TimestampType) -> Callable[[Any], datetime]:
    store = storing(value_type)

    def read(value: Any) -> datetime:
        if isinstance(value, str):
            # Before Python 3.11, `Z` is no zone.
            value = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
        moment = from_micros(store(value))
        return moment if value_type.utc else moment.replace(tzinfo=None)

    return read


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
