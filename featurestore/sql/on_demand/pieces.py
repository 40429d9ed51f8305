"""The pieces that the SQL of expressions is made of, in one dialect: typed literals, casts that are null where a value does not fit, and
values that are named because they are needed more than once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from sqlglot import exp

from featurestore.registry.value_types import BooleanType, DateType, FloatType, StringType, TimestampType, ValueType
from featurestore.sql.column_types import column_type
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import BIGINT, column, identifier, named, null_of

GREATEST_FLOAT = 1.7976931348623157e308
_SIMPLE = (exp.Column, exp.Literal, exp.Cast, exp.Anonymous, exp.Paren, exp.Null, exp.Boolean, exp.Func, exp.Subquery)


@dataclass(frozen=True)
class Pieces:
    """Makes them for one expression."""

    dialect: Dialect
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def type(self, value_type: ValueType) -> exp.DataType:
        """The warehouse's type of such values."""
        return column_type(value_type, self.dialect)

    def cast(self, value: exp.Expression, value_type: ValueType) -> exp.Expression:
        """A cast that always fits."""
        # `exp.cast` takes a decimal for what it is already, whatever its digits.
        return exp.Cast(this=value, to=self.type(value_type))

    def literal(self, text: str | None, value_type: ValueType) -> exp.Expression:
        """The value that a literal spells, typed."""
        if text is None:
            return null_of(self.type(value_type))
        match value_type:
            case BooleanType():
                return exp.Boolean(this=text == "true")
            case StringType():
                return exp.Literal.string(text)
            case FloatType() | DateType() | TimestampType():
                return self.cast(exp.Literal.string(text), value_type)
        return self.cast(whole(int(text)) if text.lstrip("-").isdigit() else signed(text), value_type)

    def float(self, value: float) -> exp.Expression:
        """A float, whatever its size."""
        return exp.cast(exp.Literal.string(repr(value)), exp.DType.DOUBLE)

    def named(self, operands: list[exp.Expression], body: Callable[..., exp.Expression]) -> exp.Expression:
        """What `body` makes of the operands, which it may use more than once.

        Where that would be worked out each time, or is an error in a branch that is not taken, they stand in a subquery of their own.
        """
        if self.dialect.try_cast or all(isinstance(each, exp.Column | exp.Literal) for each in operands):
            return body(*operands)
        place = next(self._numbers)
        names = [f"v{place}_{number}" for number in range(1, len(operands) + 1)]
        inner = exp.select(*(named(each, name) for each, name in zip(operands, names, strict=True)))
        # An OFFSET keeps the planner from putting them into the body again.
        source = inner.offset(0).subquery(identifier(f"let_{place}"))
        made = body(*(column(name, f"let_{place}") for name in names))
        return exp.Subquery(this=exp.select(made).from_(source))

    def fitting(self, value: exp.Expression, value_type: ValueType, least: str, greatest: str) -> exp.Expression:
        """A number as that type; null where it is not between those two."""
        if self.dialect.try_cast:
            return exp.TryCast(this=value, to=self.type(value_type), safe=True)

        def asked(number: exp.Expression) -> exp.Expression:
            between = exp.Between(this=number, low=signed(least), high=signed(greatest))
            return when(between, self.cast(number.copy(), value_type))

        return self.named([value], asked)

    def integer(self, wide_value: exp.Expression, bits: int = 64) -> exp.Expression:
        """A whole number of whatever size as one of so many bits; null where it is too large."""
        least, greatest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        data_type = exp.DataType(this={16: exp.DType.SMALLINT, 32: exp.DType.INT, 64: BIGINT}.get(bits, exp.DType.SMALLINT))
        if self.dialect.try_cast and bits >= 16:
            return exp.TryCast(this=wide_value, to=data_type, safe=True)

        def asked(number: exp.Expression) -> exp.Expression:
            between = exp.Between(this=number, low=signed(str(least)), high=signed(str(greatest)))
            return when(between, exp.cast(number.copy(), data_type))

        return self.named([wide_value], asked)

    def wide(self, value: exp.Expression) -> exp.Expression:
        """A whole number in a type in which no sum and no product of two overflows."""
        return exp.cast(value, exp.DataType.build(self.dialect.wide_integer, dialect=self.dialect.name))


def whole(value: int) -> exp.Expression:
    """A whole number that is written there."""
    return exp.Neg(this=exp.Literal.number(-value)) if value < 0 else exp.Literal.number(value)


def signed(text: str) -> exp.Expression:
    """A number that is written there, with its sign."""
    return exp.Neg(this=exp.Literal.number(text[1:])) if text.startswith("-") else exp.Literal.number(text)


def grouped(value: exp.Expression) -> exp.Expression:
    """In parentheses, where it could come apart without."""
    return value if isinstance(value, _SIMPLE) and not isinstance(value, exp.Connector) else exp.Paren(this=value)


def when(condition: exp.Expression, value: exp.Expression, otherwise: exp.Expression | None = None) -> exp.Case:
    """`CASE WHEN condition THEN value ELSE otherwise END`; null otherwise, where nothing is said."""
    return exp.Case(ifs=[exp.If(this=condition, true=value)], default=otherwise)


def call(name: str, *operands: exp.Expression) -> exp.Expression:
    """A function by the name that the warehouse knows it by."""
    return exp.Anonymous(this=name, expressions=list(operands))


def absolute(value: exp.Expression) -> exp.Expression:
    """`ABS(value)`."""
    return call("ABS", value)
