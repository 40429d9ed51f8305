"""Of a snapshot whose rows may overlap for one key: every row valid at the asked instant, and the newest of them.

A newer row does not end an older one there, and when it ends the older one counts again, so no order of timestamps alone can find
the winner. Each row gets its rank in the view's own order; the greatest rank among the rows valid then is the answer.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.sql.expressions import any_of, column, is_null, joined, named, reversed_order, table, window

from .join import NamedQuery, ViewScope
from .known import of_spine_keys, spine_keys


def matched(scope: ViewScope) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_matched`, has one row for each asked row that sees any, with the version it sees."""
    asked, rows, names = scope.spine.asked, scope.cte("versions"), scope.names
    asked_at = column(scope.spine.asked_at, asked)
    known = exp.GTE(this=asked_at, expression=column(names.known_at, rows))
    not_ended = any_of(is_null(column(names.valid_to, rows)), exp.LT(this=asked_at.copy(), expression=column(names.valid_to, rows)))
    asked_row = column(scope.spine.row_number, asked)
    asking = [asked_row, asked_at, *scope.key_columns(asked)]
    newest = exp.select(*asking, named(exp.Max(this=column(names.version, rows)), names.version)).from_(table(asked))
    newest = joined(newest, table(rows), [*scope.same_key(asked, rows), known, not_ended]).group_by(*asking)
    before = [spine_keys(scope)] if scope.plan.prune else []
    return [*before, (scope.cte("rows"), _rows(scope)), (rows, _versions(scope)), (scope.cte("matched"), newest)]


def _rows(scope: ViewScope) -> exp.Select:
    return of_spine_keys(scope, scope.history.select(scope.view.features, created=True, valid_to=True, known_at=True))


def _versions(scope: ViewScope) -> exp.Select:
    rows = scope.cte("rows")
    oldest_first = reversed_order(scope.history.newest_first(rows, event_timestamp=True))
    version = named(window(exp.RowNumber(), scope.key_columns(rows), oldest_first), scope.names.version)
    return exp.select("*", version).from_(table(rows))
