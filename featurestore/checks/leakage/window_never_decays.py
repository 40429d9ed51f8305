"""A window over a span of time is worked out at each event, and served long after it.

Why it leaks: `sum(amount) over (… range between interval '7 days' preceding and current row)` is right at the instant of the event. Ten
days later the newest row still says what the seven days before that event held, where the true answer is nothing. Training and serving
agree on it, so no audit finds it; the model learns from a window that has long since closed.

How to mend: have the feature store work it out at the time that is asked about (`aggregations` of the view's meta, with `windows`), or
make rows for each day too, from a series of days, so that the newest row is never older than a day; with a `ttl` to match.

A running total, and the last n rows, do not decay with time and need none of this.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlglot import exp

from featurestore.checks.bounds import Comparison, Sight, comparisons, conjuncts, correlated_sight
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import joined_sources, stamps
from featurestore.checks.origins import Origins, aliases_in
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import Form, is_aggregated, shape_of
from featurestore.checks.spans import moved, number, span_of
from featurestore.checks.subject import ModelInView
from featurestore.checks.windows import Order, Seeing, windows_in
from featurestore.lineage.query import Select

RULE = Rule("window_never_decays", "A window over time stands still after its last event", Severity.WARNING)

_WHY = "Between two events its value stays what it was at the first, though the window moves on."
_MEND = "Declare it under `aggregations` with its window, or make a row for each day from a series of days."


def find(model: ModelInView, /) -> Iterator[Spot]:
    if _has_dense_rows(model):
        return
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for part in model.parts:
        features = part.used_as(Role.VALUE)
        if not features:
            continue
        for window in windows_in(origins, unique_id, part.select, part.nodes()):
            if _is_span(window):
                yield Spot(window.node, features, _WHY, _MEND)
        yield from _subqueries(model, part, features)
    for joined in joined_sources(model):
        # A correlated source says inside from when on it sees.
        inside = joined.source if isinstance(joined.source, Select) and joined.source.around is not None else None
        total = is_aggregated(joined.select) or (inside is not None and is_aggregated(inside))
        if joined.features and total and joined.sight.sight is Sight.PAST:
            for select in (joined.select, *filter(None, (inside,))):
                at = _lower_bound(
                    origins, unique_id, select, {joined.alias} if inside is None or select is joined.select else set(select.sources)
                )
                if at is not None:
                    yield Spot(at, joined.features, _WHY, _MEND)


def _has_dense_rows(model: ModelInView) -> bool:
    """Whether the view's rows come from a calendar, one for each day, and not from events."""
    found = stamps(model)
    if any(each.is_series for each in found):
        return True
    origins = model.project.origins
    last = [step for step in origins.path(model.view) if len(step.select.sources) > 1]
    return any(
        shape_of(origins, step.model, step.select.sources[alias]).form in (Form.MADE, Form.IMMUTABLE, Form.SEED)
        for step in last
        for alias in step.carriers
    )


def _is_span(window: Seeing) -> bool:
    """Whether its frame begins some time before its row."""
    spec = window.spec
    if spec is None or str(spec.args.get("kind") or "").upper() != "RANGE" or window.order is Order.NONE:
        return False
    start = spec.args.get("start")
    side = "end" if window.newest_first else "start"
    edge = spec.args.get(side) if side == "end" else start
    return isinstance(edge, exp.Expr) and (
        span_of(edge) is not None or number(edge) not in (None, 0) or edge.find(exp.Interval) is not None
    )


def _lower_bound(origins: Origins, model: str, select: Select, aliases: set[str]) -> exp.Expr | None:
    """The condition that keeps a source to the span before the row it is joined to."""
    for condition in conjuncts(select):
        for each in comparisons(condition):
            if not each.equal and _is_lower(origins, model, select, aliases, each):
                return each.at
    return None


def _is_lower(origins: Origins, model: str, select: Select, aliases: set[str], each: Comparison) -> bool:
    smaller, larger = moved(each.smaller), moved(each.larger)
    theirs, own = aliases_in(select, each.smaller), aliases_in(select, each.larger)
    if not theirs or not own or not own <= aliases or theirs & aliases:
        return False
    if not origins.is_time(model, select, each.larger):
        return False
    return smaller.shift - larger.shift < timedelta(0) or bool(each.smaller.find(exp.Interval))


def _subqueries(model: ModelInView, part: Part, features: frozenset[str]) -> Iterator[Spot]:
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for node in part.nodes():
        inner = part.select.query.subselect(node, part.select) if isinstance(node, exp.Query) else None
        if inner is None or not is_aggregated(inner) or correlated_sight(origins, unique_id, inner).sight is not Sight.PAST:
            continue
        at = _lower_bound(origins, unique_id, inner, set(inner.sources))
        if at is not None:
            yield Spot(at, features, _WHY, _MEND)
