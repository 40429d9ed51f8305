"""The condition by which an aggregation chooses its events: SQL that a person wrote, checked before any warehouse sees it.

It is about one event and nothing else, so that its answer is the same whenever and wherever it is asked: the model's own columns,
operators and functions of them; no subquery, no aggregate, no clock, no chance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlglot import exp, parse
from sqlglot.dialects.dialect import Dialect as SqlDialect
from sqlglot.errors import SqlglotError

from .dialects import Dialect
from .expressions import identifier

_CLASS = re.compile(r"<class '(?:\w+\.)*(\w+)'>")
EXAMPLE = "Write it like \"status = 'paid'\"."
_UNSTEADY = (
    exp.CurrentDate,
    exp.CurrentDatetime,
    exp.CurrentTime,
    exp.CurrentTimestamp,
    exp.CurrentUser,
    exp.Localtime,
    exp.Localtimestamp,
    exp.Rand,
    exp.Randn,
    exp.Uuid,
)
_UNSTEADY_NAMES = frozenset(
    (
        *("CLOCK_TIMESTAMP", "GEN_RANDOM_UUID", "GETDATE", "LOCALTIMESTAMP", "NEXTVAL", "NOW", "RANDOM", "RANDN", "RANDSTR", "SETSEED"),
        *("STATEMENT_TIMESTAMP", "SYSDATE", "SYSDATETIME", "SYSTIMESTAMP", "TIMEOFDAY", "TODAY", "TRANSACTION_TIMESTAMP", "UNIFORM"),
        *("UUIDV4", "UUIDV7", "YESTERDAY"),
    )
)
_NO_CONDITION = (exp.Literal, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Mod, exp.DPipe, exp.Null)


class FilterError(ValueError):
    """What is wrong with a filter, and what to write instead."""


def parse_filter(text: str, dialect: str) -> exp.Expression:
    """Read a filter. Raises FilterError where it is no condition on the columns of one event."""
    try:
        statements = parse(f"SELECT 1 WHERE (\n{text}\n)", dialect=dialect if SqlDialect.get(dialect) else None)
    except SqlglotError as error:
        first = _CLASS.sub(r"\1", str(error).splitlines()[0].partition(". Line")[0])
        raise FilterError(f"{text!r} is no condition in the SQL of {dialect}: {first}. {EXAMPLE}") from None
    where = statements[0].args.get("where") if len(statements) == 1 and isinstance(statements[0], exp.Select) else None
    if where is None or not isinstance(where.this, exp.Paren):
        raise FilterError(f"{text!r} is no single condition. {EXAMPLE}")
    condition: exp.Expression = where.this.this
    for wrong in _complaints(condition):
        raise FilterError(f"{text!r} {wrong}")
    return condition.copy()


def filter_columns(condition: exp.Expression) -> list[str]:
    """The columns that a filter names, as it spells them, each once."""
    return list(dict.fromkeys(each.name for each in condition.find_all(exp.Column)))


def is_column(condition: exp.Expression) -> bool:
    """Whether a filter is nothing but a column, which then has to be true or false itself."""
    return isinstance(condition.unnest(), exp.Column)


def filter_over(text: str, relation: str, dialect: Dialect) -> exp.Expression:
    """A filter as it stands in a query: its columns are those of that relation, spelled as the warehouse is used to."""
    condition = parse_filter(text, dialect.name)
    for each in condition.find_all(exp.Column):
        each.set("table", identifier(relation))
    return exp.paren(condition) if isinstance(condition, exp.Connector) else condition


def _complaints(condition: exp.Expression) -> Iterator[str]:
    root = condition.unnest()
    if isinstance(root, _NO_CONDITION):
        yield f"is a value and no condition. {EXAMPLE}"
    for node in condition.walk():
        if isinstance(node, exp.Query | exp.Subquery | exp.Exists):
            yield "reads other rows. A filter is about the columns of one event: join what it needs in the model."
        elif isinstance(node, exp.AggFunc | exp.Window):
            yield f"has {node.sql()} in it, which is about many events. A filter is about the columns of one: work it out in the model."
        elif isinstance(node, _UNSTEADY) or (isinstance(node, exp.Anonymous) and node.name.upper() in _UNSTEADY_NAMES):
            yield f"has {node.sql()} in it, which is another one every time. Compare with a column of the event instead."
        elif isinstance(node, exp.Placeholder | exp.Parameter):
            yield "has a parameter in it, and nothing gives it a value. Write the value."
        elif isinstance(node, exp.Column) and (node.table or isinstance(node.this, exp.Star)):
            yield f"names {node.sql()}. Write a column of the model without its table."
