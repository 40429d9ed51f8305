"""What the lock of a training set costs: `to_parquet` with it beside `to_parquet` without.

    python benchmarks/lock.py [--quick] [--repeats 3] [--json FILE]

Every run is a process of its own; the two take turns, and each is compared with the one next to it. The median of those ratios is what
counts. Features are numbers in one case, and in the other texts of 32 characters, no two alike: nothing is dearer to digest.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
from workload import Workload

from featurestore.dbt.checksums import ModelState
from featurestore.dbt.profiles import Target
from featurestore.registry.definitions import Feature, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import STRING
from featurestore.training.lock import LockedProject, LockedRequest, Origin
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.duckdb import DuckDBWarehouse

MILLION = 1_000_000
CASES = ("30 numbers", "10 texts")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a thousandth of the rows, to see that it runs")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--run", nargs=2, metavar=("CASE", "VARIANT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.run:
        print(json.dumps(run(*arguments.run, arguments.quick)))
        return
    figures = [measured(case, arguments.repeats, arguments.quick) for case in CASES]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measured(case: str, repeats: int, quick: bool) -> dict[str, Any]:
    """Run both in turn, `repeats` times after one to warm up. Prints a line."""
    workload(case, quick).make()
    pairs = [[_child(case, variant, quick) for variant in ("plain", "locked")] for _ in range(repeats + 1)][1:]
    ratios = {unit: statistics.median(locked[unit] / plain[unit] for plain, locked in pairs) for unit in ("seconds", "cpu_seconds")}
    runs = {
        variant: {unit: round(statistics.median(pair[place][unit] for pair in pairs), 3) for unit in ("seconds", "cpu_seconds", "peak_mb")}
        for place, variant in enumerate(("plain", "locked"))
    }
    each = "  ".join(f"{variant} {figures['seconds']:.2f} s {figures['peak_mb'] / 1000:.1f} GB" for variant, figures in runs.items())
    print(f"{case:12} {ratios['seconds']:.2f}x of plain (cpu {ratios['cpu_seconds']:.2f}x)   {each}", flush=True)
    return {"case": case, "ratio": round(ratios["seconds"], 3), "cpu_ratio": round(ratios["cpu_seconds"], 3), "runs": runs}


def run(case: str, variant: str, quick: bool) -> dict[str, Any]:
    """One run, in this process."""
    asked = workload(case, quick)
    warehouse = DuckDBWarehouse.of_target(Target("benchmark", "dev", "duckdb", {"path": str(asked.path)}, asked.path.parent))
    views = asked.requested()
    if case == "10 texts":
        views = tuple(_as_texts(view, asked.path) for view in views)
    origin = Origin(
        LockedProject("benchmark", "dev", "sha256:0"),
        LockedRequest(features=("v1:*",)),
        {part.view.name: ModelState() for part in views},
        datetime.now(timezone.utc),
    )
    job = historical_features(
        warehouse,
        views,
        "SELECT * FROM spine",
        relation_of=lambda model: Relation(model),
        origin=(lambda: origin) if variant == "locked" else None,
    )
    with tempfile.TemporaryDirectory() as folder:
        started, cpu = time.perf_counter(), time.process_time()
        job.to_parquet(Path(folder) / "train.parquet")
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


def workload(case: str, quick: bool) -> Workload:
    """The data: numbers in three views, or one view that is read as texts."""
    rows = MILLION // (1000 if quick else 1)
    return Workload(rows, rows) if case == "30 numbers" else Workload(rows, rows, views=1)


def _as_texts(part: RequestedView, path: Path) -> RequestedView:
    """The same view with its features as texts: a table beside the other, made once."""
    view, names = part.view, part.output_names
    with duckdb.connect(str(path)) as connection:
        texts = ", ".join(f"md5(concat({name}, '{name}', rowid)) AS {name}" for name in names)
        keys = f"{view.join_keys[0].name}, {view.event_timestamp.name}"
        connection.execute(f"CREATE TABLE IF NOT EXISTS {view.name}_texts AS SELECT {keys}, {texts} FROM {view.name}")
    features = tuple(Feature(name, STRING) for name in names)
    return RequestedView(replace(view, relation=Relation(f"{view.name}_texts", "main"), features=features), features, names)


def _child(case: str, variant: str, quick: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", case, variant, *(["--quick"] if quick else [])]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


if __name__ == "__main__":
    main()
