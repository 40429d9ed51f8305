"""The types a feature or a join key can have, as plain data.

They are the meeting point of every other type system: warehouse columns become them (`sql.types`), Arrow columns become them
(`featurestore.arrow`), rows are encoded by them (`codec`). Their text form (`str(type)`, read back by `parse_value_type`) is
what the stored schemas and the registry snapshot hold:

    boolean  int8..int64  uint8..uint64  float32  float64  decimal(18, 2)  string  bytes  date  time
    timestamp  timestamp_utc  list<float32>  struct<city: string, lat: float64>  map<string, int64>
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ValueType:
    """Base class of all value types."""


@dataclass(frozen=True, slots=True)
class UnresolvedType(ValueType):
    """Declared nowhere, and the model is not built yet, so that the warehouse cannot say either."""

    def __str__(self) -> str:
        return "unresolved"


@dataclass(frozen=True, slots=True)
class BooleanType(ValueType):
    def __str__(self) -> str:
        return "boolean"


@dataclass(frozen=True, slots=True)
class IntegerType(ValueType):
    bits: int = 64
    signed: bool = True

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.bits}"


@dataclass(frozen=True, slots=True)
class FloatType(ValueType):
    bits: int = 64

    def __str__(self) -> str:
        return f"float{self.bits}"


@dataclass(frozen=True, slots=True)
class DecimalType(ValueType):
    precision: int
    scale: int

    def __str__(self) -> str:
        return f"decimal({self.precision}, {self.scale})"


@dataclass(frozen=True, slots=True)
class StringType(ValueType):
    """Text; also what UUID, JSON and enumeration columns are read as."""

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class BytesType(ValueType):
    def __str__(self) -> str:
        return "bytes"


@dataclass(frozen=True, slots=True)
class DateType(ValueType):
    def __str__(self) -> str:
        return "date"


@dataclass(frozen=True, slots=True)
class TimeType(ValueType):
    """A time of day, in microseconds."""

    def __str__(self) -> str:
        return "time"


@dataclass(frozen=True, slots=True)
class TimestampType(ValueType):
    """Microseconds. `utc` tells an instant from a naive wall-clock reading."""

    utc: bool = False

    def __str__(self) -> str:
        return "timestamp_utc" if self.utc else "timestamp"


@dataclass(frozen=True, slots=True)
class ListType(ValueType):
    item: ValueType

    def __str__(self) -> str:
        return f"list<{self.item}>"


@dataclass(frozen=True, slots=True)
class StructType(ValueType):
    fields: tuple[tuple[str, ValueType], ...]

    def __str__(self) -> str:
        return f"struct<{', '.join(f'{_quoted(name)}: {item}' for name, item in self.fields)}>"


@dataclass(frozen=True, slots=True)
class MapType(ValueType):
    key: ValueType
    value: ValueType

    def __str__(self) -> str:
        return f"map<{self.key}, {self.value}>"


UNRESOLVED = UnresolvedType()
BOOLEAN = BooleanType()
INT64 = IntegerType()
FLOAT64 = FloatType()
STRING = StringType()
BYTES = BytesType()
DATE = DateType()
TIME = TimeType()
TIMESTAMP = TimestampType()
TIMESTAMP_UTC = TimestampType(utc=True)

_SIMPLE: dict[str, ValueType] = {
    str(simple): simple
    for simple in (
        UNRESOLVED,
        BOOLEAN,
        *(IntegerType(bits, signed) for bits in (8, 16, 32, 64) for signed in (True, False)),
        FloatType(32),
        FLOAT64,
        STRING,
        BYTES,
        DATE,
        TIME,
        TIMESTAMP,
        TIMESTAMP_UTC,
    )
}


def is_instant(value_type: ValueType) -> bool:
    """Whether a column of this type can be an event timestamp."""
    return isinstance(value_type, TimestampType | DateType)


def is_nested(value_type: ValueType) -> bool:
    """Whether a value of this type is made of others."""
    return isinstance(value_type, ListType | StructType | MapType)


def is_key(value_type: ValueType) -> bool:
    """Whether a column of this type can be a join key: its values must have one spelling, so floats and nested types cannot."""
    return isinstance(value_type, BooleanType | IntegerType | DecimalType | StringType | BytesType | DateType | TimestampType)


def key_kind(value_type: ValueType) -> object:
    """What the types of a join key must have in common in two views for their values to be spelled alike."""
    if isinstance(value_type, DecimalType):
        return DecimalType, value_type.scale
    if isinstance(value_type, IntegerType | TimestampType):
        return type(value_type)
    return value_type


def parse_value_type(text: str) -> ValueType:
    """Read the text form of a type. Raises ValueError naming what was not understood."""
    reader = _Reader(text)
    value_type = reader.value_type()
    reader.expect_end()
    return value_type


def _quoted(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'


class _Reader:
    """A recursive-descent reader of the text form."""

    _PUNCTUATION: ClassVar[str] = "<>(),:"

    def __init__(self, text: str) -> None:
        self._text, self._position = text, 0

    def value_type(self) -> ValueType:
        word = self._word()
        if word in _SIMPLE:
            return _SIMPLE[word]
        if word == "decimal":
            self._expect("(")
            precision = self._word()
            self._expect(",")
            scale = self._word()
            self._expect(")")
            if precision.isdigit() and scale.isdigit():
                return DecimalType(int(precision), int(scale))
        elif word == "list":
            self._expect("<")
            item = self.value_type()
            self._expect(">")
            return ListType(item)
        elif word == "map":
            self._expect("<")
            key = self.value_type()
            self._expect(",")
            value = self.value_type()
            self._expect(">")
            return MapType(key, value)
        elif word == "struct":
            return self._struct()
        raise ValueError(f"{self._text!r} is no value type: {word!r} is not understood.")

    def _struct(self) -> StructType:
        self._expect("<")
        fields: list[tuple[str, ValueType]] = []
        while not self._accept(">"):
            if fields:
                self._expect(",")
            name = self._word()
            self._expect(":")
            fields.append((name, self.value_type()))
        return StructType(tuple(fields))

    def expect_end(self) -> None:
        self._skip_spaces()
        if self._position != len(self._text):
            raise ValueError(f"{self._text!r} is no value type: it goes on after its end.")

    def _word(self) -> str:
        self._skip_spaces()
        if self._text.startswith('"', self._position):
            return self._quoted_word()
        start = self._position
        while self._position < len(self._text) and self._text[self._position] not in self._PUNCTUATION + " ":
            self._position += 1
        return self._text[start : self._position]

    def _quoted_word(self) -> str:
        self._position += 1
        letters = []
        while self._position < len(self._text):
            letter = self._text[self._position]
            self._position += 1
            if letter != '"':
                letters.append(letter)
            elif self._text.startswith('"', self._position):
                self._position += 1
                letters.append('"')
            else:
                return "".join(letters)
        raise ValueError(f"{self._text!r} is no value type: a quoted name does not end.")

    def _accept(self, mark: str) -> bool:
        self._skip_spaces()
        if self._text.startswith(mark, self._position):
            self._position += 1
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            raise ValueError(f"{self._text!r} is no value type: {mark!r} is missing at {self._position}.")

    def _skip_spaces(self) -> None:
        while self._text.startswith(" ", self._position):
            self._position += 1
