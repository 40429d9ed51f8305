"""How typed values stand in JSON. Written so that a reader can have them back exactly:

    integers             numbers, of any size          decimals    text, "10.50"
    floats               numbers; "NaN", "Infinity", "-Infinity", as JSON has no numbers for these
    dates, times         text, "2024-01-31", "14:00:00.000001"
    timestamp_utc        text by RFC 3339, "2024-01-31T14:00:00Z"
    timestamp            the same without a zone, as it has none
    bytes                base64                        lists       arrays
    structs              objects                       maps        objects, their keys as text; arrays of pairs where keys are nested

Join keys are read by the type that they are declared with: what is text above is text here too, and an integer may be, since not every
language's JSON holds 64 bits.
"""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable, Mapping, Sequence
from datetime import time
from decimal import Decimal
from functools import cache
from itertools import chain
from operator import methodcaller
from typing import Any, TypeAlias

from featurestore.errors import EntityKeyError
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
)

from .json_floats import NOT_IN_JSON, all_in_json, json_float, json_floats
from .key_text import parse_key
from .lookup import EntityRows

_Convert: TypeAlias = Callable[[Any], Any]
Rows: TypeAlias = Sequence[Mapping[str, Any]] | Mapping[str, Sequence[Any]]

_PLAIN_SCALE = 6
"""Python writes a decimal of more places than these with an exponent where it is small."""


class ColumnWriter:
    """Makes columns of certain types fit for an encoder of JSON, which writes everything else as is."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._floats = [place for place, column in enumerate(columns) if isinstance(column.value_type, FloatType)]
        others = ((place, value_writer(column.value_type)) for place, column in enumerate(columns) if place not in set(self._floats))
        self._others = [(place, write) for place, write in others if write is not None]

    def write(self, columns: list[Sequence[Any]]) -> None:
        """Replace, in that list, the columns that an encoder would not write as it should."""
        # All at once: that there is nothing to do, as there nearly always is, is then found in a third of the time.
        if not all_in_json(chain.from_iterable(columns[place] for place in self._floats)):
            for place in self._floats:
                columns[place] = json_floats(columns[place])
        for place, write in self._others:
            columns[place] = [None if value is None else write(value) for value in columns[place]]


def typed_keys(entity_rows: EntityRows, join_keys: Sequence[Column]) -> EntityRows:
    """The entity rows of a JSON request with their join keys as typed values.

    Raises EntityKeyError naming the key and how its text is written. What is no text is left for the lookup to judge.
    """
    for key in join_keys:
        if isinstance(key.value_type, StringType):
            continue
        if isinstance(entity_rows, Mapping):
            column = entity_rows.get(key.name, ())
            if str in set(map(type, column)):
                entity_rows = {**entity_rows, key.name: [_read(key, value) for value in column]}
        elif str in set(map(type, map(methodcaller("get", key.name), entity_rows))):
            entity_rows = [{**row, key.name: _read(key, row[key.name])} if key.name in row else row for row in entity_rows]
    return entity_rows


def typed_columns(rows: Rows, columns: Sequence[Column]) -> Rows:
    """Rows of a JSON request with the values of those columns typed, as far as their text can be read. The rest is left for whoever
    checks the rows to name."""
    readers = [(column.name, read) for column in columns if (read := reading(column.value_type)) is not None]
    if isinstance(rows, Mapping):
        return {**rows, **{name: [read(value) for value in rows[name]] for name, read in readers if isinstance(rows.get(name), list)}}
    return [{**row, **{name: read(row[name]) for name, read in readers if name in row}} for row in rows]


@cache
def reading(value_type: ValueType) -> _Convert | None:
    """How JSON's form of a value becomes one of that type; what cannot be read stays as it is. None: JSON holds it as it is."""
    match value_type:
        case FloatType():
            return lambda value: NOT_IN_JSON.get(value, value) if isinstance(value, str) else value
        case BytesType():
            return _bytes_read
        case TimeType():
            return _text_read(time.fromisoformat)
        case DecimalType() | DateType() | TimestampType() | IntegerType():
            return _text_read(lambda text: parse_key("", text, value_type))
        case ListType(item):
            return _each(reading(item))
        case StructType(fields):
            return _struct_reading({name: reading(item) for name, item in fields})
        case MapType(key, value):
            return _map_reading(_boolean_read if isinstance(key, BooleanType) else reading(key), reading(value))
    return None


