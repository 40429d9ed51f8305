"""Arithmetic, rounding and casts of numbers in a warehouse's SQL."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal

from sqlglot import exp

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import (
    FLOAT64,
    STRING,
    BooleanType,
    DecimalType,
    FloatType,
    IntegerType,
    ValueType,
)
from featurestore.sql.expressions import BIGINT

from .bounds import integer_bound, never_zero, stays_float
from .pieces import GREATEST_FLOAT, Pieces, absolute, call, grouped, signed, when, whole

_OPERATORS: Mapping[Operation, type[exp.Add | exp.Sub | exp.Mul]] = {
    Operation.ADD: exp.Add,
    Operation.SUBTRACT: exp.Sub,
    Operation.MULTIPLY: exp.Mul,
}
_EXACT_DIGITS = 15
"""A decimal of so many digits is one float divided by another, both exact."""

_SHORT_DIGITS = 18
_MOST_EXPONENT = 690.0


def arithmetic(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """`+ - *` of two numbers of one kind."""
    if isinstance(node.value_type, FloatType):
        return _of_floats(node, operands, pieces)
    if isinstance(node.value_type, DecimalType):
        if node.operation is Operation.MULTIPLY and pieces.dialect.short_decimal_products and node.value_type.precision > _SHORT_DIGITS:
            factor = node.operands[0].value_type
            assert isinstance(factor, DecimalType)
            operands = [pieces.cast(operands[0], DecimalType(node.value_type.precision, factor.scale)), operands[1]]
        return pieces.cast(_operator(node.operation, *operands), node.value_type)
    if integer_bound(node) < 2**63:
        return _operator(node.operation, *operands)
    return pieces.integer(_operator(node.operation, *(pieces.wide(each) for each in operands)))


def _operator(operation: Operation, left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return _OPERATORS[operation](this=grouped(left), expression=grouped(right))


def _of_floats(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    if not pieces.dialect.raises_on_float_range or stays_float(node):
        return _operator(node.operation, *operands)
    if node.operation is Operation.MULTIPLY:
        return pieces.named(operands, lambda left, right: _product(left, right, pieces))
    return pieces.named(operands, lambda left, right: _sum(node.operation, left, right, pieces))


def divided(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """A quotient of floats; null by zero."""

    def quotient(left: exp.Expression, right: exp.Expression) -> exp.Expression:
        divisor = right.copy() if never_zero(node.operands[1]) else exp.Nullif(this=right.copy(), expression=pieces.float(0.0))
        return exp.Div(this=grouped(left.copy()), expression=grouped(divisor), typed=True, safe=False)

    if not pieces.dialect.raises_on_float_range or stays_float(node):
        return quotient(*operands)
    return pieces.named(operands, lambda left, right: _guarded_quotient(left, right, quotient(left, right), pieces))


def _sum(operation: Operation, left: exp.Expression, right: exp.Expression, pieces: Pieces) -> exp.Expression:
    """What is out of range is so with both sides about as large as floats get, where a thousandth of each is exact."""
    large = [_sized(each, 2.0**969, GREATEST_FLOAT, pieces) for each in (left, right)]
    thousandth = _operator(operation, _times(left, 2.0**-10, pieces), _times(right, 2.0**-10, pieces))
    beyond = exp.GTE(this=absolute(thousandth), expression=pieces.float(2.0**1014))
    infinite = when(_negative(left), pieces.float(float("-inf")), pieces.float(float("inf")))
    return when(_if_all(large, beyond), infinite, _operator(operation, left.copy(), right.copy()))


def _product(left: exp.Expression, right: exp.Expression, pieces: Pieces) -> exp.Expression:
    """A product is out of range above with both factors above one, below with both under it: there, scaled factors are exact."""
    above = _if_all(
        [_sized(each, 1.0, GREATEST_FLOAT, pieces) for each in (left, right)],
        exp.GTE(this=_operator(Operation.MULTIPLY, *_scaled(left, right, 2.0**-512, pieces)), expression=pieces.float(1.0)),
    )
    lesser, greater = (call(name, absolute(left.copy()), absolute(right.copy())) for name in ("LEAST", "GREATEST"))
    below = _if_all(
        [
            exp.GT(this=lesser.copy(), expression=pieces.float(0.0)),
            exp.LT(this=lesser, expression=pieces.float(2.0**-537)),
            exp.LT(this=greater, expression=pieces.float(1.0)),
        ],
        exp.LTE(this=_operator(Operation.MULTIPLY, *_scaled(left, right, 2.0**537, pieces)), expression=pieces.float(0.5)),
    )
    return _in_range(left, right, above, below, _operator(Operation.MULTIPLY, left.copy(), right.copy()), pieces)


def _guarded_quotient(left: exp.Expression, right: exp.Expression, quotient: exp.Expression, pieces: Pieces) -> exp.Expression:
    """Whether a quotient is out of range is asked of its two sides, each scaled by a power of two, which is exact there."""
    above = _if_all(
        [
            _sized(left, 2.0**-60, GREATEST_FLOAT, pieces),
            exp.LT(this=absolute(right.copy()), expression=pieces.float(1.0)),
            exp.NEQ(this=right.copy(), expression=pieces.float(0.0)),
        ],
        exp.GTE(this=_times(absolute(left.copy()), 2.0**-512, pieces), expression=_times(absolute(right.copy()), 2.0**512, pieces)),
    )
    below = _if_all(
        [
            exp.NEQ(this=left.copy(), expression=pieces.float(0.0)),
            exp.LT(this=absolute(left.copy()), expression=pieces.float(1.0)),
            _sized(right, 2.0, GREATEST_FLOAT, pieces),
        ],
        exp.LTE(this=_times(absolute(left.copy()), 2.0**540, pieces), expression=_times(absolute(right.copy()), 2.0**-535, pieces)),
    )
    return _in_range(left, right, above, below, quotient, pieces)


def _in_range(
    left: exp.Expression, right: exp.Expression, above: exp.Expression, below: exp.Expression, answer: exp.Expression, pieces: Pieces
) -> exp.Expression:
    """The answer, or the infinity or the zero of its sign."""

    def of_sign(size: float) -> exp.Expression:
        differs = exp.NEQ(this=exp.Paren(this=_negative(left)), expression=exp.Paren(this=_negative(right)))
        return when(differs, pieces.float(-size), pieces.float(size))

    return exp.Case(
        ifs=[exp.If(this=above, true=of_sign(float("inf"))), exp.If(this=below, true=of_sign(0.0))],
        default=answer,
    )


def _if_all(conditions: list[exp.Expression], then: exp.Expression) -> exp.Expression:
    """Whether all of it holds; the last part is not looked at where the others do not, and would be an error. AND promises no order."""
    return when(_all(conditions), then, exp.false())


def _all(conditions: list[exp.Expression]) -> exp.Expression:
    whole = conditions[0]
    for condition in conditions[1:]:
        whole = exp.And(this=whole, expression=condition)
    return whole


def _scaled(left: exp.Expression, right: exp.Expression, factor: float, pieces: Pieces) -> list[exp.Expression]:
    return [_times(absolute(each.copy()), factor, pieces) for each in (left, right)]


def _times(value: exp.Expression, factor: float, pieces: Pieces) -> exp.Expression:
    return exp.Paren(this=exp.Mul(this=grouped(value.copy()), expression=pieces.float(factor)))


def _sized(value: exp.Expression, least: float, greatest: float, pieces: Pieces) -> exp.Expression:
    return exp.Between(this=absolute(value.copy()), low=pieces.float(least), high=pieces.float(greatest))


def _negative(value: exp.Expression) -> exp.Expression:
    return exp.LT(this=value.copy(), expression=exp.Literal.number(0))


def integer_division(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """`//` and mod. By minus one the least integer overflows, and by zero there is no answer; neither is ever divided by."""
    divisor = node.operands[1]
    written = divisor.operation is Operation.LITERAL and divisor.text not in (None, "0", "-1")

    def made(left: exp.Expression, right: exp.Expression) -> exp.Expression:
        by = right.copy()
        for refused in () if written else (0, -1):
            by = exp.Nullif(this=by, expression=whole(refused))
        kind = exp.IntDiv if node.operation is Operation.INTEGER_DIVIDE else exp.Mod
        quotient = kind(this=grouped(left.copy()), expression=grouped(by))
        if written:
            return quotient
        by_minus_one = exp.EQ(this=right.copy(), expression=whole(-1))
        if node.operation is Operation.MOD:
            return when(by_minus_one, exp.Mul(this=grouped(left.copy()), expression=exp.Literal.number(0)), quotient)
        return when(by_minus_one, pieces.integer(exp.Neg(this=pieces.wide(left.copy()))), quotient)

    return pieces.named(operands, made)


def negated(node: Expression, operand: exp.Expression, pieces: Pieces) -> exp.Expression:
    """`-x`."""
    if isinstance(node.value_type, IntegerType):
        return pieces.integer(exp.Neg(this=pieces.wide(operand)))
    return exp.Neg(this=grouped(operand))


def size(node: Expression, operand: exp.Expression, pieces: Pieces) -> exp.Expression:
    """ABS."""
    if isinstance(node.value_type, IntegerType):
        return pieces.integer(absolute(pieces.wide(operand)))
    return absolute(operand)


def rounded(node: Expression, operand: exp.Expression, pieces: Pieces) -> exp.Expression:
    """ROUND, half away from zero. A cast of a decimal does that wherever decimals are exact."""
    if isinstance(node.value_type, DecimalType):
        return pieces.cast(operand, node.value_type)
    digits = int(node.text or 0)
    if digits == 0:
        return half_away(operand, pieces)
    factor = 10.0**digits

    def made(value: exp.Expression) -> exp.Expression:
        scaled = half_away(_times(value, factor, pieces), pieces)
        has_fraction = exp.LT(this=absolute(value.copy()), expression=pieces.float(2.0**52))
        return when(has_fraction, exp.Div(this=grouped(scaled), expression=pieces.float(factor), typed=True, safe=False), value.copy())

    return pieces.named([operand], made)


def half_away(operand: exp.Expression, pieces: Pieces) -> exp.Expression:
    """A float's nearest whole number, halves away from zero."""
    if pieces.dialect.rounds_floats_half_away:
        return call("ROUND", operand)

    def made(value: exp.Expression) -> exp.Expression:
        towards_zero = call("TRUNC", value)
        fraction = absolute(exp.Sub(this=value.copy(), expression=towards_zero.copy()))
        away = exp.Add(this=towards_zero.copy(), expression=call("SIGN", value.copy()))
        return when(exp.GTE(this=fraction, expression=pieces.float(0.5)), away, towards_zero.copy())

    return pieces.named([operand], made)


