"""Materializes the views of the online benchmarks from a DuckDB file, run after run, as a scheduler would: python materializing.py URL

Each run follows a rebuild of the tables; every fourth is a full refresh, so that readers move over to new versions of the views.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import count
from pathlib import Path

import duckdb
import pyarrow as pa
from online_read import ENTITIES
from online_views import PROJECT, batches, views

from featurestore.dbt.profiles import Target
from featurestore.dbt.run_results import NodeResult, RunResults
from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import run_materialization
from featurestore.materialize.state import StoreState
from featurestore.online_store.connect import open_store
from featurestore.registry.registry import Registry
from featurestore.timestamps import utc_now
from featurestore.warehouse.open import open_warehouse

PAUSE = 5.0
"""Seconds between the end of a run and the next rebuild."""


def main(url: str) -> None:
    registry, store = Registry(PROJECT, views()), open_store(url)
    with tempfile.TemporaryDirectory() as folder:
        warehouse = open_warehouse(Target("bench", "dev", "duckdb", {"type": "duckdb", "path": "bench.duckdb"}, Path(folder)))
        for run in count(1):
            rebuild(Path(folder, "bench.duckdb"), run)
            results = tuple(NodeResult(unique_id=view.unique_id, status="success") for view in registry.views)
            built = RunResults(invocation_id=f"run-{run}", generated_at=None, which="build", full_refresh=False, results=results)
            state = StoreState.read(store, PROJECT, [view.name for view in registry.views])
            versions = {view.name: state.next_version(view.name) for view in registry.views}
            plan = plan_materialization(
                registry.views, built, state.watermarks, utc_now(), full_refresh=run % 4 == 0, next_versions=versions
            )
            report = run_materialization(plan, registry=registry, project=PROJECT, warehouse=warehouse, store=store, at=utc_now())
            print(sum(each.rows for each in report.published), flush=True)
            time.sleep(PAUSE)


def rebuild(path: Path, run: int) -> None:
    """The tables anew, with other values."""
    with duckdb.connect(path) as connection:
        for seed, view in enumerate(registered := views()):
            columns = ["customer_id", "event_timestamp", "valid_to", *(feature.name for feature in view.features)]
            rows = pa.Table.from_batches(batches(ENTITIES, run * len(registered) + seed)).rename_columns(columns).drop_columns(["valid_to"])
            connection.register("rows_of_view", rows)
            connection.execute(f'create or replace table "{view.relation.identifier}" as select * from rows_of_view')


if __name__ == "__main__":
    main(sys.argv[1])
