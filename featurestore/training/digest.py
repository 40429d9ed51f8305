"""A column's digest: equal for equal values in equal order, however Arrow keeps them, and different for anything else.

A column is read as a few streams of bytes, each hashed by itself, so that it does not matter where one batch ends: which rows are null;
the values that there are, which have a width; and of text, bytes, lists and maps the lengths and then what they hold, which is read
the same way. The digest is the SHA-256 of the type, the number of rows and the streams' own SHA-256s. Together the streams say
the values back exactly, so columns of one digest are the same.

What SQL cannot tell apart is the same: text is text whether Arrow calls it large, a view or a dictionary, an instant is an instant in
any zone and unit, and there is one NaN, whatever its bits. `-0.0` is not `0.0`, null is neither zero nor empty, and the width of a
number, the scale of a decimal and the order of a map's entries are part of what it is.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache, reduce
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from featurestore.arrow import value_type
from featurestore.errors import UnsupportedTypeError

_MICROS = {"s": 1_000_000, "ms": 1000, "us": 1}
_NANOS_OF_A_MICRO = 1000
_LONGEST_DECIMAL128 = 38


class ColumnDigest:
    """The digest of a column whose batches come one after the other; `str()` of it is `sha256:…`."""

    def __init__(self, data_type: pa.DataType) -> None:
        self.type = type_text(data_type)
        self._rows = 0
        self._streams: dict[str, Any] = {}

    def update(self, column: pa.Array) -> None:
        """Take in the next values."""
        self._rows += len(column)
        for name, content in _streams(column, ""):
            # A stream of no bytes is none: whether an empty batch came by must not show.
            if len(content):
                self._streams.setdefault(name, hashlib.sha256()).update(content)

    def __str__(self) -> str:
        streams = (f"{name} {stream.hexdigest()}" for name, stream in sorted(self._streams.items()))
        return text_digest("\n".join([self.type, str(self._rows), *streams]))


def text_digest(text: str) -> str:
    """The SHA-256 of a text, as it is written down."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def rows_digest(columns: Mapping[str, str]) -> str:
    """The digest of rows, from those of their columns by name: in whatever order the columns stand."""
    return text_digest("\n".join(f"{digest} {name}" for name, digest in sorted(columns.items())))


def type_text(data_type: pa.DataType) -> str:
    """What the values of an Arrow type are: `decimal(10, 2)`; Arrow's own word for what no feature can be."""
    if isinstance(data_type, pa.BaseExtensionType):
        return type_text(data_type.storage_type)
    if kinds.is_duration(data_type):
        return "duration"
    try:
        return str(value_type(data_type))
    except UnsupportedTypeError:
        return str(data_type)


def moved(then: pa.Array, now: pa.Array) -> pa.BooleanArray:
    """For each row of two columns of one type, whether its value would have another digest."""
    then, now = _plain(then), _plain(now)
    spell = _speller(then.type)
    if spell is None:
        pairs = zip(then.to_pylist(), now.to_pylist(), strict=True)
        return pa.array([_spelled(one) != _spelled(other) for one, other in pairs], pa.bool_())
    found = [pc.not_equal(one, other) for one, other in zip(spell(then), spell(now), strict=True)]
    # Null beside a value or beside null is no inequality to Arrow; there, being null is what counts.
    return pc.coalesce(reduce(pc.or_, found), pc.not_equal(then.is_valid(), now.is_valid()))


def _streams(column: pa.Array, name: str) -> Iterator[tuple[str, bytes | memoryview]]:
    """The bytes that say a column's values, each part under its own name."""
    column = _plain(column)
    if column.null_count:
        yield f"{name}valid", _bytes(column.is_valid().cast(pa.uint8()))
        column = column.drop_null()
    else:
        yield f"{name}valid", b"\x01" * len(column)
    spell = _speller(column.type)
    if spell is not None:
        for number, values in enumerate(spell(column)):
            if kinds.is_large_binary(values.type):
                yield f"{name}length", _bytes(pc.binary_length(values))
                yield f"{name}bytes", _content(values)
            else:
                yield f"{name}value{number}", _bytes(values)
    elif kinds.is_struct(column.type):
        for number, child in enumerate(column.flatten()):
            yield from _streams(child, f"{name}{number}.")
    elif not kinds.is_null(column.type):
        yield f"{name}length", _bytes(pc.list_value_length(column).cast(pa.int64()))
        yield from _streams(column.flatten(), f"{name}item.")


