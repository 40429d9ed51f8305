"""A view's rows are aggregates, and their event timestamp does not come from the rows that were aggregated: a constant, the clock, the
time of something else, or none at all.

Why it leaks: `count(*) … group by customer_id` stamped with the day of signup says of that day how many orders the customer would ever
place. Stamped with a constant or with the clock, the whole history stands at one instant.

How to mend: aggregate up to each time, by a window ordered by the event timestamp, or by day with the end of the day as timestamp, or
from a series of days to which events are joined that came before (`e.happened_at < d.day`).
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.bounds import Sight, comparisons, conjuncts
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.functions import reads_clock
from featurestore.checks.joins import Joined, is_entity, joined_sources
from featurestore.checks.origins import Step
from featurestore.checks.shapes import Form, event_times, group_keys, is_aggregate, is_aggregated, shape_of
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import own_nodes

from .one_row_per_entity import newest_only

RULE = Rule("aggregate_without_timestamp", "An aggregate's timestamp is not that of its rows", Severity.ERROR)

_WHY = "Its event timestamp is not derived from the rows that are aggregated, so it holds rows of any time."
_MEND = "Aggregate up to each time: by a window, by day with the day's end, or from a series of days with earlier events joined."


def find(model: ModelInView, /) -> Iterator[Spot]:
    for step in model.project.origins.path(model.view):
        if step.model != model.model.node.unique_id or not is_aggregated(step.select):
            continue
        if not step.lost and (_is_timeless(step) or _is_constant(model, step)) and not _ends_by(step):
            yield Spot(step.select.expression.args.get("group") or step.select.expression, frozenset(), _WHY, _MEND)
    for joined in joined_sources(model):
        if _is_of_other_rows(joined):
            yield Spot(joined.join or joined.select.expression, frozenset(), _WHY, _MEND)


def _is_timeless(step: Step) -> bool:
    """Whether the timestamp is a constant, the clock, or nothing, whatever is aggregated."""
    said = None if step.timestamp is None else step.timestamp.expression
    if step.timestamp is None:
        return True
    if said is None:
        return False
    return not any(isinstance(node, exp.Column | exp.Query) and not reads_clock(node) for node in own_nodes(said))


def _is_constant(model: ModelInView, step: Step) -> bool:
    """Whether the timestamp is a constant, or the clock, that was put beside the rows before they were aggregated."""
    origins = model.project.origins
    if step.timestamp is None or any(shape_of(origins, step.model, step.select.sources[each]).form is Form.MADE for each in step.carriers):
        return False
    found = origins.of_projection(step.model, step.timestamp)
    return bool(found) and all(each.clock or (each.is_series and not each.made and _is_spelt_out(each.at)) for each in found)


def _is_spelt_out(said: exp.Expr | None) -> bool:
    return said is not None and said.find(exp.Column, exp.Window, exp.Query, exp.Unnest, exp.Explode, exp.GenerateSeries) is None


def _is_of_other_rows(joined: Joined) -> bool:
    """Whether the view's rows are aggregates of what is joined, whatever its time, and stamped with the time of what it is joined to."""
    if not joined.on_path or joined.sight.sight is not Sight.ALL or not joined.features:
        return False
    if joined.shape.form is Form.AGGREGATE and joined.shape.select is not None:
        over = joined.shape.select.sources.values()
        dated = any(event_times(joined.model.project.origins, joined.shape.model, source) for source in over)
        return dated and joined.is_joined_to_entity and not newest_only(joined.shape.select)
    step = joined.gathered
    if step is None or step.timestamp is None or not joined.is_history or joined.shape.form is not Form.TABLE:
        return False
    said = step.timestamp.expression
    if said is not None and any(map(is_aggregate, own_nodes(said))):
        return False
    keys = [key for key in group_keys(step.select) if not joined.model.project.origins.is_time(step.model, step.select, key)]
    return is_entity(joined.model, step.model, step.select, keys)


def _ends_by(step: Step) -> bool:
    """Whether only rows up to the constant are aggregated that the view's rows are stamped with."""
    stamp = None if step.timestamp is None else _constant(step.timestamp.expression)
    for condition in conjuncts(step.select) if stamp is not None else ():
        for each in comparisons(condition):
            bound = _constant(each.larger)
            if bound is not None and stamp is not None and bound <= stamp and not each.equal and each.smaller.find(exp.Column):
                return True
    return False


def _constant(said: exp.Expr | None) -> str | None:
    """The date or time that an expression spells out."""
    if said is None or said.find(exp.Column, exp.Query) is not None:
        return None
    return next((each.name for each in said.find_all(exp.Literal) if each.is_string and each.name[:1].isdigit()), None)
