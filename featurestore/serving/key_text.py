"""Join keys and inputs written as text, as a command line or a URL has them, into the typed values that a request needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation

from featurestore.errors import EntityKeyError, RequestError, did_you_mean
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    TimestampType,
    ValueType,
)
from featurestore.timestamps import parse_instant


def entity_row(texts: Mapping[str, str], requested: Sequence[RequestedView]) -> dict[str, object]:
    """The entity row that those texts spell: the join keys of what is asked for, and the inputs that it needs.

    Raises EntityKeyError and RequestError naming the key or the input and what its text must look like.
    """
    keys = {key.name: key.value_type for part in requested for key in part.view.join_keys}
    inputs = {each.name: each for part in reversed(requested) for each in part.inputs}
    types = {**{name: each.value_type for name, each in inputs.items()}, **keys}
    for name in texts:
        if name not in types:
            what = "no join key and no input" if inputs else "no join key"
            raise EntityKeyError(f"{name!r} is {what} of these features.{did_you_mean(name, types)}")
    for name in types:
        if name not in texts:
            if name not in keys:
                raise RequestError(f"The input {name!r}, which {inputs[name].needed_by!r} needs, is missing. Add {name}=….")
            raise EntityKeyError(f"The join key {name!r} is missing. Add {name}=….")
    return {name: parse_key(name, text, types[name]) for name, text in texts.items()}


def parse_key(name: str, text: str, value_type: ValueType) -> object:
    """The value of type `value_type` that `text` spells. Raises EntityKeyError."""
    read, example = _reader(value_type)
    try:
        return read(text)
    except (ValueError, KeyError, InvalidOperation):
        shown = text if len(text) <= 100 else f"{text[:100]}…"
        raise EntityKeyError(f"{name}={shown!r} is no {value_type}. Write it like {name}={example}.") from None


def _reader(value_type: ValueType) -> tuple[Callable[[str], object], str]:
    if isinstance(value_type, IntegerType):
        return int, "42"
    if isinstance(value_type, FloatType):
        return float, "0.5"
    if isinstance(value_type, BooleanType):
        return lambda text: {"true": True, "false": False}[text.lower()], "true"
    if isinstance(value_type, DateType):
        return date.fromisoformat, "2013-01-31"
    if isinstance(value_type, TimestampType):
        if value_type.utc:
            return parse_instant, "2013-01-31T14:00:00Z"
        return lambda text: parse_instant(text).replace(tzinfo=None), "2013-01-31T14:00:00"
    if isinstance(value_type, DecimalType):
        return Decimal, "12.50"
    if isinstance(value_type, BytesType):
        return bytes.fromhex, "00ff"
    return str, "text"
