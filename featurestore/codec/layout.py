"""The bytes of a row, format 1: public, so that a service in any language can read them (docs/reference/row-format.md).

A row is one msgpack array. Its first four elements have a fixed width, so that an online store compares rows by offsets without
knowing msgpack:

    offset  0  dc hi lo             array of 4 + n elements
            3  d3 + int64           event time, microseconds since the epoch, UTC
           12  ce + uint32          sequence: 2 n of the materialization with number n, 2 n + 1 of a push with that number
           17  ce + uint32          id of the schema that names and types the features
           22  c0, or d3 + int64    instant from which the row no longer counts; nil: it still does
               then the n features, in the order of the schema

Of a view of aggregations these are lists (see `codec.steps`).

A schema is stored beside the rows, so that rows written before a feature was added, dropped or widened stay readable.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from featurestore.errors import OnlineStoreError
from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import ValueType, parse_value_type

from .steps import stepped_fields

FORMAT = 1

EVENT_TIME_OFFSET = 4
SEQUENCE_OFFSET = 13
SCHEMA_ID_OFFSET = 18
HEADER_ELEMENTS = 4
"""Elements of the array before the first feature."""

LARGEST_SEQUENCE = 2**32 - 1

_TIME_AND_SEQUENCE = struct.Struct(">qxI")


def run_sequence(number: int) -> int:
    """The sequence in the rows of the materialization with that number."""
    return 2 * number


def push_sequence(number: int) -> int:
    """The sequence in the rows of a push with that number. Runs and pushes take their numbers from one counter."""
    return 2 * number + 1


def number_of(sequence: int) -> int:
    """The number of the materialization or push whose rows have that sequence."""
    return sequence // 2


class RowVersion(NamedTuple):
    """What decides between two rows of one key."""

    event_time: int
    sequence: int

    @property
    def pushed(self) -> bool:
        """Whether a push wrote the row, and not a materialization."""
        return self.sequence % 2 == 1


def row_version(row: bytes) -> RowVersion:
    """Event time and sequence of a row, read by their offsets."""
    return RowVersion._make(_TIME_AND_SEQUENCE.unpack_from(row, EVENT_TIME_OFFSET))


@dataclass(frozen=True)
class RowSchema:
    """The features of a view's rows: their names and types, in the order in which a row holds them."""

    view: str
    fields: tuple[tuple[str, ValueType], ...]

    @classmethod
    def of(cls, view: FeatureView) -> RowSchema:
        """The schema with which rows of that view are written today."""
        if view.aggregated:
            return cls(view.name, stepped_fields(view))
        return cls(view.name, tuple((feature.name, feature.value_type) for feature in view.features))

    def to_document(self) -> bytes:
        """The canonical JSON that is stored, and whose hash is the schema's id."""
        content = {"fields": [[name, str(value_type)] for name, value_type in self.fields], "format": FORMAT}
        return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()

    @cached_property
    def schema_id(self) -> int:
        """The first four bytes, big endian, of the SHA-256 of its document."""
        return int.from_bytes(hashlib.sha256(self.to_document()).digest()[:4], "big")

    @property
    def document_name(self) -> str:
        """Under which name the store keeps the document."""
        return schema_document_name(self.view, self.schema_id)

    @classmethod
    def from_document(cls, view: str, document: bytes) -> RowSchema:
        """Read a stored schema. Raises OnlineStoreError where it was written in a format of a later version."""
        content = json.loads(document)
        if content["format"] != FORMAT:
            raise OnlineStoreError(
                f"The rows of {view!r} are in format {content['format']}, this version reads {FORMAT}. Update featurestore where it reads."
            )
        return cls(view, tuple((name, parse_value_type(text)) for name, text in content["fields"]))


def schema_document_name(view: str, schema_id: int) -> str:
    """`schema/<view>/<id as 8 hex digits>`."""
    return f"schema/{view}/{schema_id:08x}"
