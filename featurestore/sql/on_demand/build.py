"""Puts an expression into a warehouse's SQL, so that it answers what the serving path answers, to the last bit.

Every conversion is in the tree already. What is left to say is what warehouses do differently: integers that overflow, division by zero,
halves, floats out of range, letters, places in a text. Where one would raise an error it is asked first, and the answer is null, or what
IEEE 754 says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlglot import exp

from featurestore.errors import RequestError
from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import (
    STRING,
    DateType,
    DecimalType,
    StringType,
    TimestampType,
    UnresolvedType,
    ValueType,
)
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import is_null, ordered_text

from .numbers import (
    arithmetic,
    cast_number,
    cast_unknown,
    divided,
    integer_division,
    negated,
    rounded,
    size,
    transcendental,
    whole_part,
)
from .pieces import Pieces, call, grouped
from .texts import text_function
from .times import cast_time, time_function

Leaf = Callable[[Expression], exp.Expression]
"""Where a feature, an input or the instant asked about stands in the query."""

_COMPARISONS: Mapping[Operation, type[exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE]] = {
    Operation.EQUAL: exp.EQ,
    Operation.NOT_EQUAL: exp.NEQ,
    Operation.LESS: exp.LT,
    Operation.LESS_OR_EQUAL: exp.LTE,
    Operation.GREATER: exp.GT,
    Operation.GREATER_OR_EQUAL: exp.GTE,
}
_EQUALITIES = (Operation.EQUAL, Operation.NOT_EQUAL)
_LEAVES = (Operation.FEATURE, Operation.INPUT, Operation.REQUESTED_AT)
_TEXTS = (
    *(Operation.LOWER, Operation.UPPER, Operation.TRIM, Operation.LTRIM, Operation.RTRIM, Operation.LENGTH, Operation.SUBSTRING),
    *(Operation.RIGHT, Operation.CONCAT, Operation.REPLACE, Operation.STARTS_WITH, Operation.ENDS_WITH, Operation.CONTAINS),
)
_TIMES = (*(Operation.EXTRACT, Operation.DATE_TRUNC, Operation.DATE_DIFF, Operation.ADD_MONTHS, Operation.ADD_MICROSECONDS),)
_TRANSCENDENTAL = (Operation.SQRT, Operation.LN, Operation.EXP, Operation.POWER)


def expression_sql(tree: Expression, leaf: Leaf, dialect: Dialect) -> exp.Expression:
    """The expression in that dialect. Raises RequestError where it cannot be said there.

    Args: leaf: where features, inputs and the instant asked about stand, each as its own type.
    """
    if not dialect.works_out_on_demand:
        raise RequestError(
            f"Features on demand are not worked out in {dialect.name} yet. Ask for the features that they need, or write the expression "
            "into the query that the training set is made from."
        )
    builder = _Builder(Pieces(dialect), leaf)
    made = builder.build(tree)
    if not isinstance(tree.value_type, DecimalType):
        return made
    # A column has the digits of its type, whatever the arithmetic of the warehouse makes of it.
    cast = builder.pieces.cast(made, tree.value_type)
    return made if isinstance(made, exp.Cast) and made.args["to"] == cast.args["to"] else cast


def cast_sql(value: exp.Expression, given: ValueType, wanted: ValueType, dialect: Dialect) -> exp.Expression:
    """A column of the spine as an input's type; null where a value does not fit."""
    return _cast(value, given, wanted, Pieces(dialect))


