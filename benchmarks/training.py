"""The point-in-time join beside the best queries written by hand for the same rows in the same order.

    python benchmarks/training.py [--quick] [--only WORDS] [--repeats 3] [--json FILE]

Every run is a process of its own, from opening the database to an Arrow table. The runs of a case take turns, and each of ours is
compared with the floor next to it, so that a machine that slows down slows both: the median of those ratios is what counts. Answers
are compared by a checksum over their values in order.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from workload import Workload

from featurestore.dbt.profiles import Target
from featurestore.registry.definitions import Relation
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.duckdb import DuckDBWarehouse

MILLION = 1_000_000


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    name: str
    workload: Workload
    floors: tuple[str, ...]
    asked: int | None = None
    """How many rows of the spine are asked about. None: all."""

    memory_limit: str | None = None


def cases(quick: bool) -> list[Case]:
    """What is measured; `quick` is a thousandth of it, to see that it runs."""
    scale = 1000 if quick else 1
    million = MILLION // scale
    one, ten = Workload(million, million), Workload(million, 10 * million)
    single, wide = Workload(million, 10 * million, views=1), Workload(million, 5 * million, views=1, features=50)
    return [
        Case("1M spine x 1M rows in 3 views", one, ("asof", "thin_union")),
        Case("1M spine x 10M rows in 3 views", ten, ("asof", "thin_union")),
        Case("1M spine x 10M rows in 3 views, 2 GB", ten, ("asof", "thin_union"), memory_limit="2GB"),
        *(Case(f"{spine} spine x one view of 10M rows", single, ("asof", "pruned"), rows // scale or 1) for spine, rows in _SMALL),
        *(Case(f"{spine} spine x 10M rows in 3 views", ten, ("asof", "pruned"), rows // scale or 1) for spine, rows in _SMALL),
        Case("1M spine x 5M rows of 50 features", wide, ("asof", "thin_union")),
    ]


_SMALL = (("1k", 1000), ("10k", 10_000), ("100k", 100_000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a thousandth of the rows, to see that it runs")
    parser.add_argument("--only", default="", help="cases whose name has these words in it")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--run", nargs=2, metavar=("CASE", "VARIANT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    chosen = {case.name: case for case in cases(arguments.quick)}
    if arguments.run:
        print(json.dumps(run(chosen[arguments.run[0]], arguments.run[1])))
        return
    figures = [measured(case, arguments.repeats, arguments.quick) for name, case in chosen.items() if arguments.only in name]
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measured(case: Case, repeats: int, quick: bool) -> dict[str, Any]:
    """Run a case: every floor and ours in turn, `repeats` times. Prints a line."""
    case.workload.make()
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in (*case.floors, "ours")}
    _child(case, "ours", quick)
    for _ in range(repeats):
        for variant, results in runs.items():
            results.append(_child(case, variant, quick))
    checksums = {(result["rows"], result["checksum"]) for results in runs.values() for result in results}
    if len(checksums) != 1:
        raise SystemExit(f"{case.name}: the answers differ: {checksums}")
    best = min(case.floors, key=lambda floor: statistics.median(result["seconds"] for result in runs[floor]))
    ratios = {
        unit: statistics.median(ours[unit] / floor[unit] for ours, floor in zip(runs["ours"], runs[best], strict=True))
        for unit in ("seconds", "cpu_seconds")
    }
    figures = {
        "case": case.name,
        "floor": best,
        "ratio": round(ratios["seconds"], 3),
        "cpu_ratio": round(ratios["cpu_seconds"], 3),
        "runs": {
            variant: {
                unit: round(statistics.median(result[unit] for result in results), 3) for unit in ("seconds", "cpu_seconds", "peak_mb")
            }
            for variant, results in runs.items()
        },
    }
    each = "  ".join(f"{variant} {run['seconds']:.2f} s {run['peak_mb'] / 1000:.1f} GB" for variant, run in figures["runs"].items())
    print(f"{case.name:40} {figures['ratio']:.2f}x of {best} (cpu {figures['cpu_ratio']:.2f}x)   {each}", flush=True)
    return figures


def run(case: Case, variant: str) -> dict[str, Any]:
    """One run, in this process."""
    settings = {"memory_limit": case.memory_limit} if case.memory_limit else {}
    started, cpu = time.perf_counter(), time.process_time()
    answer = ours(case, settings) if variant == "ours" else by_hand(case, settings, variant)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "rows": answer.num_rows, "checksum": checksum(answer)}


def ours(case: Case, settings: dict[str, str]) -> pa.Table:
    """The product."""
    target = Target("benchmark", "dev", "duckdb", {"path": str(case.workload.path), "settings": settings}, case.workload.path.parent)
    spine = f"SELECT * FROM spine LIMIT {case.asked}" if case.asked else "SELECT * FROM spine"
    return historical_features(
        DuckDBWarehouse.of_target(target), case.workload.requested(), spine, relation_of=lambda model: Relation(model)
    ).to_arrow()


def by_hand(case: Case, settings: dict[str, str], variant: str) -> pa.Table:
    """What somebody who knows DuckDB and this data would write."""
    with duckdb.connect(str(case.workload.path), read_only=True) as connection:
        for name, value in settings.items():
            connection.execute(f"SET {name} = '{value}'")
        return connection.sql(BY_HAND[variant](case)).to_arrow_table()


def asof(case: Case) -> str:
    """One ASOF join for each view, with all its columns."""
    return _asof(case, "SELECT * FROM {view}")


def pruned(case: Case) -> str:
    """The same on those rows of the view whose keys the spine has."""
    return _asof(case, "SELECT * FROM {view} WHERE {key} IN (SELECT {key} FROM asked)")


def _asof(case: Case, rows: str) -> str:
    views = list(zip(range(1, case.workload.views + 1), case.workload.keys(), strict=True))
    ctes = "".join(f", seen{view} AS ({rows.format(view=f'v{view}', key=key)})" for view, key in views)
    joins = " ".join(
        f"ASOF LEFT JOIN seen{view} ON asked.{key} = seen{view}.{key} AND asked.event_timestamp >= seen{view}.happened_at"
        for view, key in views
    )
    fresh = "seen{view}.happened_at >= asked.event_timestamp - INTERVAL 30 DAY"
    values = [
        f"CASE WHEN {fresh.format(view=view)} THEN {name} END AS {name}" for view, _ in views for name in case.workload.feature_names(view)
    ]
    return f"WITH {_asked(case)}{ctes} SELECT {_spine_columns(case)}, {', '.join(values)} FROM asked {joins} ORDER BY row_number"


def thin_union(case: Case) -> str:
    """Keys and timestamps through a window, and the values by an equi-join: for wide views the best there is."""
    ctes, joins, values = "", "", []
    for view, key in zip(range(1, case.workload.views + 1), case.workload.keys(), strict=True):
        names = case.workload.feature_names(view)
        values += names
        ctes += f"""
            , line{view} AS (
                SELECT {key}, happened_at AS moment, happened_at, NULL::BIGINT AS row_number FROM v{view}
                UNION ALL SELECT {key}, event_timestamp, NULL, row_number FROM asked
            ), seen{view} AS (
                SELECT row_number, {key}, moment,
                    max(happened_at) OVER (PARTITION BY {key} ORDER BY moment, row_number NULLS FIRST ROWS UNBOUNDED PRECEDING) AS happened_at
                FROM line{view}
            ), rows{view} AS (
                SELECT seen{view}.row_number, {", ".join(names)} FROM seen{view} JOIN v{view} USING ({key}, happened_at)
                WHERE seen{view}.row_number IS NOT NULL AND happened_at >= moment - INTERVAL 30 DAY
            )"""
        joins += f" LEFT JOIN rows{view} USING (row_number)"
    return f"WITH {_asked(case)}{ctes} SELECT {_spine_columns(case)}, {', '.join(values)} FROM asked{joins} ORDER BY row_number"


BY_HAND = {"asof": asof, "pruned": pruned, "thin_union": thin_union}


def _asked(case: Case) -> str:
    limit = f" LIMIT {case.asked}" if case.asked else ""
    return f"asked AS MATERIALIZED (SELECT row_number() OVER () AS row_number, * FROM (SELECT * FROM spine{limit}))"


def _spine_columns(case: Case) -> str:
    return ", ".join(f"asked.{name}" for name in (*case.workload.keys(), "event_timestamp", "label"))


def checksum(answer: pa.Table) -> int:
    """Of every value in its place."""
    total = 0
    for column in answer.columns:
        kind = pa.float64() if pa.types.is_floating(column.type) else pa.int64()
        for chunk in column.chunks:
            # What stands under a null is anything.
            values = pc.fill_null((chunk.cast(pa.int8()) if pa.types.is_boolean(chunk.type) else chunk).cast(kind), -1)
            total = zlib.crc32(memoryview(values.buffers()[1])[values.offset * 8 : (values.offset + len(values)) * 8], total)
    return total


def _child(case: Case, variant: str, quick: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", case.name, variant, *(["--quick"] if quick else [])]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


if __name__ == "__main__":
    main()
