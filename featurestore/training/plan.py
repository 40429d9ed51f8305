"""Decides how each view of a training set is read, from how many rows the spine and the view have, and says why."""

from __future__ import annotations

from dataclasses import dataclass

from featurestore.registry.definitions import FeatureView
from featurestore.sql.dialects import Dialect
from featurestore.sql.history import as_known
from featurestore.sql.point_in_time.join import Strategy, ViewPlan

PRUNE_FROM = 20
"""How many times larger than the spine a view has to be for cutting it down to the spine's keys to pay."""

SMALL_SPINE = 10_000
"""A spine of so few rows is worth cutting any view down to, when nobody knows how large the view is."""


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


def decide(view: FeatureView, dialect: Dialect, spine_rows: int, view_rows: int | None) -> Decision:
    """How to read one view."""
    strategy, because = _strategy(view, dialect)
    prune, and_because = _prune(spine_rows, view_rows)
    return Decision(view.name, ViewPlan(strategy, prune), f"{because} {and_because}", view_rows)


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
