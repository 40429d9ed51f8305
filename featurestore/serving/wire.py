"""An answer on its way from a server to a Python client: one msgpack map that holds just what `OnlineFeatures` holds, types and all.

    {"join_keys": [[name, type], …],
     "parts": [{"features": [[name, type], …], "columns": [[value, …], …], "event_times": [microseconds or nil, …],
                "without_values": [nil, "NOT_FOUND" or "OUTSIDE_MAX_AGE", …] or nil}, …]}

Types are in their text form. A date, a time of day, an instant without a zone and a decimal are text, an instant is msgpack's own
timestamp; the type tells the reader which is which. The entity rows are not sent back: whoever asked has them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, TypedDict

import msgspec

from featurestore.registry.definitions import Column
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
    is_nested,
    parse_value_type,
)

from .online_features import OnlineFeatures, Status, ViewAnswer

MEDIA_TYPE = "application/vnd.featurestore.answer+msgpack"

_Named = tuple[str, str]
"""A column's name and type."""


class _Part(msgspec.Struct, frozen=True):
    features: list[_Named]
    columns: list[msgspec.Raw]
    event_times: list[int | None]
    without_values: list[Status | None] | None


class _Answer(msgspec.Struct, frozen=True):
    join_keys: list[_Named]
    parts: list[_Part]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Answer).decode


def to_wire(answer: OnlineFeatures) -> bytes:
    """The bytes of an answer."""
    parts = [
        {
            "features": _named(part.features),
            "columns": part.columns,
            "event_times": list(part.event_times()),
            "without_values": part.without_values,
        }
        for part in answer.parts
    ]
    return _encode({"join_keys": _named(answer.join_keys), "parts": parts})


def from_wire(data: bytes, entity_columns: Mapping[str, Sequence[object]]) -> OnlineFeatures:
    """The answer of those bytes, to a question for those entity rows. Raises msgspec.MsgspecError or ValueError where they are none."""
    answer = _decode(data)
    return OnlineFeatures(entity_columns, _columns(answer.join_keys), [_part(part) for part in answer.parts])


def _named(columns: Sequence[Column]) -> list[_Named]:
    return [(column.name, str(column.value_type)) for column in columns]


def _columns(named: Sequence[_Named]) -> tuple[Column, ...]:
    return tuple(Column(name, _value_type(text)) for name, text in named)


def _part(part: _Part) -> ViewAnswer:
    features = _columns(part.features)
    columns = [_decoder(feature.value_type).decode(raw) for feature, raw in zip(features, part.columns, strict=True)]
    return ViewAnswer(features, tuple(feature.name for feature in features), columns, lambda: part.event_times, part.without_values)


_value_type = cache(parse_value_type)


@cache
def _decoder(value_type: ValueType) -> msgspec.msgpack.Decoder[list[Any]]:
    """What reads a column of that type."""
    return msgspec.msgpack.Decoder(list[_python_type(value_type) | None])  # type: ignore[misc]


_SIMPLE: Mapping[type[ValueType], type] = {
    BooleanType: bool,
    IntegerType: int,
    FloatType: float,
    DecimalType: Decimal,
    StringType: str,
    BytesType: bytes,
    DateType: date,
    TimeType: time,
    TimestampType: datetime,
}


def _python_type(value_type: ValueType) -> Any:
    """The type of the values that a reader of ours gets."""
    match value_type:
        case ListType(item):
            return list[_python_type(item) | None]  # type: ignore[misc]
        case StructType(fields):
            for name, _ in fields:
                # msgspec looks for a name by its UTF-8, which Python has at hand only once somebody asked for it.
                _encode(name)
            return TypedDict("Struct", {name: _python_type(item) | None for name, item in fields})  # type: ignore[operator]
        case MapType(key, item) if is_nested(key):
            return list[tuple[_python_type(key), _python_type(item) | None]]  # type: ignore[misc]
        case MapType(key, item):
            return dict[_python_type(key), _python_type(item) | None]  # type: ignore[misc]
    return _SIMPLE[type(value_type)]