def whole_part(node: Expression, operand: exp.Expression, pieces: Pieces) -> exp.Expression:
    """FLOOR, CEIL, TRUNC."""
    name = node.operation.name
    if not isinstance(node.value_type, DecimalType):
        return call(name, operand)
    if node.operation is not Operation.TRUNC:
        return pieces.cast(call(name, operand), node.value_type)
    made = pieces.named([operand], lambda value: when(_negative(value), call("CEIL", value), call("FLOOR", value.copy())))
    return pieces.cast(made, node.value_type)


def transcendental(node: Expression, operands: list[exp.Expression], pieces: Pieces) -> exp.Expression:
    """SQRT, LN, EXP, POWER, where they have an answer that is in range."""

    def made(value: exp.Expression, exponent: exp.Expression | None = None) -> exp.Expression:
        match node.operation:
            case Operation.SQRT:
                defined: exp.Expression = exp.GTE(this=value, expression=pieces.float(0.0))
            case Operation.LN:
                above = exp.GT(this=value, expression=pieces.float(0.0))
                defined = exp.And(this=above, expression=exp.LTE(this=value.copy(), expression=pieces.float(GREATEST_FLOAT)))
            case Operation.EXP:
                defined = exp.LT(this=absolute(value), expression=pieces.float(700.0))
            case _:
                assert exponent is not None
                return _power(value, exponent, pieces)
        return when(defined, call(node.operation.name, value.copy()))

    return pieces.named(operands, made)


