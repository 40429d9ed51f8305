"""How values of one type become another in an expression: numbers meet in a type that holds both exactly, and nothing else by itself.

An integer beside a decimal is a decimal, and beside a float a float; a date beside a timestamp is its midnight. A literal takes the type
of what it stands beside. Everything else is for the author to `cast`, and what has more than one spelling cannot be cast at all.
"""

from __future__ import annotations

import math
from decimal import Decimal

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import (
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    UNRESOLVED,
    BooleanType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    ValueType,
)

MOST_DIGITS = 38
INTEGER_DIGITS = 19
LEAST_INTEGER, GREATEST_INTEGER = -(2**63), 2**63 - 1


class ExpressionError(ValueError):
    """What is wrong with an expression, and what to write instead."""


class NullType(ValueType):
    """Of the word `null`, until something beside it says which type it has."""

    def __str__(self) -> str:
        return "null"


NULL_TYPE = NullType()
NULL = Expression(Operation.LITERAL, NULL_TYPE)


def known(*operands: Expression) -> bool:
    """Whether the types of all of them are known: of a model that is not built yet they may not be, and then nothing is checked."""
    return all(operand.value_type != UNRESOLVED for operand in operands)


def calculated_as(value_type: ValueType) -> ValueType | None:
    """The type that a column of that type has in an expression. None: no expression takes it."""
    match value_type:
        case IntegerType(64, False):
            return DecimalType(20, 0)
        case IntegerType():
            return INT64
        case FloatType():
            return FLOAT64
        case TimestampType():
            return TIMESTAMP
        case BooleanType() | DecimalType() | StringType() | DateType():
            return value_type
    return UNRESOLVED if value_type == UNRESOLVED else None


def leaf(operation: Operation, name: str, value_type: ValueType) -> Expression:
    """A feature or an input, as it is calculated with. Raises ExpressionError for a type that no expression takes."""
    wanted = calculated_as(value_type)
    if wanted is None:
        raise ExpressionError(f"{name} is {value_type}, which no expression takes")
    node = Expression(operation, value_type, text=name)
    return node if wanted == value_type else Expression(Operation.CAST, wanted, (node,))


def number(text: str) -> Expression:
    """A literal number: an integer, a decimal where it has a point, a float where it has an exponent."""
    if "e" in text.lower():
        value = float(text)
        if math.isinf(value):
            raise ExpressionError(f"{text} is no double: they end at 1.7976931348623157e308")
        return Expression(Operation.LITERAL, FLOAT64, text=repr(value))
    exact = Decimal(text)
    if "." not in text and LEAST_INTEGER <= exact <= GREATEST_INTEGER:
        return Expression(Operation.LITERAL, INT64, text=str(int(exact)))
    precision, scale = digits_of(exact)
    if precision > MOST_DIGITS:
        raise ExpressionError(f"{text} has more than {MOST_DIGITS} digits")
    return Expression(Operation.LITERAL, DecimalType(precision, scale), text=format(exact, "f"))


def digits_of(value: Decimal) -> tuple[int, int]:
    """The precision and the scale that hold a number as it is written."""
    _, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    scale = max(0, -exponent)
    return max(len(digits) + max(0, exponent), scale, 1), scale


def decimal_of(operand: Expression) -> DecimalType:
    """The smallest decimal that holds every value of a whole number or a decimal."""
    if isinstance(operand.value_type, DecimalType):
        return operand.value_type
    if operand.operation is Operation.LITERAL and operand.text is not None:
        return DecimalType(*digits_of(Decimal(operand.text)))
    return DecimalType(INTEGER_DIGITS, 0)


def common_type(operands: list[Expression], doing: str) -> ValueType:
    """The type in which they meet. Args: doing: what is done with them, for the error."""
    kinds = [operand for operand in operands if operand.value_type != NULL_TYPE]
    if not kinds:
        return NULL_TYPE
    types = {operand.value_type for operand in kinds}
    if len(types) == 1:
        return kinds[0].value_type
    if all(isinstance(value_type, IntegerType | DecimalType | FloatType) for value_type in types):
        if FLOAT64 in types:
            return FLOAT64
        return fitting_decimal([decimal_of(operand) for operand in kinds], doing)
    if types == {DATE, TIMESTAMP}:
        return TIMESTAMP
    shown = " and ".join(dict.fromkeys(str(operand.value_type) for operand in kinds))
    raise ExpressionError(f"{doing} takes values of one kind, not {shown}{_advice(kinds)}")


