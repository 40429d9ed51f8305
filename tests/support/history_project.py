"""One feature view over a table of a warehouse that a test rewrites as dbt would, published into a store and read back.

The law is checked for it: after materializing at an instant, the online answer for a key is the training answer for (key, instant).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
from warehouses import RunningWarehouse, opened

from featurestore.arrow import arrow_type
from featurestore.dbt.run_results import NodeResult, RunResults
from featurestore.materialize.lease import LEASE
from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import MaterializationReport, Progress, run_materialization
from featurestore.materialize.watermarks import read_watermarks
from featurestore.online_store.base import OnlineStore
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.registry import Registry
from featurestore.serving.online_features import Status
from featurestore.serving.reader import OnlineFeatureStore
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.base import Warehouse

PROJECT = "lawful"
Row = Mapping[str, Any]


@dataclass
class HistoryProject:
    """A feature view, the table behind it and the store it is published to."""

    running: RunningWarehouse
    url: str
    view: FeatureView
    runs: int = 0
    columns: Sequence[Column] = ()
    """Those that the table has beside the view's own."""

    def __post_init__(self) -> None:
        self.view = replace(self.view, relation=self.running.relation(self.view.relation.identifier))

    def build(self, rows: Sequence[Row]) -> None:
        """Put exactly those rows into the table, as a dbt run does."""
        self.runs += 1
        own = [feature for feature in self.view.features if feature.aggregation is None]
        columns = [*self.view.join_keys, self.view.event_timestamp, self.view.created_timestamp, self.view.valid_to, *own, *self.columns]
        schema = pa.schema([(column.name, arrow_type(column.value_type)) for column in columns if column is not None])
        table = pa.Table.from_pylist([dict(row) for row in rows], schema=schema)
        self.running.load(self.view.relation, table)

    def materialize(
        self,
        at: datetime,
        *,
        progress: Progress | None = None,
        allow_shrink: bool = True,
        lease: timedelta = LEASE,
        store: OnlineStore | None = None,
        **options: Any,
    ) -> MaterializationReport:
        """Publish what the last build left, as of that instant; also where that is far less than before, as tests often have it.

        Args:
            store: an open one, instead of opening the project's.
        """
        given, store = store, store or open_store(self.url)
        try:
            run = RunResults(
                invocation_id=f"run-{self.runs}",
                generated_at=None,
                which="build",
                full_refresh=False,
                results=(NodeResult(unique_id=self.view.unique_id, status="success"),),
            )
            plan = plan_materialization([self.view], run, read_watermarks(store, PROJECT, [self.view]), at, **options)
            return run_materialization(
                plan,
                registry=self.registry,
                project=PROJECT,
                warehouse=self.warehouse,
                store=store,
                at=at,
                progress=progress,
                allow_shrink=allow_shrink,
                lease=lease,
            )
        finally:
            if given is None:
                store.close()

    def statuses(self, keys: Sequence[Row], at: datetime) -> set[Status]:
        """How all these values came about."""
        with OnlineFeatureStore(self.url, PROJECT, clock=lambda: at) as reader:
            statuses = reader.get_online_features(list(keys), [f"{self.view.name}:*"]).statuses()
        return {status for column in statuses.values() for status in column}

    def online(self, keys: Sequence[Row], at: datetime) -> list[Row]:
        """What a service would be told at that instant."""
        with OnlineFeatureStore(self.url, PROJECT, clock=lambda: at) as reader:
            values = reader.get_online_features(list(keys), [f"{self.view.name}:*"]).to_dict()
        return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]

    def training(self, keys: Sequence[Row], at: datetime) -> list[Row]:
        """What training says for those keys at that instant."""
        schema = pa.schema(
            [*((key.name, arrow_type(key.value_type)) for key in self.view.join_keys), ("event_timestamp", pa.timestamp("us", "UTC"))]
        )
        spine = pa.Table.from_pylist([{**key, "event_timestamp": at} for key in keys], schema=schema)
        job = historical_features(self.warehouse, self.registry.resolve([f"{self.view.name}:*"]), spine, relation_of=self.running.relation)
        return job.to_arrow().drop_columns(["event_timestamp"]).to_pylist()

    @property
    def registry(self) -> Registry:
        return Registry(PROJECT, (self.view,))

    @property
    def warehouse(self) -> Warehouse:
        return opened(self.running)


def at_hour(hours: float) -> datetime:
    """So many hours after the first of January 2024, in UTC."""
    return datetime(2024, 1, 1, tzinfo=timezone.utc) + timedelta(hours=hours)
