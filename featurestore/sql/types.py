"""Says which value type a warehouse's column type is, exactly, or that no feature can have it.

Simple types are found in tables, so that a listing never pays for the SQL parser; nested ones are read with sqlglot. A type that has
no exact place among the value types is refused with the cast that mends it: nothing is read as something near it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
    ValueType,
)

if TYPE_CHECKING:
    from sqlglot import exp

MAX_PRECISION = 38
"""Digits of the widest decimal that Arrow's decimal128, and so a feature, can hold."""

_FLOAT32 = FloatType(32)
_INT8, _INT16, _INT32 = IntegerType(8), IntegerType(16), IntegerType(32)

_EVERYWHERE: dict[str, ValueType] = {
    "BIGINT": INT64,
    "BINARY": BYTES,
    "BLOB": BYTES,
    "BOOL": BOOLEAN,
    "BOOLEAN": BOOLEAN,
    "BYTES": BYTES,
    "CHAR": STRING,
    "CHARACTER": STRING,
    "CHARACTER VARYING": STRING,
    "DATE": DATE,
    "DATETIME": TIMESTAMP,
    "DOUBLE": FLOAT64,
    "DOUBLE PRECISION": FLOAT64,
    "FLOAT": FLOAT64,
    "FLOAT4": _FLOAT32,
    "FLOAT64": FLOAT64,
    "FLOAT8": FLOAT64,
    "INT": _INT32,
    "INT2": _INT16,
    "INT4": _INT32,
    "INT64": INT64,
    "INT8": INT64,
    "INTEGER": _INT32,
    "JSON": STRING,
    "REAL": _FLOAT32,
    "SMALLINT": _INT16,
    "STRING": STRING,
    "TEXT": STRING,
    "TIME": TIME,
    "TIME WITHOUT TIME ZONE": TIME,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": TIMESTAMP_UTC,
    "TIMESTAMP WITHOUT TIME ZONE": TIMESTAMP,
    "TIMESTAMPTZ": TIMESTAMP_UTC,
    "TINYINT": _INT8,
    "UUID": STRING,
    "VARBINARY": BYTES,
    "VARCHAR": STRING,
}
_HUGE = DecimalType(MAX_PRECISION, 0)
_POSTGRES: dict[str, ValueType] = {
    "BPCHAR": STRING,
    "BYTEA": BYTES,
    "CITEXT": STRING,
    "JSONB": STRING,
    "NAME": STRING,
}
_SPARK: dict[str, ValueType] = {
    "BYTE": _INT8,
    "FLOAT": _FLOAT32,
    "LONG": INT64,
    "SHORT": _INT16,
    "TIMESTAMP": TIMESTAMP_UTC,
    "TIMESTAMP_LTZ": TIMESTAMP_UTC,
    "TIMESTAMP_NTZ": TIMESTAMP,
}
_T_SQL: dict[str, ValueType] = {
    "BIT": BOOLEAN,
    "DATETIME2": TIMESTAMP,
    "DATETIMEOFFSET": TIMESTAMP_UTC,
    "MONEY": DecimalType(19, 4),
    "NCHAR": STRING,
    "NTEXT": STRING,
    "NVARCHAR": STRING,
    "SMALLDATETIME": TIMESTAMP,
    "SMALLMONEY": DecimalType(10, 4),
    # It has no sign there.
    "TINYINT": IntegerType(8, signed=False),
    "UNIQUEIDENTIFIER": STRING,
}
_REFUSED: dict[str, frozenset[str]] = {
    # Its values have no order, so that rows which share keys and timestamp could not be told apart.
    "bigquery": frozenset({"JSON"}),
    "trino": frozenset({"JSON"}),
    # A version number of the row, and no time.
    "tsql": frozenset({"ROWVERSION", "TIMESTAMP"}),
}
_BY_DIALECT: dict[str, dict[str, ValueType]] = {
    "duckdb": {
        "BYTEA": BYTES,
        "BPCHAR": STRING,
        "FLOAT": _FLOAT32,
        # Arrow brings a HUGEINT as decimal128(38, 0), and sum(bigint) is one.
        "HUGEINT": _HUGE,
        "INT1": _INT8,
        "INT128": _HUGE,
        "INT16": _INT16,
        "INT32": _INT32,
        "LOGICAL": BOOLEAN,
        "LONG": INT64,
        "SHORT": _INT16,
        "SIGNED": _INT32,
        "TIMESTAMP_MS": TIMESTAMP,
        "TIMESTAMP_NS": TIMESTAMP,
        "TIMESTAMP_S": TIMESTAMP,
        "TIMESTAMP_US": TIMESTAMP,
        "UBIGINT": IntegerType(64, signed=False),
        "UINT16": IntegerType(16, signed=False),
        "UINT32": IntegerType(32, signed=False),
        "UINT64": IntegerType(64, signed=False),
        "UINT8": IntegerType(8, signed=False),
        "UINTEGER": IntegerType(32, signed=False),
        "USMALLINT": IntegerType(16, signed=False),
        "UTINYINT": IntegerType(8, signed=False),
    },
    "clickhouse": {
        **{f"{sign}INT{bits}": IntegerType(bits, signed=not sign) for sign in ("", "U") for bits in (8, 16, 32, 64)},
        "DATE32": DATE,
        "DATETIME64": TIMESTAMP,
        "FIXEDSTRING": BYTES,
        "FLOAT": _FLOAT32,
        "FLOAT32": _FLOAT32,
        "INT128": _HUGE,
        "IPV4": STRING,
        "IPV6": STRING,
        "TIME64": TIME,
    },
    "postgres": _POSTGRES,
    "redshift": {**_POSTGRES, "SUPER": STRING, "VARBYTE": BYTES},
    "snowflake": {
        # Every integer word means NUMBER(38, 0) there, and its Arrow answer is as wide as the values; 64 bits is what people mean.
        **dict.fromkeys(("BIGINT", "BYTEINT", "INT", "INTEGER", "SMALLINT", "TINYINT"), INT64),
        **dict.fromkeys(("FLOAT4", "REAL"), FLOAT64),
        **dict.fromkeys(("ARRAY", "OBJECT", "VARIANT"), STRING),
        "TIMESTAMP_LTZ": TIMESTAMP_UTC,
        "TIMESTAMP_NTZ": TIMESTAMP,
        "TIMESTAMP_TZ": TIMESTAMP_UTC,
    },
    "bigquery": {
        **dict.fromkeys(("BIGINT", "BYTEINT", "INT", "INTEGER", "SMALLINT", "TINYINT"), INT64),
        "TIMESTAMP": TIMESTAMP_UTC,
    },
    "spark": _SPARK,
    "databricks": _SPARK,
    "tsql": _T_SQL,
    "fabric": _T_SQL,
}
_DEFAULT_DECIMALS: dict[str, tuple[int, int]] = {
    "bigquery": (38, 9),
    "clickhouse": (10, 0),
    "databricks": (10, 0),
    "fabric": (18, 0),
    "duckdb": (18, 3),
    "mysql": (10, 0),
    "redshift": (18, 0),
    "snowflake": (38, 0),
    "spark": (10, 0),
    "trino": (38, 0),
    "tsql": (18, 0),
}
"""What a DECIMAL without precision means. PostgreSQL's has none: it holds any number of digits, as no feature can."""

