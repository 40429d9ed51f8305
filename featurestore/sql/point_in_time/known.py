"""The thin side of a view: keys, timestamps, and from when on each row is known, so that later known is also newer.

For most views that holds by itself. Where a row counts from when it was written (`late_data: as_known`), a row that is written late
may be older than one already known; it never wins at any instant, and is left out here, after which the greatest `known_at` is the
newest row and any strategy may run.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.sql.expressions import ascending, column, descending, joined, named, row_number, table, window
from featurestore.sql.history import as_known

from .join import NamedQuery, ViewScope


def known(scope: ViewScope) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_known`, has keys, event timestamp, `known_at`, and created timestamp and version where needed."""
    before = [spine_keys(scope)] if scope.plan.prune else []
    if as_known(scope.view):
        return [*before, *_known_in_order_of_writing(scope)]
    return [*before, (scope.cte("known"), _thin_rows(scope))]


def spine_keys(scope: ViewScope) -> NamedQuery:
    """Each entity key of the spine once."""
    return scope.cte("keys"), exp.select(*scope.key_columns()).from_(table(scope.spine.asked)).distinct()


def of_spine_keys(scope: ViewScope, rows: exp.Select) -> exp.Select:
    """Those rows of the view whose keys the spine asks about, where the plan says to prune."""
    if not scope.plan.prune:
        return rows
    keys = scope.cte("keys")
    return joined(rows, table(keys), scope.history.same_key_as(keys))


def _thin_rows(scope: ViewScope) -> exp.Select:
    rows = scope.history.select(created=as_known(scope.view), known_at=True)
    counts = scope.history.ever_counts()
    return of_spine_keys(scope, rows.where(counts) if counts is not None else rows)


def _known_in_order_of_writing(scope: ViewScope) -> list[NamedQuery]:
    names, keys = scope.names, scope.key_columns()
    numbered, latest = scope.cte("numbered"), scope.cte("newest")
    version = column(names.version)
    in_order = [ascending(column(names.event_timestamp)), ascending(column(names.created_timestamp))]
    place = row_number(keys, in_order, scope.history.dialect)
    newest_version = "newest_version" if names.version == "version" else f"newest_{names.version}"
    # At one instant the greatest version stands first, so that the others of that instant are left out whatever frames there are.
    by_known = [ascending(column(names.known_at)), descending(version.copy())]
    so_far = window(exp.Max(this=version), keys, by_known, "ROWS")
    columns = [*keys, *(column(name) for name in (names.event_timestamp, names.created_timestamp, names.known_at, names.version))]
    return [
        (scope.cte("rows"), _thin_rows(scope)),
        (numbered, exp.select("*", named(place, names.version)).from_(table(scope.cte("rows")))),
        (latest, exp.select("*", named(so_far, newest_version)).from_(table(numbered))),
        (scope.cte("known"), exp.select(*columns).from_(table(latest)).where(version.eq(column(newest_version)))),
    ]
