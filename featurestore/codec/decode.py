"""Rows of one view back to columns of Python values: one msgpack decoding for all rows, then a transposition, no Arrow.

What a row holds is told by the schema that it was written under. How that schema serves the features that a reader asks for is
resolved once (`featurestore.codec.resolve`); a feature that the row's schema does not have yet reads as null.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

import msgspec

from featurestore.errors import OnlineStoreError
from featurestore.registry.definitions import Feature

from .layout import HEADER_ELEMENTS, RowSchema
from .resolve import Conversion, conversion, unreadable

_decode = msgspec.msgpack.Decoder().decode
_ARRAY16 = 0xDC
_opening = itemgetter(slice(0, 3))
_behind_opening = itemgetter(slice(3, None))


class DecodedRows(NamedTuple):
    """Rows of one view as columns, in the order in which they were given."""

    event_times: Sequence[int]
    valid_to: Sequence[int | None]
    columns: list[Sequence[Any]]
    """One for each feature asked for, in that order."""


class UnknownSchemas(Exception):
    """Some rows were written under schemas that the decoder has not been told of."""

    def __init__(self, view: str, schema_ids: frozenset[int]) -> None:
        self.view, self.schema_ids = view, schema_ids
        super().__init__(f"{view}: {', '.join(f'{schema_id:08x}' for schema_id in schema_ids)}")


class RowDecoder:
    """Decodes rows of one view for one choice of its features."""

    def __init__(self, view: str, features: Sequence[Feature]) -> None:
        self._view, self._features = view, tuple(features)
        self._places: dict[int, list[tuple[int, Conversion | None]]] = {}

    def learn(self, schema: RowSchema) -> None:
        """Read rows of that schema from now on."""
        written = {name: (position, value_type) for position, (name, value_type) in enumerate(schema.fields)}
        places: list[tuple[int, Conversion | None]] = []
        for feature in self._features:
            position, value_type = written.get(feature.name, (-HEADER_ELEMENTS, None))
            convert = unreadable if value_type is None else conversion(value_type, feature.value_type)
            places.append((HEADER_ELEMENTS + position, convert))
        self._places[schema.schema_id] = places

    def decode(self, rows: Sequence[bytes]) -> DecodedRows:
        """Decode rows. Raises UnknownSchemas, and OnlineStoreError for bytes that are no row."""
        if not rows:
            return DecodedRows((), (), [() for _ in self._features])
        try:
            columns = _transposed(rows)
            if columns is not None and len(schema_ids := set(columns[2])) == 1:
                (schema_id,) = schema_ids
                if schema_id in self._places:
                    return DecodedRows(columns[0], columns[3], self._columns(columns, schema_id))
            decoded = _decode(_array_header(len(rows)) + b"".join(rows))
            event_times, _, schemas, valid_to = zip(*(row[:HEADER_ELEMENTS] for row in decoded), strict=True)
        except (msgspec.DecodeError, TypeError, ValueError, IndexError) as error:
            raise OnlineStoreError(f"The online store holds something under keys of {self._view!r} that is no row: {error}.") from error
        if unknown := frozenset(schemas) - self._places.keys():
            raise UnknownSchemas(self._view, unknown)
        return DecodedRows(event_times, valid_to, self._mixed(decoded, schemas))

    def _columns(self, columns: Sequence[Sequence[Any]], schema_id: int) -> list[Sequence[Any]]:
        return [
            columns[place] if convert is None else [None if value is None else convert(value) for value in columns[place]]
            for place, convert in self._places[schema_id]
        ]

    def _mixed(self, decoded: list[list[Any]], schemas: Sequence[int]) -> list[Sequence[Any]]:
        """Columns of rows that were written under several schemas."""
        answer: list[list[Any]] = [[None] * len(decoded) for _ in self._features]
        for schema_id in set(schemas):
            positions = [position for position, row_schema in enumerate(schemas) if row_schema == schema_id]
            columns = self._columns(list(zip(*(decoded[position] for position in positions), strict=True)), schema_id)
            for whole, part in zip(answer, columns, strict=True):
                for position, value in zip(positions, part, strict=True):
                    whole[position] = value
        return list(answer)


def _transposed(rows: Sequence[bytes]) -> list[list[Any]] | None:
    """Rows of equally many elements as columns; None where they differ.

    The elements of all rows are decoded as one array, without a list for each row: of these, a column is every so many.
    """
    if len(rows) == 1:
        return [[value] for value in _decode(rows[0])]
    opening = rows[0][:3]
    if set(map(_opening, rows)) != {opening} or opening[0] != _ARRAY16:
        return None
    elements = int.from_bytes(opening[1:], "big")
    values = _decode(_array_header(elements * len(rows)) + b"".join(map(_behind_opening, rows)))
    return [values[element::elements] for element in range(elements)]


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
