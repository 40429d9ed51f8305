"""Events and asked instants of each key in one timeline, and behind every asked instant a frame as long as each window.

The timeline is in whole microseconds: an event stands where it becomes known, an asked row where it asks. A window of length w holds
the events that stand at most `w - available_after - 1` microseconds before; those at the same microsecond are peers, and count.
Asked rows hold nothing but nulls, so they add nothing to each other's windows.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlglot import exp

from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.registry import RequestedView
from featurestore.sql.aggregates import Aggregates, Measure
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import BIGINT, column, named, not_null, null_of, table, unused
from featurestore.sql.history import as_known
from featurestore.sql.instants import instant_literal, microseconds
from featurestore.timestamps import duration_micros

from .join import NamedQuery, ViewScope
from .windows import MEASURES, any_event, events, features, kept, known_at, longest_window, needed

_FIRST, _LAST = datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)


def frame_cannot(requested: RequestedView, dialect: Dialect) -> str | None:
    """Why a range frame cannot answer for that view in that dialect, or None where it can."""
    if dialect.range_frame is None:
        return f"{dialect.name} has no frame by range of integers"
    if as_known(requested.view):
        return "Its events become known in another order than they happened"
    functions = {feature.aggregation.function for feature in requested.features if feature.aggregation}
    if AggregateFunction.STDDEV in functions:
        return "A standard deviation looks at a window's values once more when its mean is known"
    if AggregateFunction.COUNT_DISTINCT in functions and not dialect.distinct_in_frame:
        return f"{dialect.name} counts no distinct values in a frame"
    return None


def values(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_values`, has the features asked for, under their output names, by row number."""
    aggregates = needed(scope, requested)
    windows = scope.cte(MEASURES)
    return [
        *events(scope, aggregates),
        (scope.cte("timeline"), _timeline(scope, aggregates)),
        (windows, _windows(scope, aggregates)),
        features(scope, requested, aggregates, _asked_only(scope)),
    ]


def _timeline(scope: ViewScope, aggregates: Aggregates) -> exp.Union:
    spine, keys, dialect = scope.spine, scope.key_columns(), scope.history.dialect
    inputs = [each.name for each in aggregates.inputs]
    happened = exp.select(
        *keys,
        named(microseconds(known_at(scope), dialect), _instant(scope, aggregates)),
        named(null_of(BIGINT), spine.row_number),
        column(scope.names.event_timestamp),
        *map(column, inputs),
    ).from_(table(scope.cte("events")))
    asked = exp.select(
        *keys,
        microseconds(column(spine.asked_at), dialect),
        column(spine.row_number),
        *(exp.null() for _ in range(1 + len(inputs))),
    ).from_(table(spine.asked))
    # Nothing is an offset before an infinite instant, and no event in a window that ends there.
    return exp.union(
        happened.where(_in_the_calendar(column(scope.names.event_timestamp), dialect)),
        asked.where(_in_the_calendar(column(spine.asked_at), dialect)),
        distinct=False,
    )


def _windows(scope: ViewScope, aggregates: Aggregates) -> exp.Select:
    newest = _over(scope, aggregates, any_event(scope), longest_window(scope))
    measured = [named(_measured(scope, aggregates, measure), measure.name) for measure in aggregates.measures]
    return exp.select(
        column(scope.spine.row_number), *kept(scope, aggregates), named(newest, scope.names.event_timestamp), *measured
    ).from_(table(scope.cte("timeline")))


def _measured(scope: ViewScope, aggregates: Aggregates, measure: Measure) -> exp.Expression:
    return _over(scope, aggregates, measure.of(column(measure.input), scope.history.dialect), measure.window)


def _over(scope: ViewScope, aggregates: Aggregates, aggregate: exp.Expression, window: timedelta) -> exp.Window:
    reach = duration_micros(window - scope.view.available_after) - 1
    spec = exp.WindowSpec(kind="RANGE", start=exp.Literal.number(reach), start_side="PRECEDING", end="CURRENT ROW")
    order = exp.Order(expressions=[exp.Ordered(this=column(_instant(scope, aggregates)), desc=False, nulls_first=True)])
    return exp.Window(this=aggregate, partition_by=scope.key_columns(), order=order, spec=spec)


def _asked_only(scope: ViewScope) -> exp.Select:
    windows = scope.cte(MEASURES)
    return exp.select().from_(table(windows)).where(not_null(column(scope.spine.row_number, windows)))


def _instant(scope: ViewScope, aggregates: Aggregates) -> str:
    taken = [*scope.history.keys, *(each.name for each in aggregates.inputs), scope.names.event_timestamp, scope.spine.row_number]
    return unused("microseconds", taken)


def _in_the_calendar(moment: exp.Expression, dialect: Dialect) -> exp.Expression:
    from_first = exp.GTE(this=moment, expression=instant_literal(_FIRST, dialect))
    return exp.And(this=from_first, expression=exp.LTE(this=moment.copy(), expression=instant_literal(_LAST, dialect)))
