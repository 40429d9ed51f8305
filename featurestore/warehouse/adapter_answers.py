"""Answers of an adapter's driver as Arrow: its own Arrow where it has any, else rows in parts, never all at once.

A driver's rows become Arrow by the type that it says each column has. A column of which it does not say enough comes as text, which
`conformed` reads as what the feature is declared as.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from featurestore.arrow import arrow_type, conformed, python_values
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import (
    INT64,
    UNRESOLVED,
    BytesType,
    DecimalType,
    ListType,
    StringType,
    StructType,
    UnresolvedType,
    ValueType,
)
from featurestore.sql.dialects import dialect_of
from featurestore.sql.types import parse_data_type

from .adapter_connection import AdapterConnection
from .base import BATCH_ROWS

Typed = tuple[tuple[str, ValueType], ...]
"""The columns of an answer, by name; a type that no feature can have, or that is not known, is unresolved."""

_FORWARD = {"postgres": 10_000, "redshift": 1_000}
"""Whose drivers read a whole answer at once: there a cursor of the server's is asked for so many rows at a time (a small Redshift
cluster gives no more)."""

_ANY_INTEGER = DecimalType(38, 0)
_numbers = itertools.count(1)


def columns_of(connection: AdapterConnection, text: str) -> Typed:
    """The columns that a query which answers no rows would have."""
    cursor = connection.run(text)
    if connection.kind == "bigquery":
        return _bigquery_columns(cursor.schema)
    columns = _described(connection, cursor)
    # Every whole number is one of 38 digits in Snowflake; 64 bits is what people mean.
    return tuple((name, INT64 if connection.kind == "snowflake" and of == _ANY_INTEGER else of) for name, of in columns)


def answered(connection: AdapterConnection, text: str) -> pa.RecordBatchReader:
    """Run a query and stream its answer."""
    if connection.kind in _FORWARD:
        return _by_server_cursor(connection, text, _FORWARD[connection.kind])
    cursor = connection.run(text)
    match connection.kind:
        case "bigquery":
            return _reader(connection, _bigquery_columns(cursor.schema), cursor.to_arrow_iterable())
        case "snowflake" if (parts := _arrow_parts(cursor)) is not None:
            return _reader(connection, _described(connection, cursor), parts)
        case "databricks":
            return _databricks(connection, cursor)
    columns = _described(connection, cursor)
    return _reader(connection, columns, _rows(columns, lambda: cursor.fetchmany(BATCH_ROWS)))


def _by_server_cursor(connection: AdapterConnection, text: str, rows: int) -> pa.RecordBatchReader:
    name = f"featurestore_{next(_numbers)}"
    # It lives in a transaction, which the drivers of some begin by themselves and of others do not.
    connection.run("BEGIN TRANSACTION")
    connection.run(f"DECLARE {name} NO SCROLL CURSOR FOR {text}" if connection.kind == "postgres" else f"DECLARE {name} CURSOR FOR {text}")
    forward = f"FETCH FORWARD {rows} FROM {name}"
    first = connection.run(forward)
    columns = _described(connection, first)
    handle = connection.handle

    def parts() -> Iterator[Sequence[Any]]:
        cursor, part = handle.cursor(), first.fetchall()
        while part:
            yield part
            cursor.execute(forward)
            part = cursor.fetchall()
        # While it is open, nobody may drop the tables that it reads.
        cursor.execute(f"CLOSE {name}")

    following = parts()
    return _reader(connection, columns, _rows(columns, lambda: next(following, ())))


def _arrow_parts(cursor: Any) -> Iterator[pa.RecordBatch] | None:
    """The parts of Snowflake's answer, each fetched when it is asked for; None where it answers in JSON, as it does about itself."""
    parts = cursor.get_result_batches() or []
    if any(type(part).__name__ == "JSONResultBatch" for part in parts):
        return None
    tables = (part.to_arrow() for part in parts)
    return (batch for table in tables if table is not None for batch in table.to_batches())


def _databricks(connection: AdapterConnection, cursor: Any) -> pa.RecordBatchReader:
    driver = getattr(cursor, "_cursor", cursor)
    first = driver.fetchmany_arrow(BATCH_ROWS)

    def batches() -> Iterator[pa.RecordBatch]:
        table = first
        while table.num_rows:
            yield from table.to_batches()
            table = driver.fetchmany_arrow(BATCH_ROWS)

    return pa.RecordBatchReader.from_batches(first.schema, _told(connection, batches()))


def _reader(connection: AdapterConnection, columns: Typed, batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    """The batches in the types that the columns have, whatever narrower ones the driver chose for some of them."""
    schema = pa.schema([(name, _arrow(value_type)) for name, value_type in columns])

    def exact() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            arrays = [conformed(column, field.type) for column, field in zip(batch.columns, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, _told(connection, exact()))


def _rows(columns: Typed, fetch: Callable[[], Sequence[Any]]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(name, _arrow(value_type)) for name, value_type in columns])
    while rows := fetch():
        values = zip(*rows, strict=True)
        arrays = [_array(list(of), value_type) for of, (_, value_type) in zip(values, columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: list[Any], value_type: ValueType) -> pa.Array:
    if isinstance(value_type, StringType | UnresolvedType):
        values = [None if value is None else value if isinstance(value, str) else _as_text(value) for value in values]
    elif isinstance(value_type, BytesType):
        values = [None if value is None else bytes(value) for value in values]
    elif isinstance(value_type, ListType | StructType):
        values = [_plain(value, value_type) for value in values]
    return pa.array(python_values(values, value_type), _arrow(value_type))


def _plain(value: Any, value_type: ValueType) -> Any:
    """A nested value of lists and mappings: some drivers have tuples for structs."""
    match value_type:
        case ListType(item) if value is not None:
            return [_plain(each, item) for each in value]
        case StructType(fields) if isinstance(value, tuple):
            return {name: _plain(each, item) for (name, item), each in zip(fields, value, strict=True)}
    return value


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, dict | list) else str(value)


def _arrow(value_type: ValueType) -> pa.DataType:
    return pa.string() if isinstance(value_type, UnresolvedType) else arrow_type(value_type)


def _described(connection: AdapterConnection, cursor: Any) -> Typed:
    return tuple((column[0], _parsed(connection.type_text(tuple(column)), connection.kind)) for column in cursor.description or ())


def _parsed(text: str, kind: str) -> ValueType:
    try:
        return parse_data_type(text, dialect_of(kind)) if text else UNRESOLVED
    except UnsupportedTypeError:
        return UNRESOLVED


def _bigquery_columns(schema: Sequence[Any]) -> Typed:
    return tuple((field.name, _parsed(_bigquery_type(field), "bigquery")) for field in schema)


def _bigquery_type(field: Any) -> str:
    """A field of BigQuery's schema as its SQL writes the type."""
    name = {"RECORD": "STRUCT", "INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}.get(field.field_type, field.field_type)
    if name == "STRUCT":
        name = f"STRUCT<{', '.join(f'`{part.name}` {_bigquery_type(part)}' for part in field.fields)}>"
    elif field.precision:
        name = f"{name}({field.precision}, {field.scale or 0})"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def _told(connection: AdapterConnection, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches, with what goes wrong on the way said in the warehouse's words."""
    try:
        yield from batches
    except Exception as error:
        raise connection.refused(error) from error