_DECIMAL_WORDS = frozenset({"DECIMAL", "NUMERIC", "DEC", "NUMBER"})
_PARAMETERS = re.compile(r"\s*\(([^()]*)\)")
_ANY_LENGTH = re.compile(r"\(\s*MAX\s*\)")
_ARRAY = re.compile(r"(.*[^\]]) ?\[\d*\]")
"""`INTEGER[]` or `FLOAT[384]`, of one dimension."""

_SPACES = re.compile(r"\s+")
_CLICKHOUSE_WRAPPERS = re.compile(r"(?:NULLABLE|LOWCARDINALITY)\((.*)\)")
_CLICKHOUSE_ZONED = re.compile(r"DATETIME(?:64)?\((?:\d, ?)?'[^']+'\)")
_CLICKHOUSE_DECIMAL = re.compile(r"DECIMAL(32|64|128)\((\d+)\)")
_CLICKHOUSE_DIGITS = {"32": 9, "64": 18, "128": 38}


@lru_cache(maxsize=4096)
def parse_data_type(text: str, dialect: str) -> ValueType:
    """The value type of a column that the warehouse, or a model's `data_type`, calls `text`.

    Raises UnsupportedTypeError saying what to cast it to.
    """
    written = _ANY_LENGTH.sub("", _SPACES.sub(" ", text.strip()).upper())
    array = _ARRAY.fullmatch(written)
    simple = _simple_type(array.group(1) if array else written, dialect)
    if simple is None:
        return _parsed_type(text, dialect)
    return ListType(simple) if array else simple


def _simple_type(written: str, dialect: str) -> ValueType | None:
    if dialect == "clickhouse":
        return _clickhouse_type(written)
    return _type_of_words(written, dialect)


def _clickhouse_type(written: str) -> ValueType | None:
    """There, a type is wrapped in whether it may be null, and in how it is stored; a zone and a size of decimals stand in its name."""
    wrapped = _CLICKHOUSE_WRAPPERS.fullmatch(written)
    if wrapped is not None:
        return _clickhouse_type(wrapped.group(1))
    if _CLICKHOUSE_ZONED.fullmatch(written):
        return TIMESTAMP_UTC
    decimal = _CLICKHOUSE_DECIMAL.fullmatch(written)
    if decimal is not None:
        return _decimal([_CLICKHOUSE_DIGITS[decimal.group(1)], int(decimal.group(2))], written)
    return _type_of_words(written, "clickhouse")


