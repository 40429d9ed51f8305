"""A total of a whole day, hour or month is stamped with its start.

Why it leaks: `date_trunc('day', ordered_at) as order_day, sum(amount) … group by 1, 2` stands at midnight and holds what happened until
the midnight after. A label of ten o'clock finds the row of its day, and in it the orders of that evening.

How to mend: stamp the end of the bucket (`date_trunc('day', ordered_at) + interval '1 day'`), or declare from when on a row counts:
`available_after: 1 day` in the view's meta, at least as long as the bucket. The same holds for sessions that are stamped with their
first event, and for days from a calendar whose events are joined by `e.happened_at < d.day + 1`.

It is no leak where the source itself knows no more than the day.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlglot import exp

from featurestore.checks.bounds import Sight
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import Joined, is_entity, joined_sources, stamps
from featurestore.checks.naming import is_detail_of, is_own_key
from featurestore.checks.origins import Instant, Step, aliases_in
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import group_keys, is_aggregate, is_aggregated, shape_of
from featurestore.checks.spans import moved
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Select

RULE = Rule("bucket_start", "A bucket's total is stamped with the bucket's start", Severity.ERROR)

_WHY = "The row stands at the start of its bucket and holds what happens until the bucket's end."
_MEND = "Stamp the bucket's end, or declare `available_after`, at least as long as the bucket."


def find(model: ModelInView, /) -> Iterator[Spot]:
    for each in stamps(model):
        if each.model != model.model.node.unique_id or each.select is None:
            continue
        early = each.bucket and each.shift + model.view.available_after < each.bucket
        if early or ("min" in each.picked and _is_first_of_some(model, each)):
            features = _told(model, each)
            if features:
                yield Spot(each.at, features, _WHY, _MEND)
    for joined in joined_sources(model):
        if joined.is_made_spine and joined.is_events and joined.features and _sees_its_bucket(joined):
            yield Spot(joined.sight.at, joined.features, _WHY, _MEND)


def _is_first_of_some(model: ModelInView, each: Instant) -> bool:
    """Whether it is the first of several rows of one entity, such as those of a session, and of parts of one event."""
    select = each.select
    if select is None or not is_aggregated(select) or each.shift + model.view.available_after > timedelta(0):
        return False
    keys = group_keys(select)
    if is_entity(model, each.model, select, keys):
        return False
    names = [name for source in select.sources.values() for name in shape_of(model.project.origins, each.model, source).names]
    return not any(
        isinstance(key, exp.Column) and any(is_own_key(key.name, name) or is_detail_of(key.name, name) for name in names) for key in keys
    )


def _told(model: ModelInView, each: Instant) -> frozenset[str]:
    """The features that are made of the bucket's rows."""
    steps = model.project.origins.path(model.view)
    place = next((at for at, step in enumerate(steps) if step.select is each.select), None)
    if place is None:
        return frozenset()
    aggregated = next((step for step in (*reversed(steps[:place]), steps[place]) if is_aggregated(step.select)), steps[place])
    if is_aggregated(steps[place].select):
        aggregated = steps[place]
    return frozenset(name for part in _parts(model, aggregated) if _is_of_rows(aggregated, part) for name in part.used_as(Role.VALUE))


def _parts(model: ModelInView, step: Step) -> Iterator[Part]:
    (view,) = (each for each in model.project.views if each.view is model.view)
    for each in view.models:
        if each.model.node.unique_id == step.model:
            yield from (part for part in each.parts if part.select is step.select and part.projection is not None)


def _is_of_rows(step: Step, part: Part) -> bool:
    """Whether a column tells something of the rows of the bucket: not which bucket it is, and not what was joined to it."""
    if part.projection is step.timestamp:
        return False
    if part.expression is None:
        return True
    if is_aggregated(step.select):
        if not any(map(is_aggregate, part.nodes())):
            return False
        counts = any(isinstance(node, exp.Count | exp.CountIf) and node.find(exp.Column) is None for node in part.nodes())
        return bool(aliases_in(step.select, part.expression) & step.carriers) or (counts and len(step.select.sources) == 1)
    return bool(aliases_in(step.select, part.expression) & step.carriers)


def _sees_its_bucket(joined: Joined) -> bool:
    """Whether the events that are joined to a day are those of that day, and the row counts from its start on."""
    if joined.sight.sight is Sight.AHEAD:
        return joined.sight.reach < timedelta.max
    if joined.sight.sight is not Sight.SAME or not isinstance(joined.sight.at, exp.EQ):
        return False
    return joined.sight.reach + _bucket(joined, joined.select, joined.sight.at) > joined.slack


def _bucket(joined: Joined, select: Select, at: exp.EQ) -> timedelta:
    origins = joined.model.project.origins
    for side in (at.this, at.expression):
        if aliases_in(select, side) == {joined.alias}:
            split = moved(side)
            inner = max((each.bucket for each in origins.instants(joined.unique_id, select, side)), default=timedelta(0))
            return min(split.bucket, inner) if split.bucket else inner
    return timedelta(0)
