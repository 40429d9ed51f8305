"""Rows that share keys and timestamp are told apart only where there are any.

A window over all rows would sort each of them by every feature, which costs as much as the join itself, and few views hold such rows.
So they are counted first; the many that are alone go straight through, and only the others are ranked.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from .dialects import Dialect
from .expressions import column, table


def several(rows: exp.Select, by: Sequence[exp.Expression]) -> exp.Select:
    """What `by` says, once, of those of which there are several among `rows`."""
    many = exp.GT(this=exp.Count(this=exp.Star()), expression=exp.Literal.number(1))
    return rows.select(*by).group_by(*by).having(many)


def alone(rows: exp.Select, of: str, tied: str, by: Sequence[str], dialect: Dialect) -> exp.Select:
    """Those of `rows` (columns of the relation `of`) that are not among the tied."""
    same = [exp.EQ(this=column(name, tied), expression=column(name, of)) for name in by]
    if dialect.anti_join:
        rows.append("joins", exp.Join(this=table(tied), side="LEFT", kind="ANTI", on=exp.and_(*same)))
        return rows
    return rows.where(exp.Not(this=exp.Exists(this=exp.select(exp.Literal.number(1)).from_(table(tied)).where(*same))))


def first_ranked(ranked: str, place: str, columns: Sequence[str]) -> exp.Select:
    """The winners of a ranking."""
    return exp.select(*(column(name) for name in columns)).from_(table(ranked)).where(column(place).eq(exp.Literal.number(1)))
