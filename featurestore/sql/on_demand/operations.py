"""Which operations there are, which types they take and which type they answer: the rules by which an expression gets its types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from featurestore.registry.expressions import Expression, Operation
from featurestore.registry.value_types import (
    BOOLEAN,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    UNRESOLVED,
    DecimalType,
    FloatType,
    IntegerType,
    ValueType,
)

from .conversions import (
    NULL_TYPE,
    ExpressionError,
    checked_decimal,
    common_type,
    converted,
    decimal_of,
    fitting_decimal,
    known,
    number,
)

PARTS = ("year", "quarter", "month", "day", "hour", "minute", "second", "dow", "isodow", "doy", "week", "epoch")
UNITS = ("year", "quarter", "month", "week", "day", "hour", "minute", "second")
MOST_ROUNDED = 15
"""Digits after the point to which a float is rounded at most."""

_NUMBERS = IntegerType | DecimalType | FloatType
_SYMBOLS = {
    Operation.ADD: "+",
    Operation.SUBTRACT: "-",
    Operation.MULTIPLY: "*",
    Operation.DIVIDE: "/",
    Operation.INTEGER_DIVIDE: "//",
    Operation.MOD: "mod",
    Operation.NEGATE: "-",
}

Operands = Sequence[Expression]
Rule = Callable[[str, Operands], Expression]


@dataclass(frozen=True, slots=True)
class Function:
    """A function as an author calls it."""

    rule: Rule
    least: int
    """How many arguments it takes."""

    most: int | None = None
    """How many at most. None: as many as one likes."""


def unknown(operation: Operation, operands: Operands, text: str | None = None) -> Expression:
    """A node of which nothing can be said: types of what it needs are not known yet."""
    return Expression(operation, UNRESOLVED, tuple(operands), text)


def arithmetic(operation: Operation, left: Expression, right: Expression) -> Expression:
    """`+ - * / //` and mod of two numbers."""
    operands = [left, right]
    if not known(*operands):
        return unknown(operation, operands)
    sign = _SYMBOLS[operation]
    if operation is Operation.SUBTRACT and left.value_type == right.value_type == DATE:
        return Expression(Operation.DATE_DIFF, INT64, (converted(right, TIMESTAMP), converted(left, TIMESTAMP)), "day")
    _require_numbers(sign, operands)
    if operation in (Operation.INTEGER_DIVIDE, Operation.MOD):
        for each in operands:
            if not isinstance(each.value_type, IntegerType) and each.value_type != NULL_TYPE:
                raise ExpressionError(f"{sign} takes whole numbers, not {each.value_type}: cast it to bigint, or use /")
        return Expression(operation, INT64, tuple(converted(each, INT64) for each in operands))
    met = FLOAT64 if operation is Operation.DIVIDE else common_of_numbers(operands)
    if not isinstance(met, DecimalType):
        return Expression(operation, met, tuple(converted(each, met) for each in operands))
    types = [decimal_of(each) for each in operands]
    if operation is Operation.MULTIPLY:
        answer = checked_decimal(sum(each.precision for each in types), sum(each.scale for each in types), "a product")
        return Expression(operation, answer, tuple(converted(each, kind) for each, kind in zip(operands, types, strict=True)))
    answer = fitting_decimal(types, "a sum" if operation is Operation.ADD else "a difference", more=1)
    return Expression(operation, answer, tuple(converted(each, answer) for each in operands))


def common_of_numbers(operands: Operands) -> ValueType:
    """Float where one of them is, else decimal where one is, else integer: of arithmetic, whose decimals grow and need not meet."""
    types = {each.value_type for each in operands} - {NULL_TYPE}
    if FLOAT64 in types:
        return FLOAT64
    return next((each for each in types if isinstance(each, DecimalType)), INT64)


def negated(operand: Expression) -> Expression:
    """`-x`, folded into a literal."""
    if operand.operation is Operation.LITERAL and operand.text is not None and isinstance(operand.value_type, _NUMBERS):
        if isinstance(operand.value_type, FloatType):
            return Expression(Operation.LITERAL, FLOAT64, text=repr(-float(operand.text)))
        return number(format(Decimal(operand.text).copy_negate(), "f"))
    if not known(operand):
        return unknown(Operation.NEGATE, [operand])
    _require_numbers("-", [operand])
    return Expression(Operation.NEGATE, operand.value_type, (operand,))


def comparison(operation: Operation, left: Expression, right: Expression) -> Expression:
    """`= <> < <= > >=` of two values of one kind."""
    if not known(left, right):
        return Expression(operation, BOOLEAN, (left, right))
    met = common_type([left, right], "a comparison")
    if met == BOOLEAN and operation not in (Operation.EQUAL, Operation.NOT_EQUAL):
        raise ExpressionError("booleans have no order: compare them with = or <>")
    return Expression(operation, BOOLEAN, tuple(converted(each, _or_boolean(met)) for each in (left, right)))


def logical(operation: Operation, *operands: Expression) -> Expression:
    """AND, OR, NOT."""
    for each in operands:
        require(operation.value.upper(), each, BOOLEAN)
    return Expression(operation, BOOLEAN, tuple(converted(each, BOOLEAN) for each in operands))


def alike(operation: Operation, operands: Operands, doing: str) -> Expression:
    """An operation on values of one kind that answers with one of them."""
    if not known(*operands):
        return unknown(operation, operands)
    met = common_type(list(operands), doing)
    if operation in (Operation.GREATEST, Operation.LEAST) and met == BOOLEAN:
        raise ExpressionError("booleans have no order")
    return Expression(operation, met, tuple(converted(each, met) for each in operands))


def within(operand: Expression, items: Operands) -> Expression:
    """`x IN (…)`."""
    if not known(operand, *items):
        return Expression(Operation.IN, BOOLEAN, (operand, *items))
    met = _or_boolean(common_type([operand, *items], "IN"))
    return Expression(Operation.IN, BOOLEAN, tuple(converted(each, met) for each in (operand, *items)))


def case(conditions: Operands, values: Operands, default: Expression) -> Expression:
    """CASE WHEN."""
    for condition in conditions:
        require("WHEN", condition, BOOLEAN)
    found = [*values, default]
    met = common_type(found, "CASE") if known(*found) else UNRESOLVED
    answers = [converted(each, met) for each in found]
    pairs = [part for each in zip(conditions, answers[:-1], strict=True) for part in (converted(each[0], BOOLEAN), each[1])]
    return Expression(Operation.CASE, met, (*pairs, answers[-1]))


def moved(operand: Expression, months: int, micros: int) -> Expression:
    """A date or timestamp and an interval: a timestamp."""
    if known(operand) and operand.value_type not in (DATE, TIMESTAMP):
        raise ExpressionError(f"an interval is added to a date or a timestamp, not to {operand.value_type}")
    moment = converted(operand, TIMESTAMP)
    for operation, count in ((Operation.ADD_MONTHS, months), (Operation.ADD_MICROSECONDS, micros)):
        if count:
            moment = Expression(operation, TIMESTAMP, (moment,), str(count))
    return moment


def extracted(part: str, operand: Expression) -> Expression:
    """EXTRACT(part FROM operand)."""
    _require_word("extract", part, PARTS)
    return Expression(Operation.EXTRACT, FLOAT64 if part == "epoch" else INT64, (moment("extract", operand),), part)


def moment(name: str, operand: Expression) -> Expression:
    """An argument that has to be a date or a timestamp, as a timestamp."""
    if known(operand) and operand.value_type not in (DATE, TIMESTAMP, NULL_TYPE):
        raise ExpressionError(f"{name} takes a date or a timestamp, not {operand.value_type}")
    return converted(operand, TIMESTAMP)


def require(name: str, operand: Expression, wanted: ValueType) -> None:
    """Raises ExpressionError where an operand is of another type."""
    if known(operand) and operand.value_type not in (wanted, NULL_TYPE):
        raise ExpressionError(f"{name} takes {wanted}, not {operand.value_type}")


def text_operation(operation: Operation, operands: Operands, answer: ValueType = STRING) -> Expression:
    """A function of texts."""
    for each in operands:
        require(operation.value, each, STRING)
    return Expression(operation, answer, tuple(converted(each, STRING) for each in operands))


def substring(operand: Expression, start: Expression, length: Expression | None = None) -> Expression:
    """SUBSTRING(text, start[, length]); both are numbers that are written there, since every warehouse counts others from another end."""
    require("substring", operand, STRING)
    places = [_written("substring", "start", start, 1), *([_written("substring", "length", length, 0)] if length else [])]
    return Expression(Operation.SUBSTRING, STRING, (converted(operand, STRING), *places))


def _written(name: str, argument: str, operand: Expression, least: int, most: int = 2**31 - 1) -> Expression:
    text = operand.text if operand.operation is Operation.LITERAL and operand.value_type == INT64 else None
    if text is None or not least <= int(text) <= most:
        raise ExpressionError(f"the {argument} of {name} is a whole number that is written there, from {least} on")
    return operand


def _require_numbers(name: str, operands: Operands) -> None:
    for each in operands:
        if known(each) and not isinstance(each.value_type, _NUMBERS) and each.value_type != NULL_TYPE:
            hint = ""
            if each.value_type in (DATE, TIMESTAMP):
                hint = ": count with date_diff('day', a, b), move by interval '7 days'"
            elif each.value_type == STRING:
                hint = ": put texts together with ||"
            raise ExpressionError(f"{name} takes numbers, not {each.value_type}{hint}")


def _require_word(name: str, word: str, known_words: Sequence[str]) -> None:
    if word not in known_words:
        raise ExpressionError(f"{name} knows no {word!r}. It knows {', '.join(known_words)}")


def _or_boolean(met: ValueType) -> ValueType:
    """Nothing but nulls meet in any type."""
    return BOOLEAN if met == NULL_TYPE else met


def _of_number(operation: Operation) -> Rule:
    def rule(name: str, operands: Operands) -> Expression:
        (operand,) = operands
        if not known(operand):
            return unknown(operation, operands)
        _require_numbers(name, operands)
        if operation is Operation.ABS or isinstance(operand.value_type, IntegerType):
            return operand if operation is not Operation.ABS else Expression(operation, operand.value_type, (operand,))
        if isinstance(operand.value_type, DecimalType):
            whole = operand.value_type.precision - operand.value_type.scale
            return Expression(operation, DecimalType(min(38, whole + 1), 0), (operand,))
        return Expression(operation, operand.value_type, (operand,))

    return rule


def _round(name: str, operands: Operands) -> Expression:
    operand = operands[0]
    digits = int(_written(name, "digits", operands[1], 0, MOST_ROUNDED).text or 0) if len(operands) > 1 else 0
    if not known(operand):
        return unknown(Operation.ROUND, [operand], str(digits))
    _require_numbers(name, [operand])
    match operand.value_type:
        case DecimalType(precision, scale) if scale > digits:
            return Expression(Operation.ROUND, DecimalType(precision - scale + digits + 1, digits), (operand,), str(digits))
        case FloatType():
            return Expression(Operation.ROUND, FLOAT64, (operand,), str(digits))
    return operand


def _of_floats(operation: Operation) -> Rule:
    def rule(name: str, operands: Operands) -> Expression:
        _require_numbers(name, operands)
        return Expression(operation, FLOAT64, tuple(converted(each, FLOAT64) for each in operands))

    return rule


def _sign(name: str, operands: Operands) -> Expression:
    (operand,) = operands
    _require_numbers(name, operands)
    zero, one = number("0"), number("1")
    more = comparison(Operation.GREATER, operand, zero)
    less = comparison(Operation.LESS, operand, zero)
    null = Expression(Operation.IS_NULL, BOOLEAN, (operand,))
    return case([null, more, less], [Expression(Operation.LITERAL, INT64), one, negated(one)], zero)


def _concat(name: str, operands: Operands) -> Expression:
    empty = Expression(Operation.LITERAL, STRING, text="")
    for each in operands:
        require(name, each, STRING)
    parts = [Expression(Operation.COALESCE, STRING, (converted(each, STRING), empty)) for each in operands]
    whole = parts[0]
    for part in parts[1:]:
        whole = Expression(Operation.CONCAT, STRING, (whole, part))
    return whole


def _texts(operation: Operation, answer: ValueType = STRING) -> Rule:
    return lambda name, operands: text_operation(operation, operands, answer)


def _counted(operation: Operation) -> Rule:
    def rule(name: str, operands: Operands) -> Expression:
        require(name, operands[0], STRING)
        return Expression(operation, STRING, (converted(operands[0], STRING), _written(name, "length", operands[1], 0)))

    return rule


def _left(name: str, operands: Operands) -> Expression:
    return substring(operands[0], number("1"), _written(name, "length", operands[1], 0))


def _word(name: str, operand: Expression, words: Sequence[str]) -> str:
    if operand.operation is not Operation.LITERAL or operand.value_type != STRING or operand.text is None:
        raise ExpressionError(f"the first argument of {name} is one of {', '.join(map(repr, words))}")
    _require_word(name, operand.text.lower(), words)
    return operand.text.lower()


def _date_part(name: str, operands: Operands) -> Expression:
    return extracted(_word(name, operands[0], PARTS), operands[1])


def _date_trunc(name: str, operands: Operands) -> Expression:
    return Expression(Operation.DATE_TRUNC, TIMESTAMP, (moment(name, operands[1]),), _word(name, operands[0], UNITS))


def _date_diff(name: str, operands: Operands) -> Expression:
    moments = tuple(moment(name, each) for each in operands[1:])
    return Expression(Operation.DATE_DIFF, INT64, moments, _word(name, operands[0], UNITS))


def _alike(operation: Operation) -> Rule:
    return lambda name, operands: alike(operation, operands, name)


FUNCTIONS: Mapping[str, Function] = {
    "abs": Function(_of_number(Operation.ABS), 1, 1),
    "ceil": Function(_of_number(Operation.CEIL), 1, 1),
    "ceiling": Function(_of_number(Operation.CEIL), 1, 1),
    "coalesce": Function(_alike(Operation.COALESCE), 1),
    "concat": Function(_concat, 1),
    "contains": Function(_texts(Operation.CONTAINS, BOOLEAN), 2, 2),
    "date_diff": Function(_date_diff, 3, 3),
    "datediff": Function(_date_diff, 3, 3),
    "date_part": Function(_date_part, 2, 2),
    "date_trunc": Function(_date_trunc, 2, 2),
    "ends_with": Function(_texts(Operation.ENDS_WITH, BOOLEAN), 2, 2),
    "exp": Function(_of_floats(Operation.EXP), 1, 1),
    "floor": Function(_of_number(Operation.FLOOR), 1, 1),
    "greatest": Function(_alike(Operation.GREATEST), 1),
    "ifnull": Function(_alike(Operation.COALESCE), 2, 2),
    "least": Function(_alike(Operation.LEAST), 1),
    "left": Function(_left, 2, 2),
    "length": Function(_texts(Operation.LENGTH, INT64), 1, 1),
    "ln": Function(_of_floats(Operation.LN), 1, 1),
    "lower": Function(_texts(Operation.LOWER), 1, 1),
    "ltrim": Function(_texts(Operation.LTRIM), 1, 1),
    "mod": Function(lambda name, operands: arithmetic(Operation.MOD, *operands), 2, 2),
    "nullif": Function(_alike(Operation.NULLIF), 2, 2),
    "pow": Function(_of_floats(Operation.POWER), 2, 2),
    "power": Function(_of_floats(Operation.POWER), 2, 2),
    "replace": Function(_texts(Operation.REPLACE), 3, 3),
    "right": Function(_counted(Operation.RIGHT), 2, 2),
    "round": Function(_round, 1, 2),
    "rtrim": Function(_texts(Operation.RTRIM), 1, 1),
    "sign": Function(_sign, 1, 1),
    "sqrt": Function(_of_floats(Operation.SQRT), 1, 1),
    "starts_with": Function(_texts(Operation.STARTS_WITH, BOOLEAN), 2, 2),
    "substr": Function(lambda name, operands: substring(*operands), 2, 3),
    "substring": Function(lambda name, operands: substring(*operands), 2, 3),
    "trim": Function(_texts(Operation.TRIM), 1, 1),
    "trunc": Function(_of_number(Operation.TRUNC), 1, 1),
    "upper": Function(_texts(Operation.UPPER), 1, 1),
}
"""All that an expression may call, by name."""
