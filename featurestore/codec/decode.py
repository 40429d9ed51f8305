"""Rows of one view back to columns of Python values: one msgpack decoding for all rows, then a transposition, no Arrow.

What a row holds is told by the schema that it was written under. How that schema serves the features that a reader asks for is
resolved once (`featurestore.codec.resolve`); a feature that the row's schema does not have yet reads as null.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from featurestore.errors import OnlineStoreError
from featurestore.registry.definitions import Feature

from .layout import EVENT_TIME_OFFSET, HEADER_ELEMENTS, SCHEMA_ID_OFFSET, RowSchema
from .resolve import ColumnConversion, column_conversion

_decode = msgspec.msgpack.Decoder().decode
_BEFORE_FEATURES = 2
"""The schema id and `valid_to`."""

_event_time = itemgetter(slice(EVENT_TIME_OFFSET, EVENT_TIME_OFFSET + 8))
_from_schema = itemgetter(slice(SCHEMA_ID_OFFSET - 1, None))


class DecodedRows(NamedTuple):
    """Rows of one view as columns, in the order in which they were given."""

    event_times: Callable[[], Sequence[int]]
    """Of each row; read when they are asked for, since most requests do not."""

    valid_to: Sequence[int | None]
    columns: Sequence[Sequence[Any]]
    """One for each feature asked for, in that order."""


class UnknownSchemas(Exception):
    """Some rows were written under schemas that the decoder has not been told of."""

    def __init__(self, view: str, schema_ids: frozenset[int]) -> None:
        self.view, self.schema_ids = view, schema_ids
        super().__init__(f"{view}: {', '.join(f'{schema_id:08x}' for schema_id in schema_ids)}")


class _Reading(NamedTuple):
    """How rows of one schema are read."""

    schema_id: int
    elements: int
    """Of a row, from its schema id on."""

    places: list[tuple[int, ColumnConversion | None]]
    """For each feature asked for, where it stands among these elements, and how its value becomes the reader's."""

    slices: list[slice]
    """The same places in the elements of many rows, one row after the other."""

    conversions: list[tuple[int, ColumnConversion]]
    """Those that there are, by the number of the feature."""


class RowDecoder:
    """Decodes rows of one view for one choice of its features."""

    def __init__(self, view: str, features: Sequence[Feature]) -> None:
        self._view, self._features = view, tuple(features)
        self._readings: dict[bytes, _Reading] = {}
        """By the bytes of the schema id as they stand in a row."""

    def learn(self, schema: RowSchema) -> None:
        """Read rows of that schema from now on."""
        written = {name: (place, value_type) for place, (name, value_type) in enumerate(schema.fields, start=_BEFORE_FEATURES)}
        places: list[tuple[int, ColumnConversion | None]] = []
        for feature in self._features:
            place, value_type = written.get(feature.name, (0, None))
            places.append((place, _nothing if value_type is None else column_conversion(value_type, feature.value_type)))
        elements = _BEFORE_FEATURES + len(schema.fields)
        slices = [slice(place, None, elements) for place, _ in places]
        conversions = [(number, convert) for number, (_, convert) in enumerate(places) if convert is not None]
        self._readings[_schema_bytes(schema.schema_id)] = _Reading(schema.schema_id, elements, places, slices, conversions)

    def decode(self, rows: Sequence[bytes]) -> DecodedRows:
        """Decode rows. Raises UnknownSchemas, and OnlineStoreError for bytes that are no row."""
        if not rows:
            return DecodedRows(tuple, (), [() for _ in self._features])
        try:
            reading = self._readings.get(rows[0][SCHEMA_ID_OFFSET - 1 : SCHEMA_ID_OFFSET + 4])
            alike = None if reading is None else _alike(rows, reading)
            return self._mixed(rows) if alike is None else alike
        except (msgspec.DecodeError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise OnlineStoreError(f"The online store holds something under keys of {self._view!r} that is no row: {error}.") from error

    def _mixed(self, rows: Sequence[bytes]) -> DecodedRows:
        """Rows of several schemas, and any that were written with other widths than ours."""
        decoded = _decode(_array_header(len(rows)) + b"".join(rows))
        event_times, _, schemas, valid_to = zip(*(row[:HEADER_ELEMENTS] for row in decoded), strict=True)
        if unknown := frozenset(schema for schema in schemas if _schema_bytes(schema) not in self._readings):
            raise UnknownSchemas(self._view, unknown)
        answer: list[list[Any]] = [[None] * len(decoded) for _ in self._features]
        for schema in set(schemas):
            positions = [position for position, row_schema in enumerate(schemas) if row_schema == schema]
            for whole, (place, convert) in zip(answer, self._readings[_schema_bytes(schema)].places, strict=True):
                values = [decoded[position][HEADER_ELEMENTS - _BEFORE_FEATURES + place] for position in positions]
                for position, value in zip(positions, convert(values) if convert else values, strict=True):
                    whole[position] = value
        return DecodedRows(lambda: event_times, valid_to, answer)


def _alike(rows: Sequence[bytes], reading: _Reading) -> DecodedRows | None:
    """Rows that are all of one schema; None where they are not.

    From the schema id on, the elements of all rows are decoded as one array, without a list for each row: a column is every so many.
    """
    elements = reading.elements
    try:
        values = _decode(_array_header(elements * len(rows)) + b"".join(map(_from_schema, rows)))
    except msgspec.DecodeError:
        return None
    if values[::elements].count(reading.schema_id) < len(rows):
        return None
    columns = list(map(values.__getitem__, reading.slices))
    for number, convert in reading.conversions:
        columns[number] = convert(columns[number])
    return DecodedRows(partial(_event_times, rows), values[1::elements], columns)


def _nothing(values: list[Any]) -> list[Any]:
    """Of a feature that the rows do not have yet."""
    return [None] * len(values)


def _event_times(rows: Sequence[bytes]) -> Sequence[int]:
    times = array("q", b"".join(map(_event_time, rows)))
    if sys.byteorder == "little":
        times.byteswap()
    return times


def _schema_bytes(schema_id: int) -> bytes:
    return b"\xce" + schema_id.to_bytes(4, "big")


def _array_header(length: int) -> bytes:
    return b"\xdd" + length.to_bytes(4, "big")


def learn_documents(decoder: RowDecoder, view: str, documents: Mapping[int, bytes | None]) -> None:
    """Teach a decoder the stored schemas. Raises OnlineStoreError where one is not there."""
    for schema_id, document in documents.items():
        if document is None:
            raise OnlineStoreError(
                f"Rows of {view!r} were written under schema {schema_id:08x}, which the online store does not hold. "
                "Run: fsdbt materialize --full-refresh"
            )
        decoder.learn(RowSchema.from_document(view, document))
