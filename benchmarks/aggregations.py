"""Windowed aggregations beside the best queries written by hand, and what a row that decays costs beside a plain one.

    python benchmarks/aggregations.py [--quick] [--only WORDS] [--repeats 3] [--json FILE]

Training: sum, count and mean over 1, 7 and 30 days, as `benchmarks/training.py` measures: every run is a process of its own, the runs of a
case take turns, and each of ours is compared with the floor beside it. By hand there are a RANGE frame over one timeline and a join to
each row's events; which is better depends on how many rows of the spine a key has. Counts are compared exactly, and floats to ten
digits: by hand they are added in any order.

Online: bytes in Redis for each key, and the time of a read, of a view of aggregations and of a plain view of the same features.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import redis
from online_views import PROJECT
from redis_server import RedisServer
from workload import DATA

from featurestore import OnlineFeatureStore
from featurestore.codec.encode import RowEncoder
from featurestore.dbt.profiles import Target
from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import run_materialization
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis import RedisStore
from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry, RequestedView
from featurestore.registry.snapshot import to_json
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.duckdb import DuckDBWarehouse

MILLION = 1_000_000
DAY = 86_400_000_000
YEAR = 366 * DAY
DAYS = (1, 7, 30)
FUNCTIONS = (AggregateFunction.SUM, AggregateFunction.COUNT, AggregateFunction.AVG)
END = datetime(2025, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Case:
    """One line of the table: a DuckDB file with `spine` and `events`."""

    name: str
    spine_rows: int
    event_rows: int
    keys: int
    asked: int | None = None
    """How many rows of the spine are asked about. None: all."""

    @property
    def path(self) -> Path:
        return DATA / f"aggregations-{self.spine_rows}-{self.event_rows}-{self.keys}.duckdb"

    def make(self) -> None:
        """Make the file, unless it is there: events and asked instants all over a year."""
        if self.path.exists():
            return
        DATA.mkdir(exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with duckdb.connect(str(unfinished)) as connection:
            connection.execute(
                f"CREATE TABLE events AS SELECT {self._key('i * 7 + 1')} AS k, {_moment('i * 13 + 1')} AS happened_at, "
                f"(hash(i * 97 + 3) % 1000000) / 100 AS amount FROM range({self.event_rows}) AS rows(i)"
            )
            connection.execute(
                f"CREATE TABLE spine AS SELECT {self._key('i * 11 + 100')} AS k, {_moment('i * 17 + 5')} AS event_timestamp, "
                f"i % 2 = 0 AS label FROM range({self.spine_rows}) AS rows(i)"
            )
        unfinished.rename(self.path)

    def _key(self, seed: str) -> str:
        return f"CAST(hash({seed}) % {self.keys} AS BIGINT)"


def _moment(seed: str) -> str:
    return f"TIMESTAMP '2024-01-01' + to_microseconds(CAST(hash({seed}) % {YEAR} AS BIGINT))"


def cases(quick: bool) -> list[Case]:
    """What is measured; `quick` is a thousandth of it, to see that it runs."""
    scale = 1000 if quick else 1
    million, ten = MILLION // scale, 10 * MILLION // scale
    return [
        Case("1M spine x 10M events of 200k keys", million, ten, 200_000 // scale),
        Case("1M spine x 10M events of 20k keys", million, ten, 20_000 // scale),
        Case("200k spine x 5M events of 1k keys", million // 5, ten // 2, 1_000 // scale or 1),
        Case("10k spine x 10M events of 200k keys", million, ten, 200_000 // scale, 10_000 // scale),
    ]


def view(relation: Relation) -> FeatureView:
    """Sum, count and mean of an amount over each window."""
    features = tuple(
        Feature(
            feature_name("amount", function, timedelta(days=days)),
            INT64 if function is AggregateFunction.COUNT else FLOAT64,
            aggregation=Aggregation(function, timedelta(days=days), Column("amount", FLOAT64)),
        )
        for function in FUNCTIONS
        for days in DAYS
    )
    return FeatureView(
        name="events",
        unique_id="model.benchmark.events",
        path="models/events.sql",
        relation=relation,
        entities=(Entity("k", (Column("k", INT64),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=features,
    )


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
    figures: dict[str, Any] = {
        "training": [measured(case, arguments.repeats, arguments.quick) for name, case in chosen.items() if arguments.only in name]
    }
    if arguments.only in "online":
        figures["online"] = online(keys=1_000 if arguments.quick else 50_000)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def measured(case: Case, repeats: int, quick: bool) -> dict[str, Any]:
    """Run a case: both floors and ours in turn, `repeats` times. Prints a line."""
    case.make()
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in (*BY_HAND, "ours")}
    _child(case, "ours", quick)
    for _ in range(repeats):
        for variant, results in runs.items():
            results.append(_child(case, variant, quick))
    answers = [result["answer"] for results in runs.values() for result in results]
    if any(not _alike(answer, answers[0]) for answer in answers):
        raise SystemExit(f"{case.name}: the answers differ: {answers}")
    best = min(BY_HAND, key=lambda floor: statistics.median(result["cpu_seconds"] for result in runs[floor]))
    ratios = {
        unit: statistics.median(ours[unit] / floor[unit] for ours, floor in zip(runs["ours"], runs[best], strict=True))
        for unit in ("seconds", "cpu_seconds")
    }
    figures = {
        "case": case.name,
        "plan": runs["ours"][0]["plan"],
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
    each = "  ".join(f"{variant} {run['cpu_seconds']:.1f} s {run['peak_mb'] / 1000:.1f} GB" for variant, run in figures["runs"].items())
    print(f"{case.name:38} {figures['ratio']:.2f}x of {best} (cpu {figures['cpu_ratio']:.2f}x)   {figures['plan']}: {each}", flush=True)
    return figures


def run(case: Case, variant: str) -> dict[str, Any]:
    """One run, in this process."""
    started, cpu = time.perf_counter(), time.process_time()
    plan, answer = ours(case) if variant == "ours" else (variant, by_hand(case, variant))
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    told = {
        name: pc.sum(pc.multiply(answer[name].cast(pa.float64()), _weights(answer.num_rows))).as_py() for name in answer.column_names[3:]
    }
    return {"seconds": seconds, "cpu_seconds": cpu, "peak_mb": peak, "answer": {"rows": answer.num_rows, **told}, "plan": plan}


def ours(case: Case) -> tuple[str, pa.Table]:
    """The product."""
    target = Target("benchmark", "dev", "duckdb", {"path": str(case.path)}, case.path.parent)
    events = view(Relation("events", "main"))
    requested = RequestedView(events, events.features, tuple(feature.name for feature in events.features))
    spine = f"SELECT * FROM spine LIMIT {case.asked}" if case.asked else "SELECT * FROM spine"
    job = historical_features(DuckDBWarehouse.of_target(target), [requested], spine, relation_of=Relation)
    with job._prepared() as prepared:
        plan = prepared.explanation.decisions[0].plan.strategy.value
        return plan, prepared.session.query(prepared.staged()).read_all()


def by_hand(case: Case, variant: str) -> pa.Table:
    """What somebody who knows DuckDB and this data would write."""
    with duckdb.connect(str(case.path), read_only=True) as connection:
        return connection.sql(BY_HAND[variant](case)).to_arrow_table()


def range_frame(case: Case) -> str:
    """Events and asked instants in one timeline, a frame for each window."""
    frames = ", ".join(
        f"w{days} AS (PARTITION BY k ORDER BY moment RANGE BETWEEN {days * DAY - 1} PRECEDING AND CURRENT ROW)" for days in DAYS
    )
    totals = ", ".join(
        [
            *(f"sum(amount) OVER w{days} AS s{days}" for days in DAYS),
            *(f"count(amount) OVER w{days} AS c{days}" for days in DAYS),
            *(f"avg(amount) OVER w{days} AS a{days}" for days in DAYS),
            f"count(happened_at) OVER w{DAYS[-1]} AS events",
        ]
    )
    return f"""
        WITH {_asked(case)}, line AS (
            SELECT k, epoch_us(happened_at) AS moment, happened_at, amount, NULL::BIGINT AS row_number FROM events {_pruned(case)}
            UNION ALL SELECT k, epoch_us(event_timestamp), NULL, NULL, row_number FROM asked
        ), seen AS (SELECT row_number, {totals} FROM line WINDOW {frames})
        {_answer("row_number IS NOT NULL AND events > 0")}"""


def range_join(case: Case) -> str:
    """Each asked row beside the events of the longest window."""
    inside = {days: f"FILTER (happened_at > event_timestamp - INTERVAL {days} DAY)" for days in DAYS}
    totals = ", ".join(
        [
            *(f"sum(amount) {inside[days]} AS s{days}" for days in DAYS),
            *(f"count(amount) {inside[days]} AS c{days}" for days in DAYS),
            *(f"avg(amount) {inside[days]} AS a{days}" for days in DAYS),
        ]
    )
    return f"""
        WITH {_asked(case)}, seen AS (
            SELECT row_number, {totals} FROM asked JOIN events
            ON asked.k = events.k AND happened_at <= event_timestamp AND happened_at > event_timestamp - INTERVAL {DAYS[-1]} DAY
            GROUP BY row_number
        ) {_answer("true")}"""


BY_HAND = {"range_frame": range_frame, "range_join": range_join}


def _asked(case: Case) -> str:
    limit = f" LIMIT {case.asked}" if case.asked else ""
    return f"asked AS MATERIALIZED (SELECT row_number() OVER () AS row_number, * FROM (SELECT * FROM spine{limit}))"


def _pruned(case: Case) -> str:
    return "WHERE k IN (SELECT k FROM asked)" if case.asked else ""


def _answer(counts: str) -> str:
    values = ", ".join(f"{function}{days}" for function in "sca" for days in DAYS)
    return (
        f"SELECT asked.k, asked.event_timestamp, asked.label, {values} FROM asked "
        f"LEFT JOIN (SELECT * FROM seen WHERE {counts}) AS found USING (row_number) ORDER BY row_number"
    )


def _weights(count: int) -> pa.Array:
    """Numbers that tell one order of rows from another."""
    return pc.add(pc.bit_wise_and(pa.array(range(count), pa.int64()), 1023), 1).cast(pa.float64())


def _alike(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(abs(a - b) <= 1e-10 * abs(b) for a, b in zip(one.values(), other.values(), strict=True))


def _child(case: Case, variant: str, quick: bool) -> dict[str, Any]:
    command = [sys.executable, __file__, "--run", case.name, variant, *(["--quick"] if quick else [])]
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return answer


def online(keys: int) -> dict[str, Any]:
    """Materialize a year of events of so many keys, 50 of each, and read them back; beside a plain view of the same values."""
    with tempfile.TemporaryDirectory() as scratch, RedisServer() as server:
        path = Path(scratch) / "online.duckdb"
        case = Case("online", 1, 50 * keys, keys)
        with duckdb.connect(str(path)) as connection:
            connection.execute(
                f"CREATE TABLE events AS SELECT {case._key('i * 7 + 1')} AS k, {_moment('i * 13 + 1')} AS happened_at, "
                f"(hash(i * 97 + 3) % 1000000) / 100 AS amount FROM range({case.event_rows}) AS rows(i)"
            )
        warehouse = DuckDBWarehouse.of_target(Target("benchmark", "dev", "duckdb", {"path": str(path)}, path.parent))
        stepped = view(Relation("events", "main"))
        figures = {"keys": keys, "views": {}}
        for name, publish in (("plain", _publish_plain), ("aggregations", _publish_stepped)):
            store = RedisStore(server.url)
            client = redis.Redis.from_url(server.url)
            client.flushall()
            before = client.info("memory")["used_memory"]
            started = time.perf_counter()
            publish(store, warehouse, stepped)
            seconds = time.perf_counter() - started
            used = client.info("memory")["used_memory"] - before
            stored = [*client.scan_iter("*:events", count=10_000, _type="string")]
            rows = len(stored)
            sizes = [client.strlen(key) for key in random.Random(1).sample(stored, min(1000, rows))]
            figures["views"][name] = {
                "rows": rows,
                "seconds": round(seconds, 2),
                "row_bytes": round(statistics.mean(sizes)),
                "redis_bytes_per_key": round(used / rows),
                **{f"read_{count}_ms": round(read(server.url, count, keys), 3) for count in (1, 100)},
            }
            store.close()
            print(f"online, {name:13} {figures['views'][name]}", flush=True)
    return figures


def _publish_stepped(store: RedisStore, warehouse: DuckDBWarehouse, stepped: FeatureView) -> None:
    plan = plan_materialization([stepped], None, {}, END, everything=True)
    run_materialization(plan, registry=Registry(PROJECT, (stepped,)), project=PROJECT, warehouse=warehouse, store=store, at=END)


def _publish_plain(store: RedisStore, warehouse: DuckDBWarehouse, stepped: FeatureView) -> None:
    """The same values as they are at the end, as columns of a model."""
    plain = FeatureView(
        name="events",
        unique_id=stepped.unique_id,
        path=stepped.path,
        relation=stepped.relation,
        entities=stepped.entities,
        event_timestamp=stepped.event_timestamp,
        features=tuple(Feature(feature.name, feature.value_type) for feature in stepped.features),
    )
    requested = RequestedView(stepped, stepped.features, tuple(feature.name for feature in stepped.features))
    spine = f"SELECT DISTINCT k, TIMESTAMP '{END:%Y-%m-%d}' AS event_timestamp FROM events"
    rows = historical_features(warehouse, [requested], spine, relation_of=Relation).to_arrow()
    rows = rows.filter(pc.is_valid(rows["amount_count_1d"]))
    instants = rows["event_timestamp"].cast(pa.timestamp("us"))
    columns = [rows["k"], instants, pa.nulls(rows.num_rows, pa.timestamp("us")), *rows.columns[2:]]
    store.write_documents(PROJECT, {"registry": to_json(Registry(PROJECT, (plain,)))})
    encoder = RowEncoder(PROJECT, plain, 1)
    for batch in pa.table(columns, [f"c{place}" for place in range(len(columns))]).combine_chunks().to_batches(max_chunksize=16_384):
        store.write(encoder.encode(batch), WriteMode.NEWEST_WINS)


def read(url: str, count: int, keys: int) -> float:
    """Milliseconds of the median read of so many keys, half a day after the materialization."""
    draw, times = random.Random(count), []
    at = END + timedelta(hours=12)
    with OnlineFeatureStore(url, PROJECT, clock=lambda: at) as reader:
        for _ in range(300):
            rows = [{"k": key} for key in draw.sample(range(keys), count)]
            started = time.perf_counter()
            reader.get_online_features(rows, ["events:*"]).to_dict()
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    main()