def _power(base: exp.Expression, exponent: exp.Expression, pieces: Pieces) -> exp.Expression:
    number = pieces.float

    def size_of(value: exp.Expression) -> exp.Expression:
        return absolute(value.copy())

    infinite = exp.or_(*(exp.GT(this=size_of(each), expression=number(GREATEST_FLOAT)) for each in (base, exponent)))
    of_zero = when(exp.GT(this=exponent.copy(), expression=number(0.0)), number(0.0))
    not_whole = exp.NEQ(this=exponent.copy(), expression=call("FLOOR", exponent.copy()))
    logarithm = exp.Mul(this=size_of(exponent), expression=absolute(call("LN", size_of(base))))
    return exp.Case(
        ifs=[
            exp.If(this=exp.Paren(this=infinite), true=exp.cast(exp.null(), exp.DType.DOUBLE)),
            exp.If(this=exp.EQ(this=exponent.copy(), expression=number(0.0)), true=_unless_null(base, number(1.0))),
            exp.If(this=exp.EQ(this=base.copy(), expression=number(0.0)), true=of_zero),
            exp.If(this=exp.And(this=_negative(base), expression=not_whole), true=exp.cast(exp.null(), exp.DType.DOUBLE)),
            exp.If(this=exp.LT(this=size_of(exponent), expression=number(1e-290)), true=_unless_null(base, number(1.0))),
            exp.If(this=exp.GT(this=size_of(exponent), expression=number(1e15)), true=exp.cast(exp.null(), exp.DType.DOUBLE)),
            exp.If(this=exp.LT(this=logarithm, expression=number(_MOST_EXPONENT)), true=call("POWER", base.copy(), exponent.copy())),
        ]
    )


def _unless_null(value: exp.Expression, answer: exp.Expression) -> exp.Expression:
    return when(exp.Not(this=exp.Is(this=value.copy(), expression=exp.null())), answer)


