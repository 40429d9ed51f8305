"""For each asked row one look-up in the view's index: the newest rows known then, with their values, and no other is read.

Where the index begins with the join keys and the timestamp, the rows of a key lie there in the order in which they are asked for. The
look-up takes the first and those that share its timestamp, seldom any, and the view's own order decides among them. Everything that
makes a row count is a condition of the look-up, the end of its validity too, so that ranges may overlap.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.registry.registry import RequestedView
from featurestore.sql.expressions import any_of, column, identifier, is_null, named, table
from featurestore.sql.history import as_known
from featurestore.sql.instants import earlier

from .join import NamedQuery, ViewScope


def values(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """The CTE `<view>_values`: the features asked for, under their output names, by row number."""
    asked, seen = scope.spine.asked, scope.cte("seen")
    outputs = zip(requested.features, requested.output_names, strict=True)
    query = exp.select(
        column(scope.spine.row_number, asked),
        *(named(column(feature.name, seen), output) for feature, output in outputs),
    ).from_(table(asked))
    looked_up = exp.Lateral(this=exp.Subquery(this=_winner(scope)), alias=exp.TableAlias(this=identifier(seen)))
    query.append("joins", exp.Join(this=looked_up, kind="CROSS"))
    return [(scope.cte("values"), query.where(*scope.unexpired(asked, seen)))]


def _winner(scope: ViewScope) -> exp.Select:
    rows = scope.cte("rows")
    newest = exp.Subquery(this=_newest(scope), alias=exp.TableAlias(this=identifier(rows)))
    return exp.select("*").from_(newest).order_by(*scope.history.newest_first(rows)).limit(1)


def _newest(scope: ViewScope) -> exp.Select:
    """The newest row that counts at the asked instant, and every one that shares its timestamp."""
    view, history, asked = scope.view, scope.history, scope.spine.asked
    asked_at = column(scope.spine.asked_at, asked)
    rows = history.select(view.features, created=True, valid_to=True)
    rows = rows.where(*history.same_key_as(asked), history.stored_by(earlier(asked_at, view.available_after, history.dialect)))
    if as_known(view):
        written = history.created_timestamp
        rows = rows.where(any_of(is_null(written), exp.LTE(this=written.copy(), expression=asked_at.copy())))
    if view.valid_to is not None:
        rows = rows.where(any_of(is_null(history.valid_to), exp.GT(this=history.valid_to, expression=asked_at.copy())))
    # As the index has it, read backwards: there are no nulls, but a database does not draw that conclusion.
    rows = rows.order_by(exp.Ordered(this=history.raw(view.event_timestamp), desc=True, nulls_first=True))
    tied_too = exp.LimitOptions(rows=True, with_ties=True)
    rows.set("limit", exp.Fetch(direction="FIRST", count=exp.Literal.number(1), limit_options=tied_too))
    return rows
