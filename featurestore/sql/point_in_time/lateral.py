"""For each asked row one look-up in the view's index: the newest row known then, and no other is read.

Where the index begins with the join keys and the timestamp, the rows of a key lie there in the order in which they are asked for.
Everything that makes a row count is a condition of the look-up, the end of its validity too, so that ranges may overlap.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.sql.expressions import any_of, column, descending, earlier, identifier, is_null, table
from featurestore.sql.history import as_known

from .join import NamedQuery, ViewScope, carried


def matched(scope: ViewScope) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_matched`, has one row for each asked row that sees any."""
    asked, seen = scope.spine.asked, scope.cte("seen")
    query = exp.select(
        column(scope.spine.row_number, asked),
        column(scope.spine.asked_at, asked),
        *scope.key_columns(asked),
        *(column(name, seen) for name in carried(scope)),
    ).from_(table(asked))
    looked_up = exp.Lateral(this=exp.Subquery(this=_newest(scope)), alias=exp.TableAlias(this=identifier(seen)))
    query.append("joins", exp.Join(this=looked_up, kind="CROSS"))
    return [(scope.cte("matched"), query.where(*scope.unexpired(asked, seen)))]


def _newest(scope: ViewScope) -> exp.Select:
    """The newest of the rows that count at the asked instant. Rows that share its timestamp are told apart with their values."""
    view, history, asked = scope.view, scope.history, scope.spine.asked
    asked_at = column(scope.spine.asked_at, asked)
    rows = history.select(created=as_known(view), stored=scope.by_stored_timestamp)
    rows = rows.where(*history.same_key_as(asked), history.stored_by(earlier(asked_at, view.available_after, history.dialect)))
    # As the index has it, read backwards: there are no nulls, but a database does not draw that conclusion.
    order = [exp.Ordered(this=history.raw(view.event_timestamp), desc=True, nulls_first=True)]
    if as_known(view):
        written = history.created_timestamp
        rows = rows.where(any_of(is_null(written), exp.LTE(this=written.copy(), expression=asked_at.copy())))
        order.append(descending(written.copy()))
    if view.valid_to is not None:
        rows = rows.where(any_of(is_null(history.valid_to), exp.GT(this=history.valid_to, expression=asked_at.copy())))
    return rows.order_by(*order).limit(1)
