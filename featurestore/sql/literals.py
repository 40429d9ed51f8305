"""Rows as literals, for the warehouses that they reach in no better way than an INSERT."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timezone
from decimal import Decimal
from typing import Any

from sqlglot import exp

from featurestore.registry.definitions import Column
from featurestore.registry.value_types import BytesType, ValueType

from .column_types import column_type
from .dialects import Dialect
from .expressions import identifier, null_of


def new_table(target: exp.Table, columns: Sequence[Column], dialect: Dialect, *, temporary: bool) -> exp.Create:
    """CREATE TABLE for values of those types. Raises UnsupportedTypeError for a nested one."""
    definitions = [exp.ColumnDef(this=identifier(each.name), kind=column_type(each.value_type, dialect)) for each in columns]
    properties = exp.Properties(expressions=[exp.TemporaryProperty()]) if temporary else None
    return exp.Create(this=exp.Schema(this=target, expressions=definitions), kind="TABLE", properties=properties)


def insertion(target: exp.Table, columns: Sequence[Column], rows: Iterable[Sequence[Any]], dialect: Dialect) -> exp.Insert:
    """INSERT of those rows."""
    types = [each.value_type for each in columns]
    tuples = [exp.Tuple(expressions=[literal(value, of, dialect) for value, of in zip(row, types, strict=True)]) for row in rows]
    into = exp.Schema(this=target, expressions=[identifier(each.name) for each in columns])
    return exp.Insert(this=into, expression=exp.Values(expressions=tuples))


def literal(value: Any, value_type: ValueType, dialect: Dialect) -> exp.Expression:
    """A value of that type, exactly. Raises UnsupportedTypeError for a nested one."""
    if value is None:
        return null_of(column_type(value_type, dialect))
    match value:
        case bool():
            return exp.Boolean(this=value)
        case str():
            return exp.National(this=value) if dialect.national_text else exp.Literal.string(value)
        case int():
            return exp.Literal.number(value)
        case float() if math.isfinite(value) and (value or math.copysign(1.0, value) > 0):  # as a decimal, -0.0 has no sign
            return exp.cast(exp.Literal.number(repr(value)), column_type(value_type, dialect))
        case float():
            return exp.cast(exp.Literal.string(str(value)), column_type(value_type, dialect))
        case Decimal():
            return exp.cast(exp.Literal.string(f"{value:f}"), column_type(value_type, dialect))
        case bytes():
            return _bytes(value, dialect)
        case datetime():
            naive = value.astimezone(timezone.utc).replace(tzinfo=None) if value.tzinfo else value
            return exp.cast(exp.Literal.string(naive.isoformat(sep=" ", timespec="microseconds")), column_type(value_type, dialect))
        case date() | time():
            return exp.cast(exp.Literal.string(value.isoformat()), column_type(value_type, dialect))
    return null_of(column_type(value_type, dialect))


def _bytes(value: bytes, dialect: Dialect) -> exp.Expression:
    match dialect.name:
        case "postgres":
            return exp.cast(exp.Literal.string(f"\\x{value.hex()}"), column_type(BytesType(), dialect))
        case "redshift":
            return exp.Anonymous(this="FROM_HEX", expressions=[exp.Literal.string(value.hex())])
        case "duckdb":
            return exp.Anonymous(this="UNHEX", expressions=[exp.Literal.string(value.hex())])
    return exp.HexString(this=value.hex())
