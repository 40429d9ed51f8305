"""A feature takes something from rows that come after its own: `lead()`, a frame that reaches FOLLOWING, `first_value … order by ts desc`,
a join to later rows.

Why it leaks: at the time of the event those rows did not exist. In training they do, so the model learns to read the answer from them;
in serving the newest row has none after it, and the value is null, or another one.

How to mend: turn the direction round. `lag` in place of `lead`, a frame that ends at CURRENT ROW, `first_value` over rows ordered from
old to new, `last_value` with a frame that ends at CURRENT ROW, and joins that compare times so that what is joined comes first (`p.ts
<= o.ts`). A frame of a descending order that reaches FOLLOWING looks back and is no leak; nor is `lead(ts)` where it only says when a
version of a row ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.bounds import Sight, seen
from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import joined_sources
from featurestore.checks.parts import Part, Role
from featurestore.checks.subject import ModelInView
from featurestore.checks.windows import Kind, Order, Seeing, windows_in

RULE = Rule("looks_ahead", "A feature sees rows that come after its own", Severity.ERROR)

_MEND = "Order from old to new and end the frame at CURRENT ROW; use lag for lead, and join only what comes first."


def find(model: ModelInView, /) -> Iterator[Spot]:
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for part in model.parts:
        features = part.blamed
        if not features:
            continue
        for window in windows_in(origins, unique_id, part.select, part.nodes()):
            if _looks_ahead(window) and not _ends_a_version(window, part, model):
                yield Spot(
                    window.node, features, "It takes values from rows that come after this one and did not exist when it happened.", _MEND
                )
    for joined in joined_sources(model):
        found = seen(origins, unique_id, joined.select, joined.alias, joined.slack)
        if found.sight is Sight.AHEAD and joined.is_events and not joined.is_made_spine:
            yield Spot(found.at, joined.features, "The rows that are joined may be later than the row that they are joined to.", _MEND)


def _looks_ahead(window: Seeing) -> bool:
    if window.order is Order.NONE:
        return False
    if window.kind in (Kind.LEAD, Kind.LAG, Kind.FIRST, Kind.LAST, Kind.NTH):
        return window.sees_ahead or window.order is Order.OTHER
    # Ranks, and what is in no order of time, are what `whole_partition` is about.
    return window.kind is Kind.AGGREGATE and window.order is Order.TIME and window.sees_ahead


def _ends_a_version(window: Seeing, part: Part, model: ModelInView) -> bool:
    """Whether it says until when a row holds: the next time itself, in what decides rows and in no value."""
    if part.used_as(Role.VALUE):
        return False
    function = window.function
    of = function.this if function.this is not None else function.expressions[0] if function.expressions else None
    return window.kind is Kind.LEAD and of is not None and model.project.origins.is_time(model.model.node.unique_id, part.select, of)