def fitting_decimal(types: list[DecimalType], doing: str, more: int = 0) -> DecimalType:
    """The decimal that holds all values of those types, and so many digits more before the point."""
    scale = max(each.scale for each in types)
    whole = max(each.precision - each.scale for each in types)
    return checked_decimal(whole + scale + more, scale, doing)


def checked_decimal(precision: int, scale: int, doing: str) -> DecimalType:
    """That decimal. Raises ExpressionError where it has too many digits."""
    if precision > MOST_DIGITS:
        raise ExpressionError(
            f"{doing} may have {precision} digits, and decimals have {MOST_DIGITS}: cast one side to fewer, like decimal(18, 2), "
            "or to double"
        )
    return DecimalType(max(precision, 1), scale)


def _advice(kinds: list[Expression]) -> str:
    texts = any(kind.value_type == STRING and kind.operation is Operation.LITERAL for kind in kinds)
    times = next((kind.value_type for kind in kinds if kind.value_type in (DATE, TIMESTAMP)), None)
    return f": write it like {times} '2024-01-31'" if texts and times else ""


def converted(operand: Expression, to: ValueType) -> Expression:
    """The operand in a type that holds its value: literals are rewritten, anything else is cast."""
    if operand.value_type == to or UNRESOLVED in (operand.value_type, to):
        return operand
    if operand.value_type == NULL_TYPE:
        # Whatever is made of nothing but nulls is null.
        return Expression(Operation.LITERAL, to)
    if operand.operation is Operation.LITERAL and operand.text is not None:
        if to == FLOAT64:
            return Expression(Operation.LITERAL, FLOAT64, text=repr(float(Decimal(operand.text))))
        if isinstance(to, DecimalType):
            return Expression(Operation.LITERAL, to, text=operand.text)
    return Expression(Operation.CAST, to, (operand,))


def cast(operand: Expression, to: ValueType) -> Expression:
    """What `cast(operand as to)` means. Raises ExpressionError where there is no such cast."""
    given = operand.value_type
    if given == to or not known(operand):
        return operand if given == to else Expression(Operation.CAST, to, (operand,))
    if given == NULL_TYPE:
        return converted(operand, to)
    if calculated_as(to) != to and not (isinstance(to, IntegerType) and to.signed):
        raise ExpressionError(f"no expression has the type {to}: cast to {_CASTS}")
    if isinstance(to, IntegerType) and to != INT64 and isinstance(given, IntegerType):
        return Expression(Operation.CAST, to, (operand,))
    match given, to:
        case (IntegerType() | DecimalType() | FloatType() | BooleanType(), IntegerType()):
            return Expression(Operation.CAST, to, (operand,))
        case (IntegerType() | DecimalType(), DecimalType() | FloatType()):
            return Expression(Operation.CAST, to, (operand,))
        case (FloatType(), DecimalType()):
            if to.scale > 15:
                raise ExpressionError(f"a double has no {to.scale} digits after the point: cast it to decimal(_, 15) at most")
            return Expression(Operation.CAST, to, (operand,))
        case (DecimalType(38, 38), StringType()):
            raise ExpressionError("a decimal without a digit before the point is no text everywhere: cast it to fewer digits first")
        case (IntegerType() | DecimalType() | BooleanType() | DateType(), StringType()):
            return Expression(Operation.CAST, to, (operand,))
        case (DateType(), TimestampType()) | (TimestampType(), DateType()):
            return Expression(Operation.CAST, to, (operand,))
    raise ExpressionError(f"there is no cast from {given} to {to}{_NO_CAST.get(type(given), '')}")


_CASTS = "bigint, decimal(18, 2), double, varchar, boolean, date or timestamp"
_NO_CAST = {
    StringType: ": every warehouse reads text in its own way. Parse it in the model, or declare the input with that type",
    FloatType: ": every warehouse writes it in its own way. Cast it to a decimal first",
    TimestampType: ": every warehouse writes it in its own way. Cast it to a date first",
}
