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
from featurestore.errors import WarehouseError
from featurestore.materialize.drift import keys_served_otherwise, missing_columns, served_otherwise, stored_otherwise
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

LONGEST = 500
"""Characters of what a warehouse says of one view."""


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
    whole = [view for view in online if view.relation in described and not missing_columns(view, described[view.relation])]
    newest, unanswered = _newest(sides.warehouse, whole, now)
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
            (*unanswered.get(view.name, ()), *_drift(view, served, described)),
            sides.promises.promise(view),
            sides.promises.sources(view),
            runs.get(view.name),
            planned.get(view.name),
            publishing.get(view.name),
            sides.store.count(key_space(sides.project, served)) if count and served is not None else None,
        )
        found.append(assess(known, now, max_lag))
    return StatusReport(as_utc(now), tuple(found), left(registry, state.served), plan.invocation_id if plan else None)


def _newest(
    warehouse: Warehouse, views: Sequence[FeatureView], now: datetime
) -> tuple[dict[str, datetime | None], dict[str, tuple[Concern, ...]]]:
    """The newest event time of each view that counts; and of those that the warehouse refuses to answer about, what it says.

    After an error a session may be good for nothing more, so the next view is asked about in another one. Raises WarehouseError where
    there is none to be had.
    """
    newest: dict[str, datetime | None] = {}
    refused: dict[str, tuple[Concern, ...]] = {}
    waiting = list(views)
    while waiting:
        with warehouse.session() as session:
            while waiting:
                view = waiting.pop(0)
                try:
                    answer = session.query(view_bounds(view, now, warehouse.dialect)).read_all()
                except WarehouseError as error:
                    said = " ".join(str(error).split())
                    refused[view.name] = (Concern(Level.ERROR, f"the warehouse does not say what {view.relation} holds: {said[:LONGEST]}"),)
                    break
                newest[view.name] = instant(answer["event_timestamp"][0])
    return newest, refused


def _drift(view: FeatureView, served: FeatureView | None, described: Mapping[Relation, tuple[Column, ...]]) -> tuple[Concern, ...]:
    if view.relation not in described:
        # What the project has of the view is read from its table: without one there is nothing to compare with what is served.
        return ()
    drift = [Concern(Level.ERROR, line) for line in stored_otherwise(view, described[view.relation])]
    if served is not None:
        keys = keys_served_otherwise(view, served)
        lines = served_otherwise(view, served)[1] if keys is None else (keys,)
        drift += [Concern(Level.WARN, line) for line in lines]
    return tuple(drift)


def _worse(one: Level, other: Level) -> Level:
    order = list(Level)
    return max(one, other, key=order.index)
