"""A window function whose rows are not only those up to its own: no ORDER BY, an order by something else than time, a rank from the newest.

Why it leaks: `sum(amount) over (partition by customer_id)` gives each of a customer's orders the sum of all of them, those still to come
included. So do `avg(x) over ()` for scaling, `percent_rank()`, `ntile()`, a rank by amount, and a rank that counts from the newest row.

How to mend: order the window by the event timestamp, so that it ends at the current row, and rank from old to new. Statistics of a whole
population belong into the training pipeline, or into a feature view of their own with one row for each day.

It is no leak where all rows of the partition have the same event timestamp, or are parts of one event (`partition by order_id` over the
items of an order), and for `min(ts)`, which later rows do not change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlglot import exp

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import slack, stamps
from featurestore.checks.naming import is_detail_of, is_own_key
from featurestore.checks.origins import Instant
from featurestore.checks.parts import Part, Role
from featurestore.checks.shapes import shape_of
from featurestore.checks.subject import ModelInView
from featurestore.checks.windows import Kind, Order, Seeing, windows_in
from featurestore.lineage.query import Select

RULE = Rule("whole_partition", "A window sees its whole partition", Severity.ERROR)


def find(model: ModelInView, /) -> Iterator[Spot]:
    origins, unique_id = model.project.origins, model.model.node.unique_id
    for part in model.parts:
        features = part.blamed
        if not features:
            continue
        for window in windows_in(origins, unique_id, part.select, part.nodes()):
            if _sees_all(window) and not _is_harmless(model, part, window):
                yield Spot(
                    window.node,
                    features,
                    "Its rows are not limited to those up to this one, so later rows change its value.",
                    "Order the window by the event timestamp, from old to new, so that it ends at the current row.",
                )


def _sees_all(window: Seeing) -> bool:
    if window.kind is Kind.SHARE:
        return True
    if window.kind is Kind.RANK:
        return window.order is Order.OTHER or (window.order is Order.TIME and window.newest_first)
    if window.kind is not Kind.AGGREGATE:
        return False
    if window.order is Order.NONE:
        return window.spec is None or "FOLLOWING" in (window.start, window.end)
    return window.order is Order.OTHER


def _is_harmless(model: ModelInView, part: Part, window: Seeing) -> bool:
    origins, unique_id, select = model.project.origins, model.model.node.unique_id, part.select
    if not part.used_as(Role.VALUE) and (window.kind is Kind.RANK or isinstance(window.function, exp.Max | exp.Min)):
        # It keeps one row of several, which is what `one_row_per_entity` is about.
        return True
    function = window.function
    if isinstance(function, exp.Min) and origins.is_time(unique_id, select, function.this):
        return True
    if isinstance(function, exp.Max | exp.AnyValue) and window.order is Order.NONE and not part.used_as(Role.VALUE):
        return True
    stamp = stamps(model)
    if any(
        _has_one_time(origins.instants(unique_id, select, key), stamp, model)
        for key in window.partition
        if origins.is_time(unique_id, select, key)
    ):
        return True
    return any(_is_event(model, select, key) for key in window.partition)


_NO_TIME = timedelta(0)


def _has_one_time(found: frozenset[Instant], stamp: frozenset[Instant], model: ModelInView) -> bool:
    """Whether rows that agree on an instant have the same event timestamp, or one that comes when all of them are there."""
    for each in found:
        for own in stamp:
            same = each.made and own.made if each.leaf is None else each.leaf == own.leaf
            if same and (each.bucket <= own.bucket or min(own.shift, _NO_TIME) + slack(model) >= each.bucket):
                return True
    return False


def _is_event(model: ModelInView, select: Select, key: exp.Expr) -> bool:
    """Whether rows that agree on a key are parts of one event: it tells events apart, and no entity."""
    if not isinstance(key, exp.Column):
        return False
    entity = {each.name.casefold() for each in model.view.join_keys}
    if key.name.casefold() in entity:
        return False
    names = [
        name for source in select.sources.values() for name in shape_of(model.project.origins, model.model.node.unique_id, source).names
    ]
    return any(is_own_key(key.name, name) or is_detail_of(key.name, name) for name in names)
