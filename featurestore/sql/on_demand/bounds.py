"""How large a number in an expression can be, as far as the tree alone tells: what cannot leave its range need not be asked."""

from __future__ import annotations

import math

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import DecimalType, FloatType, IntegerType

_ANY = 2**63


def float_bounds(node: Expression) -> tuple[int, int] | None:
    """Powers of ten between which a float is, where it is neither zero nor infinite nor no number. None: it may be anything."""
    match node.operation:
        case Operation.LITERAL if node.text is not None:
            value = abs(float(node.text))
            return (0, 0) if value == 0 else (math.floor(math.log10(value)), math.ceil(math.log10(value)))
        case Operation.CAST:
            match node.operands[0].value_type:
                case IntegerType():
                    return 0, 19
                case DecimalType(precision, scale):
                    return -scale, precision - scale
                case FloatType(32):
                    return None
        case Operation.MULTIPLY | Operation.DIVIDE:
            left, right = (float_bounds(operand) for operand in node.operands)
            if left is None or right is None:
                return None
            if node.operation is Operation.MULTIPLY:
                return left[0] + right[0], left[1] + right[1]
            return left[0] - right[1], left[1] - right[0]
        case Operation.NEGATE | Operation.ABS:
            return float_bounds(node.operands[0])
        case Operation.NULLIF:
            return float_bounds(node.operands[0])
        case Operation.COALESCE | Operation.GREATEST | Operation.LEAST:
            return _of_all([float_bounds(operand) for operand in node.operands])
    return None


def stays_float(node: Expression) -> bool:
    """Whether the answer of arithmetic on floats is surely neither infinite nor lost to zero."""
    bounds = [float_bounds(operand) for operand in node.operands]
    if node.operation in (Operation.ADD, Operation.SUBTRACT):
        # The greatest float does not notice anything so small.
        return any(each is not None and each[1] < 290 for each in bounds)
    whole = float_bounds(node)
    return whole is not None and whole[0] > -290 and whole[1] < 290


def never_zero(node: Expression) -> bool:
    """Whether a number is surely not zero: it is written there, or null instead."""
    match node.operation:
        case Operation.LITERAL:
            return node.text is not None and float(node.text) != 0
        case Operation.NULLIF:
            other = node.operands[1]
            return other.operation is Operation.LITERAL and other.text is not None and float(other.text) == 0
        case Operation.CAST:
            return isinstance(node.value_type, FloatType) and never_zero(node.operands[0])
    return False


def integer_bound(node: Expression) -> int:
    """The size that a whole number has at most, as far as the tree tells."""
    match node.operation:
        case Operation.LITERAL if node.text is not None:
            return abs(int(node.text))
        case Operation.CAST:
            match node.operands[0].value_type:
                case IntegerType(bits, signed) if bits < 64:
                    return 1 << (bits - 1 if signed else bits)
        case Operation.LENGTH:
            return 2**31
        case Operation.EXTRACT:
            return 10_000
        case Operation.DATE_DIFF:
            return 2**40
        case Operation.ADD | Operation.SUBTRACT:
            return min(_ANY, sum(integer_bound(operand) for operand in node.operands))
        case Operation.MULTIPLY:
            left, right = (integer_bound(operand) for operand in node.operands)
            return min(_ANY, left * right)
        case Operation.MOD:
            return integer_bound(node.operands[1])
    return _ANY


def _of_all(bounds: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [each for each in bounds if each is not None]
    if len(known) < len(bounds):
        return None
    return min(each[0] for each in known), max(each[1] for each in known)
