"""Training and materialize as the feature rows grow, on DuckDB and on Spark: time for each row, and peak memory.

    python benchmarks/growth.py [--engines duckdb spark] [--rows 1000000 10000000 100000000] [--memory 4GB] [--chart-only]

One view of four features in Parquet; the spine has a twentieth of its rows, the entities are a hundredth. Every run is a process of its
own, from opening the warehouse to the last batch of the answer (which is read and dropped), or to the watermark in Redis. Seconds are those
of all processors together, because a machine that others use too stretches the clock; the clock's are kept beside. Memory is the peak of all the
run's processes. DuckDB has the limit as `memory_limit`; Spark as the heap of its one process, two executor threads and all.

The figures go to benchmarks/results/growth.json, run by run, and the chart of them beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
from growth_chart import chart

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))
from redis_server import RedisServer

from featurestore.dbt.profiles import Target
from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import run_materialization
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry, RequestedView
from featurestore.registry.value_types import INT64, TIMESTAMP, FloatType, IntegerType
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.base import Warehouse
from featurestore.warehouse.open import open_warehouse

HERE = Path(__file__).resolve().parent
FIGURES, CHART = HERE / "results" / "growth.json", HERE / "results" / "growth.svg"
AT = datetime(2025, 1, 1, tzinfo=timezone.utc)
YEAR = 366 * 86_400_000_000
VIEW = FeatureView(
    name="readings",
    unique_id="model.benchmark.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64),)),),
    event_timestamp=Column("read_at", TIMESTAMP),
    features=(
        Feature("value", FloatType(32)),
        Feature("count", IntegerType(32)),
        Feature("level", IntegerType(32)),
        Feature("share", FloatType(32)),
    ),
)


@dataclass(frozen=True)
class Run:
    """One run and what it took."""

    engine: str
    job: str
    rows: int
    answered: int
    seconds: float
    processor_seconds: float
    peak_mb: int

    @property
    def microseconds_per_row(self) -> float:
        """Of processor time, for each feature row."""
        return self.processor_seconds * 1e6 / self.rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", nargs="+", default=["duckdb", "spark"])
    parser.add_argument("--jobs", nargs="+", default=["training", "materialize"])
    parser.add_argument("--rows", nargs="+", type=int, default=[1_000_000, 10_000_000, 100_000_000])
    parser.add_argument("--memory", default="4GB")
    parser.add_argument("--chart-only", action="store_true", help="draw the kept figures again")
    parser.add_argument("--run", nargs=4, metavar=("ENGINE", "JOB", "ROWS", "MEMORY"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        engine, job, rows, memory = arguments.run
        print(json.dumps(asdict(measured(engine, job, int(rows), memory))))
        return
    if not arguments.chart_only:
        for rows in arguments.rows:
            make(rows)
            for engine in arguments.engines:
                for job in arguments.jobs:
                    keep(child(engine, job, rows, arguments.memory))
    CHART.write_text(chart([Run(**figures) for figures in kept()]), encoding="utf-8")


def child(engine: str, job: str, rows: int, memory: str) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, "--run", engine, job, str(rows), memory]
    figures: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    print(json.dumps(figures), flush=True)
    return figures


def kept() -> list[dict[str, Any]]:
    runs: list[dict[str, Any]] = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else []
    return runs


def keep(figures: dict[str, Any]) -> None:
    """Add a run to those that are kept; it takes the place of an earlier one of the same kind."""
    same = ("engine", "job", "rows")
    others = [run for run in kept() if any(run[name] != figures[name] for name in same)]
    runs = sorted([*others, figures], key=lambda run: [run[name] for name in same])
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text("[\n" + ",\n".join(f"  {json.dumps(run)}" for run in runs) + "\n]\n", encoding="utf-8")


def measured(engine: str, job: str, rows: int, memory: str) -> Run:
    """Run a job, in this process and those that it starts."""
    with tempfile.TemporaryDirectory() as directory, RedisServer() as redis, opened(engine, Path(directory), rows, memory) as warehouse:
        before, started = processor_seconds(), time.perf_counter()
        answered = training(warehouse) if job == "training" else materialize(warehouse, redis.url)
        seconds, processor = time.perf_counter() - started, processor_seconds() - before
        peak = peak_mb()
    return Run(engine, job, rows, answered, round(seconds, 1), round(processor, 1), peak)


def training(warehouse: Warehouse) -> int:
    requested = RequestedView(VIEW, VIEW.features, tuple(feature.name for feature in VIEW.features))
    job = historical_features(warehouse, (requested,), "select * from spine", relation_of=Relation)
    with job.to_arrow_batches() as batches:
        return sum(batch.num_rows for batch in batches)


def materialize(warehouse: Warehouse, url: str) -> int:
    store = open_store(url)
    plan = plan_materialization([VIEW], None, {}, AT, everything=True)
    report = run_materialization(plan, registry=Registry("growth", (VIEW,)), project="growth", warehouse=warehouse, store=store, at=AT)
    store.close()
    return report.published[0].rows


@contextmanager
def opened(engine: str, directory: Path, rows: int, memory: str) -> Iterator[Warehouse]:
    """A warehouse over the files of that many rows. Spark is up already, as on a cluster: starting it is no part of a run."""
    if engine == "duckdb":
        with duckdb.connect(str(directory / "growth.duckdb")) as connection:
            for name in ("readings", "spine"):
                connection.execute(f"CREATE VIEW {name} AS FROM '{file_of(name, rows)}'")
        yield open_warehouse(Target("growth", "dev", "duckdb", {"path": "growth.duckdb", "settings": {"memory_limit": memory}}, directory))
        return
    from featurestore.warehouse.spark_process import spark_session
    from featurestore.warehouse.spark_profile import SparkProfile

    parameters = {
        "spark.master": "local[2]",
        "spark.driver.memory": memory.lower().removesuffix("b"),
        "spark.sql.catalogImplementation": "in-memory",
        "spark.local.dir": str(directory),
    }
    settings = {"method": "session", "schema": "default", "server_side_parameters": parameters}
    with spark_session(SparkProfile(directory, "default", parameters)) as spark:
        for name in ("readings", "spine"):
            spark.sql(f"CREATE TABLE default.{name} USING parquet OPTIONS (path '{file_of(name, rows)}')")
        yield open_warehouse(Target("growth", "dev", "spark", settings, directory))


def file_of(name: str, rows: int) -> Path:
    return HERE / "data" / f"growth-{name}-{rows}.parquet"


def make(rows: int) -> None:
    """The files of that many feature rows, in no order."""
    entities, asked = max(1, rows // 100), rows // 20
    moment = "make_timestamp(1704067200000000 + CAST(hash(i * {seed}) % {year} AS BIGINT))"
    readings = f"""
        SELECT CAST(hash(i * 7) % {entities} AS BIGINT) AS sensor_id, {moment.format(seed=13, year=YEAR)} AS read_at,
            CAST(hash(i * 3) % 1000 AS FLOAT) / 8 AS value, CAST(hash(i * 5) % 500 AS INTEGER) AS count,
            CAST(hash(i * 11) % 4 AS INTEGER) AS level, CAST(hash(i * 19) % 100 AS FLOAT) / 128 AS share
        FROM range({rows}) AS rows(i)"""
    spine = f"""
        SELECT CAST(hash(i * 23) % {entities} AS BIGINT) AS sensor_id, {moment.format(seed=17, year=YEAR)} AS event_timestamp
        FROM range({asked}) AS rows(i)"""
    for name, query in (("readings", readings), ("spine", spine)):
        path = file_of(name, rows)
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            unfinished = path.with_suffix(".unfinished")
            duckdb.connect().execute(f"COPY ({query}) TO '{unfinished}' (FORMAT parquet, ROW_GROUP_SIZE 500000)")
            unfinished.rename(path)


def processor_seconds() -> float:
    """Of this process and of those that it started and that still run."""
    ticks = sum(sum(map(int, stat.rpartition(")")[2].split()[11:13])) for stat in map(_stat, _processes()))
    return ticks / os.sysconf("SC_CLK_TCK") + resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime


def peak_mb() -> int:
    """The most memory that each of them has had, together."""
    lines = [line for process in _processes() for line in (process / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1000


def _processes() -> list[Path]:
    """This process and all that descend from it, but for Redis."""
    parents = {path: int(_stat(path).rpartition(")")[2].split()[1]) for path in Path("/proc").iterdir() if path.name.isdigit()}
    found = [Path(f"/proc/{os.getpid()}")]
    for path in found:
        found += [child for child, parent in parents.items() if parent == int(path.name) and "(redis-server)" not in _stat(child)]
    return found


def _stat(process: Path) -> str:
    try:
        return (process / "stat").read_text()
    except OSError:
        return "0 (ended) Z 0 0 0 0 0 0 0 0 0 0 0 0 0"


if __name__ == "__main__":
    main()
