"""Feast and this feature store on the same Parquet files and the same machine, in one run.

    python benchmarks/feast/run.py [--quick | --full] [--keys N] [--repeats N] [--seconds S] [--json]

Three contests: a training set to Arrow, a load of Redis, reads from Redis. The answers are compared with each other, and the training
sets with one made by hand in DuckDB, whose time is the floor. See README.md beside this file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "tests" / "support")]

import agreement  # noqa: E402
import duckdb  # noqa: E402
import environment  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
import workload  # noqa: E402
from contestant import BATCHES, ENTITY_KEY, Figures, fastest  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from workload import Size, Workload  # noqa: E402

TRAINING, ONLINE = "training.parquet", "online.parquet"
SIZES = {
    "quick": Size(spine=2_000, rows=20_000, keys=2_000),
    "default": Size(spine=100_000, rows=1_000_000, keys=100_000),
    "full": Size(spine=1_000_000, rows=1_000_000, keys=100_000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="small sizes: that it works, not how fast")
    size.add_argument(
        "--full", dest="size", action="store_const", const="full", help="a million spine rows; Feast takes minutes and gigabytes"
    )
    parser.add_argument("--keys", type=int, help="how many entity keys; fewer make longer histories")
    parser.add_argument("--repeats", type=int, default=2, help="training joins; the fastest counts")
    parser.add_argument("--seconds", type=float, help="how long to read with each number of keys")
    parser.add_argument("--json", action="store_true", help="all figures, as one JSON object")
    asked = parser.parse_args()
    name = asked.size or "default"
    seconds = asked.seconds or (0.5 if name == "quick" else 5.0)
    chosen = replace(SIZES[name], keys=asked.keys or SIZES[name].keys)
    result = run(workload.make(chosen), asked.repeats, seconds)
    print(json.dumps(result, indent=2) if asked.json else "\n".join(table(result)))
    if any(result["differences"].values()):
        raise SystemExit("The answers differ.")


def run(work: Workload, repeats: int, seconds: float) -> dict[str, Any]:
    """All three contests, one contestant after the other, and whether they agree."""
    with tempfile.TemporaryDirectory(prefix="contest") as folder:
        hand, theirs, own = (Path(folder) / name for name in ("by_hand", "feast", "ours"))
        figures = {
            "by_hand": by_hand(work, hand, repeats),
            "feast": feast(work, theirs, repeats, seconds),
            "ours": ours(work, own, repeats, seconds),
        }
        differences = {
            "Feast's training set and the one by hand": agreement.differences(hand / TRAINING, theirs / TRAINING, "row_id"),
            "our training set and the one by hand": agreement.differences(hand / TRAINING, own / TRAINING, "row_id"),
            "our online answers and Feast's": agreement.differences(theirs / ONLINE, own / ONLINE, ENTITY_KEY),
        }
    versions = {package: version(package) for package in ("featurestore", "duckdb", "pyarrow", "redis", "hiredis")}
    return {
        "workload": str(work.size),
        "rows_online": work.size.keys * len(work.views),
        "entity_keys": work.size.keys,
        "machine": f"{os.cpu_count()} × {platform.machine()}, Python {platform.python_version()}",
        "versions": {**versions, "feast": environment.REQUIREMENTS[0].partition("==")[2]},
        **figures,
        "differences": differences,
    }


def by_hand(work: Workload, folder: Path, repeats: int) -> Figures:
    """The training set as somebody who knows DuckDB would write it."""
    joins = "".join(
        f" asof left join '{view}' as {view.stem} on spine.customer_id = {view.stem}.customer_id"
        f" and spine.event_timestamp >= {view.stem}.event_timestamp"
        for view in work.views
    )
    columns = ", ".join(f"{view.stem}.* exclude (customer_id, event_timestamp)" for view in work.views)
    query = f"select spine.*, {columns} from '{work.spine}' as spine{joins}"
    folder.mkdir()
    with duckdb.connect() as connection:
        seconds, answer = fastest(lambda: connection.sql(query).to_arrow_table(), repeats)
    pq.write_table(answer, folder / TRAINING)
    return {"training": {"seconds": seconds}}


def feast(work: Workload, folder: Path, repeats: int, seconds: float) -> Figures:
    """Feast, in its own environment."""
    return _contest([str(environment.interpreter()), str(HERE / "contest.py")], work, folder, repeats, seconds)


def ours(work: Workload, folder: Path, repeats: int, seconds: float) -> Figures:
    """This feature store, over a dbt project whose models are those files."""
    return _contest([sys.executable, str(HERE / "ours.py")], work, folder, repeats, seconds)


def _contest(script: list[str], work: Workload, folder: Path, repeats: int, seconds: float) -> Figures:
    """What a contestant measures. Its answers, and all that it leaves behind, are in the folder."""
    folder.mkdir()
    views = ["--views", *map(str, work.views)]
    asked = ["--spine", str(work.spine), "--answers", str(folder / TRAINING), "--repeats", str(repeats)]
    figures = {"training": _figures([*script, "training", *views, *asked], folder)}
    with RedisServer() as server:
        asked = ["--redis", server.url, "--answers", str(folder / ONLINE), "--keys", str(work.size.keys), "--seconds", str(seconds)]
        figures["online"] = _figures([*script, "online", *views, *asked], folder)
    return figures


def _figures(command: list[str], folder: Path) -> Figures:
    """What a contestant prints, as the last line: its libraries may have something to say before."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, env={**os.environ, "TMPDIR": str(folder)})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures, for people."""
    theirs, own = result["feast"], result["ours"]
    rows, keys = result["rows_online"], result["entity_keys"]
    yield result["workload"]
    yield f"{result['machine']}; " + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield ""
    yield f"{'':46}{'by hand':>12}{'Feast':>12}{'ours':>12}{'Feast/ours':>12}"
    hand = f"{result['by_hand']['training']['seconds']:.2f}"
    yield _line("training set, seconds", theirs["training"]["seconds"], own["training"]["seconds"], hand)
    yield _line("training set, peak memory of the process, MB", theirs["training"]["peak_mb"], own["training"]["peak_mb"])
    feast_rate, our_rate = (rows / side["online"]["materialize_seconds"] for side in (theirs, own))
    yield _line(f"materialize {rows:,} rows, rows/s", feast_rate, our_rate, ratio=our_rate / feast_rate)
    cautious = rows / theirs["online"]["materialize_by_default_seconds"]
    yield _line("  the same, Feast without skip_dedup", cautious, our_rate, ratio=our_rate / cautious)
    yield _line("Redis memory per entity, bytes", *(side["online"]["redis_bytes"] / keys for side in (theirs, own)))
    for size in BATCHES:
        for figure in ("p50_ms", "p99_ms"):
            label = f"online read of {size} {'key' if size == 1 else 'keys'}, {figure[:3]}, ms"
            yield _line(label, *(side["online"]["read"][str(size)][figure] for side in (theirs, own)))
    for size in BATCHES:
        precomputed = theirs["online"]["read_precomputed"][str(size)]["p50_ms"]
        yield _line(f"  {size}, Feast with precomputed vectors, p50, ms", precomputed, own["online"]["read"][str(size)]["p50_ms"])
    yield f"  (precomputing them took Feast {theirs['online']['precompute_seconds']:.1f} s after materializing)"
    yield ""
    for compared, found in result["differences"].items():
        yield f"{compared}: " + (f"DIFFERENT in {found}" if found else "the same")


def _line(label: str, theirs: float, own: float, hand: str = "", ratio: float | None = None) -> str:
    return f"{label:46}{hand:>12}{_number(theirs):>12}{_number(own):>12}{_number(theirs / own if ratio is None else ratio) + ' ×':>12}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
