"""A feature's value, or what decides its rows, asks what time it is: `now()`, `current_date`, `getdate()`.

Why it leaks: the value is that of the day on which dbt last ran, not of the day of the event. `current_date - signup_date` says of a
row of two years ago how old the account is today; training learns from an age that no request will ever have had. Rebuilt tomorrow, the
whole history has other values, and serving keeps the value of the last run until the next one.

How to mend: count from the row's own event timestamp (`ordered_at - signup_date`), or leave what depends on the moment of the request
to a feature on demand. Filter by the row's own times, not by how long ago they are.

It is no leak to drop events that claim to be later than now (`ordered_at <= now()`), and to let a calendar end today: no row that is
left has another value for it. In a column that no feature uses, the clock is nobody's leak; as the event timestamp it is
`load_time_as_timestamp`.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from featurestore.checks.bounds import comparisons, conjuncts
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.functions import reads_clock
from featurestore.checks.parts import Part
from featurestore.checks.subject import ModelInView
from featurestore.lineage.query import Select

RULE = Rule("reads_clock", "A feature depends on when dbt ran", Severity.ERROR)


def find(model: ModelInView, /) -> Iterator[Spot]:
    for part in model.parts:
        features = part.blamed
        if not features:
            continue
        ignored = _harmless(model, part)
        for node in part.nodes():
            if reads_clock(node) and id(node) not in ignored:
                yield Spot(
                    node,
                    features,
                    "Each run gives every row of the history the time of that run, which no row had when its event happened.",
                    "Count from the row's own event timestamp, or work it out on demand from the time of the request.",
                )


def _harmless(model: ModelInView, part: Part) -> set[int]:
    """The clocks in a clause that only keep out what is later than now, and those at which a calendar ends."""
    if part.projection is not None or part.expression is None:
        return set()
    made = {id(node) for node in part.expression.walk()} if isinstance(part.expression, exp.Unnest | exp.Table | exp.Lateral) else set()
    clocks: set[int] = set()
    for condition in conjuncts(part.select):
        for each in comparisons(condition) if isinstance(condition, exp.LT | exp.LTE | exp.GT | exp.GTE | exp.Between) else ():
            if each.at is condition and any(map(reads_clock, each.larger.walk())) and _is_event_time(model, part.select, each.smaller):
                clocks |= {id(node) for node in each.larger.walk()}
    return made | clocks


def _is_event_time(model: ModelInView, select: Select, side: exp.Expr) -> bool:
    """Whether it is when the row itself happened, or a day of a calendar."""
    origins, unique_id = model.project.origins, model.model.node.unique_id
    root = origins.root(model.view.unique_id)
    timestamp = None if root is None else root.projection(model.view.event_timestamp.name)
    if timestamp is None or any(map(reads_clock, side.walk())):
        return False
    stamps = {each.leaf for each in origins.of_projection(model.view.unique_id, timestamp)} - {None}
    found = origins.instants(unique_id, select, side)
    return bool(found) and all(each.is_series or (each.leaf is not None and each.leaf in stamps) for each in found)
