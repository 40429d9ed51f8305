"""An incremental model reads only rows newer than the newest that it has: `where ordered_at > (select max(ordered_at) from {{ this }})`.

Why it leaks: a row that arrives late, with an event time before the newest one, is never read. A full refresh finds it, so training on a
rebuilt history sees what serving never did, and two environments that were built at other times differ.

How to mend: filter by the time at which rows were loaded, look back by as much as rows are late
(`max(ordered_at) - interval '3 days'`, with a `unique_key` so that rows are replaced), or use dbt's microbatch strategy with `lookback`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from featurestore.checks.bounds import comparisons
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.naming import is_load_time
from featurestore.checks.spans import moved
from featurestore.checks.subject import ModelInView
from featurestore.dbt.incremental_code import Rendered, incremental_code
from featurestore.lineage.query import Projection, Query, Select, TableColumn

RULE = Rule("incremental_loses_late_rows", "Late rows are never read", Severity.ERROR)


@dataclass(frozen=True)
class _Newest:
    """The newest time that the model itself has."""

    column: str
    lookback: timedelta


def find(model: ModelInView, /) -> Iterator[Spot]:
    if model.model.materialized != "incremental" or "is_incremental" not in model.model.raw:
        return
    rendered = incremental_code(model.model.raw)
    query = None if rendered is None else _parsed(rendered.sql, model.model.dialect)
    if rendered is None or query is None:
        return
    created = model.view.created_timestamp
    for select in query.selects:
        for condition in _conditions(select):
            newest = _bound(select, condition, rendered, model.model.dialect)
            if newest is None or newest.lookback > timedelta(0) or is_load_time(newest.column):
                continue
            if model.is_view and created is not None and created.name.casefold() == newest.column.casefold():
                continue
            yield Spot(
                condition,
                frozenset(),
                f"What arrives late has a {newest.column} before the newest one that is there, and is never read.",
                "Filter by the load time, look back as far as rows are late, or use microbatch with a lookback.",
            )


def _parsed(sql: str, dialect: str) -> Query | None:
    try:
        return Query(sqlglot.parse_one(sql, dialect=dialect))
    except (SqlglotError, ValueError, RecursionError):
        return None


def _conditions(select: Select) -> Iterator[exp.Expr]:
    clauses = [select.expression.args.get(name) for name in ("where", "having", "qualify")]
    clauses += [join.args.get("on") for join in select.expression.args.get("joins") or ()]
    for clause in clauses:
        for node in clause.find_all(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between) if isinstance(clause, exp.Expr) else ():
            if node.find_ancestor(exp.Select) is select.expression:
                yield node


def _bound(select: Select, condition: exp.Expr, rendered: Rendered, dialect: str) -> _Newest | None:
    """The newest time of the model itself, where a condition keeps to what comes after it."""
    for each in comparisons(condition):
        newest = _newest(select, each.smaller, rendered, dialect)
        own = moved(each.larger)
        if newest is not None and isinstance(own.base, exp.Column) and not is_load_time(own.base.name):
            # A filter by the start of the newest day reads that day again, which is as late as a row may be.
            cut = timedelta(0) if own.bucket else moved(each.smaller).bucket
            return _Newest(newest.column, newest.lookback + own.shift + cut)
    return None


def _newest(select: Select, side: exp.Expr, rendered: Rendered, dialect: str) -> _Newest | None:
    """What one side of a condition is of the model's own newest time; None where it is nothing of it."""
    split = moved(side)
    base = split.base.unnest()
    if isinstance(base, exp.Coalesce | exp.Greatest | exp.Least):
        found = next((each for each in (_newest(select, part, rendered, dialect) for part in (base.this, *base.expressions)) if each), None)
    elif isinstance(base, exp.Query):
        inner = select.query.subselect(base, select)
        found = None if inner is None or not inner.projections else _of_projection(inner.projections[0], rendered, dialect)
    elif isinstance(base, exp.Max):
        found = _of_max(select, base)
    elif isinstance(base, exp.Column):
        found = next((each for each in (_of_input(item, rendered, dialect) for item in select.inputs_of(base)) if each), None)
    elif isinstance(base, exp.Literal) and base.name in rendered.queried:
        query = _parsed(rendered.queried[base.name], dialect)
        found = None if query is None or not query.root.projections else _of_projection(query.root.projections[0], rendered, dialect)
    else:
        found = None
    return None if found is None else _Newest(found.column, found.lookback - split.shift)


def _of_input(item: object, rendered: Rendered, dialect: str) -> _Newest | None:
    return _of_projection(item, rendered, dialect) if isinstance(item, Projection) else None


def _of_projection(projection: Projection, rendered: Rendered, dialect: str) -> _Newest | None:
    if projection.expression is None:
        return next((each for each in (_of_input(item, rendered, dialect) for item in projection.passed_on) if each), None)
    return _newest(projection.select, projection.expression, rendered, dialect)


def _of_max(select: Select, call: exp.Max) -> _Newest | None:
    """`max(ordered_at)` over the rows of the model itself."""
    split = moved(call.this)
    if not isinstance(split.base, exp.Column):
        return None
    waiting, own = list(select.inputs_of(split.base)), False
    while waiting:
        each = waiting.pop()
        if isinstance(each, TableColumn):
            own = own or each.table.name == Rendered.THIS
        elif isinstance(each, Projection):
            waiting += each.inputs
    # The newest day, where the event is cut to days too, is read once more.
    return _Newest(split.base.name, -split.shift) if own else None
