"""Random expressions of features on demand, as an author would write them, and random rows with whatever is hard about their values."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Context, Decimal
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from featurestore.arrow import arrow_type
from featurestore.registry.expressions import OnDemand
from featurestore.registry.value_types import (
    BOOLEAN,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    IntegerType,
    ValueType,
)
from featurestore.sql.on_demand.conversions import ExpressionError
from featurestore.sql.on_demand.grammar import parse_expression

FEATURES: Mapping[str, ValueType] = {
    "whole": INT64,
    "small": IntegerType(32),
    "ratio": FLOAT64,
    "price": DecimalType(12, 3),
    "total": DecimalType(30, 4),
    "name": STRING,
    "member": BOOLEAN,
    "born": DATE,
    "seen": TIMESTAMP,
}
INPUTS: Mapping[str, ValueType] = {
    "count": INT64,
    "score": FLOAT64,
    "amount": DecimalType(10, 2),
    "word": STRING,
    "fresh": BOOLEAN,
    "due": DATE,
    "sent": TIMESTAMP,
}
_LEAVES = {
    "integer": ("whole", "small", "count", "0", "1", "-1", "7", "9223372036854775807"),
    "float": ("ratio", "score", "0.5e0", "1e300", "-2e-300", "3e0"),
    "decimal": ("price", "amount", "0.01", "2.5", "-10.25"),
    "text": ("name", "word", "''", "'a'", "'É b'", "' x '", "'O''Hare'"),
    "truth": ("member", "fresh", "true", "false"),
    "date": ("born", "due", "date '2024-02-29'", "date '0001-01-01'"),
    "timestamp": ("seen", "sent", "requested_at", "timestamp '1999-12-31 23:59:59.999999'"),
}
_INTERVALS = ("1 month", "13 months", "4 years", "1 day", "36 hours", "90 minutes", "1 second", "1 microsecond", "3 weeks", "1 quarter")
_UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
_PARTS = ("year", "quarter", "month", "day", "hour", "minute", "second", "dow", "isodow", "doy", "week")


@st.composite
def texts(draw: st.DrawFn, kind: str, depth: int, libm: bool = False) -> str:
    """The text of an expression whose answer is of that kind. Args: libm: whether it may have LN, EXP and POWER in it."""
    if depth == 0 or draw(st.integers(0, 4)) == 0:
        return draw(st.sampled_from(_LEAVES[kind]))

    def some(of: str) -> str:
        return draw(texts(of, depth - 1, libm))

    def one(*of: str) -> str:
        return draw(st.sampled_from(of))

    numeric = one("integer", "float", "decimal")
    anything = {
        "case": lambda: f"(case when {some('truth')} then {some(kind)} else {some(kind)} end)",
        "half": lambda: f"(case when {some('truth')} then {some(kind)} end)",
        "coalesce": lambda: f"coalesce({some(kind)}, {some(kind)})",
        "nullif": lambda: f"nullif({some(kind)}, {some(kind)})",
    }
    if kind != "truth":
        anything["greatest"] = lambda: f"{one('greatest', 'least')}({some(kind)}, {some(kind)})"
    own = {
        "integer": {
            "arithmetic": lambda: f"({some(kind)} {one('+', '-', '*')} {some(kind)})",
            "division": lambda: f"({some(kind)} // {some(kind)})",
            "mod": lambda: f"mod({some(kind)}, {some(kind)})",
            "sign": lambda: f"sign({some(numeric)})",
            "abs": lambda: f"{one('abs', '-')}({some(kind)})",
            "cast": lambda: f"cast({some(one('float', 'decimal', 'truth'))} as {one('bigint', 'int', 'smallint')})",
            "length": lambda: f"length({some('text')})",
            "extract": lambda: f"extract({one(*_PARTS)} from {some(one('date', 'timestamp'))})",
            "diff": lambda: f"date_diff('{one(*_UNITS)}', {some(one('date', 'timestamp'))}, {some('timestamp')})",
            "days": lambda: f"({some('date')} - {some('date')})",
        },
        "float": {
            "arithmetic": lambda: f"({some(kind)} {one('+', '-', '*')} {some(one('float', numeric))})",
            "division": lambda: f"({some(numeric)} / {some(numeric)})",
            "whole": lambda: f"{one('floor', 'ceil', 'trunc', 'abs', '-', 'sqrt')}({some(kind)})",
            "round": lambda: f"round({some(kind)}, {one('0', '1', '2', '5')})",
            "cast": lambda: f"cast({some(one('integer', 'decimal'))} as double)",
            "epoch": lambda: f"extract(epoch from {some('timestamp')})",
            **(
                {
                    "libm": lambda: f"{one('ln', 'exp')}({some(kind)})",
                    "power": lambda: f"power({some(kind)}, {some(numeric)})",
                }
                if libm
                else {}
            ),
        },
        "decimal": {
            "arithmetic": lambda: f"({some(kind)} {one('+', '-', '*')} {some(one('decimal', 'integer'))})",
            "whole": lambda: f"{one('floor', 'ceil', 'trunc', 'abs', '-')}({some(kind)})",
            "round": lambda: f"round({some(kind)}, {one('0', '1', '2')})",
            "cast": lambda: f"cast({some(numeric)} as decimal({one('5, 2', '12, 0', '18, 4', '38, 2')}))",
            "total": lambda: "cast(total as decimal(20, 1))",
        },
        "text": {
            "letters": lambda: f"{one('lower', 'upper', 'trim', 'ltrim', 'rtrim')}({some(kind)})",
            "substring": lambda: f"substring({some(kind)}, {one('1', '2', '5')}, {one('0', '1', '3')})",
            "from": lambda: f"substring({some(kind)}, {one('1', '2', '5')})",
            "side": lambda: f"{one('left', 'right')}({some(kind)}, {one('0', '1', '2')})",
            "concat": lambda: f"({some(kind)} || {some(kind)})",
            "all": lambda: f"concat({some(kind)}, {some(kind)})",
            "replace": lambda: f"replace({some(kind)}, {some(kind)}, {some(kind)})",
            "cast": lambda: f"cast({some(one('integer', 'decimal', 'truth', 'date'))} as varchar)",
        },
        "truth": {
            "compare": lambda: _compared(some, one, numeric),
            "logic": lambda: f"({some(kind)} {one('and', 'or')} {some(kind)})",
            "not": lambda: f"(not {some(kind)})",
            "null": lambda: f"({some(one(*_LEAVES))} is {one('', 'not ')}null)",
            "is": lambda: f"({some(kind)} is {one('true', 'false', 'not true')})",
            "in": lambda: _listed(some, one(*_LEAVES)),
            "between": lambda: f"({some(numeric)} between {some(numeric)} and {some(numeric)})",
            "text": lambda: f"{one('starts_with', 'ends_with', 'contains')}({some('text')}, {some('text')})",
        },
        "date": {"cast": lambda: f"cast({some('timestamp')} as date)"},
        "timestamp": {
            "later": lambda: f"({some(one('date', 'timestamp'))} {one('+', '-')} interval '{one(*_INTERVALS)}')",
            "trunc": lambda: f"date_trunc('{one(*_UNITS)}', {some(one('date', 'timestamp'))})",
            "cast": lambda: f"cast({some('date')} as timestamp)",
        },
    }[kind]
    ways = {**anything, **{f"{kind} {name}": way for name, way in own.items()}, **{f"{kind} {name} too": way for name, way in own.items()}}
    return ways[draw(st.sampled_from(sorted(ways)))]()


def _compared(some: Any, one: Any, numeric: str) -> str:
    kind = one("integer", "float", "decimal", "text", "date", "timestamp")
    other = one(kind, numeric) if kind in ("integer", "float", "decimal") else kind
    return f"({some(kind)} {one('=', '<>', '<', '<=', '>', '>=')} {some(other)})"


def _listed(some: Any, kind: str) -> str:
    return f"({some(kind)} in ({some(kind)}, {some(kind)}))"


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3, libm: bool = False) -> OnDemand:
    """An expression that has types. One whose decimals would have too many digits is refused, and drawn again."""
    for _ in range(10):
        text = draw(texts(draw(st.sampled_from(sorted(_LEAVES))), depth, libm))
        try:
            return parse_expression(text, FEATURES, INPUTS, {})
        except ExpressionError as error:
            if "digits" not in str(error):
                raise
    return parse_expression("amount", FEATURES, INPUTS, {})


_INTEGERS = st.sampled_from([0, 1, -1, 2, 7, -13, 2**31, 2**53 + 1, 2**63 - 1, -(2**63)]) | st.integers(-100, 100)
_FLOATS = (
    st.sampled_from([0.0, -0.0, 0.5, -0.5, 1.5, 2.5, 0.49999999999999994, 1e-320, -5e-324, 1e308, -1.7976931348623157e308])
    | st.sampled_from([math.nan, math.inf, -math.inf, 2.0**52 + 0.5, 2.0**63, -(2.0**63), 1e15, 0.1, 4.35, 1e-160, 3e154])
    | st.floats(-1e6, 1e6)
    | st.floats()
)
_WORDS = st.sampled_from(
    ["", " ", "a", "A", "Ångström ", "  Straße  ", "日本語", "İi", "e\u0301", "\t x", "a%b_c", "\\", "'", "🎉ab", "O'Hare"]
)
_DATES = st.sampled_from([date(1, 1, 1), date(9999, 12, 31), date(2024, 2, 29), date(1970, 1, 1), date(1969, 12, 31)]) | st.dates()
_MOMENTS = (
    st.sampled_from([datetime.min, datetime.max, datetime(1970, 1, 1), datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(2021, 1, 31)])
    | st.datetimes()
    | st.datetimes(datetime(2020, 1, 1), datetime(2026, 1, 1))
)


def _decimals(value_type: DecimalType) -> st.SearchStrategy[Decimal]:
    most = 10**value_type.precision - 1
    units = (
        st.sampled_from([0, 1, -1, 5, 15, -25, most, -most])
        | st.integers(-most, most)
        | st.integers(max(-most, -100_000), min(most, 100_000))
    )
    return units.map(lambda unit: Decimal(unit).scaleb(-value_type.scale, Context(prec=40)))


_VALUES: Mapping[ValueType, st.SearchStrategy[Any]] = {
    INT64: _INTEGERS,
    IntegerType(32): st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31)]) | st.integers(-50, 50),
    FLOAT64: _FLOATS,
    STRING: _WORDS | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=4),
    BOOLEAN: st.booleans(),
    DATE: _DATES,
    TIMESTAMP: _MOMENTS,
    TIMESTAMP_UTC: _MOMENTS.map(lambda moment: moment.replace(tzinfo=timezone.utc)),
    FloatType(32): st.sampled_from([0.0, -0.0, 0.1, 3.4e38, math.nan, math.inf]) | st.floats(width=32),
}


def values_of(value_type: ValueType) -> st.SearchStrategy[Any]:
    """Values of a type, the awkward ones often."""
    if value_type in _VALUES:
        return _VALUES[value_type]
    if isinstance(value_type, DecimalType):
        return _decimals(value_type)
    assert isinstance(value_type, IntegerType)
    greatest = 2 ** (value_type.bits - value_type.signed) - 1
    least = -greatest - 1 if value_type.signed else 0
    return st.sampled_from([least, 0, 1, greatest, greatest // 2, greatest // 2 + 1]) | st.integers(least, greatest)


@dataclass(frozen=True)
class Rows:
    """Rows of features and inputs, each asked about at an instant of its own."""

    columns: Mapping[str, Sequence[Any]]
    requested_at: Sequence[datetime]

    def table(self) -> pa.Table:
        """As a warehouse is given them, numbered."""
        types = {**FEATURES, **INPUTS}
        columns = {name: pa.array(values, arrow_type(types[name])) for name, values in self.columns.items()}
        count = len(self.requested_at)
        return pa.table(
            {"place": pa.array(range(count), pa.int64()), **columns, "requested_at": pa.array(self.requested_at, pa.timestamp("us"))}
        )


@st.composite
def some_rows(draw: st.DrawFn, most: int = 8) -> Rows:
    """A few rows, nulls among their values."""
    count = draw(st.integers(1, most))
    columns = {
        name: draw(st.lists(st.none() | values_of(value_type), min_size=count, max_size=count))
        for name, value_type in {**FEATURES, **INPUTS}.items()
    }
    return Rows(columns, draw(st.lists(_MOMENTS, min_size=count, max_size=count)))


def spelled(value: Any) -> object:
    """A value so that only what is the same to the last bit is equal: every not-a-number is one."""
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value)
    if isinstance(value, Decimal):
        return value.as_tuple()
    return (type(value).__name__, value)
