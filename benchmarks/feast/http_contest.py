"""Both servers under the same load: one worker each, the same customers and features, each with a Redis of its own.

    python benchmarks/feast/http_contest.py [--keys 1 10 100] [--seconds 3] [--rounds 3]

Three views of ten features, 16 connections, in turns; flags and dates are integers in Feast's files, which it reads faster than those
types. What counts is the ratio of requests per second (to reach: 10). `environment.py` makes Feast's environment first.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import environment  # noqa: E402
import httpx  # noqa: E402
import msgspec  # noqa: E402
import online_read  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from http_load import SERVER_PROCESSOR, on_processor, post  # noqa: E402
from online_views import batches, views  # noqa: E402
from redis_server import RedisServer, free_port  # noqa: E402
from serving import requests, running, serving  # noqa: E402

ENTITIES = 20_000
CONNECTIONS = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    online_read.ENTITIES = ENTITIES
    with RedisServer() as ours_redis, RedisServer() as feast_redis, tempfile.TemporaryDirectory() as scratch:
        online_read.publish(ours_redis.url)
        files = [written(Path(scratch), number, view) for number, view in enumerate(views())]
        port = free_port()
        command = on_processor(SERVER_PROCESSOR, environment.interpreter(), HERE / "serve.py", feast_redis.url, port, *files)
        with serving(ours_redis.url, pinned=True) as (url, _), running(command, port, {}, within=180):
            feast_url = f"http://127.0.0.1:{port}/get-online-features"
            print(f"{'keys':>5}{'Feast/s':>10}{'ours/s':>10}{'ratio':>8}{'Feast p99':>11}{'ours p99':>10}")
            for count in arguments.keys:
                show(count, url, feast_url, arguments)


def show(count: int, url: str, feast_url: str, arguments: argparse.Namespace) -> None:
    picks, bodies = requests(count, "rows")
    picks = [[key % ENTITIES for key in keys] for keys in picks]
    bodies = [msgspec.json.encode({"features": online_read.FEATURES, "rows": [{"customer_id": key} for key in keys]}) for keys in picks]
    theirs = [msgspec.json.encode({"feature_service": "bench", "entities": {"customer_id": keys}}) for keys in picks]
    for place, body in ((url, bodies[0]), (feast_url, theirs[0])):
        httpx.post(place, content=body, headers={"content-type": "application/json"}, timeout=60).raise_for_status()
    feast, ours = [], []
    for _ in range(arguments.rounds):
        feast.append(post(feast_url, theirs, connections=CONNECTIONS, seconds=arguments.seconds))
        ours.append(post(url, bodies, connections=CONNECTIONS, seconds=arguments.seconds))
    rates = [statistics.median(load.per_second for load in loads) for loads in (feast, ours)]
    slowest = [statistics.median(load.p99_ms for load in loads) for loads in (feast, ours)]
    ratio = statistics.median(mine.per_second / other.per_second for mine, other in zip(ours, feast, strict=True))
    print(f"{count:>5}{rates[0]:>10.0f}{rates[1]:>10.0f}{ratio:>8.1f}{slowest[0]:>11.1f}{slowest[1]:>10.1f}", flush=True)


def written(folder: Path, number: int, view: object) -> Path:
    """A view's rows as a Parquet file, in types that Feast has."""
    path = folder / f"customer_view_{number}.parquet"
    names = ["customer_id", "event_timestamp", "valid_to", *(feature.name for feature in view.features)]
    table = pa.Table.from_batches(batches(ENTITIES, number)).rename_columns(names).drop_columns(["valid_to"])
    for place, (name, kind) in enumerate(zip(table.column_names, table.schema.types, strict=True)):
        if pa.types.is_boolean(kind) or pa.types.is_date(kind) or pa.types.is_int32(kind):
            column = table.column(name)
            column = column.cast(pa.int32()) if pa.types.is_date(kind) else column
            table = table.set_column(place, name, column.cast(pa.int64()))
        elif pa.types.is_timestamp(kind):
            table = table.set_column(place, name, table.column(name).cast(pa.timestamp("us", "UTC")))
    pq.write_table(table, path)
    return path


if __name__ == "__main__":
    main()
