"""Only the newest row of each entity is left: `row_number() over (partition by customer_id order by ts desc) = 1`, `max(ts) … group by
customer_id`, `distinct on (customer_id) … order by ts desc`.

Why it leaks: the history is lost. Training asks what was known a year ago, and there is only a row of yesterday: labels before it find
nothing, and where the newest row is joined to events by key, events of a year ago find what came about yesterday.

How to mend: leave all rows in. The point-in-time join picks the newest row up to each label's time, and materialization the newest of
all; neither needs the model to do it. Where events are joined to another history, join the newest row up to the event's time.

It is no leak to keep one version of each event (`partition by order_id order by _loaded_at desc`), the last row of each day, or the
first row of each entity, which does not change any more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from featurestore.checks.bounds import Sight, comparisons, conjuncts, correlated_sight
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import Joined, is_entity, joined_sources
from featurestore.checks.origins import Step, aliases_in
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import Form, Kept, group_keys, is_aggregate, is_aggregated, is_newest_aggregate, kept_rows, shape_of
from featurestore.checks.subject import ModelInView
from featurestore.checks.windows import Order, windows_in
from featurestore.lineage.query import Projection, Select, own_nodes

RULE = Rule("one_row_per_entity", "Only the newest row of each entity is left", Severity.ERROR)

_WHY = "Only the newest row is left, so that an earlier time finds nothing, or what came later."
_MEND = "Leave all rows in: the point-in-time join picks the newest up to each time. Join histories up to the event's time."


def find(model: ModelInView, /) -> Iterator[Spot]:
    unique_id = model.model.node.unique_id
    for step in model.project.origins.path(model.view):
        if step.model == unique_id and not step.select.parts:
            at = _of_path(model, step)
            if at is not None:
                yield Spot(at, frozenset(), _WHY, _MEND)
    for part in model.parts:
        yield from _newest_stamp(model, part)
        yield from _subqueries(model, part)
    for joined in joined_sources(model):
        at = _of_joined(joined)
        if at is not None and joined.features:
            yield Spot(at, joined.features, _WHY, _MEND)


def _of_path(model: ModelInView, step: Step) -> exp.Expr | None:
    """What leaves only the newest of the view's own rows."""
    origins, unique_id, select = model.project.origins, model.model.node.unique_id, step.select
    kept = kept_rows(origins, unique_id, select, step.carriers)
    if kept is not None and kept.newest and is_entity(model, kept.model, kept.select, kept.keys):
        return kept.at if kept.model == unique_id else select.expression.args.get("where") or select.expression
    if is_aggregated(select) and step.timestamp is not None:
        keys = group_keys(select)
        if is_entity(model, unique_id, select, keys) and _picks_time(step.timestamp):
            return select.expression.args.get("group") or step.timestamp.expression
    return _equals_newest(model, select, step) or _open_versions(model, step)


def _open_versions(model: ModelInView, step: Step) -> exp.Expr | None:
    """`dbt_valid_to is null` of a snapshot: its newest versions."""
    origins, select = model.project.origins, step.select
    for condition in conjuncts(select):
        if (
            not isinstance(condition, exp.Is)
            or not isinstance(condition.expression, exp.Null)
            or not isinstance(condition.this, exp.Column)
        ):
            continue
        alias = aliases_in(select, condition) & step.carriers
        ends = condition.this.name.casefold().endswith(("valid_to", "end_at", "ended_at"))
        if ends and any(shape_of(origins, step.model, select.sources[each]).form is Form.SNAPSHOT for each in alias):
            return condition
    return None


def _picks_time(timestamp: Projection) -> bool:
    """Whether the timestamp is taken from the rows that are aggregated."""
    expression = timestamp.expression
    return expression is not None and any(is_aggregate(node) and node.find(exp.Column) is not None for node in own_nodes(expression))


def _equals_newest(model: ModelInView, select: Select, step: Step) -> exp.Expr | None:
    """`ts = (select max(ts) …)`, and a join to the newest time of each key."""
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for condition in conjuncts(select):
        if isinstance(condition, exp.In) and _is_among_newest(model, select, condition):
            return condition
        for each in comparisons(condition):
            if not each.equal:
                continue
            for side, other in ((each.smaller, each.larger), (each.larger, each.smaller)):
                if not aliases_in(select, side) & step.carriers or not origins.is_time(unique_id, select, side):
                    continue
                if _is_newest(model, select, other, unique_id):
                    return condition
    return None