def _type_of_words(written: str, dialect: str) -> ValueType | None:
    parameters = _PARAMETERS.search(written)
    if parameters is None:
        return _word_type(written, dialect)
    word = (written[: parameters.start()] + written[parameters.end() :]).strip()
    if not all(part.strip().isdigit() for part in parameters.group(1).split(",")):
        return None
    numbers = [int(part) for part in parameters.group(1).split(",")]
    if word in _DECIMAL_WORDS:
        return _decimal(numbers, written)
    if word == "FLOAT":
        # FLOAT(24) and less is single precision, in standard SQL and wherever the parameter means anything.
        return _FLOAT32 if numbers[0] <= 24 else FLOAT64
    found = _word_type(word, dialect)
    # VARCHAR(20), TIMESTAMP(6) WITH TIME ZONE: a length or a precision changes nothing. INTEGER(10, 2) is nothing we know.
    return found if len(numbers) == 1 else None


def _word_type(word: str, dialect: str) -> ValueType | None:
    if word in _DECIMAL_WORDS and dialect in _DEFAULT_DECIMALS:
        return DecimalType(*_DEFAULT_DECIMALS[dialect])
    if word in _DECIMAL_WORDS and dialect == "postgres":
        raise UnsupportedTypeError(f"{word} without precision holds any number of digits. Cast it in the model, like numeric(18, 4).")
    if word in _REFUSED.get(dialect, ()):
        return None
    return _BY_DIALECT.get(dialect, {}).get(word) or _EVERYWHERE.get(word)


def _decimal(numbers: list[int], written: str) -> DecimalType:
    precision, scale = (*numbers, 0)[:2]
    if not 0 < precision <= MAX_PRECISION or scale > precision:
        raise UnsupportedTypeError(f"{written} has more digits than the {MAX_PRECISION} a feature can hold. Cast it in the model.")
    return DecimalType(precision, scale)


def _parsed_type(text: str, dialect: str) -> ValueType:
    """The type of an array, a struct, a map, or another type that has no single word."""
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.errors import SqlglotError

    try:
        parsed = exp.DataType.build(text, dialect=dialect if Dialect.get(dialect) else None, udt=False)
    except (SqlglotError, ValueError):
        raise _unsupported(text) from None
    return _of_tree(parsed, text, dialect)


def _of_tree(tree: exp.Expression, whole: str, dialect: str) -> ValueType:
    from sqlglot import exp
    from sqlglot.dialects.dialect import Dialect

    kind = tree.this if isinstance(tree, exp.DataType) else None
    types = exp.DataType.Type
    if not isinstance(tree, exp.DataType) or kind is None:
        raise _unsupported(whole)
    if kind in (types.ARRAY, types.LIST):
        if len(tree.expressions) != 1:
            raise _unsupported(whole)
        return ListType(_of_tree(tree.expressions[0], whole, dialect))
    if kind == types.MAP:
        if len(tree.expressions) != 2:
            raise _unsupported(whole)
        key, value = (_of_tree(part, whole, dialect) for part in tree.expressions)
        return MapType(key, value)
    if kind in (types.STRUCT, types.OBJECT):
        return StructType(tuple(_field(part, place, whole, dialect) for place, part in enumerate(tree.expressions, start=1)))
    if kind == types.NESTED:
        return ListType(StructType(tuple(_field(part, place, whole, dialect) for place, part in enumerate(tree.expressions, start=1))))
    if kind in (types.LOWCARDINALITY, types.SIMPLEAGGREGATEFUNCTION):
        return _of_tree(tree.expressions[-1], whole, dialect)
    if kind in (types.ENUM, types.ENUM8, types.ENUM16):
        return STRING
    simple = _simple_type(tree.sql(dialect=dialect if Dialect.get(dialect) else None).upper(), dialect)
    if simple is None:
        raise _unsupported(whole)
    return simple


def _field(part: exp.Expression, place: int, whole: str, dialect: str) -> tuple[str, ValueType]:
    from sqlglot import exp

    if isinstance(part, exp.DataType):
        # ClickHouse calls the parts of a tuple by their places where they have no names.
        return str(place), _of_tree(part, whole, dialect)
    if not isinstance(part, exp.ColumnDef) or part.kind is None:
        raise _unsupported(whole)
    return part.name, _of_tree(part.kind, whole, dialect)


def _unsupported(text: str) -> UnsupportedTypeError:
    shown = (text if len(text) <= 80 else text[:77] + "...") or "''"
    return UnsupportedTypeError(f"no feature can have the type {shown}. Cast it in the model, to text or to a number, or leave it out.")
