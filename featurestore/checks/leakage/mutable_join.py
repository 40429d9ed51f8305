"""A dimension whose rows are updated in place is joined by its key only, so that each event sees it as it is today.

Why it leaks: the segment that a customer has now, or the status that an account ended with, was not known when the event happened, and
often came about because of it. Training sees today's; serving sees that of the day of the request.

How to mend: keep a dbt snapshot of the dimension and join it as of the event (`o.ts >= d.dbt_valid_from and (o.ts < d.dbt_valid_to or
d.dbt_valid_to is null)`); or make the dimension a feature view of its own, which is joined at the right time when it is asked for.
Where its rows never change once they are there, say so: `meta: {immutable: true}`.

It is no leak for seeds and series, which change only with the code, for tables joined by day (exchange rates), for the header of the
same event, and for the time at which a record began, which stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.bounds import Sight, correlated_sight
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import Joined, joined_sources
from featurestore.checks.naming import is_creation
from featurestore.checks.origins import Leaf, is_of, source_of
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import Form, event_times, is_aggregated, shape_of
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Projection, Select, TableColumn

RULE = Rule("mutable_join", "A dimension's current state is joined to past events", Severity.ERROR)

_WHY = "It is joined by key only: each event sees it as it is today, not as it was then."
_MEND = "Snapshot it and join it as of the event's time, make it a feature view of its own, or declare it `immutable` in its meta."


def find(model: ModelInView, /) -> Iterator[Spot]:
    for joined in joined_sources(model):
        if _is_mutable(joined) and not _is_as_of(joined):
            features = frozenset(
                name for part in joined.values for name in part.used_as(Role.VALUE) if not _is_lasting(joined, part.projection)
            )
            features |= joined.filtered if not _filters_by_lasting(joined) else frozenset()
            if not features:
                continue
            yield Spot(
                joined.join or joined.select.expression,
                features,
                _WHY,
                _MEND,
            )
    for part in model.parts:
        yield from _looked_up(model, part)


def _looked_up(model: ModelInView, part: Part) -> Iterator[Spot]:
    """Subqueries that look the current state up: a scalar, `exists (…)`, `in (…)`."""
    origins, unique_id = model.project.origins, model.model.node.unique_id
    filters = part.projection is None and isinstance(part.expression, exp.Where | exp.Qualify)
    if not part.used_as(Role.VALUE) and not filters:
        return
    for node in part.nodes():
        inner = part.select.query.subselect(node, part.select) if isinstance(node, exp.Query) else None
        if inner is None or is_aggregated(inner) or inner.expression.args.get("limit") or len(inner.sources) != 1:
            continue
        (source,) = inner.sources.values()
        shape = shape_of(origins, unique_id, source)
        as_of = correlated_sight(origins, unique_id, inner).sight is not Sight.ALL or any(
            not is_creation(name) for name in event_times(origins, unique_id, source)
        )
        if shape.form is Form.SNAPSHOT or (shape.form is Form.TABLE and not as_of):
            yield Spot(node, part.blamed, _WHY, _MEND)


def _filters_by_lasting(joined: Joined) -> bool:
    """Whether its rows are filtered by nothing of the dimension but its key and when its records began."""
    keys = {own.name.casefold() for own, _ in joined.keys if isinstance(own, exp.Column)}
    for part in joined.values:
        if part.projection is None and part.expression is not None:
            for column in part.expression.find_all(exp.Column):
                own = source_of(joined.select, column)[0] == joined.alias
                if own and column.name.casefold() not in keys and not is_creation(column.name):
                    return False
    return True


def _is_mutable(joined: Joined) -> bool:
    form = joined.shape.form
    if form is Form.SNAPSHOT:
        return True
    if form not in (Form.TABLE, Form.NEWEST) or _is_newest(joined) or _is_first(joined):
        return False
    if joined.is_history and form is Form.TABLE and (joined.gathered is not None or is_aggregated(joined.select)):
        # Events that are aggregated: no dimension.
        return False
    return not joined.is_same_event


def _is_newest(joined: Joined) -> bool:
    """Whether one row is left of each key, the newest: that is `one_row_per_entity`."""
    source = joined.source
    if isinstance(source, Select) and source.around is not None and source.expression.args.get("limit") is not None:
        return True
    return any(kept is not None and kept.newest for kept in (joined.kept, joined.shape.kept))


def _is_first(joined: Joined) -> bool:
    """Whether one row is left of each key, the first: later ones do not change it."""
    kept = joined.kept or joined.shape.kept
    if kept is None or kept.newest or kept.by is None:
        return False
    return joined.model.project.origins.is_time(kept.model, kept.select, kept.by)


def _is_as_of(joined: Joined) -> bool:
    if joined.sight.sight in (Sight.PAST, Sight.SAME):
        return True
    return joined.sight.sight is Sight.AHEAD and joined.is_events and joined.shape.form is not Form.SNAPSHOT


def _is_lasting(joined: Joined, projection: Projection | None) -> bool:
    """Whether all that a column takes from the dimension is what does not change: when a record began, and the key itself."""
    if projection is None:
        return False
    origins = joined.model.project.origins
    taken = [each for each in projection.inputs if is_of(each, joined.source)]
    keys = {own.name.casefold() for own, _ in joined.keys if isinstance(own, exp.Column)}
    keys |= {key.name.casefold() for key in joined.model.view.join_keys}
    found: set[Leaf] = set()
    for each in taken:
        if isinstance(each, Projection | TableColumn) and each.name.casefold() in keys:
            continue
        found |= origins.leaves(joined.unique_id, (each,))
    return bool(taken) and all(origins.is_time_leaf(leaf) and is_creation(leaf.column) for leaf in found)
