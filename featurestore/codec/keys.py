"""How an entity key is spelled: typed, injective, readable in redis-cli, with all the views of one entity key in one cluster slot.

    <project>:{<entity names joined by +>/<one letter per join key>:<values joined by ,>}:<view>[~<version>]

    flights:{plane/s:N14228}:plane_record        flights:{carrier_at_origin/ss:UA,EWR}:carrier_at_origin~2

A view whose definition changes is written beside its old rows, under the next version of its keys (`FeatureView.key_version`); the
first is not spelled. `~` is escaped in a view's name, so no version of a view is spelled like another view.

Letters: i integer, s string, b boolean (true, false), d date (ISO), t timestamp (microseconds since the epoch, UTC), n decimal
(plain text at the declared scale), x bytes (hex). In strings `%`, `,`, `{`, `}` and control characters are percent-escaped, so no
two keys are spelled alike and a text never contains the separators. An integer beyond its column's range, or a decimal finer than
its scale, is a key that no row can have: it is spelled and simply not found.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Context, Decimal

from featurestore.errors import EntityKeyError, UnsupportedTypeError
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DateType,
    DecimalType,
    IntegerType,
    StringType,
    TimestampType,
    ValueType,
)
from featurestore.timestamps import to_micros

ESCAPED = "".join(map(chr, range(0x20))) + "\x7f%,{}"
"""Characters that are percent-escaped in a string value."""

_ESCAPES = {ord(character): f"%{ord(character):02X}" for character in ESCAPED}
_NAME_ESCAPES = {**_ESCAPES, **{ord(character): f"%{ord(character):02X}" for character in ":+/"}}
_VIEW_NAME_ESCAPES = {**_NAME_ESCAPES, ord("~"): "%7E"}
_UNSAFE = re.compile(f"[{re.escape(ESCAPED)}]")
_EXACT = Context(prec=200)
_BETWEEN = "\n"
"""Stands between keys while many are spelled at once: a control character, so no key contains it."""


@dataclass(frozen=True, slots=True)
class KeySpace:
    """The keys of one feature view: `prefix + <entity key> + suffix`."""

    prefix: bytes
    suffix: bytes

    def key(self, entity_key: bytes) -> bytes:
        """The full key of one entity key's row."""
        return self.prefix + entity_key + self.suffix

    def keys(self, entity_keys: Sequence[str]) -> list[bytes]:
        """The full keys of many entity keys."""
        if not entity_keys:
            return []
        prefix, suffix = self.prefix.decode(), self.suffix.decode()
        return f"{prefix}{f'{suffix}{_BETWEEN}{prefix}'.join(entity_keys)}{suffix}".encode().split(b"\n")


def key_space(project: str, view: FeatureView) -> KeySpace:
    """The keys of that view's rows, in the version that its record says.

    Raises UnsupportedTypeError where a join key has a type whose values have no one spelling.
    """
    entities = "+".join(_escaped_name(entity.name) for entity in view.entities)
    letters = "".join(letter(key) for key in view.join_keys)
    name = view.name.translate(_VIEW_NAME_ESCAPES)
    version = "" if view.key_version == 1 else f"~{view.key_version}"
    return KeySpace(f"{_escaped_name(project)}:{{{entities}/{letters}:".encode(), f"}}:{name}{version}".encode())


def letter(key: Column) -> str:
    """The letter that names a join key's type."""
    match key.value_type:
        case IntegerType():
            return "i"
        case StringType():
            return "s"
        case BooleanType():
            return "b"
        case DateType():
            return "d"
        case TimestampType():
            return "t"
        case DecimalType():
            return "n"
        case BytesType():
            return "x"
    raise UnsupportedTypeError(f"Join key {key.name!r} is of type {key.value_type}: floats and nested values cannot identify an entity.")


