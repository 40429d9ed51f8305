"""Materialize on Spark from a table several times larger than the driver's memory, with executors in processes of their own.

    python benchmarks/spark_materialize.py [--rows 500000 6000000] [--entities 200000] [--features 60] [--memory 1g] [--json FILE]

A `local-cluster` of two executors of one core and 1 GB each, a driver with a limit of 1 GB, one Redis. The same view with few rows for
each entity and with many: what is published is the same, what is read is not. Peak memory is that of the driver's Java process, of this
Python process, and of the executors, as the system counts it; the table's size is that of its values in memory (8 bytes each).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from redis_server import RedisServer

from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import run_materialization
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP_UTC
from featurestore.warehouse.spark import SparkWarehouse
from featurestore.warehouse.spark_process import spark_session
from featurestore.warehouse.spark_profile import STAGING, SparkProfile

AT = datetime(2025, 1, 1, tzinfo=timezone.utc)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[500_000, 6_000_000])
    parser.add_argument("--entities", type=int, default=200_000)
    parser.add_argument("--features", type=int, default=60)
    parser.add_argument("--memory", default="1g", help="of the driver, and of each executor")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    figures = []
    for rows in arguments.rows:
        with tempfile.TemporaryDirectory() as directory, RedisServer() as redis:
            figures.append(measured(Path(directory), redis.url, rows, arguments.entities, arguments.features, arguments.memory))
            print(json.dumps(figures[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measured(directory: Path, url: str, rows: int, entities: int, features: int, memory: str) -> dict[str, Any]:
    """Make the table, publish it, and say what it took."""
    megabytes = int(memory.removesuffix("g")) * 1024
    profile = SparkProfile(
        directory,
        "default",
        {
            "spark.master": f"local-cluster[2,1,{megabytes}]",
            "spark.driver.memory": memory,
            "spark.executor.memory": memory,
            "spark.sql.catalogImplementation": "in-memory",
            # Nobody may bring more than this to the driver, whatever the query.
            "spark.driver.maxResultSize": "4m",
            STAGING: f"file://{directory}/staging",
        },
    )
    view = view_of(features)
    warehouse, store = SparkWarehouse(profile), open_store(url)
    with spark_session(profile) as spark:
        make(spark, rows, entities, features)
        before = driver_process()
        plan = plan_materialization([view], None, {}, AT, everything=True)
        started = time.perf_counter()
        report = run_materialization(
            plan, registry=Registry("benchmark", (view,)), project="benchmark", warehouse=warehouse, store=store, at=AT
        )
        seconds = time.perf_counter() - started
        after = driver_process()
    store.close()
    return {
        "rows": rows,
        "table_mb": rows * (features + 2) * 8 // 1_000_000,
        "published": report.published[0].rows,
        "seconds": round(seconds, 1),
        "driver_limit": memory,
        "driver_mb": {"before": before, "peak": after},
        "python_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1000,
    }


def view_of(features: int) -> FeatureView:
    return FeatureView(
        name="readings",
        unique_id="model.benchmark.readings",
        path="models/readings.sql",
        relation=Relation("readings", "default"),
        entities=(Entity("sensor", (Column("sensor_id", INT64),)),),
        event_timestamp=Column("read_at", TIMESTAMP_UTC),
        features=tuple(Feature(f"value_{number}", FLOAT64) for number in range(features)),
    )


def make(spark: Any, rows: int, entities: int, features: int) -> None:
    """A table whose rows come in no order, spread over a year."""
    values = ", ".join(f"drawn + {number} AS value_{number}" for number in range(features))
    moment = "timestamp_micros(1704067200000000 + pmod(xxhash64(id, -1), 31536000000000))"
    spark.sql(
        f"CREATE TABLE default.readings USING parquet AS SELECT pmod(id, {entities}) AS sensor_id, {moment} AS read_at, {values} "
        f"FROM (SELECT id, pmod(xxhash64(id, -2), 1000) / 8.0D AS drawn FROM range(0, {rows}, 1, {max(2, rows // 500_000)}))"
    )


def driver_process() -> int:
    """The most memory that the driver's Java process has had so far, in MB."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    status = Path(f"/proc/{gateway.proc.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) // 1000


if __name__ == "__main__":
    main()
