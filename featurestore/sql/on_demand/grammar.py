"""Reads the text of an expression into a typed tree. The grammar is one, whatever the warehouse: a subset of SQL, written out here.

Words are read by sqlglot, with DuckDB's syntax and no function of its own, so that every call comes here by the name that its author
gave it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import ClassVar

from sqlglot import exp, parse
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import SqlglotError
from sqlglot.parsers.duckdb import DuckDBParser

from featurestore.errors import UnsupportedTypeError, did_you_mean
from featurestore.registry.expressions import REQUESTED_AT, Expression, OnDemand, Operation
from featurestore.registry.value_types import BOOLEAN, DATE, INT64, STRING, TIMESTAMP, UNRESOLVED, IntegerType, ValueType
from featurestore.sql.types import parse_data_type

from . import operations as ops
from .conversions import NULL, NULL_TYPE, ExpressionError, cast, converted, leaf, number

MOST_NODES = 2_000
"""Of one tree: nothing that a person writes is larger."""

_LONGEST_INTERVAL = 4_000 * 366 * 86_400_000_000
_LONGEST_INTERVAL_MONTHS = 4_000 * 12
_CLASS = re.compile(r"<class '(?:\w+\.)*(\w+)'>")
_COLORS = re.compile(r"\x1b\[\d*m")
_TEXT_INTERVAL = re.compile(r"([+-]?\d+)\s*([a-z]*)")
_MICROS = {"microsecond": 1, "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000}
_MICROS["week"] = 7 * _MICROS["day"]
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_CLOCKS = (exp.CurrentDate, exp.CurrentDatetime, exp.CurrentTime, exp.CurrentTimestamp, exp.Localtime, exp.Localtimestamp)
_CLOCK_NAMES = frozenset({"now", "getdate", "sysdate", "today", "current_timestamp", "clock_timestamp", "statement_timestamp"})
_NEARLY = {
    "log": "ln",
    "if": "case when … then … else … end",
    "iff": "case when … then … else … end",
    "char_length": "length",
    "len": "length",
    "nvl": "coalesce",
    "startswith": "starts_with",
    "endswith": "ends_with",
    "strpos": "contains",
    "dateadd": "+ interval '1 day'",
    "year": "extract(year from …)",
    "month": "extract(month from …)",
    "day": "extract(day from …)",
    "hour": "extract(hour from …)",
    "isnull": "… is null",
}
_INSTEAD: Mapping[type[exp.Expr], str] = {
    exp.Like: "starts_with, ends_with or contains",
    exp.ILike: "starts_with, ends_with or contains, of lower(…)",
    exp.SimilarTo: "starts_with, ends_with or contains",
    exp.RegexpLike: "starts_with, ends_with or contains",
    exp.If: "case when … then … else … end",
    exp.NullSafeEQ: "(a = b or (a is null and b is null)) is true",
    exp.NullSafeNEQ: "not (a = b or (a is null and b is null)) is true",
    exp.Collate: "the text alone: texts are compared by code points",
}
"""What is written for what is nothing that both roads answer alike."""


class _Parser(DuckDBParser):
    FUNCTIONS: ClassVar[dict[str, Callable[..., exp.Expr]]] = {}


class _Subset(DuckDB):
    Parser = _Parser


def parse_expression(
    text: str,
    features: Mapping[str, ValueType],
    inputs: Mapping[str, ValueType],
    others: Mapping[str, str],
    *,
    believing: bool = False,
) -> OnDemand:
    """Read an expression.

    Args:
        features: the types of what it may name of the view, and `inputs`: of the request.
        others: why something else of the view cannot be named, by name.
        believing: whether any other name is believed to be a feature, whose type nobody knows yet.

    Raises ExpressionError saying what is wrong, and where.
    """
    try:
        statements = parse(text, dialect=_Subset)
    except SqlglotError as error:
        first = _CLASS.sub(r"\1", str(error).splitlines()[0].partition(". Line")[0])
        where = next((f" at character {each['col']}" for each in getattr(error, "errors", ()) if each.get("col")), "")
        raise ExpressionError(f"it is no expression{where}: {_COLORS.sub('', first)}") from None
    except RecursionError:
        raise ExpressionError("it is nested too deeply") from None
    if len(statements) != 1 or statements[0] is None:
        raise ExpressionError("it is no single expression")
    reader = _Reader(features, inputs, others, believing)
    tree = reader.read(statements[0])
    if tree.value_type == NULL_TYPE:
        raise ExpressionError("it is nothing but null: cast it to a type")
    if sum(1 for _ in tree.walk()) > MOST_NODES:
        raise ExpressionError(f"it has more than {MOST_NODES:,} parts: work some of it out in the model")
    return OnDemand(text, tree)


def answered_as(made: OnDemand, value_type: ValueType | None) -> OnDemand:
    """The same, its answer cast to a declared type. Raises ExpressionError where there is no such cast."""
    if value_type is None or made.tree.value_type == value_type:
        return made
    return OnDemand(made.expression, cast(made.tree, value_type))


class _Reader:
    """Reads one expression, node by node."""

    def __init__(
        self, features: Mapping[str, ValueType], inputs: Mapping[str, ValueType], others: Mapping[str, str], believing: bool
    ) -> None:
        self._believing = believing
        self._names: dict[str, tuple[Operation, str, ValueType]] = {}
        for operation, types in ((Operation.FEATURE, features), (Operation.INPUT, inputs)):
            self._names.update((name.casefold(), (operation, name, value_type)) for name, value_type in types.items())
        self._exact = {name: (operation, name, kind) for operation, name, kind in self._names.values()}
        self._others = {name.casefold(): why for name, why in others.items()}

    def read(self, node: exp.Expr) -> Expression:
        """The typed tree of a node. What is wrong with it is told with the place of the first word of it."""
        try:
            return self._read(node)
        except _PlacedError:
            raise
        except ExpressionError as error:
            raise _PlacedError(f"{error}{_place(node)}") from None

    def _read(self, node: exp.Expr) -> Expression:
        read = _READERS.get(type(node))
        if read is None:
            if isinstance(node, _CLOCKS):
                raise ExpressionError(f"{node.sql()} is another one every time: write {REQUESTED_AT}, the instant that is asked about")
            if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
                raise ExpressionError("it reads other rows: join what it needs in the model")
            instead = next((f": write {words}" for kind, words in _INSTEAD.items() if isinstance(node, kind)), "")
            # Its SQL would be the very thing that is to be written instead.
            shown = "if(…)" if isinstance(node, exp.If) else node.sql("duckdb")
            raise ExpressionError(f"{shown} is not among what an expression may have{instead}")
        return read(self, node)

    def column(self, node: exp.Expr) -> Expression:
        """A name: of a feature, of an input, or the instant asked about."""
        if not isinstance(node, exp.Column) or node.table or isinstance(node.this, exp.Star):
            raise ExpressionError(f"{node.sql()} is no name: features and inputs are named alone, without a table")
        name = node.name
        found = self._exact.get(name) or self._names.get(name.casefold())
        if found is not None:
            return leaf(*found)
        if name.casefold() == REQUESTED_AT:
            return Expression(Operation.REQUESTED_AT, TIMESTAMP)
        if name.casefold() in self._others:
            raise ExpressionError(f"{name}: {self._others[name.casefold()]}")
        if self._believing:
            return leaf(Operation.FEATURE, name, UNRESOLVED)
        names = [each[1] for each in self._names.values()]
        raise ExpressionError(f"there is no feature and no input {name!r}{_nearest(name, [*names, REQUESTED_AT])}")

    def literal(self, node: exp.Expr) -> Expression:
        """A number or a text."""
        if node.args.get("is_string"):
            if "\0" in node.name:
                raise ExpressionError("no text has a character of the code 0 in it")
            return Expression(Operation.LITERAL, STRING, text=node.name)
        return number(node.name)

    def binary(self, node: exp.Expr) -> Expression:
        """An operator of two operands."""
        left, right = node.this, node.expression
        if isinstance(node, exp.Add | exp.Sub) and isinstance(right, exp.Interval):
            months, micros = _interval(right)
            sign = -1 if isinstance(node, exp.Sub) else 1
            return ops.moved(self.read(left), sign * months, sign * micros)
        if isinstance(node, exp.Add) and isinstance(left, exp.Interval):
            return ops.moved(self.read(right), *_interval(left))
        operands = self.read(left), self.read(right)
        if type(node) in _ARITHMETIC:
            return ops.arithmetic(_ARITHMETIC[type(node)], *operands)
        if type(node) in _COMPARISONS:
            return ops.comparison(_COMPARISONS[type(node)], *operands)
        if isinstance(node, exp.DPipe):
            return ops.text_operation(Operation.CONCAT, operands)
        return ops.logical(Operation.AND if isinstance(node, exp.And) else Operation.OR, *operands)

    def between(self, node: exp.Expr) -> Expression:
        """`x BETWEEN low AND high`, as the two comparisons that it is."""
        operand, low, high = (self.read(node.args[part]) for part in ("this", "low", "high"))
        least = ops.comparison(Operation.GREATER_OR_EQUAL, operand, low)
        return ops.logical(Operation.AND, least, ops.comparison(Operation.LESS_OR_EQUAL, operand, high))

    def within(self, node: exp.Expr) -> Expression:
        """`x IN (…)`."""
        if not node.expressions:
            raise ExpressionError("IN takes a list of values")
        return ops.within(self.read(node.this), [self.read(each) for each in node.expressions])

    def test(self, node: exp.Expr) -> Expression:
        """`x IS NULL`, `x IS TRUE`."""
        operand = self.read(node.this)
        if isinstance(node.expression, exp.Null):
            return Expression(Operation.IS_NULL, BOOLEAN, (converted(operand, STRING) if operand.value_type == NULL_TYPE else operand,))
        if isinstance(node.expression, exp.Boolean):
            asked = operand if node.expression.this else ops.logical(Operation.NOT, operand)
            return ops.alike(Operation.COALESCE, [asked, _boolean(False)], "IS")
        raise ExpressionError("IS asks for NULL, TRUE or FALSE")

    def case(self, node: exp.Expr) -> Expression:
        """CASE, with and without a value that is compared."""
        compared = self.read(node.this) if node.this is not None else None
        conditions = []
        for each in node.args["ifs"]:
            condition = self.read(each.this)
            conditions.append(condition if compared is None else ops.comparison(Operation.EQUAL, compared, condition))
        values = [self.read(each.args["true"]) for each in node.args["ifs"]]
        default = node.args.get("default")
        return ops.case(conditions, values, self.read(default) if default is not None else NULL)

    def cast(self, node: exp.Expr) -> Expression:
        """CAST, `x::type`, `date '2024-01-31'`."""
        if isinstance(node, exp.TryCast):
            raise ExpressionError("cast is null already where a value does not fit: write cast")
        to = node.args["to"]
        try:
            wanted = parse_data_type(to.sql(dialect="duckdb"), "duckdb")
        except UnsupportedTypeError:
            raise ExpressionError(f"no expression has the type {to.sql(dialect='duckdb').lower()}") from None
        if wanted in (DATE, TIMESTAMP) and isinstance(node.this, exp.Literal) and node.this.is_string:
            return _instant(node.this.name, wanted)
        made = cast(self.read(node.this), wanted)
        return converted(made, INT64) if isinstance(wanted, IntegerType) else made

    def extract(self, node: exp.Expr) -> Expression:
        """EXTRACT(part FROM x)."""
        return ops.extracted(node.name.lower(), self.read(node.expression))

    def trim(self, node: exp.Expr) -> Expression:
        """TRIM of spaces, from one side or both."""
        characters = node.args.get("expression")
        if characters is not None and not (isinstance(characters, exp.Literal) and characters.name == " "):
            raise ExpressionError("trim takes spaces away and nothing else")
        side = str(node.args.get("position") or "BOTH").upper()
        operation = {"LEADING": Operation.LTRIM, "TRAILING": Operation.RTRIM}.get(side, Operation.TRIM)
        return ops.text_operation(operation, [self.read(node.this)])

    def call(self, node: exp.Expr) -> Expression:
        """A function, by its name."""
        if isinstance(node, exp.Anonymous):
            name, arguments = node.name.lower(), node.expressions
        else:
            name = _NAMED[type(node)]
            arguments = [node.args[part] for part in ("this", "expression", "start", "length", "decimals", "to") if node.args.get(part)]
        if name in _CLOCK_NAMES:
            raise ExpressionError(f"{name}() is another one every time: write {REQUESTED_AT}, the instant that is asked about")
        function = ops.FUNCTIONS.get(name)
        if function is None:
            instead = f": write {_NEARLY[name]}" if name in _NEARLY else _nearest(name, ops.FUNCTIONS)
            raise ExpressionError(f"there is no function {name}{instead}")
        if len(arguments) < function.least or (function.most is not None and len(arguments) > function.most):
            takes = function.least if function.most == function.least else f"{function.least} to {function.most or 'any number of'}"
            raise ExpressionError(f"{name} takes {takes} arguments, not {len(arguments)}")
        return function.rule(name, [self.read(each) for each in arguments])


class _PlacedError(ExpressionError):
    """One that says where."""


def _place(node: exp.Expr) -> str:
    """Where a node begins, as far as its words tell."""
    starts = [each.meta["start"] for each in node.walk() if "start" in each.meta]
    return f" (at character {min(starts) + 1})" if starts else ""


def _nearest(word: str, known: Iterable[str]) -> str:
    """The nearest right word, as the end of a sentence that begins with what is wrong."""
    hint = did_you_mean(word, known)
    return f".{hint}" if hint else ""


def _boolean(value: bool) -> Expression:
    return Expression(Operation.LITERAL, BOOLEAN, text="true" if value else "false")


def _instant(text: str, wanted: ValueType) -> Expression:
    try:
        if wanted == DATE:
            return Expression(Operation.LITERAL, DATE, text=date.fromisoformat(text).isoformat())
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            raise ValueError
        return Expression(Operation.LITERAL, TIMESTAMP, text=moment.isoformat(sep=" ", timespec="microseconds"))
    except ValueError:
        example = "2024-01-31" if wanted == DATE else "2024-01-31 14:30:00"
        raise ExpressionError(f"{text!r} is no {wanted}: write it like '{example}'") from None


def _interval(node: exp.Interval) -> tuple[int, int]:
    """The months and the microseconds of an interval that is written there."""
    amount = node.this
    unit = node.args["unit"].name.lower() if node.args.get("unit") else ""
    sign = -1 if isinstance(amount, exp.Neg) else 1
    amount = amount.this if isinstance(amount, exp.Neg) else amount
    found = _TEXT_INTERVAL.fullmatch(amount.name.strip().lower()) if isinstance(amount, exp.Literal) else None
    unit = (unit or (found[2] if found else "")).removesuffix("s")
    if found is None or unit not in {*_MICROS, *_MONTHS}:
        raise ExpressionError("an interval is one number and one unit, like interval '7 days'")
    count = sign * int(found[1])
    months, micros = count * _MONTHS.get(unit, 0), count * _MICROS.get(unit, 0)
    if abs(months) > _LONGEST_INTERVAL_MONTHS or abs(micros) > _LONGEST_INTERVAL:
        raise ExpressionError("an interval is no longer than 4,000 years")
    return months, micros


_ARITHMETIC: Mapping[type[exp.Expr], Operation] = {
    exp.Add: Operation.ADD,
    exp.Sub: Operation.SUBTRACT,
    exp.Mul: Operation.MULTIPLY,
    exp.Div: Operation.DIVIDE,
    exp.IntDiv: Operation.INTEGER_DIVIDE,
    exp.Mod: Operation.MOD,
}
_COMPARISONS: Mapping[type[exp.Expr], Operation] = {
    exp.EQ: Operation.EQUAL,
    exp.NEQ: Operation.NOT_EQUAL,
    exp.LT: Operation.LESS,
    exp.LTE: Operation.LESS_OR_EQUAL,
    exp.GT: Operation.GREATER,
    exp.GTE: Operation.GREATER_OR_EQUAL,
}
_NAMED: Mapping[type[exp.Expr], str] = {exp.Ceil: "ceil", exp.Floor: "floor", exp.Substring: "substring", exp.Pow: "power"}
"""What sqlglot has a syntax of its own for."""

_READERS: Mapping[type[exp.Expr], Callable[[_Reader, exp.Expr], Expression]] = {
    **dict.fromkeys([*_ARITHMETIC, *_COMPARISONS, exp.And, exp.Or, exp.DPipe], _Reader.binary),
    **dict.fromkeys([exp.Anonymous, *_NAMED], _Reader.call),
    exp.Column: _Reader.column,
    exp.Literal: _Reader.literal,
    exp.Boolean: lambda _, node: _boolean(bool(node.this)),
    exp.Null: lambda *_: NULL,
    exp.Paren: lambda reader, node: reader.read(node.this),
    exp.Neg: lambda reader, node: ops.negated(reader.read(node.this)),
    exp.Not: lambda reader, node: ops.logical(Operation.NOT, reader.read(node.this)),
    exp.Between: _Reader.between,
    exp.In: _Reader.within,
    exp.Is: _Reader.test,
    exp.Case: _Reader.case,
    exp.Cast: _Reader.cast,
    exp.TryCast: _Reader.cast,
    exp.Extract: _Reader.extract,
    exp.Trim: _Reader.trim,
}