def _text_read(read: _Convert) -> _Convert:
    def convert(value: Any) -> Any:
        try:
            return read(value) if isinstance(value, str) else value
        except (ValueError, EntityKeyError):
            return value

    return convert


def _bytes_read(value: Any) -> Any:
    try:
        return b64decode(value, validate=True) if isinstance(value, str) else value
    except (NotBase64, ValueError):
        return value


def _boolean_read(value: Any) -> Any:
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def _each(item: _Convert | None) -> _Convert | None:
    if item is None:
        return None
    return lambda values: [item(value) for value in values] if isinstance(values, list) else values


def _struct_reading(fields: Mapping[str, _Convert | None]) -> _Convert | None:
    if not any(fields.values()):
        return None

    def convert(struct: Any) -> Any:
        if not isinstance(struct, dict):
            return struct
        return {name: read(value) if (read := fields.get(name)) else value for name, value in struct.items()}

    return convert


def _map_reading(key: _Convert | None, value: _Convert | None) -> _Convert | None:
    if key is None and value is None:
        return None

    def convert(entries: Any) -> Any:
        if isinstance(entries, dict):
            return [[key(k) if key else k, value(v) if value else v] for k, v in entries.items()]
        if isinstance(entries, list) and all(isinstance(pair, list) and len(pair) == 2 for pair in entries):
            return [[key(k) if key else k, value(v) if value else v] for k, v in entries]
        return entries

    return convert


def _read(key: Column, value: object) -> object:
    if not isinstance(value, str):
        return value
    if not isinstance(key.value_type, BytesType):
        return parse_key(key.name, value, key.value_type)
    try:
        return b64decode(value, validate=True)
    except (NotBase64, ValueError):
        raise EntityKeyError(f"{key.name} is bytes, which JSON holds as base64, like 'AP8='.") from None


@cache
def value_writer(value_type: ValueType, instants: _Convert | None = None) -> _Convert | None:
    """What makes a value of that type, never None, fit for an encoder. None: it is.

    Args:
        instants: makes a date or a timestamp fit, for who wants no text.
    """
    match value_type:
        case FloatType():
            return json_float
        case DecimalType(scale=scale) if scale > _PLAIN_SCALE:
            return _decimal
        case DateType() | TimestampType():
            return instants
        case ListType(item):
            return _list_writer(value_writer(item, instants))
        case StructType(fields):
            return _struct_writer({name: value_writer(item, instants) for name, item in fields})
        case MapType(key, value):
            return _map_writer(key, value_writer(value, instants))
    return None


def _decimal(value: Decimal) -> str:
    return format(value, "f")


def _list_writer(item: _Convert | None) -> _Convert | None:
    if item is None:
        return None
    if item is json_float:
        return json_floats
    return lambda values: [None if value is None else item(value) for value in values]


def _struct_writer(fields: Mapping[str, _Convert | None]) -> _Convert | None:
    if not any(fields.values()):
        return None

    def write(struct: Mapping[str, Any]) -> dict[str, Any]:
        written = dict(struct)
        for name, item in fields.items():
            if item is not None and written.get(name) is not None:
                written[name] = item(written[name])
        return written

    return write


def _map_writer(key: ValueType, value: _Convert | None) -> _Convert | None:
    write_key: _Convert | None = _boolean if isinstance(key, BooleanType) else value_writer(key)
    if write_key is None and value is None:
        return None

    def write(entries: Any) -> Any:
        pairs = entries.items() if isinstance(entries, dict) else entries
        written = ((write_key(k) if write_key else k, v if v is None or value is None else value(v)) for k, v in pairs)
        return dict(written) if isinstance(entries, dict) else list(written)

    return write


def _boolean(value: bool) -> str:
    return "true" if value else "false"
