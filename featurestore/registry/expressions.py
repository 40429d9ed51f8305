"""Expressions of on-demand features, as plain data: small typed trees that the warehouse's SQL and the serving path both follow.

A tree is made when a project is loaded (`sql.on_demand`), where every name is found, every type checked and every conversion written
out, so that whoever follows it decides nothing: an operation's operands have exactly the types that it is defined for. Seven types take
part: boolean, int64, decimals, float64, string, date, and timestamp (naive, read as UTC). What each operation answers, for every value,
is the table in docs/reference/on-demand.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .value_types import UNRESOLVED, ValueType

REQUESTED_AT = "requested_at"
"""What an expression calls the instant that it is asked for: the event timestamp of a spine's row, the moment of a request."""


class Operation(str, Enum):
    """What a node does with its operands. Unless it says otherwise, it is null where any of them is."""

    LITERAL = "literal"
    """The value that `text` spells; null without one."""

    FEATURE = "feature"
    """The view's feature called `text`, in its own type."""

    INPUT = "input"
    """The request's input called `text`, in its declared type."""

    REQUESTED_AT = "requested_at"
    CAST = "cast"
    """The operand as the node's type; null where it does not fit."""

    NEGATE = "negate"
    ADD = "add"
    SUBTRACT = "subtract"
    MULTIPLY = "multiply"
    DIVIDE = "divide"
    """Of floats; by zero null."""

    INTEGER_DIVIDE = "integer_divide"
    """Towards zero; by zero null."""

    MOD = "mod"
    """Of integers, with the sign of the first; by zero null."""

    ABS = "abs"
    ROUND = "round"
    """To `text` digits, half away from zero."""

    FLOOR = "floor"
    CEIL = "ceil"
    TRUNC = "trunc"
    SQRT = "sqrt"
    LN = "ln"
    EXP = "exp"
    POWER = "power"
    EQUAL = "equal"
    NOT_EQUAL = "not_equal"
    LESS = "less"
    LESS_OR_EQUAL = "less_or_equal"
    GREATER = "greater"
    GREATER_OR_EQUAL = "greater_or_equal"
    AND = "and"
    """False where either is, else null where either is."""

    OR = "or"
    NOT = "not"
    IS_NULL = "is_null"
    """Never null itself."""

    IN = "in"
    """Whether the first operand equals one of the others."""

    CASE = "case"
    """Condition, value, condition, value, …, and the value where no condition holds."""

    COALESCE = "coalesce"
    NULLIF = "nullif"
    GREATEST = "greatest"
    """Nulls are left out; null of nothing but nulls."""

    LEAST = "least"
    LOWER = "lower"
    """Of the letters A to Z."""

    UPPER = "upper"
    TRIM = "trim"
    """Of spaces."""

    LTRIM = "ltrim"
    RTRIM = "rtrim"
    LENGTH = "length"
    """In code points, as every place in a text."""

    SUBSTRING = "substring"
    """From the place that the second operand says, the first being 1, as many as the third says or all: both are literals."""

    RIGHT = "right"
    CONCAT = "concat"
    REPLACE = "replace"
    STARTS_WITH = "starts_with"
    ENDS_WITH = "ends_with"
    CONTAINS = "contains"
    EXTRACT = "extract"
    """The part of a timestamp that `text` names."""

    DATE_TRUNC = "date_trunc"
    """The begin of the unit that `text` names."""

    DATE_DIFF = "date_diff"
    """How many begins of the unit that `text` names lie between the first timestamp and the second."""

    ADD_MONTHS = "add_months"
    """A timestamp and so many months, `text`; the last day of the month where it has no such day."""

    ADD_MICROSECONDS = "add_microseconds"


@dataclass(frozen=True, slots=True)
class Expression:
    """A node of a tree."""

    operation: Operation
    value_type: ValueType
    operands: tuple[Expression, ...] = ()
    text: str | None = None

    def walk(self) -> Iterator[Expression]:
        """The node and all below it."""
        yield self
        for operand in self.operands:
            yield from operand.walk()

    @property
    def resolved(self) -> bool:
        """Whether all types are known. One of a model that is not built yet may not be, and then nothing can be worked out."""
        return all(node.value_type != UNRESOLVED for node in self.walk())

    def leaves(self, operation: Operation) -> dict[str, ValueType]:
        """The types of the features or the inputs that it names, by name."""
        return {node.text: node.value_type for node in self.walk() if node.operation is operation and node.text is not None}


@dataclass(frozen=True, slots=True)
class OnDemand:
    """How a feature is worked out when it is asked for."""

    expression: str
    """As its author wrote it."""

    tree: Expression

    @property
    def features(self) -> dict[str, ValueType]:
        """The view's own features that it needs, by name."""
        return self.tree.leaves(Operation.FEATURE)

    @property
    def inputs(self) -> dict[str, ValueType]:
        """What the request has to bring, by name."""
        return self.tree.leaves(Operation.INPUT)
