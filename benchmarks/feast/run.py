"""Feast and this feature store on the same Parquet files and the same machine, in one run.

    python benchmarks/feast/run.py [--quick | --full] [--only CONTEST] [--keys N]
                                    [--repeats N] [--seconds S] [--json]

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
from collections.abc import Iterator, Mapping, Sequence
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
from contestant import ENTITY_KEY, Figures, fastest  # noqa: E402
from redis_server import RedisServer  # noqa: E402
from workload import Size, Workload  # noqa: E402

CONTESTS = ("training", "online")
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
    parser.add_argument("--only", choices=CONTESTS, help="one of the two: training, or online (materialize and read)")
    parser.add_argument("--keys", type=int, help="how many entity keys; fewer make longer histories")
    parser.add_argument("--repeats", type=int, default=2, help="training joins; the fastest counts")
    parser.add_argument("--seconds", type=float, help="how long to read with each number of keys")
    parser.add_argument("--json", action="store_true", help="all figures, as one JSON object")
    asked = parser.parse_args()
    name = asked.size or "default"
    seconds = asked.seconds or (0.5 if name == "quick" else 5.0)
    chosen = replace(SIZES[name], keys=asked.keys or SIZES[name].keys)
    result = run(workload.make(chosen), (asked.only,) if asked.only else CONTESTS, asked.repeats, seconds)
    print(json.dumps(result, indent=2) if asked.json else "\n".join(table(result)))
    if any(result["differences"].values()):
        raise SystemExit("The answers differ.")


def run(work: Workload, contests: Sequence[str], repeats: int, seconds: float) -> dict[str, Any]:
    """The contests, one contestant after the other, and whether they agree."""
    with tempfile.TemporaryDirectory(prefix="contest") as folder:
        hand, theirs, own = (Path(folder) / name for name in ("by_hand", "feast", "ours"))
        figures = {
            "feast": feast(work, contests, theirs, repeats, seconds),
            "ours": ours(work, contests, own, repeats, seconds),
        }
        differences = {}
        if "training" in contests:
            figures["by_hand"] = by_hand(work, hand, repeats)
            for name, answers in (("Feast's", theirs), ("our", own)):
                compared = agreement.differences(_answers(hand, "training"), _answers(answers, "training"), "row_id")
                differences[f"{name} training set and the one by hand"] = compared
        if "online" in contests:
            compared = agreement.differences(_answers(theirs, "online"), _answers(own, "online"), ENTITY_KEY)
            differences["our online answers and Feast's"] = compared
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
        taken, answer = fastest(lambda: connection.sql(query).to_arrow_table(), repeats)
    pq.write_table(answer, _answers(folder, "training"))
    return {"training": taken}


def feast(work: Workload, contests: Sequence[str], folder: Path, repeats: int, seconds: float) -> Figures:
    """Feast, in its own environment."""
    return _contest([str(environment.interpreter()), str(HERE / "contest.py")], work, contests, folder, repeats, seconds)


def ours(work: Workload, contests: Sequence[str], folder: Path, repeats: int, seconds: float) -> Figures:
    """This feature store, over a dbt project whose models are those files."""
    return _contest([sys.executable, str(HERE / "ours.py")], work, contests, folder, repeats, seconds)


def _contest(script: list[str], work: Workload, contests: Sequence[str], folder: Path, repeats: int, seconds: float) -> Figures:
    """What a contestant measures. Its answers, and all that it leaves behind, are in the folder."""
    folder.mkdir()
    views = ["--views", *map(str, work.views)]
    figures = {}
    if "training" in contests:
        asked = ["--spine", str(work.spine), "--answers", str(_answers(folder, "training")), "--repeats", str(repeats)]
        figures["training"] = _figures([*script, "training", *views, *asked], folder)
    if "online" in contests:
        with RedisServer() as server:
            asked = ["--redis", server.url, "--answers", str(_answers(folder, "online")), "--keys", str(work.size.keys)]
            figures["online"] = _figures([*script, "online", *views, *asked, "--seconds", str(seconds)], folder)
    return figures


def _answers(folder: Path, contest: str) -> Path:
    return folder / f"{contest}.parquet"


def _figures(command: list[str], folder: Path) -> Figures:
    """What a contestant prints, as the last line: its libraries may have something to say before."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=HERE, env={**os.environ, "TMPDIR": str(folder)})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    figures: Figures = json.loads(done.stdout.splitlines()[-1])
    return figures


def table(result: Mapping[str, Any]) -> Iterator[str]:
    """The figures, for people."""
    yield result["workload"]
    yield f"{result['machine']}; " + ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    yield ""
    yield f"{'':48}{'by hand':>12}{'Feast':>12}{'ours':>12}{'Feast/ours':>12}"
    if "by_hand" in result:
        yield from _training_lines(*(result[side]["training"] for side in ("by_hand", "feast", "ours")))
    if "online" in result["ours"]:
        theirs, own = (result[side]["online"] for side in ("feast", "ours"))
        yield from _materialize_lines(result["rows_online"], result["entity_keys"], theirs, own)
        yield from _read_lines(theirs, own)
    yield ""
    for compared, found in result["differences"].items():
        yield f"{compared}: " + (f"DIFFERENT in {found}" if found else "the same")


def _training_lines(hand: Figures, theirs: Figures, own: Figures) -> Iterator[str]:
    for label, figure in (("seconds", "seconds"), ("seconds of processor time", "cpu_seconds")):
        yield _line(f"training set, {label}", theirs[figure], own[figure], _number(hand[figure]))
    yield _line("training set, peak memory of the process, MB", theirs["peak_mb"], own["peak_mb"])


def _materialize_lines(rows: int, keys: int, theirs: Figures, own: Figures) -> Iterator[str]:
    for run, label in (("materialize", f"materialize {rows:,} rows"), ("materialize_by_default", "  Feast without skip_dedup")):
        their_rate, our_rate = (rows / taken["seconds"] for taken in (theirs[run], own["materialize"]))
        yield _line(f"{label}, rows/s", their_rate, our_rate, ratio=our_rate / their_rate)
    yield _line("materialize, seconds of processor time", *(side["materialize"]["cpu_seconds"] for side in (theirs, own)))
    yield _line("Redis memory per entity, bytes", *(side["redis_bytes"] / keys for side in (theirs, own)))


def _read_lines(theirs: Figures, own: Figures) -> Iterator[str]:
    for size, read in own["read"].items():
        of_keys = f"{size} {'key' if size == '1' else 'keys'}"
        yield _line(f"online read of {of_keys}, p50, ms", theirs["read"][size]["p50_ms"], read["p50_ms"])
        yield _line(f"online read of {of_keys}, p99, ms", theirs["read"][size]["p99_ms"], read["p99_ms"])
        yield _line("  Feast with precomputed vectors, p50, ms", theirs["read_precomputed"][size]["p50_ms"], read["p50_ms"])
    yield f"  (precomputing them took Feast {theirs['precompute']['seconds']:.1f} s after materializing)"


def _line(label: str, theirs: float, own: float, hand: str = "", ratio: float | None = None) -> str:
    return f"{label:48}{hand:>12}{_number(theirs):>12}{_number(own):>12}{_number(theirs / own if ratio is None else ratio) + ' ×':>12}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    main()
