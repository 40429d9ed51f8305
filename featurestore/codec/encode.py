"""Arrow batches to rows ready to be written: keys and rows in the public format, laid out so that a store sends them as they are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.arrow import arrow_type
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import TIMESTAMP

from .key_columns import pack_keys
from .keys import key_space
from .layout import EVENT_TIME_OFFSET, HEADER_ELEMENTS, LARGEST_SEQUENCE, RowSchema
from .pack import Piece, binary_array, fixed_width, join, offsets, pack, piece_lengths, swapped

ROWS_PER_BATCH = 8192
BYTES_PER_BATCH = 1 << 27

_LINE_END = pa.scalar(b"\r\n", pa.binary())


class EncodedBatch:
    """The keys and rows of one batch. An `EncodedRows`."""

    def __init__(self, count: int, keys: list[Piece], rows: list[Piece]) -> None:
        self._count, self._keys, self._rows = count, keys, rows

    def __len__(self) -> int:
        return self._count

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Full key and row bytes of each row."""
        return zip(join(self._keys).to_pylist(), join(self._rows).to_pylist(), strict=True)

    def bulk_keys(self, start: int, stop: int) -> memoryview:
        """The full keys of those rows as consecutive bulk strings of the Redis protocol."""
        return _contents(self._bulk_keys, start, stop)

    def bulk_rows(self, start: int, stop: int) -> memoryview:
        """The bytes of those rows as consecutive bulk strings of the Redis protocol."""
        return _contents(self._bulk_rows, start, stop)

    @cached_property
    def _bulk_keys(self) -> pa.BinaryArray:
        return _bulk_strings(self._keys)

    @cached_property
    def _bulk_rows(self) -> pa.BinaryArray:
        return _bulk_strings(self._rows)


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
            *(Column(feature.name, feature.value_type) for feature in view.features),
        )
        self._types = [arrow_type(column.value_type) for column in self._columns]

    def encode_all(self, batches: Iterable[pa.RecordBatch]) -> Iterator[EncodedBatch]:
        """Encode batches of any size in pieces of a size that keeps encoder and store busy side by side."""
        for batch in batches:
            step = min(ROWS_PER_BATCH, max(1, BYTES_PER_BATCH * batch.num_rows // max(1, batch.nbytes)))
            for start in range(0, batch.num_rows, step):
                yield self.encode(batch.slice(start, step))

    def encode(self, batch: pa.RecordBatch) -> EncodedBatch:
        """Encode a batch whose columns are, by position: the join keys, event timestamp, valid_to, and every feature of the view.

        Raises UnsupportedTypeError where a column's values are not of the type that the view declares.
        """
        if batch.num_columns != len(self._columns):
            raise ValueError(f"{self._view.name}: {len(self._columns)} columns are encoded, not {batch.num_columns}.")
        columns = [self._column(position, array) for position, array in enumerate(batch.columns)]
        key_count = len(self._view.join_keys)
        entity_keys = pack_keys(columns[:key_count], [key.value_type for key in self._view.join_keys])
        keys = [pa.scalar(self.space.prefix, pa.binary()), *entity_keys, pa.scalar(self.space.suffix, pa.binary())]
        event_times, valid_to, *features = columns[key_count:]
        rows = self._headers(event_times, valid_to)
        for feature, column in zip(self._view.features, features, strict=True):
            rows.extend(pack(column, feature.value_type))
        return EncodedBatch(batch.num_rows, keys, rows)

    def _column(self, position: int, array: pa.Array) -> pa.Array:
        wanted = self._types[position]
        if array.type.equals(wanted):
            return array
        try:
            return array.cast(wanted)
        except pa.ArrowException as error:
            column = self._columns[position]
            raise UnsupportedTypeError(
                f"{self._view.name}: {column.name!r} is declared as {column.value_type}, but the warehouse's {array.type} values "
                f"do not fit: {error}. Correct its data_type."
            ) from error

    def _headers(self, event_times: pa.Array, valid_to: pa.Array) -> list[Piece]:
        """The fixed-width part of each row: the same bytes for all, with the event times laid over them."""
        elements = HEADER_ELEMENTS + len(self._view.features)
        header = b"".join(
            (
                b"\xdc" + elements.to_bytes(2, "big"),
                b"\xd3" + bytes(8),
                b"\xce" + self._sequence.to_bytes(4, "big"),
                b"\xce" + self.schema.schema_id.to_bytes(4, "big"),
            )
        )
        still_valid = valid_to.null_count == len(valid_to)
        if still_valid:
            header += b"\xc0"
        cells, instants = bytearray(header * len(event_times)), swapped(event_times)
        for byte in range(8):
            cells[EVENT_TIME_OFFSET + byte :: len(header)] = instants[byte::8]
        pieces = [binary_array(cells, offsets(len(event_times), len(header)))]
        return pieces if still_valid else [*pieces, fixed_width(valid_to, b"\xd3", 8)]


def _bulk_strings(pieces: list[Piece]) -> pa.BinaryArray:
    lengths = piece_lengths(pieces)
    headers = _bulk_headers()
    if pc.max(lengths).as_py() < len(headers):
        sizes = headers.take(lengths)
    else:
        sizes = pc.binary_join_element_wise("$", lengths.cast(pa.string()), "\r\n", "").cast(pa.binary())
    return join([sizes, *pieces, _LINE_END])


def _contents(array: pa.BinaryArray, start: int, stop: int) -> memoryview:
    """The bytes of consecutive values: in a binary array they lie one after the other."""
    _, ends, data = array.buffers()
    bounds = memoryview(ends).cast("i")
    return memoryview(data)[bounds[array.offset + start] : bounds[array.offset + stop]]


@lru_cache(maxsize=1)
def _bulk_headers() -> pa.Array:
    return pa.array((b"$%d\r\n" % length for length in range(2**16)), pa.binary())
