"""Rows on their way between Arrow and PostgreSQL, where the driver would change a value or refuse it.

The driver counts from 1970 without looking for the two infinities, which wrap around; it brings numbers of a fixed scale as text;
and it has no type for unsigned integers of 64 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from featurestore.errors import WarehouseError

from .base import BATCH_ROWS

_EPOCH_MICROS, _EPOCH_DAYS = 946_684_800_000_000, 10_957
"""From 1970, where Arrow begins, to 2000, where PostgreSQL does."""

_LARGEST_INT64, _LARGEST_INT32 = 2**63 - 1, 2**31 - 1
_INFINITE_MICROS = {_LARGEST_INT64 + _EPOCH_MICROS - 2**64: _LARGEST_INT64, -(2**63) + _EPOCH_MICROS: -_LARGEST_INT64}
_INFINITE_DAYS = {_LARGEST_INT32 + _EPOCH_DAYS - 2**32: _LARGEST_INT32, -(2**31) + _EPOCH_DAYS: -_LARGEST_INT32}
"""What the driver makes of the infinities, and what they are in Arrow as DuckDB writes it."""

_TYPMOD, _HEADER = b"POSTGRESQL:typmod", 4
_Read = Callable[[pa.Array], pa.Array]


def exact(answer: pa.RecordBatchReader) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    """The answer with every value as it is in the database, in batches of at most `BATCH_ROWS`."""
    read = [_reading(field) for field in answer.schema]
    schema = pa.schema([pa.field(field.name, data_type) for field, (data_type, _) in zip(answer.schema, read, strict=True)])

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in answer:
            columns = []
            for field, column, (_, convert) in zip(answer.schema, batch.columns, read, strict=True):
                try:
                    columns.append(convert(column))
                except pa.ArrowInvalid as error:
                    raise WarehouseError(
                        f"Column {field.name!r} holds what no decimal is: {error}. Replace NaN and infinity in the model: nullif(…)."
                    ) from None
            whole = pa.RecordBatch.from_arrays(columns, schema=schema)
            yield from (whole.slice(start, BATCH_ROWS) for start in range(0, whole.num_rows, BATCH_ROWS))

    return schema, batches()


def storable(rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """The rows in types that the driver can upload without a change. Raises WarehouseError naming the column where there is none."""
    schema = pa.schema([pa.field(field.name, _stored_as(field)) for field in rows.schema])
    if schema.equals(rows.schema):
        return rows
    return pa.RecordBatchReader.from_batches(schema, (batch.cast(schema) for batch in rows))


def _reading(field: pa.Field) -> tuple[pa.DataType, _Read]:
    typmod = int((field.metadata or {}).get(_TYPMOD, -1))
    if _is_numeric(field.type) and typmod >= _HEADER:
        precision, scale = (typmod - _HEADER) >> 16, (typmod - _HEADER) & 0x7FF
        if scale <= precision:
            data_type = pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(precision, scale)
            return data_type, lambda column: column.storage.cast(data_type)
    return _reading_type(field.type)


def _reading_type(data_type: pa.DataType) -> tuple[pa.DataType, _Read]:
    if kinds.is_timestamp(data_type):
        return data_type, lambda column: _with_infinities(column, pa.int64(), _INFINITE_MICROS)
    if kinds.is_date32(data_type):
        return data_type, lambda column: _with_infinities(column, pa.int32(), _INFINITE_DAYS)
    if kinds.is_list(data_type):
        item_type, read_item = _reading_type(data_type.value_type)
        if isinstance(data_type.value_type, pa.BaseExtensionType):
            item_type, read_item = data_type.value_type.storage_type, lambda items: items.storage
        return pa.list_(item_type), lambda column: pa.ListArray.from_arrays(
            column.offsets, read_item(column.values), pa.list_(item_type), mask=column.is_null()
        )
    return data_type, lambda column: column


def _with_infinities(column: pa.Array, count: pa.DataType, infinite: dict[int, int]) -> pa.Array:
    counts = column.view(count)
    for brought, meant in infinite.items():
        found = pc.equal(counts, pa.scalar(brought, count))
        if pc.any(found).as_py():
            counts = pc.if_else(found, pa.scalar(meant, count), counts)
    return counts.view(column.type)


def _is_numeric(data_type: pa.DataType) -> bool:
    return isinstance(data_type, pa.BaseExtensionType) and getattr(data_type, "type_name", "") == "numeric"


def _stored_as(field: pa.Field) -> pa.DataType:
    if kinds.is_uint64(field.type):
        return pa.decimal128(20, 0)
    if kinds.is_date64(field.type):
        return pa.date32()
    if kinds.is_struct(field.type) or kinds.is_map(field.type):
        raise WarehouseError(
            f"PostgreSQL has no type for the column {field.name!r}, of Arrow type {field.type}. Leave it out, or flatten it."
        )
    return field.type
