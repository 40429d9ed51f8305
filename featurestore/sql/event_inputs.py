"""What one event gives to an aggregation: a value, the whole number that a float is, its place in the order of events, or null.

A float is a whole number of units of 2^-64, rounded down, where it is finite and smaller than 2^42. Whole numbers can be added exactly
and in any order, which floats cannot; docs/decisions/0030 says what that costs.
"""

from __future__ import annotations

from enum import Enum

from sqlglot import exp

from featurestore.registry.definitions import Aggregation, Column
from featurestore.registry.value_types import FLOAT64, FloatType, StringType, ValueType

from .dialects import Dialect
from .expressions import ascending, comparable_text, feature_value, greatest_first, not_null, reversed_order, whole_number, window
from .filters import filter_over
from .history import History

DOUBLE = exp.DType.DOUBLE
UNITS = 2.0**64
"""How many units a float of one has."""

TOO_LARGE = 2**42
"""A float that is not smaller than this has no exact sum. A million of smaller ones still have one."""

UNSUMMED = 2**32
"""What a float that has no units adds to the tally, beside the one that every float adds."""


class Kind(str, Enum):
    """What an input says of an event."""

    VALUE = "value"
    NUMBER = "number"
    """A float where it is a number, for warehouses whose MIN and MAX do not put not-a-number above every number."""

    NOT_A_NUMBER = "not_a_number"
    """One where a float is not a number."""

    UNITS = "units"
    TALLY = "tally"
    EVENT = "event"
    VERSION = "version"


def input_expression(kind: Kind, aggregation: Aggregation, history: History) -> exp.Expression:
    """What an event gives to that aggregation, in the words of the model's own columns; null where it takes no part."""
    takes_part = None
    if aggregation.filter is not None:
        takes_part = filter_over(aggregation.filter, history.view.relation.identifier, history.dialect)
    if aggregation.column is None:
        return taken_where(takes_part, exp.Literal.number(1))
    of = aggregation.column
    value = history.raw(of)
    match kind:
        case Kind.NUMBER:
            return taken_where(_both(takes_part, exp.Not(this=exp.IsNan(this=value.copy()))), value)
        case Kind.NOT_A_NUMBER:
            return taken_where(_both(takes_part, exp.IsNan(this=value)), exp.Literal.number(1))
        case Kind.UNITS:
            summed = exp.LT(this=exp.Abs(this=value), expression=exp.Literal.number(TOO_LARGE))
            return taken_where(_both(takes_part, summed), _units(_asdouble(value.copy(), aggregation), history.dialect))
        case Kind.TALLY:
            summed = exp.LT(this=exp.Abs(this=value.copy()), expression=exp.Literal.number(TOO_LARGE))
            return exp.Case(
                ifs=[
                    exp.If(this=_both(takes_part, summed), true=exp.Literal.number(1)),
                    exp.If(this=_both(takes_part and takes_part.copy(), not_null(value)), true=exp.Literal.number(1 + UNSUMMED)),
                ]
            )
        case Kind.VERSION:
            return taken_where(_both(takes_part, not_null(value)), _version(of, history))
    text = isinstance(of.value_type, StringType)
    return taken_where(
        takes_part, comparable_text(value, history.dialect) if text else feature_value(value, of.value_type, history.dialect)
    )


def _version(of: Column, history: History) -> exp.Expression:
    order = [ascending(history.event_timestamp)]
    if history.view.created_timestamp is not None:
        order.append(ascending(history.created_timestamp))
    order += reversed_order(greatest_first(of, history.raw(of), history.dialect))
    return window(exp.RowNumber(), history.raw_keys(), order)


def _units(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """A float in whole units, as an integer of the dialect's wide type."""
    wide = exp.DataType.build(dialect.wide_integer, dialect=dialect.name)
    if dialect.casts_floats_exactly:
        return exp.cast(exp.Floor(this=exp.Mul(this=value, expression=double(UNITS))), wide)
    # Of 2^64 units, 2^11 times 2^53: what is left below 2^-11 has no more than 53 bits, and each part is a 64-bit integer.
    coarse = exp.Mul(this=value, expression=double(2.0**11))
    whole = exp.Floor(this=coarse)
    rest = exp.Mul(this=exp.paren(exp.Sub(this=coarse.copy(), expression=whole.copy())), expression=double(2.0**53))
    high = exp.Mul(this=exp.cast(whole_number(whole, dialect), wide), expression=exp.cast(exp.Literal.number(2**53), wide.copy()))
    return exp.cast(exp.Add(this=high, expression=exp.cast(whole_number(exp.Floor(this=rest), dialect), wide.copy())), wide.copy())


def taken_where(condition: exp.Expression | None, value: exp.Expression) -> exp.Expression:
    """The value where the condition holds, else null."""
    return value if condition is None else exp.Case(ifs=[exp.If(this=condition, true=value)])


def _both(one: exp.Expression | None, other: exp.Expression) -> exp.Expression:
    return other if one is None else exp.And(this=one, expression=other)


def double(value: float) -> exp.Expression:
    """A number, as a float."""
    return exp.cast(exp.Literal.string(repr(float(value))), DOUBLE)


def _asdouble(value: exp.Expression, aggregation: Aggregation) -> exp.Expression:
    return value if type_of(aggregation) == FLOAT64 else exp.cast(value, DOUBLE)


def is_float(aggregation: Aggregation) -> bool:
    """Whether its values are floats."""
    return isinstance(type_of(aggregation), FloatType)


def type_of(aggregation: Aggregation) -> ValueType | None:
    """The type of its values. None: there are none, events are counted."""
    return aggregation.column.value_type if aggregation.column else None