def _is_newest(model: ModelInView, select: Select, side: exp.Expr, unique_id: str) -> bool:
    """Whether a side of a condition is the newest time of an entity, or of all."""
    side = side.unnest()
    origins = model.project.origins
    if isinstance(side, exp.Query):
        inner = select.query.subselect(side, select)
        if inner is None or not inner.projections or correlated_sight(origins, unique_id, inner).sight is Sight.PAST:
            return False
        return _is_max(inner.projections[0]) and is_entity(model, unique_id, inner, group_keys(inner))
    if not isinstance(side, exp.Column):
        return False
    for found in select.inputs_of(side):
        at = origins.above(unique_id, found)
        if isinstance(at, tuple) and is_aggregated(at[1].select) and _is_max(at[1]):
            return is_entity(model, at[0], at[1].select, group_keys(at[1].select))
    return False


def _is_among_newest(model: ModelInView, select: Select, condition: exp.In) -> bool:
    """`(customer_id, ts) in (select customer_id, max(ts) … group by customer_id)`."""
    said = condition.args.get("query")
    query = said.unnest() if isinstance(said, exp.Expr) else None
    inner = select.query.subselect(query, select) if isinstance(query, exp.Query) else None
    if inner is None or not is_aggregated(inner) or not any(map(_is_max, inner.projections)):
        return False
    return is_entity(model, model.model.node.unique_id, inner, group_keys(inner))


def _is_max(projection: Projection) -> bool:
    expression = projection.expression
    return expression is not None and isinstance(expression.unnest(), exp.Max)


def _newest_stamp(model: ModelInView, part: Part) -> Iterator[Spot]:
    """The newest time of the whole partition as the event timestamp."""
    if part.projection is None or not part.used_as(Role.TIMESTAMP):
        return
    for window in windows_in(model.project.origins, model.model.node.unique_id, part.select, part.nodes()):
        if (
            window.order is Order.NONE
            and isinstance(window.function, exp.Max)
            and is_entity(model, model.model.node.unique_id, part.select, window.partition)
        ):
            yield Spot(window.node, frozenset(), _WHY, _MEND)


def _subqueries(model: ModelInView, part: Part) -> Iterator[Spot]:
    """Scalar subqueries that take the newest row of a key, whatever the time of the row around them."""
    features = part.used_as(Role.VALUE)
    for node in part.nodes() if features else ():
        inner = part.select.query.subselect(node, part.select) if isinstance(node, exp.Query) else None
        if inner is None or not _takes_newest(inner):
            continue
        if correlated_sight(model.project.origins, model.model.node.unique_id, inner).sight in (Sight.ALL, Sight.SAME):
            yield Spot(node, features, _WHY, _MEND)


def _takes_newest(select: Select) -> bool:
    """Whether it keeps its last row only."""
    order = select.expression.args.get("order")
    limit = select.expression.args.get("limit")
    first = order.expressions[0] if isinstance(order, exp.Order) and order.expressions else None
    return limit is not None and isinstance(first, exp.Ordered) and bool(first.args.get("desc"))


def _of_joined(joined: Joined) -> exp.Expr | None:
    """What leaves only the newest row of each key in a source that is joined."""
    if joined.sight.sight is Sight.PAST:
        return None
    source, shape = joined.source, joined.shape
    kept = joined.kept
    if kept is not None and kept.newest and _covers(joined, kept.keys):
        return _place(joined, kept)
    if isinstance(source, Select) and source.around is not None and _takes_newest(source):
        return source.expression
    if shape.form is Form.NEWEST and shape.kept is not None and shape.kept.newest:
        return _place(joined, shape.kept) if _covers(joined, shape.kept.keys) else None
    if shape.form is Form.AGGREGATE and shape.select is not None and newest_only(shape.select):
        return shape.select.expression if shape.model == joined.unique_id else _join(joined)
    return None


def newest_only(select: Select) -> bool:
    """Whether all that an aggregate takes is the value of the newest row, `argMax(x, ts)`, and its time."""
    calls = [node for said in select.expression.expressions for node in own_nodes(said) if is_aggregate(node)]
    return any(map(is_newest_aggregate, calls)) and all(is_newest_aggregate(each) or isinstance(each, exp.Max) for each in calls)


def _covers(joined: Joined, keys: Sequence[exp.Expr]) -> bool:
    """Whether one row is left of each key that it is joined by."""
    names = {own.name.casefold() for own, _ in joined.keys if isinstance(own, exp.Column)}
    names |= {other.name.casefold() for _, other in joined.keys if isinstance(other, exp.Column)}
    return all(isinstance(key, exp.Column) and key.name.casefold() in names for key in keys)


def _place(joined: Joined, kept: Kept) -> exp.Expr:
    return kept.at if kept.model == joined.unique_id else _join(joined)


def _join(joined: Joined) -> exp.Expr:
    return joined.join or joined.select.expression
