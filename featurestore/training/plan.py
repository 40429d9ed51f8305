"""Decides how each view of a training set is read, from how many rows the spine and the view have, and says why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import ValueType, is_instant
from featurestore.sql.dialects import Dialect
from featurestore.sql.history import as_known
from featurestore.sql.point_in_time.join import Strategy, ViewPlan
from featurestore.sql.point_in_time.range_frame import frame_cannot

from .crowd import Crowd

PRUNE_FROM = 20
"""How many times larger than the spine a view has to be for cutting it down to the spine's keys to pay."""

SMALL_SPINE = 10_000
"""A spine of so few rows is worth cutting any view down to, when nobody knows how large the view is."""


MOST_LOOKUPS = 100_000
"""So many rows of the spine are looked up one by one at most, where an index finds them: each may be a read of its own from disk."""

LOOKUP_FROM = 10
"""How many times larger than the spine a view has to be for looking its rows up to pay."""

CROWDED = 16
"""From how many rows of the spine for one key on a frame behind each of them costs less than a look at all the key's events for each."""


@dataclass(frozen=True, slots=True)
class Decision:
    """How one view is read, and the sentence that says why."""

    view: str
    plan: ViewPlan
    reason: str
    rows: int | None
    """About how many rows the view has, where the warehouse can tell."""

    def __str__(self) -> str:
        size = "size unknown" if self.rows is None else f"about {self.rows:,} rows"
        pruned = ", pruned to the keys of the spine" if self.plan.prune else ""
        return f"{self.view} ({size}): {self.plan.strategy.value}{pruned}. {self.reason}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a training set is put together."""

    spine_rows: int
    decisions: tuple[Decision, ...]

    def __str__(self) -> str:
        return "\n".join([f"spine: {self.spine_rows:,} rows", *map(str, self.decisions)])


def decide(view: FeatureView, dialect: Dialect, spine_rows: int, view_rows: int | None, *, indexed: bool = False) -> Decision:
    """How to read one view.

    Args:
        view: the feature view.
        dialect: the warehouse's SQL.
        spine_rows: about how many rows the spine has.
        view_rows: about how many rows the view has. None: nobody knows.
        indexed: whether an index finds the newest row of a key by an instant, for keys as the spine has them.
    """
    if indexed and view_rows is not None and _few_enough(spine_rows, view_rows):
        because = "An index begins with the join keys and the timestamp, and so few rows are asked about that each is looked up in it."
        return Decision(view.name, ViewPlan(Strategy.LATERAL), because, view_rows)
    strategy, because = _strategy(view, dialect)
    prune, and_because = _prune(spine_rows, view_rows)
    return Decision(view.name, ViewPlan(strategy, prune), f"{because} {and_because}", view_rows)


def is_lookup_index(columns: Sequence[str], view: FeatureView, spine: Mapping[str, ValueType]) -> bool:
    """Whether an index of those columns finds the newest row of a key by an instant: it begins with the join keys, in any order, and
    then the timestamp. A key that has to be converted before it is compared is in no index.
    """
    keys = {key.stored_name: key for key in view.join_keys}
    timestamp = view.event_timestamp
    begins = set(columns[: len(keys)]) == set(keys) and tuple(columns[len(keys) : len(keys) + 1]) == (timestamp.stored_name,)
    return begins and is_instant(timestamp.value_type) and all(type(spine.get(key.name)) is type(key.value_type) for key in keys.values())


def _few_enough(spine_rows: int, view_rows: int) -> bool:
    return spine_rows <= MOST_LOOKUPS and view_rows >= LOOKUP_FROM * spine_rows


def decide_windows(requested: RequestedView, dialect: Dialect, spine_rows: int, view_rows: int | None, crowd: Crowd) -> Decision:
    """How to read one view of aggregations."""
    view = requested.view
    strategy, because = _windows_strategy(requested, dialect, crowd.rows_per_key)
    prune, and_because = _prune(spine_rows, view_rows)
    return Decision(view.name, ViewPlan(strategy, prune, crowd.between), f"{because} {and_because}", view_rows)


def _windows_strategy(requested: RequestedView, dialect: Dialect, rows_per_key: float) -> tuple[Strategy, str]:
    cannot = frame_cannot(requested, dialect)
    if cannot is not None:
        return Strategy.RANGE_JOIN, f"{cannot}, so each row of the spine is joined to the events of its longest window."
    asked = "The spine asks about a key about " + ("once" if round(rows_per_key) == 1 else f"{rows_per_key:,.0f} times")
    if rows_per_key < CROWDED:
        return Strategy.RANGE_JOIN, f"{asked}: few enough to join each to the events of its longest window."
    return (
        Strategy.RANGE_FRAME,
        f"{asked}: too many to join each to its events, so both go through one timeline with a frame for each window.",
    )


def _strategy(view: FeatureView, dialect: Dialect) -> tuple[Strategy, str]:
    if view.valid_to is not None and not view.disjoint_validity:
        return Strategy.VALIDITY_RANGES, "Rows of one key may be valid at the same time, so each one's range is looked at."
    late = " after rows that were written too late to count are left out" if as_known(view) else ""
    if dialect.asof_join:
        return Strategy.ASOF, f"{dialect.name} has an ASOF join, which runs on keys and timestamps alone{late}."
    return Strategy.THIN_UNION, f"{dialect.name} has no ASOF join, so keys and timestamps go through one window{late}."


def _prune(spine_rows: int, view_rows: int | None) -> tuple[bool, str]:
    if view_rows is None:
        if spine_rows <= SMALL_SPINE:
            return True, f"A spine of {spine_rows:,} rows asks about few keys of whatever there is."
        return False, f"A spine of {spine_rows:,} rows may ask about most keys."
    times = view_rows / max(spine_rows, 1)
    if times >= PRUNE_FROM:
        return True, f"The view has {times:,.0f} times as many rows as the spine, so most of them are left out first."
    return False, f"The view has {times:,.1f} times as many rows as the spine: too few for leaving some out first to pay."
