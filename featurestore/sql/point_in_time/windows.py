"""What both plans for a view of aggregations share: the events that some asked row may count, and the features said from measures.

Only events between the first asked instant less the longest window and the last asked instant are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlglot import exp

from featurestore.registry.registry import RequestedView
from featurestore.sql.aggregates import Aggregates, Total, aggregates_of
from featurestore.sql.expressions import column, joined, named, not_null, table
from featurestore.sql.history import known_differs
from featurestore.sql.instants import earlier, instant_literal

from .join import NamedQuery, ViewScope
from .known import of_spine_keys, spine_keys

MEASURES = "windows"
"""What the CTE with the measures of each asked row is called, after the view."""


def needed(scope: ViewScope, requested: RequestedView) -> Aggregates:
    """What the features asked for need, under names that nothing else in the query has."""
    names, spine = scope.names, scope.spine
    taken = [*scope.history.keys, names.event_timestamp, names.created_timestamp, names.known_at, spine.row_number, spine.asked_at]
    return aggregates_of(scope.history, requested.features, [*taken, scope.cte("events"), scope.cte(MEASURES)])


def events(scope: ViewScope, aggregates: Aggregates) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_events`, has keys, timestamps and inputs of the events."""
    history, longest = scope.history, longest_window(scope)
    first, last = _asked_between(scope)
    rows = history.select(known_at=True).where(
        exp.GT(this=history.event_timestamp, expression=earlier(first, longest, history.dialect)),
        exp.LTE(this=history.known_at, expression=last),
    )
    rows = of_spine_keys(scope, rows.select(*(named(each.expression, each.name) for each in aggregates.inputs)))
    before = [spine_keys(scope)] if scope.plan.prune else []
    return [*before, (scope.cte("events"), rows)]


def longest_window(scope: ViewScope) -> timedelta:
    """The longest window of the view, whichever features are asked for: an asked row with no event in it has no row."""
    return scope.view.windows[-1]


def any_event(scope: ViewScope, of: str | None = None) -> exp.Expression:
    """The aggregate that says whether a window holds any event: the newest timestamp."""
    return Total.MAX.of(column(scope.names.event_timestamp, of))


def features(scope: ViewScope, requested: RequestedView, aggregates: Aggregates, measured: exp.Select) -> NamedQuery:
    """The CTE `<view>_values`: what is asked for, of the asked rows that have any event in the longest window.

    Args: measured: the query that has measures and deviations, as columns of `<view>_windows` and of what is joined to it.
    """
    windows = scope.cte(MEASURES)
    query = measured.select(column(scope.spine.row_number, windows))
    query = query.select(*(named(answer, output) for answer, output in zip(aggregates.answers, requested.output_names, strict=True)))
    for last in aggregates.lasts:
        version = column(_input_of(aggregates, last.version.input), last.name)
        same = [*scope.same_key(windows, last.name), exp.EQ(this=version, expression=column(last.version.name, windows))]
        query = joined(query, table(scope.cte("events"), last.name), same, "LEFT")
    return scope.cte("values"), query.where(not_null(column(scope.names.event_timestamp, windows)))


def known_at(scope: ViewScope, of: str | None = None) -> exp.Column:
    """From when on an event counts."""
    return column(scope.names.known_at if known_differs(scope.view) else scope.names.event_timestamp, of)


def kept(scope: ViewScope, aggregates: Aggregates) -> Sequence[exp.Expression]:
    """What an asked row keeps beside its measures: the keys where a last value is to be fetched by them."""
    return scope.key_columns() if aggregates.lasts else []


def _input_of(aggregates: Aggregates, name: str) -> str:
    return next(each.name for each in aggregates.inputs if each.name == name)


def _asked_between(scope: ViewScope) -> tuple[exp.Expression, exp.Expression]:
    if scope.plan.between is not None:
        first, last = scope.plan.between
        return instant_literal(first, scope.history.dialect), instant_literal(last, scope.history.dialect)
    asked_at = column(scope.spine.asked_at)
    asked = [exp.select(edge(this=asked_at.copy())).from_(table(scope.spine.asked)) for edge in (exp.Min, exp.Max)]
    return exp.Subquery(this=asked[0]), exp.Subquery(this=asked[1])
