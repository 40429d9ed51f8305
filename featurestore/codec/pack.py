"""Arrow columns as msgpack cells, a whole column at a time: no loop runs per row or per value.

A number is two cells, its marker and its bytes, which are the column's own with their order swapped in place; short integers, and
the headers of strings, byte strings, lists and maps, are cells of a ready-made table. Null is the cell nil, and nothing after it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.registry.value_types import (
    BooleanType,
    BytesType,
    DecimalType,
    FloatType,
    ListType,
    MapType,
    StringType,
    StructType,
    ValueType,
)

from . import cell_table as table
from .gather import Gathering, binary_array, equal_widths, offsets_of, row_numbers
from .headers import map_header, string_header

_SWAPPABLE = {2: "H", 4: "I", 8: "Q"}
_PLAIN_SCALE = 6
"""Up to this scale Arrow spells every decimal without an exponent."""


def pack(rows: Gathering, column: pa.Array, value_type: ValueType) -> None:
    """Put the cells of a column, which has the Arrow type of `value_type`."""
    match value_type:
        case BooleanType():
            rows.put(pc.if_else(column, _place(table.TRUE), _place(table.FALSE)).fill_null(table.NIL))
        case FloatType(bits):
            pack_fixed(rows, column, table.FLOAT32 if bits == 32 else table.FLOAT64, bits // 8)
        case DecimalType(_, scale):
            _pack_headed(rows, decimal_text(column, scale), _STRING)
        case StringType():
            _pack_headed(rows, column, _STRING)
        case BytesType():
            _pack_headed(rows, column, _BYTES)
        case ListType() | MapType():
            _pack_sequence(rows, column, value_type)
        case StructType(fields):
            _pack_struct(rows, column, fields)
        case _:
            _pack_integers(rows, _as_integers(column))


def pack_fixed(rows: Gathering, column: pa.Array, marker: int, width: int) -> None:
    """Put a marker and the bytes of each number."""
    rows.put(marker if not column.null_count else pc.if_else(column.is_valid(), _place(marker), _place(table.NIL)))
    _put_own(rows, column, big_endian(column, width), table.EMPTY)


def big_endian(column: pa.Array, width: int) -> pa.BinaryArray:
    """The big-endian bytes of each number of that width; where it is null, whatever stood there."""
    numbers = array(_SWAPPABLE[width])
    numbers.frombytes(memoryview(column.buffers()[1])[column.offset * width : (column.offset + len(column)) * width])
    numbers.byteswap()
    return binary_array(numbers, equal_widths(len(column), width))


def decimal_text(column: pa.Array, scale: int) -> pa.StringArray:
    """Plain text with exactly `scale` digits after the point. Arrow alone would write small numbers with an exponent."""
    if 0 <= scale <= _PLAIN_SCALE:
        return column.cast(pa.string())
    whole = pa.decimal256(76, 0) if pa.types.is_decimal256(column.type) else pa.decimal128(38, 0)
    unscaled = pa.Array.from_buffers(whole, len(column), column.buffers(), offset=column.offset).cast(pa.string())
    if scale < 0:
        zeros = pa.scalar("0" * -scale)
        return pc.if_else(pc.equal(unscaled, "0"), unscaled, pc.binary_join_element_wise(unscaled, zeros, ""))
    sign = pc.if_else(pc.starts_with(unscaled, "-"), "-", "")
    digits = pc.ascii_lpad(pc.ascii_ltrim(unscaled, "-"), scale + 1, "0")
    return pc.binary_join_element_wise(sign, pc.utf8_slice_codeunits(digits, 0, -scale), ".", pc.utf8_slice_codeunits(digits, -scale), "")


class _WideForm(NamedTuple):
    """A msgpack form of integers that are not in the table: its marker, the type whose bytes follow, and the values it is for."""

    marker: int
    data_type: pa.DataType
    low: int
    high: int


_WIDE_FORMS = (
    _WideForm(table.UINT16, pa.int16(), table.LARGEST_INTEGER + 1, 2**16 - 1),
    _WideForm(table.UINT32, pa.int32(), 2**16, 2**32 - 1),
    _WideForm(table.UINT64, pa.int64(), 2**32, 2**64 - 1),
    _WideForm(table.INT16, pa.int16(), -(2**15), table.SMALLEST_INTEGER - 1),
    _WideForm(table.INT32, pa.int32(), -(2**31), -(2**15) - 1),
    _WideForm(table.INT64, pa.int64(), -(2**63), -(2**31) - 1),
)


def _pack_integers(rows: Gathering, column: pa.Array) -> None:
    """Each integer in the shortest form: a cell of the table, or a marker and the low bytes."""
    bounds = pc.min_max(column)
    smallest, largest = bounds["min"].as_py(), bounds["max"].as_py()
    if smallest is None:
        rows.put(table.NIL)
        return
    first = pc.add(column.cast(pa.int32(), safe=False), _place(table.INTEGERS))
    rest: pa.Array | pa.Scalar = _place(table.EMPTY)
    numbers = row_numbers(len(column))
    for form in _WIDE_FORMS:
        if largest < form.low or smallest > form.high:
            continue
        of_form = _within(column, form, smallest, largest)
        content = rows.add(big_endian(column.cast(form.data_type, safe=False), form.data_type.bit_width // 8))
        first = pc.if_else(of_form, _place(form.marker), first)
        rest = pc.if_else(of_form, pc.add(numbers, _place(content)), rest)
    rows.put(first.fill_null(table.NIL))
    if isinstance(rest, pa.Array):
        rows.put(rest.fill_null(table.EMPTY))


def _within(column: pa.Array, form: _WideForm, smallest: int, largest: int) -> pa.Array:
    """Which values are of that form; only the bounds that the column crosses are compared with."""
    above = pc.greater_equal(column, pa.scalar(form.low, column.type)) if smallest < form.low else None
    below = pc.less_equal(column, pa.scalar(form.high, column.type)) if largest > form.high else None
    if above is not None and below is not None:
        return pc.and_(above, below)
    if above is None and below is None:
        return pc.is_valid(column)
    return below if above is None else above


def _as_integers(column: pa.Array) -> pa.Array:
    """Dates, times and timestamps as what they are stored as; integers in 64 bits."""
    if pa.types.is_date32(column.type):
        column = column.view(pa.int32())
    if not pa.types.is_integer(column.type):
        return column.view(pa.int64())
    return column if column.type.bit_width == 64 else column.cast(pa.int64())


class _Headers(NamedTuple):
    """Where the table keeps a kind of header, and the marker of the longest form, which four bytes of length follow."""

    short: int
    longest: int


_STRING = _Headers(table.STRINGS, table.STRING32)
_BYTES = _Headers(table.BYTES, table.BYTES32)
_ARRAY = _Headers(table.ARRAYS, table.ARRAY32)


def _pack_headed(rows: Gathering, content: pa.Array, headers: _Headers) -> None:
    """A header that says how long the content is, and the content."""
    _pack_lengths(rows, pc.binary_length(content), headers)
    if content.null_count:
        content = content.fill_null("" if pa.types.is_string(content.type) else b"")
    rows.put_cells(content.cast(pa.binary()))


def _pack_lengths(rows: Gathering, lengths: pa.Array, headers: _Headers) -> None:
    places = pc.add(lengths, _place(headers.short))
    if (pc.max(lengths).as_py() or 0) <= table.LONGEST:
        rows.put(places.fill_null(table.NIL))
        return
    is_long = pc.greater(lengths, _place(table.LONGEST))
    is_longest = pc.greater(lengths, _place(2**16 - 1))
    marker_bytes = {_STRING: b"\xda", _BYTES: b"\xc5", _ARRAY: b"\xdc"}[headers]
    middle = rows.add(pa.array([marker_bytes], pa.binary()))
    places = pc.if_else(is_long, pc.if_else(is_longest, _place(headers.longest), _place(middle)), places)
    rows.put(places.fill_null(table.NIL))
    numbers = row_numbers(len(lengths))
    two = pc.add(numbers, _place(rows.add(big_endian(lengths.cast(pa.int16(), safe=False), 2))))
    four = pc.add(numbers, _place(rows.add(big_endian(lengths, 4))))
    rows.put(pc.if_else(is_long, pc.if_else(is_longest, four, two), _place(table.EMPTY)).fill_null(table.EMPTY))


def _pack_sequence(rows: Gathering, column: pa.Array, value_type: ListType | MapType) -> None:
    """The items packed one after the other are, between the bounds of a row, that row's items: nothing is copied to join them."""
    bounds = offsets_of(column)
    first, last = bounds[0].as_py(), bounds[-1].as_py()
    items = Gathering(last - first, table.cell_table())
    if isinstance(value_type, ListType):
        pack(items, column.values.slice(first, last - first), value_type.item)
    else:
        items.put_constant(b"\x92")
        pack(items, column.keys.slice(first, last - first), value_type.key)
        pack(items, column.items.slice(first, last - first), value_type.value)
    packed = items.rows()
    extents = pc.subtract(bounds, bounds[0])
    lengths = pc.subtract(extents.slice(1), extents.slice(0, len(column)))
    if column.null_count:
        lengths = pc.if_else(column.is_valid(), lengths, pa.scalar(None, pa.int32()))
    _pack_lengths(rows, lengths, _ARRAY)
    _put_own(rows, column, binary_array(packed.buffers()[2], offsets_of(packed).take(extents)), table.EMPTY)


def _pack_struct(rows: Gathering, column: pa.StructArray, fields: Sequence[tuple[str, ValueType]]) -> None:
    """A map of field name to value. One that may be null is put together first, as a cell of its own."""
    content = Gathering(len(column), table.cell_table()) if column.null_count else rows
    opening = map_header(len(fields))
    for (name, value_type), values in zip(fields, column.flatten(), strict=True):
        content.put_constant(opening + string_header(len(name.encode())) + name.encode())
        pack(content, values, value_type)
        opening = b""
    if opening:
        content.put_constant(opening)
    if content is not rows:
        _put_own(rows, column, content.rows(), table.NIL)


def _put_own(rows: Gathering, column: pa.Array, cells: pa.BinaryArray, absent: int) -> None:
    """Put the row's own cell, or the one of the table at `absent` where the column is null."""
    if not column.null_count:
        rows.put_cells(cells)
        return
    places = pc.add(row_numbers(len(column)), _place(rows.add(cells)))
    rows.put(pc.if_else(column.is_valid(), places, _place(absent)))


def _place(number: int) -> pa.Scalar:
    return pa.scalar(number, pa.int32())
