"""An aggregate over all rows of a key, joined back to single events by that key.

Why it leaks: `select customer_id, avg(amount) … group by customer_id`, joined to each order by `customer_id`, gives an order of two
years ago the average of all orders until today. So does a scalar subquery over the whole table (`(select avg(amount) from orders)`),
the rate of a label by category (target encoding), and a daily total joined to the events of the same day.

How to mend: aggregate over a window that ends at the row (`over (partition by customer_id order by ordered_at)`), or join the event to
earlier rows only (`p.ordered_at < o.ordered_at`) before aggregating; join totals of a day to the events of the days after it.

It is no leak where what is aggregated are parts of the event itself (an order's items, by the order), where times are compared, and for
the time of the first row, which later ones do not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlglot import exp

from featurestore.checks.bounds import Sight, correlated_sight
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import Joined, is_entity, joined_sources
from featurestore.checks.origins import aliases_in
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import Form, event_times, group_keys, is_aggregate, is_aggregated, shape_of
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Projection, Select, own_nodes

from .one_row_per_entity import newest_only

RULE = Rule("aggregate_joined_back", "An aggregate over all rows is joined back to single ones", Severity.ERROR)

_WHY = "It is worked out from all rows, later ones included, and joined to each of them."
_MEND = "Aggregate over a window that ends at the row, or join only what comes before it."


def find(model: ModelInView, /) -> Iterator[Spot]:
    for joined in joined_sources(model):
        if joined.shape.form is Form.AGGREGATE:
            yield from _aggregate(joined)
        else:
            yield from _fanned_out(joined)
    for part in model.parts:
        features = part.blamed
        if features:
            yield from _subqueries(model, part, features)


def _aggregate(joined: Joined) -> Iterator[Spot]:
    """What is joined was aggregated."""
    origins, shape = joined.model.project.origins, joined.shape
    assert shape.select is not None
    select = shape.select
    over = [source for source in select.sources.values() if event_times(origins, shape.model, source)]
    features = frozenset(name for part in joined.values for name in part.used_as(Role.VALUE) if not _is_first_time(joined, part))
    if joined.on_path and joined.is_joined_to_entity and joined.sight.sight is Sight.ALL:
        # One row of each entity, stamped with something else: `aggregate_without_timestamp`.
        return
    if newest_only(select) or not over or (joined.features and not features) or _is_bounded_inside(joined, shape.model, select):
        return
    times = [key for key in group_keys(select) if origins.is_time(shape.model, select, key)]
    if joined.sight.sight is Sight.PAST and (times or _is_correlated(joined)):
        return
    if times and joined.sight.sight is Sight.SAME and _is_same_bucket(joined, shape.model, select, times):
        return
    if joined.is_same_event and not over:
        return
    if _groups_events(joined, shape.model, select):
        return
    yield Spot(joined.join or joined.select.expression, features, _WHY, _MEND)


def _fanned_out(joined: Joined) -> Iterator[Spot]:
    """Events are joined to events, and aggregated after that."""
    if not joined.is_history or joined.shape.form not in (Form.TABLE, Form.NEWEST) or joined.sight.sight is not Sight.ALL:
        return
    step, origins = joined.gathered, joined.model.project.origins
    where, select = (step.model, step.select) if step is not None else (joined.unique_id, joined.select)
    if not is_aggregated(select):
        return
    beyond = [key for key in group_keys(select) if not origins.is_time(where, select, key)]
    if not is_entity(joined.model, where, select, beyond) and joined.features and not joined.is_same_event:
        yield Spot(joined.join or joined.select.expression, joined.features, _WHY, _MEND)


def _subqueries(model: ModelInView, part: Part, features: frozenset[str]) -> Iterator[Spot]:
    """Scalar subqueries that aggregate."""
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for node in part.nodes():
        if not isinstance(node, exp.Query):
            continue
        inner = part.select.query.subselect(node, part.select)
        if inner is None or not is_aggregated(inner) or not part.used_as(Role.VALUE) or inner.expression.args.get("group"):
            continue
        shapes = [shape_of(origins, unique_id, source) for source in inner.sources.values()]
        if not any(event_times(origins, unique_id, source) for source in inner.sources.values()) or all(
            each.form is Form.MADE for each in shapes
        ):
            continue
        if correlated_sight(origins, unique_id, inner).sight in (Sight.PAST, Sight.AHEAD):
            continue
        said = inner.projections[0].expression if inner.projections else None
        if said is not None and _is_min_time(model, unique_id, inner, said):
            continue
        yield Spot(node, features, _WHY, _MEND)


def _is_first_time(joined: Joined, part: Part) -> bool:
    """Whether all that a column takes from the aggregate is the time of the first row."""
    source = joined.source
    inputs = part.projection.inputs if part.projection is not None else ()
    origins = joined.model.project.origins
    found = []
    for each in inputs:
        at = origins.above(joined.unique_id, each)
        own = isinstance(each, Projection) and each.select is source
        if not isinstance(at, tuple) or (isinstance(source, Select) and not own):
            continue
        where, column = at
        while column.expression is None and len(column.passed_on) == 1:
            further = origins.above(where, column.passed_on[0])
            if not isinstance(further, tuple):
                break
            where, column = further
        if column.expression is not None and any(map(is_aggregate, own_nodes(column.expression))):
            found.append(_is_min_time(joined.model, where, column.select, column.expression))
    return bool(found) and all(found)


def _is_min_time(model: ModelInView, unique_id: str, select: Select, expression: exp.Expr) -> bool:
    calls = [node for node in own_nodes(expression) if is_aggregate(node)]
    return bool(calls) and all(isinstance(each, exp.Min) and model.project.origins.is_time(unique_id, select, each.this) for each in calls)


def _is_bounded_inside(joined: Joined, model: str, select: Select) -> bool:
    """Whether a lateral aggregate compares its times with those of the rows around it."""
    return select.around is not None and correlated_sight(joined.model.project.origins, model, select, joined.slack).sight is Sight.PAST


def _is_correlated(joined: Joined) -> bool:
    return isinstance(joined.source, Select) and joined.source.around is not None


def _is_same_bucket(joined: Joined, model: str, select: Select, times: list[exp.Expr]) -> bool:
    """Whether the rows are of the same bucket as the aggregate, or of a later one: then no single event is told more than its bucket."""
    origins = joined.model.project.origins
    length = max((each.bucket for key in times for each in origins.instants(model, select, key)), default=timedelta(0))
    if not length or joined.sight.reach <= -length:
        return True
    own = [
        each.bucket
        for alias in joined.carriers
        for key in _times_joined(joined, alias)
        for each in origins.instants(joined.unique_id, joined.select, key)
    ]
    return bool(own) and min(own) >= length and _is_column(joined)


def _times_joined(joined: Joined, alias: str) -> Iterator[exp.Expr]:
    at = joined.sight.at
    for side in (at.this, at.expression) if isinstance(at, exp.EQ) else ():
        if alias in aliases_in(joined.select, side):
            yield side


def _is_column(joined: Joined) -> bool:
    """Whether the rows themselves have the bucket for their time, and are not cut down to it for the join only."""
    at = joined.sight.at
    return isinstance(at, exp.EQ) and isinstance(at.this, exp.Column) and isinstance(at.expression, exp.Column)


def _groups_events(joined: Joined, model: str, select: Select) -> bool:
    """Whether the aggregate has one row for each event that it is joined to, of the event's own parts."""
    if not joined.is_same_event:
        return False
    origins = joined.model.project.origins
    theirs = {each for shape in joined.carrier_shapes for each in shape.names[-1:]}
    below = {name for source in select.sources.values() for name in shape_of(origins, model, source).names[-1:]}
    return bool(theirs & below) or not any(event_times(origins, model, source) for source in select.sources.values())