def _plain(column: pa.Array) -> pa.Array:
    """The same values in the one form that Arrow always has for them."""
    data_type = column.type
    if isinstance(column, pa.ExtensionArray):
        return _plain(column.storage)
    if kinds.is_dictionary(data_type):
        return _plain(column.dictionary_decode())
    if kinds.is_run_end_encoded(data_type):
        return _plain(pc.run_end_decode(column))
    if kinds.is_string_view(data_type) or kinds.is_binary_view(data_type):
        return column.cast(pa.large_binary())
    if kinds.is_map(data_type):
        entry = pa.struct([("key", data_type.key_type), ("value", data_type.item_type)])
        return column.cast(pa.list_(entry))
    if kinds.is_union(data_type) or kinds.is_interval(data_type):
        # No feature is of these; a column of the spine may be.
        return pa.array([None if value is None else repr(value) for value in column.to_pylist()], pa.large_string())
    return column


def _speller(data_type: pa.DataType) -> Callable[[pa.Array], list[pa.Array]] | None:
    """What gives each value of a type one spelling: large bytes, or of one width. None: it is nested, or nothing but null."""
    if kinds.is_nested(data_type) or kinds.is_null(data_type):
        return None
    if kinds.is_timestamp(data_type) or kinds.is_time(data_type) or kinds.is_duration(data_type):
        return _micros
    if kinds.is_floating(data_type):
        return _floats
    if kinds.is_boolean(data_type):
        return lambda column: [column.cast(pa.uint8())]
    if kinds.is_date(data_type):
        return lambda column: [column.cast(pa.date32()).view(pa.int32())]
    if kinds.is_decimal(data_type):
        return _decimals
    if kinds.is_integer(data_type):
        return lambda column: [column]
    return _texts


def _micros(column: pa.Array) -> list[pa.Array]:
    """Whole microseconds, and the nanoseconds beside them."""
    unit = column.type.unit
    ticks = column.view(pa.int32() if column.type.bit_width == 32 else pa.int64()).cast(pa.int64())
    if unit in _MICROS:
        micros = ticks if unit == "us" else pc.multiply(ticks, _constant(pa.int64(), _MICROS[unit].to_bytes(8, "little")))
        none = pa.Array.from_buffers(pa.int16(), len(column), [None, pa.py_buffer(bytes(2 * len(column)))])
        return [micros, none]
    thousand = _constant(pa.int64(), _NANOS_OF_A_MICRO.to_bytes(8, "little"))
    micros = pc.divide(ticks, thousand)
    return [micros, pc.subtract(ticks, pc.multiply(micros, thousand)).cast(pa.int16())]


def _floats(column: pa.Array) -> list[pa.Array]:
    """The bits of the numbers; a NaN is always the same one."""
    if kinds.is_float16(column.type):
        column = column.cast(pa.float32())
    nans = pc.is_nan(column)
    if pc.any(nans).as_py():
        nan = struct.pack("<f" if column.type.bit_width == 32 else "<d", math.nan)
        column = pc.if_else(nans, _constant(column.type, nan), column)
    return [column.view(pa.int32() if column.type.bit_width == 32 else pa.int64())]


def _decimals(column: pa.Array) -> list[pa.Array]:
    """The unscaled numbers, in as many bytes as the precision needs."""
    data_type = column.type
    kind = pa.decimal128 if data_type.precision <= _LONGEST_DECIMAL128 else pa.decimal256
    return [column.cast(kind(data_type.precision, data_type.scale))]


def _texts(column: pa.Array) -> list[pa.Array]:
    if kinds.is_fixed_size_binary(column.type):
        column = column.cast(pa.binary())
    return [column.cast(pa.large_binary())]


@lru_cache(maxsize=16)
def _constant(data_type: pa.DataType, content: bytes) -> pa.Scalar:
    """A number, from its bytes: Arrow's own way from a Python number imports pandas, which takes longer than many a training set."""
    return pa.Array.from_buffers(data_type, 1, [None, pa.py_buffer(content)])[0]


def _bytes(values: pa.Array) -> bytes | memoryview:
    """The bytes of values of one width, none of them null."""
    content = values.buffers()[1]
    width = values.type.bit_width // 8
    return b"" if content is None else memoryview(content)[values.offset * width : (values.offset + len(values)) * width]


def _content(values: pa.LargeBinaryArray) -> bytes | memoryview:
    """All that large bytes hold, one after the other."""
    _, offsets, content = values.buffers()
    if content is None or not len(values):
        return b""
    ends = memoryview(offsets).cast("q")
    return memoryview(content)[ends[values.offset] : ends[values.offset + len(values)]]


def _spelled(value: Any) -> object:
    """A nested value as something that is equal where its digest is: Python's own equality takes `-0.0` for `0.0`, and NaN for nothing."""
    if isinstance(value, float):
        return "nan" if value != value else value.hex()
    if isinstance(value, Mapping):
        return tuple((name, _spelled(item)) for name, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return tuple(map(_spelled, value))
    return value