class _Builder:
    def __init__(self, pieces: Pieces, leaf: Leaf) -> None:
        self.pieces, self._leaf = pieces, leaf

    def build(self, node: Expression) -> exp.Expression:
        """The SQL of a node."""
        if node.operation is Operation.LITERAL:
            return self.pieces.literal(node.text, node.value_type)
        if node.operation in _LEAVES:
            found = self._leaf(node)
            # What has 38 digits here may be an integer of 128 bits there.
            return self.pieces.cast(found, node.value_type) if node.value_type == DecimalType(38, 0) else found
        operands = [self.build(operand) for operand in node.operands]
        if node.operation is Operation.CAST:
            return _cast(operands[0], node.operands[0].value_type, node.value_type, self.pieces)
        if node.operation in _COMPARISONS:
            return self._comparison(node, operands)
        if node.operation in _TEXTS:
            return text_function(node, [grouped(operand) for operand in operands], self.pieces)
        if node.operation in _TIMES:
            return time_function(node, operands, self.pieces)
        if node.operation in _TRANSCENDENTAL:
            return transcendental(node, operands, self.pieces)
        return self._number(node, operands) if node.operation in _NUMBERS else self._logic(node, operands)

    def _number(self, node: Expression, operands: list[exp.Expression]) -> exp.Expression:
        match node.operation:
            case Operation.DIVIDE:
                return divided(node, operands, self.pieces)
            case Operation.INTEGER_DIVIDE | Operation.MOD:
                return integer_division(node, operands, self.pieces)
            case Operation.NEGATE:
                return negated(node, operands[0], self.pieces)
            case Operation.ABS:
                return size(node, operands[0], self.pieces)
            case Operation.ROUND:
                return rounded(node, operands[0], self.pieces)
            case Operation.FLOOR | Operation.CEIL | Operation.TRUNC:
                return whole_part(node, operands[0], self.pieces)
        return arithmetic(node, operands, self.pieces)

    def _comparison(self, node: Expression, operands: list[exp.Expression]) -> exp.Expression:
        if node.operation not in _EQUALITIES:
            operands = self._ordered(node, operands)
        left, right = (grouped(operand) for operand in operands)
        return _COMPARISONS[node.operation](this=left, expression=right)

    def _ordered(self, node: Expression, operands: list[exp.Expression]) -> list[exp.Expression]:
        """Texts as they are ordered by code points."""
        if isinstance(node.operands[0].value_type, StringType) and (self.pieces.dialect.byte_order or self.pieces.dialect.text_collation):
            return [ordered_text(operand, self.pieces.dialect) for operand in operands]
        return operands

    def _logic(self, node: Expression, operands: list[exp.Expression]) -> exp.Expression:
        match node.operation:
            case Operation.AND:
                return exp.And(this=grouped(operands[0]), expression=grouped(operands[1]))
            case Operation.OR:
                return exp.Or(this=grouped(operands[0]), expression=grouped(operands[1]))
            case Operation.NOT:
                return exp.Not(this=grouped(operands[0]))
            case Operation.IS_NULL:
                return is_null(grouped(operands[0]))
            case Operation.IN:
                return exp.In(this=grouped(operands[0]), expressions=operands[1:])
            case Operation.CASE:
                pairs = zip(operands[:-1:2], operands[1::2], strict=True)
                return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in pairs], default=operands[-1])
            case Operation.COALESCE:
                return exp.Coalesce(this=operands[0], expressions=operands[1:])
            case Operation.NULLIF:
                return exp.Nullif(this=operands[0], expression=operands[1])
        return call(node.operation.name, *self._ordered(node, operands))


_NUMBERS = (
    *(Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY, Operation.DIVIDE, Operation.INTEGER_DIVIDE, Operation.MOD),
    *(Operation.NEGATE, Operation.ABS, Operation.ROUND, Operation.FLOOR, Operation.CEIL, Operation.TRUNC),
)


def _cast(value: exp.Expression, given: ValueType, wanted: ValueType, pieces: Pieces) -> exp.Expression:
    if isinstance(given, UnresolvedType):
        return value if given == wanted else cast_unknown(value, wanted, pieces)
    if given == wanted and wanted != STRING:
        return value
    if wanted == STRING and not isinstance(given, DateType):
        if isinstance(given, DecimalType):
            # It is written with all digits of its type, which a column need not have kept, and a zero before the point.
            value = pieces.cast(value, DecimalType(max(given.precision, given.scale + 1), given.scale))
        return pieces.cast(value, STRING)
    if isinstance(given, DateType | TimestampType) or isinstance(wanted, TimestampType):
        return cast_time(value, given, wanted, pieces)
    return cast_number(value, given, wanted, pieces)