def cast_number(value: exp.Expression, given: ValueType, wanted: ValueType, pieces: Pieces) -> exp.Expression:
    """A cast between numbers, or of a boolean to one; null where the value does not fit."""
    match given, wanted:
        case IntegerType(), DecimalType(precision, scale) if precision - scale < _digits(given):
            return _checked_decimal(value, DecimalType(_digits(given), 0), wanted, pieces)
        case IntegerType(bits, has_sign), IntegerType(fewer) if fewer < bits or (not has_sign and fewer == bits):
            return pieces.integer(value, fewer)
        case BooleanType(), IntegerType():
            return exp.cast(exp.cast(value, exp.DType.INT), BIGINT)
        case DecimalType(), DecimalType():
            return _checked_decimal(value, given, wanted, pieces)
        case DecimalType(precision, scale), IntegerType(bits):
            return pieces.integer(pieces.cast(value, DecimalType(min(38, precision - scale + 1), 0)), bits)
        case DecimalType(precision, _), FloatType() if precision > _EXACT_DIGITS and not pieces.dialect.casts_long_decimals_exactly:
            return pieces.cast(pieces.cast(value, STRING), FLOAT64)
        case FloatType(), IntegerType(bits):
            return _float_as_integer(value, bits, pieces)
        case FloatType(), DecimalType():
            return pieces.named([value], lambda number: _float_as_decimal(number, wanted, pieces))
    return pieces.cast(value, wanted)


def cast_unknown(value: exp.Expression, wanted: ValueType, pieces: Pieces) -> exp.Expression:
    """A cast of what has no type that anybody knows, such as a number of any number of digits; null where it is too large."""
    if not isinstance(wanted, IntegerType | DecimalType):
        return pieces.cast(value, wanted)
    number = value if pieces.dialect.try_cast else exp.cast(value, exp.DType.DECIMAL)
    if isinstance(wanted, IntegerType):
        return pieces.integer(number, wanted.bits)
    greatest = format(Decimal(10**wanted.precision - 1).scaleb(-wanted.scale, Context(prec=wanted.precision)), "f")
    return pieces.fitting(number, wanted, f"-{greatest}", greatest)


def _digits(integer: IntegerType) -> int:
    return len(str(2 ** (integer.bits - 1 if integer.signed else integer.bits)))


def _checked_decimal(value: exp.Expression, given: DecimalType, wanted: DecimalType, pieces: Pieces) -> exp.Expression:
    loses = given.scale > wanted.scale
    room = wanted.precision - wanted.scale
    if room >= given.precision - given.scale + (1 if loses else 0):
        return pieces.cast(value, wanted)
    # The greatest value that fits, of those that the given type has.
    steps = 10 ** (room + given.scale) - (5 * 10 ** (given.scale - wanted.scale - 1) if loses else 0) - 1
    text = format(Decimal((0, tuple(map(int, str(steps))), -given.scale)), "f")
    return pieces.fitting(value, wanted, f"-{text}", text)


def _float_as_integer(value: exp.Expression, bits: int, pieces: Pieces) -> exp.Expression:
    if pieces.dialect.try_cast:
        whole_value: exp.Expression = exp.TryCast(this=half_away(value, pieces), to=exp.DataType(this=BIGINT), safe=True)
        return whole_value if bits == 64 else pieces.integer(whole_value, bits)

    def made(number: exp.Expression) -> exp.Expression:
        above = exp.GTE(this=number, expression=pieces.float(-(2.0**63)))
        within = exp.And(this=above, expression=exp.LT(this=number.copy(), expression=pieces.float(2.0**63)))
        return when(within, exp.cast(half_away(number.copy(), pieces), BIGINT))

    whole_value = pieces.named([value], made)
    return whole_value if bits == 64 else pieces.integer(whole_value, bits)


def _float_as_decimal(value: exp.Expression, wanted: DecimalType, pieces: Pieces) -> exp.Expression:
    """As many tens, hundreds, … of a whole number, since a cast of a float to a decimal means another number in each warehouse."""
    scale = wanted.scale
    steps = exp.cast(half_away(_times(value, 10.0**scale, pieces), pieces), BIGINT)
    step = pieces.cast(signed(format(Decimal(1).scaleb(-scale), "f")), DecimalType(scale + 1, scale))
    product = exp.Mul(this=pieces.cast(steps, DecimalType(19, 0)), expression=step)
    made = pieces.cast(product, DecimalType(19 + scale + 1, scale))
    within = exp.LT(this=absolute(value.copy()), expression=pieces.float(10.0 ** (18 - scale)))
    fits = _checked_decimal(pieces.cast(made, DecimalType(20, scale)), DecimalType(20, scale), wanted, pieces)
    return when(within, fits)
