"""Arrow batches to rows ready to be written: keys and rows in the public format, laid out so that a store sends them as they are."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.arrow import arrow_type, conformed
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import TIMESTAMP

from . import cell_table as table
from .gather import Gathering, offsets_of
from .key_columns import key_texts
from .keys import key_space
from .layout import HEADER_ELEMENTS, LARGEST_SEQUENCE, RowSchema
from .pack import big_endian, pack, pack_fixed

ROWS_PER_PART = 16_384
BYTES_PER_PART = 1 << 24


class EncodedBatch:
    """The keys and rows of one batch, each as a bulk string of the Redis protocol. An `EncodedRows`."""

    def __init__(self, keys: pa.BinaryArray, rows: pa.BinaryArray) -> None:
        self._keys, self._rows = keys, rows

    def __len__(self) -> int:
        return len(self._keys)

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Full key and row bytes of each row."""
        return zip(map(_content, self._keys.to_pylist()), map(_content, self._rows.to_pylist()), strict=True)

    def bulk_strings(self) -> tuple[list[bytes], list[bytes]]:
        """The full keys and the bytes of the rows, each as a bulk string of the Redis protocol, one by one."""
        return self._keys.to_pylist(), self._rows.to_pylist()

    def bulk_keys(self, start: int, stop: int) -> memoryview:
        """The full keys of those rows as consecutive bulk strings."""
        return _consecutive(self._keys, start, stop)

    def bulk_rows(self, start: int, stop: int) -> memoryview:
        """The bytes of those rows as consecutive bulk strings."""
        return _consecutive(self._rows, start, stop)


class RowEncoder:
    """Encodes the rows of one feature view for one materialization run."""

    def __init__(self, project: str, view: FeatureView, sequence: int) -> None:
        """Args: sequence: the run's number, from `OnlineStore.next_sequence`."""
        if not 0 <= sequence <= LARGEST_SEQUENCE:
            raise ValueError(f"A sequence is a number from 0 to {LARGEST_SEQUENCE}, not {sequence}.")
        self.schema = RowSchema.of(view)
        self.space = key_space(project, view)
        self._view, self._sequence = view, sequence
        self._instants = (Column("event_timestamp", TIMESTAMP), Column("valid_to", TIMESTAMP))
        self._columns = (
            *view.join_keys,
            *self._instants,
            *(Column(name, value_type) for name, value_type in self.schema.fields),
        )
        self._types = [arrow_type(column.value_type) for column in self._columns]

    def parts(self, batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
        """A batch in parts small enough that one is encoded while another is written, and that none outgrows a binary array."""
        step = min(ROWS_PER_PART, max(1, BYTES_PER_PART * batch.num_rows // max(1, batch.nbytes)))
        return (batch.slice(start, step) for start in range(0, batch.num_rows, step))

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """Encode a batch whose columns are, by position: the join keys, event timestamp, valid_to, and every field of the view's rows.

        Raises UnsupportedTypeError where a column's values are not of the type that the view declares.
        """
        if batch.num_columns != len(self._columns):
            raise ValueError(f"{self._view.name}: {len(self._columns)} columns are encoded, not {batch.num_columns}.")
        columns = [self._column(position, array) for position, array in enumerate(batch.columns)]
        key_count = len(self._view.join_keys)
        return EncodedBatch(self._keys(batch.num_rows, columns[:key_count]), self._rows(batch.num_rows, columns[key_count:]))

    def _keys(self, count: int, columns: list[pa.Array]) -> pa.BinaryArray:
        texts = key_texts(columns, [key.value_type for key in self._view.join_keys])
        around = len(self.space.prefix) + len(self.space.suffix) + len(texts) - 1
        keys = Gathering(count, table.cell_table())
        _put_sizes(keys, reduce(pc.add, map(pc.binary_length, texts), pa.scalar(around, pa.int32())))
        opening = self.space.prefix
        for text in texts:
            keys.put_constant(opening)
            keys.put_cells(text)
            opening = b","
        keys.put_constant(self.space.suffix + b"\r\n")
        return keys.rows()

    def _rows(self, count: int, columns: list[pa.Array]) -> pa.BinaryArray:
        event_times, valid_to, *features = columns
        still_valid = valid_to.null_count == count
        run_and_schema = b"\xce" + self._sequence.to_bytes(4, "big") + b"\xce" + self.schema.schema_id.to_bytes(4, "big")
        rows = Gathering(count, table.cell_table())
        rows.put_constant(b"\xdc" + (HEADER_ELEMENTS + len(features)).to_bytes(2, "big") + b"\xd3")
        rows.put_cells(big_endian(event_times, 8))
        rows.put_constant(run_and_schema + (b"\xc0" if still_valid else b""))
        if not still_valid:
            pack_fixed(rows, valid_to, table.INT64, 8)
        for (_, value_type), column in zip(self.schema.fields, features, strict=True):
            pack(rows, column, value_type)
        contents = rows.rows()
        bulk = Gathering(count, table.cell_table())
        _put_sizes(bulk, pc.binary_length(contents))
        bulk.put_cells(contents)
        bulk.put_constant(b"\r\n")
        return bulk.rows()

    def _column(self, position: int, array: pa.Array) -> pa.Array:
        try:
            return conformed(array, self._types[position])
        except pa.ArrowException as error:
            column = self._columns[position]
            raise UnsupportedTypeError(
                f"{self._view.name}: {column.name!r} is declared as {column.value_type}, but the warehouse's {array.type} values "
                f"do not fit: {error}. Correct its data_type."
            ) from error


def _put_sizes(bulk: Gathering, lengths: pa.Array) -> None:
    """What stands before a bulk string: how many bytes it has."""
    if (pc.max(lengths).as_py() or 0) <= table.LONGEST:
        bulk.put(pc.add(lengths, pa.scalar(table.BULKS, pa.int32())))
    else:
        bulk.put_cells(pc.binary_join_element_wise("$", lengths.cast(pa.string()), "\r\n", "").cast(pa.binary()))


def _content(bulk_string: bytes) -> bytes:
    return bulk_string[bulk_string.index(b"\n") + 1 : -2]


def _consecutive(array: pa.BinaryArray, start: int, stop: int) -> memoryview:
    """The bytes of consecutive values: in a binary array they lie one after the other."""
    if start == stop:
        return memoryview(b"")
    ends = offsets_of(array)
    return memoryview(array.buffers()[2])[ends[start].as_py() : ends[stop].as_py()]
