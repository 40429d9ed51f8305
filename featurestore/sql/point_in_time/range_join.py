"""Every asked row beside the events that its longest window holds, and for each window an aggregate of those inside it.

It asks nothing of a warehouse but a join and a GROUP BY, so it runs everywhere, whatever is aggregated and whenever events become known.
A standard deviation takes a second look at the same events, once the first has told the mean of each window.
"""

from __future__ import annotations

from datetime import timedelta

from sqlglot import exp

from featurestore.registry.registry import RequestedView
from featurestore.sql.aggregates import PARTS, Aggregates, Deviation, Total
from featurestore.sql.event_inputs import DOUBLE, double
from featurestore.sql.expressions import column, joined, named, table, whole_number
from featurestore.sql.instants import earlier

from .join import NamedQuery, ViewScope
from .windows import MEASURES, any_event, events, features, kept, known_at, longest_window, needed


def values(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    """CTEs of which the last, `<view>_values`, has the features asked for, under their output names, by row number."""
    aggregates = needed(scope, requested)
    windows, means, deviations = scope.cte(MEASURES), scope.cte("means"), scope.cte("deviations")
    measured = exp.select().from_(table(windows))
    ctes = [*events(scope, aggregates), (windows, _windows(scope, aggregates))]
    if aggregates.deviations:
        ctes += [(means, _means(scope, aggregates)), (deviations, _deviations(scope, aggregates))]
        row_number = scope.spine.row_number
        measured = joined(measured, table(deviations), [column(row_number, windows).eq(column(row_number, deviations))], "LEFT")
    return [*ctes, features(scope, requested, aggregates, measured)]


def _windows(scope: ViewScope, aggregates: Aggregates) -> exp.Select:
    asked, rows = scope.spine.asked, scope.cte("events")
    own = [column(scope.spine.row_number, asked), *(column(key.name, asked) for key in kept(scope, aggregates))]
    measured = [
        named(measure.of(_inside(scope, column(measure.input, rows), measure.window), scope.history.dialect), measure.name)
        for measure in aggregates.measures
    ]
    query = exp.select(*own, named(any_event(scope, rows), scope.names.event_timestamp), *measured).from_(table(asked))
    return _beside_events(scope, query).group_by(*(each.copy() for each in own))


def _means(scope: ViewScope, aggregates: Aggregates) -> exp.Select:
    told = [
        named(value, name)
        for each in aggregates.deviations
        for value, name in ((each.mean.copy(), each.mean_name), (each.extent, each.extent_name))
    ]
    return exp.select(column(scope.spine.row_number), *told).from_(table(scope.cte(MEASURES)))


def _deviations(scope: ViewScope, aggregates: Aggregates) -> exp.Select:
    asked, means, row_number = scope.spine.asked, scope.cte("means"), scope.spine.row_number
    summed = [named(_summed_deviation(scope, deviation), deviation.name) for deviation in aggregates.deviations]
    query = exp.select(column(row_number, asked), *summed).from_(table(asked))
    query = joined(query, table(means), [column(row_number, means).eq(column(row_number, asked))])
    return _beside_events(scope, query).group_by(column(row_number, asked))


def _summed_deviation(scope: ViewScope, deviation: Deviation) -> exp.Expression:
    """The sum of what each value's squared deviation is of the greatest there could be, in whole parts."""
    dialect, means = scope.history.dialect, scope.cte("means")
    value, zero = exp.cast(column(deviation.value, scope.cte("events")), DOUBLE), double(0)
    away = exp.paren(exp.Sub(this=value, expression=column(deviation.mean_name, means)))
    extent = exp.Nullif(this=column(deviation.extent_name, means), expression=zero)
    share = exp.paren(exp.Div(this=away, expression=extent, typed=True, safe=False))
    parts = exp.Mul(this=exp.Mul(this=share, expression=share.copy()), expression=double(PARTS))
    counted = exp.cast(whole_number(exp.Floor(this=parts), dialect), exp.DataType.build(dialect.wide_integer, dialect=dialect.name))
    return Total.SUM.of(_inside(scope, counted, deviation.window))


def _beside_events(scope: ViewScope, query: exp.Select) -> exp.Select:
    asked, rows = scope.spine.asked, scope.cte("events")
    known = exp.LTE(this=known_at(scope, rows), expression=column(scope.spine.asked_at, asked))
    return joined(query, table(rows), [*scope.same_key(asked, rows), known, _since(scope, longest_window(scope))])


def _inside(scope: ViewScope, value: exp.Expression, window: timedelta) -> exp.Expression:
    if window == longest_window(scope):
        return value
    return exp.Case(ifs=[exp.If(this=_since(scope, window), true=value)])


def _since(scope: ViewScope, window: timedelta) -> exp.Expression:
    """That an event is younger than the window at the asked instant."""
    oldest = earlier(column(scope.spine.asked_at, scope.spine.asked), window, scope.history.dialect)
    return exp.GT(this=column(scope.names.event_timestamp, scope.cte("events")), expression=oldest)
