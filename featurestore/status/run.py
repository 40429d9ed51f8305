"""Finds out how every feature view stands: a few documents of the online store, and one small question to the warehouse for each view.

The warehouse is asked for the newest event time of rows that count, which reads the timestamp columns of a view's table. Rows online are
what the last full run wrote, unless they are to be counted: that goes over all keys of the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import reduce
from typing import Protocol

from featurestore.codec.keys import key_space
from featurestore.dbt.freshness import Promise, SourceFreshness
from featurestore.materialize.drift import keys_served_otherwise, served_otherwise, stored_otherwise
from featurestore.materialize.lease import running
from featurestore.materialize.plan import MaterializationPlan, Skip, Task
from featurestore.materialize.publish import instant
from featurestore.materialize.served import left
from featurestore.materialize.state import StoreState
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import Column, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.sql.latest import view_bounds
from featurestore.timestamps import as_utc
from featurestore.warehouse.base import Warehouse

from .assess import Concern, Known, Level, ViewStatus, assess
from .runs import read_runs


class Promises(Protocol):
    """What dbt says of the freshness of models."""

    def promise(self, view: FeatureView) -> Promise:
        """How old its newest rows may be."""
        ...

    def sources(self, view: FeatureView) -> tuple[SourceFreshness, ...]:
        """What was last found of the sources upstream."""
        ...


@dataclass(frozen=True, slots=True)
class StatusReport:
    """How the feature views of a project stand."""

    at: datetime
    views: tuple[ViewStatus, ...]
    left: tuple[str, ...]
    """Views that are still served and that the project has no more."""

    invocation_id: str | None
    """The dbt invocation that `materialize` would publish now. None: the last one built nothing."""

    @property
    def level(self) -> Level:
        """The worst of all views."""
        return reduce(_worse, (status.level for status in self.views), Level.PASS)


@dataclass(frozen=True)
class Sides:
    """Where to look."""

    project: str
    store: OnlineStore
    warehouse: Warehouse
    promises: Promises


def status(
    sides: Sides,
    registry: Registry,
    views: Sequence[FeatureView],
    plan: MaterializationPlan | None,
    now: datetime,
    *,
    max_lag: timedelta | None,
    count: bool,
) -> StatusReport:
    """How those views stand; the ones that are not `online` are left out.

    Args:
        registry: the whole project.
        plan: what `materialize` would do. None: no dbt run counts.
        max_lag: an error where a view's lag is longer.
        count: count the rows in the online store.
    """
    online = sorted((view for view in views if view.online), key=lambda view: view.name)
    state = StoreState.read(sides.store, sides.project, [view.name for view in online])
    described = sides.warehouse.describe([view.relation for view in online]) if online else {}
    newest = _newest(sides.warehouse, [view for view in online if view.relation in described], now)
    runs = read_runs(sides.store, sides.project, [view.name for view in online])
    publishing = running(sides.store, sides.project, [view.name for view in online])
    planned: dict[str, Task | Skip] = {}
    if plan is not None:
        planned = {task.view.name: task for task in plan.tasks} | {skip.view.name: skip for skip in plan.skipped}
    found = []
    for view in online:
        served = state.served_view(view.name)
        known = Known(
            view,
            state.watermark(view.name),
            view.relation in described,
            newest.get(view.name),
            _drift(view, served, described),
            sides.promises.promise(view),
            sides.promises.sources(view),
            runs.get(view.name),
            planned.get(view.name),
            publishing.get(view.name),
            sides.store.count(key_space(sides.project, served)) if count and served is not None else None,
        )
        found.append(assess(known, now, max_lag))
    return StatusReport(as_utc(now), tuple(found), left(registry, state.served), plan.invocation_id if plan else None)


def _newest(warehouse: Warehouse, views: Sequence[FeatureView], now: datetime) -> dict[str, datetime | None]:
    """The newest event time of each view that counts."""
    if not views:
        return {}
    with warehouse.session() as session:
        answers = ((view.name, session.query(view_bounds(view, now, warehouse.dialect)).read_all()) for view in views)
        return {name: instant(answer["event_timestamp"][0]) for name, answer in answers}


def _drift(view: FeatureView, served: FeatureView | None, described: Mapping[Relation, tuple[Column, ...]]) -> tuple[Concern, ...]:
    stored = stored_otherwise(view, described[view.relation]) if view.relation in described else ()
    drift = [Concern(Level.ERROR, line) for line in stored]
    if served is not None:
        keys = keys_served_otherwise(view, served)
        lines = served_otherwise(view, served)[1] if keys is None else (keys,)
        drift += [Concern(Level.WARN, line) for line in lines]
    return tuple(drift)


def _worse(one: Level, other: Level) -> Level:
    order = list(Level)
    return max(one, other, key=order.index)