def encode_key(join_keys: Sequence[Column], values: Mapping[str, object]) -> bytes:
    """The entity key for one row of values; other names in `values` are ignored.

    Raises EntityKeyError where a join key is missing, null or of the wrong type.
    """
    missing = [key.name for key in join_keys if key.name not in values]
    if missing:
        raise EntityKeyError(f"Join key {missing[0]!r} is missing. There is: {', '.join(map(str, values)) or 'nothing'}.")
    for key in join_keys:
        if values[key.name] is None:
            raise EntityKeyError(f"Join key {key.name!r} is null: a null identifies no entity.")
    (text,) = encode_keys(join_keys, [[values[key.name]] for key in join_keys])
    return text.encode()


def encode_keys(join_keys: Sequence[Column], columns: Sequence[Sequence[object]]) -> list[str]:
    """The entity keys of many rows, given one column of non-null values per join key.

    Raises EntityKeyError naming the join key, its type, and the value that is not of it.
    """
    texts = [_column_texts(key, column) for key, column in zip(join_keys, columns, strict=True)]
    if len(texts) == 1:
        return texts[0]
    return [",".join(parts) for parts in zip(*texts, strict=True)]


def escape(text: str) -> str:
    """A string value as it stands in a key."""
    return text.translate(_ESCAPES)


def _escaped_name(name: str) -> str:
    return name.translate(_NAME_ESCAPES)


def _column_texts(key: Column, column: Sequence[object]) -> list[str]:
    kinds = set(map(type, column))
    if kinds == {int} and isinstance(key.value_type, IntegerType):
        return str(list(column))[1:-1].split(", ")
    if kinds == {str} and isinstance(key.value_type, StringType):
        return _string_texts(key, column)  # type: ignore[arg-type]
    spell = _SPELLINGS[letter(key)]
    texts = []
    for value in column:
        text = spell(key.value_type, value)
        if text is None:
            raise _wrong_type(key, value)
        texts.append(text)
    return texts


def _string_texts(key: Column, column: Sequence[str]) -> list[str]:
    together = "".join(column)
    try:
        together.encode()
    except UnicodeEncodeError:
        raise EntityKeyError(f"Join key {key.name!r} holds text that is no valid Unicode.") from None
    return list(column) if _UNSAFE.search(together) is None else [escape(value) for value in column]


def _wrong_type(key: Column, value: object) -> EntityKeyError:
    if value is None:
        return EntityKeyError(f"Join key {key.name!r} is null: a null identifies no entity.")
    shown = repr(value) if len(repr(value)) <= 40 else repr(value)[:40] + "…"
    return EntityKeyError(f"Join key {key.name!r} takes {key.value_type} values, not {shown} ({type(value).__name__}).")


def _integer(_: ValueType, value: object) -> str | None:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        return None
    try:
        return str(operator.index(value))
    except TypeError:
        return None


def _string(_: ValueType, value: object) -> str | None:
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return escape(value)


def _boolean(_: ValueType, value: object) -> str | None:
    return ("true" if value else "false") if isinstance(value, bool) else None


def _date(_: ValueType, value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else None


def _timestamp(_: ValueType, value: object) -> str | None:
    return str(to_micros(value)) if isinstance(value, datetime) else None


def _decimal(value_type: ValueType, value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    number = Decimal(value)
    if not number.is_finite():
        return None
    assert isinstance(value_type, DecimalType)
    scaled = number.quantize(Decimal(1).scaleb(-value_type.scale), context=_EXACT) if number.adjusted() < 100 else number
    exact = scaled if scaled == number else number
    return format(abs(exact) if exact == 0 else exact, "f")


def _bytes(_: ValueType, value: object) -> str | None:
    return bytes(value).hex() if isinstance(value, bytes | bytearray | memoryview) else None


_SPELLINGS: dict[str, Callable[[ValueType, object], str | None]] = {
    "i": _integer,
    "s": _string,
    "b": _boolean,
    "d": _date,
    "t": _timestamp,
    "n": _decimal,
    "x": _bytes,
}
