"""Rows of bytes put together from columns of cells, without a loop over rows.

Every row is a sequence of cells, and every cell is a short run of bytes that stands somewhere: in a table of ready-made ones, or in
an array made from a column. Where it stands is a number; the numbers of all rows, side by side, are one index, and a single `take`
along it copies every cell to its place. What it gives is an array of cells whose bytes already lie in the order of the rows, so a
row is what lies between every so many offsets.
"""

from __future__ import annotations

from array import array
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc


class Gathering:
    """Collects the cells of `count` rows, from left to right."""

    def __init__(self, count: int, table: pa.BinaryArray) -> None:
        """Args: table: cells that stand at their own positions, from 0 on."""
        self._count = count
        self._sources = [table]
        self._size = len(table)
        self._fixed: list[int | range | None] = []
        self._varying: dict[int, pa.Array] = {}

    def add(self, cells: pa.BinaryArray) -> int:
        """Add cells to be pointed to; return the place of the first."""
        place = self._size
        self._sources.append(cells)
        self._size += len(cells)
        return place

    def put(self, places: int | range | pa.Array) -> None:
        """Each row's next cell, by its place: one place for all rows, consecutive ones, or a column of them."""
        if isinstance(places, int | range):
            self._fixed.append(places)
        else:
            self._varying[len(self._fixed)] = places
            self._fixed.append(None)

    def put_cells(self, cells: pa.BinaryArray) -> None:
        """Each row's next cell, one for each row."""
        place = self.add(cells)
        self.put(range(place, place + self._count))

    def put_constant(self, content: bytes) -> None:
        """A next cell that is the same for all rows."""
        self.put(self.add(pa.array([content], pa.binary())))

    def rows(self) -> pa.BinaryArray:
        """The rows, each the concatenation of its cells."""
        width = len(self._fixed)
        index = array("i", _template(self._count, tuple(self._fixed)))
        for column, places in self._varying.items():
            index[column::width] = int32s(places)
        places = pa.Array.from_buffers(pa.int32(), self._count * width, [None, pa.py_buffer(index)])
        cells = pc.take(pa.concat_arrays(self._sources), places, boundscheck=False)
        return binary_array(cells.buffers()[2], int32s(offsets_of(cells))[::width])


def binary_array(content: pa.Buffer | bytes | bytearray | array[int] | None, ends: pa.Array | array[int]) -> pa.BinaryArray:
    """The values that lie between consecutive `ends` in `content`."""
    data = content if isinstance(content, pa.Buffer) else pa.py_buffer(content or b"")
    offsets = pa.py_buffer(ends) if isinstance(ends, array) else ends.buffers()[1]
    return pa.Array.from_buffers(pa.binary(), len(ends) - 1, [None, offsets, data])


def offsets_of(cells: pa.Array) -> pa.Array:
    """Where each value of a binary, string, list or map array begins, and the last one ends."""
    return pa.Array.from_buffers(pa.int32(), len(cells) + 1, [None, cells.buffers()[1]], offset=cells.offset)


@lru_cache(maxsize=16)
def equal_widths(count: int, width: int) -> pa.Array:
    """Where `count` values of equal width begin, and the last one ends."""
    return pc.multiply(row_numbers(count + 1), pa.scalar(width, pa.int32()))


def row_numbers(count: int) -> pa.Array:
    """0, 1, 2, …"""
    return _counting(max(1 << 16, 1 << count.bit_length())).slice(0, count)


def int32s(numbers: pa.Array) -> array[int]:
    """An int32 column without nulls as an `array`, which Python lays out by strides at the speed of C."""
    copied = array("i")
    copied.frombytes(memoryview(numbers.buffers()[1])[numbers.offset * 4 : (numbers.offset + len(numbers)) * 4])
    return copied


@lru_cache(maxsize=4)
def _counting(count: int) -> pa.Array:
    return pa.array(range(count), pa.int32())


@lru_cache(maxsize=16)
def _template(count: int, fixed: tuple[int | range | None, ...]) -> array[int]:
    """The index with the places that do not depend on values filled in: the same for every batch of that many rows."""
    width = len(fixed)
    index = array("i", bytes(4 * count * width))
    for column, places in enumerate(fixed):
        if isinstance(places, range):
            index[column::width] = array("i", places)
        elif places is not None:
            index[column::width] = array("i", [places]) * count
    return index
