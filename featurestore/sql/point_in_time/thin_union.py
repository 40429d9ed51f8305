"""Both sides in one timeline for each key, and the greatest timestamp seen so far along it: standard SQL, on any warehouse.

Only keys and timestamps go through the window. At one instant the view's rows stand before the asked ones, because equality counts:
they have no row number, and null sorts first.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.sql.expressions import BIGINT, ascending, column, joined, named, not_null, null_of, table, window
from featurestore.sql.history import as_known
from featurestore.sql.instants import timestamp_type

from .join import NamedQuery, ViewScope, carried
from .known import known


def matched(scope: ViewScope) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_matched`, has one row for each asked row that sees any."""
    if as_known(scope.view):
        seen = scope.cte("seen")
        return [*known(scope), (scope.cte("timeline"), _timeline(scope)), (seen, _seen(scope)), (scope.cte("matched"), _found_again(scope))]
    return [
        *known(scope),
        (scope.cte("timeline"), _timeline(scope)),
        (scope.cte("seen"), _seen(scope)),
        (scope.cte("matched"), _kept(scope)),
    ]


def _marker(scope: ViewScope) -> tuple[str, exp.DType | exp.DataType]:
    """What grows along a key's timeline and tells its rows apart."""
    if as_known(scope.view):
        return scope.names.version, BIGINT
    return scope.names.event_timestamp, timestamp_type(scope.history.dialect)


def _timeline(scope: ViewScope) -> exp.Union:
    marker, marker_type = _marker(scope)
    spine, keys = scope.spine, scope.key_columns()
    rows = exp.select(
        *keys,
        named(column(scope.names.known_at), spine.asked_at),
        column(marker),
        named(null_of(BIGINT), spine.row_number),
    ).from_(table(scope.cte("known")))
    asked = exp.select(*keys, column(spine.asked_at), null_of(marker_type), column(spine.row_number)).from_(table(spine.asked))
    return exp.union(rows, asked, distinct=False)


def _seen(scope: ViewScope) -> exp.Select:
    marker, _ = _marker(scope)
    spine, keys = scope.spine, scope.key_columns()
    in_order = [ascending(column(spine.asked_at)), ascending(column(spine.row_number))]
    so_far = window(exp.Max(this=column(marker)), keys, in_order, "ROWS")
    return exp.select(column(spine.row_number), column(spine.asked_at), *keys, named(so_far, marker)).from_(table(scope.cte("timeline")))


def _kept(scope: ViewScope) -> exp.Select:
    seen = scope.cte("seen")
    return (
        exp.select(
            column(scope.spine.row_number), column(scope.spine.asked_at), *scope.key_columns(), *(column(name) for name in carried(scope))
        )
        .from_(table(seen))
        .where(not_null(column(scope.spine.row_number)), not_null(column(scope.names.event_timestamp)), *scope.unexpired(seen, seen))
    )


def _found_again(scope: ViewScope) -> exp.Select:
    """The timestamps of the version that was seen."""
    seen, rows, version = scope.cte("seen"), scope.cte("known"), scope.names.version
    same_row = [*scope.same_key(seen, rows), column(version, seen).eq(column(version, rows))]
    found = exp.select(
        column(scope.spine.row_number, seen),
        column(scope.spine.asked_at, seen),
        *scope.key_columns(seen),
        *(column(name, rows) for name in carried(scope)),
    ).from_(table(seen))
    return joined(found, table(rows), same_row).where(not_null(column(scope.spine.row_number, seen)), *scope.unexpired(seen, rows))
