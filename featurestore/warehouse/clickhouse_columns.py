"""ClickHouse's column types, from Arrow's and to Arrow's.

What is uploaded gets the type that holds every value, null ones too, where ClickHouse has such a type: lists, structs and maps cannot be
null there. What is answered is cast, before it travels, to a type that its Arrow output says exactly: that output knows a DateTime as a
number of seconds, an enumeration by its number, and a UUID or a wide integer as bytes.
"""

from __future__ import annotations

import pyarrow as pa
import pyarrow.types as kinds
from sqlglot import exp
from sqlglot.errors import SqlglotError

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.expressions import identifier
from featurestore.sql.types import parse_data_type

_DIALECT = "clickhouse"
_TYPES = exp.DataType.Type
_SUBSECOND_DIGITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_ENUMERATIONS = {_TYPES.ENUM, _TYPES.ENUM8, _TYPES.ENUM16}
_AS_TEXT = {*_ENUMERATIONS, _TYPES.UUID, _TYPES.IPV4, _TYPES.IPV6, _TYPES.JSON, _TYPES.OBJECT, _TYPES.DYNAMIC, _TYPES.INT128}


def column_of(name: str, data_type: str) -> Column:
    """A column; one of a type that no feature can have is `UNRESOLVED`."""
    try:
        return Column(name, parse_data_type(data_type, _DIALECT))
    except UnsupportedTypeError:
        return Column(name, UNRESOLVED)


def stored_type(data_type: pa.DataType) -> exp.DataType:
    """The type of a column that holds what an Arrow column holds. Raises UnsupportedTypeError where there is none."""
    if kinds.is_map(data_type):
        key = stored_type(data_type.key_type)
        key.set("nullable", False)
        return exp.DataType(this=_TYPES.MAP, expressions=[key, stored_type(data_type.item_type)], nested=True, nullable=False)
    if kinds.is_struct(data_type):
        fields = [exp.ColumnDef(this=identifier(each.name), kind=stored_type(each.type)) for each in data_type.fields]
        return exp.DataType(this=_TYPES.STRUCT, expressions=fields, nested=True, nullable=False)
    if kinds.is_list(data_type) or kinds.is_large_list(data_type) or kinds.is_fixed_size_list(data_type):
        return exp.DataType(this=_TYPES.ARRAY, expressions=[stored_type(data_type.value_type)], nested=True, nullable=False)
    text = f"Nullable({_scalar(data_type)})"
    try:
        return _parsed(text)
    except SqlglotError:  # which has no name for Time64 yet
        return exp.DataType(this=_TYPES.USERDEFINED, kind=text, nullable=False)


def travelling_type(data_type: str) -> exp.DataType | None:
    """The type to cast a column of a query to, so that Arrow says its values exactly. None: it does already."""
    try:
        parsed = _parsed(data_type)
    except SqlglotError:
        # What sqlglot has no name for yet (Time64, BFloat16) is as Arrow has it.
        return None
    travelling = _travelling(parsed)
    return None if travelling == parsed else travelling


def _parsed(text: str) -> exp.DataType:
    return exp.DataType.build(text, dialect=_DIALECT, udt=False)


def _scalar(data_type: pa.DataType) -> str:
    if kinds.is_boolean(data_type):
        return "Bool"
    if kinds.is_integer(data_type):
        return f"{'Int' if kinds.is_signed_integer(data_type) else 'UInt'}{data_type.bit_width}"
    if kinds.is_floating(data_type):
        return f"Float{max(32, data_type.bit_width)}"
    if kinds.is_decimal(data_type):
        return f"Decimal({data_type.precision}, {data_type.scale})"
    if kinds.is_date(data_type):
        return "Date32"
    if kinds.is_time(data_type):
        return f"Time64({_SUBSECOND_DIGITS[data_type.unit]})"
    if kinds.is_timestamp(data_type):
        zone = "" if data_type.tz is None else ", 'UTC'"
        return f"DateTime64({_SUBSECOND_DIGITS[data_type.unit]}{zone})"
    if kinds.is_string(data_type) or kinds.is_large_string(data_type) or kinds.is_binary(data_type) or kinds.is_large_binary(data_type):
        return "String"
    raise UnsupportedTypeError(f"ClickHouse has no type for a column of Arrow type {data_type}. Convert it first.")


def _travelling(of: exp.DataType) -> exp.DataType:
    """The type itself, where it travels as it is."""
    kind, nullable = of.this, bool(of.args.get("nullable"))
    if kind == _TYPES.LOWCARDINALITY or kind == _TYPES.SIMPLEAGGREGATEFUNCTION:
        inner = _travelling(of.expressions[-1])
        return of if inner == of.expressions[-1] and kind == _TYPES.LOWCARDINALITY else inner
    if kind in (_TYPES.ARRAY, _TYPES.MAP, _TYPES.STRUCT):
        changed = of.copy()
        changed.set("expressions", [_travelling_part(part) for part in of.expressions])
        return changed
    if kind in _AS_TEXT:
        return _scalar_type("String", nullable)
    if kind == _TYPES.DATETIME:
        return _scalar_type("DateTime64(6, 'UTC')", nullable)
    if kind == _TYPES.DATE:
        return _scalar_type("Date32", nullable)
    return of


def _travelling_part(part: exp.Expression) -> exp.Expression:
    if isinstance(part, exp.ColumnDef):
        changed = part.copy()
        changed.set("kind", _travelling(part.args["kind"]))
        return changed
    return _travelling(part) if isinstance(part, exp.DataType) else part


def _scalar_type(name: str, nullable: bool) -> exp.DataType:
    return _parsed(f"Nullable({name})" if nullable else name)
