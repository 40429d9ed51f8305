"""The point-in-time join on Spark beside what somebody who knows Spark would write by hand, over the same rows in the same order.

    python benchmarks/spark_training.py [--spine 1000000] [--rows 1000000] [--repeats 3] [--memory 2g] [--only WORDS] [--json FILE]

    thin_union   keys and timestamps through a window, and the values by an equi-join
    asof         Spark 4.3's own `ASOF JOIN … MATCH_CONDITION`, which a session has to switch on
    ours         the product, in two forms: from a table of the warehouse, and with the spine uploaded

All in one Spark of two cores, in turns, every answer brought to Arrow in the same way and compared by a checksum.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from training import checksum
from workload import Workload

from featurestore.registry.definitions import Relation
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.spark import SparkWarehouse
from featurestore.warehouse.spark_process import spark_session
from featurestore.warehouse.spark_profile import SparkProfile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--spine", type=int, default=1_000_000)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory", default="2g", help="of Spark's one process")
    parser.add_argument("--only", default="", help="ways whose name has these words in it")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    workload = Workload(arguments.spine, arguments.rows)
    workload.make()
    with tempfile.TemporaryDirectory() as directory:
        parameters = {"spark.master": "local[2]", "spark.driver.memory": arguments.memory, "spark.sql.join.asofJoin.enabled": "true"}
        profile = SparkProfile(Path(directory), "main", parameters)
        with spark_session(profile) as spark:
            register(spark, workload, Path(directory))
            figures = measured(profile, workload, arguments.repeats, arguments.only)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def register(spark: Any, workload: Workload, directory: Path) -> None:
    """The workload's tables, as Parquet files that Spark reads where they are."""
    spark.sql("CREATE DATABASE IF NOT EXISTS main")
    with duckdb.connect(str(workload.path), read_only=True) as connection:
        for name in ("spine", *(f"v{view}" for view in range(1, workload.views + 1))):
            folder = directory / name
            folder.mkdir()
            connection.execute(f"COPY {name} TO '{folder}/part.parquet' (ROW_GROUP_SIZE 500000)")
            spark.sql(f"CREATE TABLE main.{name} USING parquet LOCATION '{folder}'")


def measured(profile: SparkProfile, workload: Workload, repeats: int, only: str) -> dict[str, Any]:
    """What each way takes, the ways in turns, and how ours compare with the best of those by hand: in processor time, which a busy
    machine leaves as it is."""
    ways: dict[str, Callable[[], pa.Table]] = {
        "thin_union": lambda: by_hand(profile, thin_union(workload)),
        "asof": lambda: by_hand(profile, asof(workload)),
        "ours": lambda: ours(profile, workload, "SELECT * FROM spine"),
        "ours, uploaded": lambda: ours(profile, workload, spine_of(workload)),
    }
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in ways if only in name}
    checksums: dict[str, set[int]] = {name: set() for name in runs}
    for turn in range(repeats + 1):
        for name, taken in runs.items():
            before, started = processor_seconds(), time.perf_counter()
            answer = ways[name]()
            took = (time.perf_counter() - started, processor_seconds() - before)
            if turn:
                taken.append(took)
            order = ["event_timestamp", *workload.keys()]
            checksums[name].add(checksum(answer.sort_by([(each, "ascending") for each in order])))
            print(f"{name:16} {took[0]:.1f} s, {took[1]:.1f} s of processors", flush=True)
    if len({value for values in checksums.values() for value in values}) != 1:
        raise SystemExit(f"the answers differ: {checksums}")
    seconds, processor = (
        {name: round(statistics.median(each[unit] for each in taken), 2) for name, taken in runs.items()} for unit in (0, 1)
    )
    best = min((name for name in ("thin_union", "asof") if name in processor), key=processor.__getitem__, default=None)
    ratios = {name: round(processor[name] / processor[best], 3) for name in processor if best and name.startswith("ours")}
    print(f"{workload.spine_rows:,} x {workload.feature_rows:,}: processors {processor}; ours to {best}: {ratios}", flush=True)
    figures = {"spine": workload.spine_rows, "rows": workload.feature_rows, "seconds": seconds, "processor_seconds": processor}
    return {**figures, "floor": best, "ratios": ratios}


def processor_seconds() -> float:
    """Of this process and of the Java process that Spark runs in."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    user, system = Path(f"/proc/{gateway.proc.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return time.process_time() + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def ours(profile: SparkProfile, workload: Workload, spine: Any) -> pa.Table:
    """The product."""
    warehouse = SparkWarehouse(profile)
    return historical_features(warehouse, workload.requested(), spine, relation_of=lambda model: Relation(model, "main")).to_arrow()


def spine_of(workload: Workload) -> pa.Table:
    """The spine as a caller holds it."""
    with duckdb.connect(str(workload.path), read_only=True) as connection:
        return connection.sql("FROM spine").to_arrow_table()


def by_hand(profile: SparkProfile, query: str) -> pa.Table:
    with SparkWarehouse(profile).session() as session:
        return session.query(query).read_all()


def thin_union(workload: Workload) -> str:
    """A window over keys and timestamps of both sides for each view, and its values by an equi-join."""
    ctes, joins, values = "", "", []
    for view, key in zip(range(1, workload.views + 1), workload.keys(), strict=True):
        names = workload.feature_names(view)
        values += names
        ctes += f"""
            , line{view} AS (
                SELECT {key}, happened_at AS moment, happened_at, CAST(NULL AS BIGINT) AS row_number FROM v{view}
                UNION ALL SELECT {key}, event_timestamp, NULL, row_number FROM asked
            ), seen{view} AS (
                SELECT row_number, {key}, moment, max(happened_at) OVER (
                    PARTITION BY {key} ORDER BY moment, row_number NULLS FIRST ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS happened_at
                FROM line{view}
            ), rows{view} AS (
                SELECT seen{view}.row_number, {", ".join(names)} FROM seen{view} JOIN v{view} USING ({key}, happened_at)
                WHERE seen{view}.row_number IS NOT NULL AND happened_at >= moment - INTERVAL 30 DAY
            )"""
        joins += f" LEFT JOIN rows{view} USING (row_number)"
    return f"WITH {_ASKED}{ctes} SELECT {_spine_columns(workload)}, {', '.join(values)} FROM asked{joins} ORDER BY row_number"


def asof(workload: Workload) -> str:
    """One ASOF join for each view, with all its columns."""
    joins, values = "", []
    for view, key in zip(range(1, workload.views + 1), workload.keys(), strict=True):
        fresh = f"v{view}.happened_at >= asked.event_timestamp - INTERVAL 30 DAY"
        joins += (
            f" LEFT OUTER ASOF JOIN v{view} MATCH_CONDITION (asked.event_timestamp >= v{view}.happened_at) ON asked.{key} = v{view}.{key}"
        )
        values += [f"CASE WHEN {fresh} THEN {name} END AS {name}" for name in workload.feature_names(view)]
    return f"WITH {_ASKED} SELECT {_spine_columns(workload)}, {', '.join(values)} FROM asked{joins} ORDER BY row_number"


_ASKED = "asked AS (SELECT monotonically_increasing_id() AS row_number, * FROM spine)"


def _spine_columns(workload: Workload) -> str:
    return ", ".join(f"asked.{name}" for name in (*workload.keys(), "event_timestamp", "label"))


if __name__ == "__main__":
    main()
