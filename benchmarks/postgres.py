"""Training on PostgreSQL: the planner's choice beside each strategy, and beside the look-up that one would write by hand.

    python benchmarks/postgres.py [--rows 1000000] [--spines 1000,10000,100000] [--repeats 3] [--json FILE]

Each server is started for it. The variants take turns; what counts is the median of the ratios to the one that was run by hand just before.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

from postgres_server import PostgresDatabase, PostgresServer

from featurestore.dbt.profiles import Target
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import FLOAT64, INT64, STRING, TIMESTAMP, IntegerType
from featurestore.sql.point_in_time.join import Strategy, ViewPlan
from featurestore.training import retrieval
from featurestore.training.plan import Decision
from featurestore.warehouse.postgres import PostgresWarehouse

TYPES = {"orders": INT64, "amount": FLOAT64, "ratio": FLOAT64, "visits": IntegerType(32), "label": STRING}
PLANS = {
    "lateral": ViewPlan(Strategy.LATERAL),
    "thin union, pruned": ViewPlan(Strategy.THIN_UNION, prune=True),
    "thin union": ViewPlan(Strategy.THIN_UNION),
}
BY_HAND = """
select asked.*, found.orders, found.amount, found.ratio, found.visits, found.label
from asked left join lateral (
    select * from customers
    where customers.customer_id = asked.customer_id and customers.happened_at <= asked.event_timestamp
    order by customers.happened_at desc limit 1
) as found on true
"""
START = np.datetime64("2024-01-01", "us")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--spines", type=lambda text: [int(size) for size in text.split(",")], default=[1000, 10_000, 100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    figures = []
    with PostgresServer(shared_buffers="1GB") as server:
        database = PostgresDatabase(server, Path.cwd())
        keys = fill(database, arguments.rows)
        for size in arguments.spines:
            figures.append(compared(database, keys, arguments.rows, size, arguments.repeats))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def fill(database: PostgresDatabase, rows: int) -> int:
    """A view of that many rows over a year; how many keys it has."""
    keys = max(1, min(200_000, rows // 20))
    database.execute(
        f"create table customers as select (random() * {keys})::bigint as customer_id, "
        "timestamp '2024-01-01' + random() * interval '365 days' as happened_at, i::bigint as orders, random() as amount, "
        f"random() as ratio, (random() * 1000)::int as visits, md5(i::text) as label from generate_series(1, {rows}) as rows (i)",
        "create index on customers (customer_id, happened_at)",
        "analyze customers",
    )
    return keys


def compared(database: PostgresDatabase, keys: int, rows: int, size: int, repeats: int) -> dict[str, Any]:
    """One spine, by every variant in turn."""
    warehouse = PostgresWarehouse.of_target(Target("bench", "bench", "postgres", database.output, Path.cwd()))
    view = FeatureView(
        name="customers",
        unique_id="model.bench.customers",
        path="models/customers.sql",
        relation=database.relation("customers"),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=tuple(Feature(name, value_type) for name, value_type in TYPES.items()),
    )
    draw = np.random.default_rng(7)
    moments = START + draw.integers(0, 365 * 86_400, size).astype("timedelta64[s]")
    spine = pa.table({"customer_id": draw.integers(0, keys, size), "event_timestamp": pa.array(moments)})
    job = retrieval.historical_features(
        warehouse, (RequestedView(view, view.features, tuple(TYPES)),), spine, relation_of=database.relation
    )
    variants: dict[str, Callable[[], pa.Table]] = {"by hand": lambda: by_hand(warehouse, spine), "ours": job.to_arrow}
    variants |= {name: lambda plan=plan: forced(job, plan) for name, plan in PLANS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            started = time.perf_counter()
            answer = run()
            seconds[name].append(time.perf_counter() - started)
            assert answer.num_rows == size
    ratios = {
        name: statistics.median(ours / floor for ours, floor in zip(seconds[name], seconds["by hand"], strict=True)) for name in variants
    }
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    shown = ", ".join(f"{name} {medians[name]:.2f} s ({ratios[name]:.2f})" for name in variants)
    print(f"{size:,} spine rows x {rows:,}: {shown}; {job.explain().decisions[0].plan.strategy.value} was chosen", flush=True)
    return {"spine": size, "rows": rows, "seconds": medians, "ratio": ratios}


def by_hand(warehouse: PostgresWarehouse, spine: pa.Table) -> pa.Table:
    with warehouse.session() as session:
        session.upload("asked", spine.to_reader())
        return session.query(BY_HAND).read_all()


def forced(job: retrieval.RetrievalJob, plan: ViewPlan) -> pa.Table:
    with patch.object(retrieval, "decide", lambda view, *_, **__: Decision(view.name, plan, "", None)):
        return job.to_arrow()


if __name__ == "__main__":
    main()
