"""Brings the features of the matched rows back, by an equi-join, and tells rows of equal keys and timestamp apart.

The winner among such rows is looked for here, where only rows that some asked row sees are left, and not over the whole view.
"""

from __future__ import annotations

from sqlglot import exp

from featurestore.registry.registry import RequestedView
from featurestore.sql.expressions import any_of, column, is_null, named, table, unused, window
from featurestore.sql.history import as_known

from .join import NamedQuery, ViewScope


def values_by_timestamp(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_values`, has the features asked for, under their output names, by row number."""
    matched, rows, spine = scope.cte("matched"), scope.cte("history"), scope.spine
    history = (rows, _wide_rows(scope, requested))
    found = exp.select(column(spine.row_number, matched)).from_(table(matched))
    found = found.join(table(rows), on=exp.and_(*_same_row(scope, matched, rows)), join_type="inner")
    outputs = list(zip(requested.features, requested.output_names, strict=True))
    if scope.view.unique_rows:
        return [history, (scope.cte("values"), found.select(*(named(column(feature.name, rows), output) for feature, output in outputs)))]
    place = unused("place", [spine.row_number, *requested.output_names])
    rank = window(exp.RowNumber(), [column(spine.row_number, matched)], scope.history.newest_first(rows))
    ranked = found.select(*(named(column(feature.name, rows), output) for feature, output in outputs), named(rank, place))
    winners = exp.select(column(spine.row_number), *(column(output) for _, output in outputs)).from_(table(scope.cte("ranked")))
    winners = winners.where(column(place).eq(exp.Literal.number(1)))
    return [history, (scope.cte("ranked"), ranked), (scope.cte("values"), winners)]


def values_by_version(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """The same, where a matched row carries the version that it sees."""
    matched, rows = scope.cte("matched"), scope.cte("versions")
    version = scope.names.version
    same_row = [*scope.same_key(matched, rows), column(version, matched).eq(column(version, rows)), *scope.unexpired(matched, rows)]
    outputs = zip(requested.features, requested.output_names, strict=True)
    query = exp.select(column(scope.spine.row_number, matched), *(named(column(feature.name, rows), output) for feature, output in outputs))
    return [(scope.cte("values"), query.from_(table(matched)).join(table(rows), on=exp.and_(*same_row), join_type="inner"))]


def _wide_rows(scope: ViewScope, requested: RequestedView) -> exp.Select:
    """All features where ties must be told apart by them, else those asked for."""
    features = requested.features if scope.view.unique_rows else scope.view.features
    rows = scope.history.select(features, created=True, valid_to=True)
    counts = scope.history.ever_counts()
    return rows.where(counts) if counts is not None else rows


def _same_row(scope: ViewScope, matched: str, rows: str) -> list[exp.Expression]:
    names, spine = scope.names, scope.spine
    same = [*scope.same_key(matched, rows), column(names.event_timestamp, matched).eq(column(names.event_timestamp, rows))]
    if as_known(scope.view):
        same.append(exp.NullSafeEQ(this=column(names.created_timestamp, matched), expression=column(names.created_timestamp, rows)))
    if scope.view.valid_to is not None:
        ended = column(names.valid_to, rows)
        same.append(any_of(is_null(ended), exp.LT(this=column(spine.asked_at, matched), expression=ended.copy())))
    return same
