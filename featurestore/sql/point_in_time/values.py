"""Brings the features of the matched rows back, by an equi-join, and tells rows of equal keys and timestamp apart.

The winner among such rows is looked for here, where only rows that some asked row sees are left, and not over the whole view.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from featurestore.registry.definitions import Feature
from featurestore.registry.registry import RequestedView
from featurestore.sql.expressions import any_of, column, is_null, joined, named, same_or_both_null, table, unused, window
from featurestore.sql.history import as_known
from featurestore.sql.ties import alone, first_ranked, several

from .join import NamedQuery, ViewScope


def values_by_timestamp(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_values`, has the features asked for, under their output names, by row number."""
    if scope.history.dialect.ranks_at_once:
        return _values_ranked_at_once(scope, requested)
    row_number, history = scope.spine.row_number, scope.cte("history")
    values = (scope.cte("history"), _rows(scope, requested.features))
    found = _found(scope, history, requested)
    single, tied, ranked = scope.cte("found"), scope.cte("tied"), scope.cte("ranked")
    place = unused("place", [row_number, *requested.output_names])
    outputs = [row_number, *requested.output_names]
    untied = exp.select(*(column(name, single) for name in outputs)).from_(table(single))
    single_rows = alone(untied, single, tied, [row_number], scope.history.dialect)
    return [
        values,
        (single, found),
        (tied, several(exp.select().from_(table(single)), [column(row_number)])),
        (scope.cte("rivals"), _rows(scope, scope.view.features)),
        (ranked, _ranked(scope, requested, place)),
        (scope.cte("values"), exp.union(single_rows, first_ranked(ranked, place, outputs), distinct=False)),
    ]


def _values_ranked_at_once(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    rivals, ranked, row_number = scope.cte("rivals"), scope.cte("ranked"), scope.spine.row_number
    place = unused("place", [row_number, *requested.output_names])
    return [
        (rivals, _rows(scope, scope.view.features)),
        (ranked, _found(scope, rivals, requested).select(named(_rank(scope), place))),
        (scope.cte("values"), first_ranked(ranked, place, [row_number, *requested.output_names])),
    ]


def values_by_version(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """The same, where a matched row carries the version that it sees."""
    matched, rows = scope.cte("matched"), scope.cte("versions")
    version = scope.names.version
    same_row = [*scope.same_key(matched, rows), column(version, matched).eq(column(version, rows)), *scope.unexpired(matched, rows)]
    outputs = zip(requested.features, requested.output_names, strict=True)
    query = exp.select(column(scope.spine.row_number, matched), *(named(column(feature.name, rows), output) for feature, output in outputs))
    return [(scope.cte("values"), joined(query.from_(table(matched)), table(rows), same_row))]


def _rows(scope: ViewScope, features: Sequence[Feature]) -> exp.Select:
    rows = scope.history.select(features, created=True, valid_to=True)
    counts = scope.history.ever_counts()
    return rows.where(counts) if counts is not None else rows


def _found(scope: ViewScope, rows: str, requested: RequestedView) -> exp.Select:
    """What each asked row sees: one row, or several that share keys and timestamp."""
    matched = scope.cte("matched")
    outputs = zip(requested.features, requested.output_names, strict=True)
    found = exp.select(column(scope.spine.row_number, matched), *(named(column(feature.name, rows), output) for feature, output in outputs))
    return joined(found.from_(table(matched)), table(rows), _same_row(scope, matched, rows))


def _ranked(scope: ViewScope, requested: RequestedView, place: str) -> exp.Select:
    """Those several, the winner first. All features take part, whichever are asked for."""
    matched, rivals, row_number = scope.cte("matched"), scope.cte("rivals"), scope.spine.row_number
    tied = scope.cte("tied")
    is_tied = exp.EQ(this=column(row_number, tied), expression=column(row_number, matched))
    return joined(_found(scope, rivals, requested), table(tied), [is_tied]).select(named(_rank(scope), place))


def _rank(scope: ViewScope) -> exp.Window:
    """The place of a row among those that one asked row sees."""
    asked = column(scope.spine.row_number, scope.cte("matched"))
    return window(exp.RowNumber(), [asked], scope.history.newest_first(scope.cte("rivals")))


def _same_row(scope: ViewScope, matched: str, rows: str) -> list[exp.Expression]:
    names, spine = scope.names, scope.spine
    same = [*scope.same_key(matched, rows), column(names.event_timestamp, matched).eq(column(names.event_timestamp, rows))]
    if as_known(scope.view):
        same.append(_same_created(scope, matched, rows))
    if scope.view.valid_to is not None:
        ended = column(names.valid_to, rows)
        same.append(any_of(is_null(ended), exp.LT(this=column(spine.asked_at, matched), expression=ended.copy())))
    return same


def _same_created(scope: ViewScope, matched: str, rows: str) -> exp.Expression:
    name = scope.names.created_timestamp
    return same_or_both_null(column(name, matched), column(name, rows), scope.history.dialect)
