"""Bytes of Redis per entity, and where they go.

    python benchmarks/memory.py [--entities 100000] [--json FILE]

The values are those of the contest with Feast (`benchmarks/feast`): three views of ten features, six of them doubles, three counts and a
segment; one entity has a row in each. Against one Redis that is emptied before each, in bytes of `used_memory` per entity:

    floor        the same values as bare msgpack arrays under the shortest keys: what a string per row costs with no header, no name
    SET          the product's keys and rows, by plain SET
    product      as materialize writes them
    with a TTL   the same, of views with a TTL: rows have an expiry that cleans up after it
    float32      the same, the doubles declared as `float`: half of each number
    short names  project, entity and views of one or two letters
    one hash     the product's rows as three fields of one hash for each entity: what a string per row costs beside that

and for the last but one question, what reading 100 entities costs in the server's processor time, by MGET and by HMGET of hashes.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import online_views  # makes the servers of the tests importable
import redis
from redis_server import RedisServer

from featurestore.codec.keys import key_space
from featurestore.codec.layout import RowSchema
from featurestore.codec.rows import PlainRows, row_bytes
from featurestore.codec.values import storing
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis import RedisStore
from featurestore.registry.definitions import Entity, Feature, FeatureView
from featurestore.registry.value_types import FLOAT64, INT64, STRING, FloatType
from featurestore.timestamps import duration_micros

FEAST = 740
"""Bytes per entity that Feast 0.67 takes for these values (`benchmarks/feast`)."""

BATCH = 10_000
NEWEST = 1_767_225_600_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with RedisServer() as server:
        figures = measure(server, arguments.entities)
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def views(number: FloatType = FLOAT64, ttl: timedelta | None = None, short: bool = False) -> tuple[FeatureView, ...]:
    """The three views."""
    types = (*[number] * 6, INT64, INT64, INT64, STRING)
    features = tuple(Feature(f"f{place}", value_type) for place, value_type in enumerate(types))
    plain = [replace(view, features=features, ttl=ttl) for view in online_views.views()]
    if not short:
        return tuple(plain)
    return tuple(replace(view, name=f"v{place}", entities=(Entity("c", view.join_keys),)) for place, view in enumerate(plain))


def values(entities: int, seed: int) -> Iterator[list[Any]]:
    """Of one view, entity by entity."""
    draw = random.Random(seed)
    for _ in range(entities):
        rate = draw.randrange(1000) / 7.0 if draw.random() > 0.05 else None
        counts = [draw.randrange(10_000) for _ in range(3)]
        yield [*(draw.randrange(1_000_000) / 997.0 for _ in range(5)), rate, *counts, f"segment {draw.randrange(50)}"]


def rows(view: FeatureView, project: str, entities: int, seed: int) -> Iterator[PlainRows]:
    """The view's rows, ready to be written."""
    store = [storing(feature.value_type) for feature in view.features]
    space, schema = key_space(project, view), RowSchema.of(view).schema_id
    batch: list[tuple[bytes, bytes]] = []
    for number, given in enumerate(values(entities, seed)):
        stored = [None if value is None else each(value) for each, value in zip(store, given, strict=True)]
        batch.append((space.key(b"%d" % number), row_bytes(NEWEST - number * 1000, 2, schema, stored)))
        if len(batch) == BATCH:
            yield PlainRows(batch)
            batch = []
    if batch:
        yield PlainRows(batch)


def measure(server: RedisServer, entities: int) -> dict[str, Any]:
    """Bytes per entity of each way, and what a row is made of."""
    store = RedisStore(server.url)
    figures: dict[str, Any] = {"entities": entities, "feast": FEAST, "bytes_per_entity": {}}
    with redis.Redis(port=server.port) as client:
        figures["redis"] = f"{client.info('server')['redis_version']}, {client.info('memory')['mem_allocator']}"

        def product(these: Sequence[FeatureView], project: str = "shop") -> None:
            for seed, view in enumerate(these):
                kept = None if view.kept_for is None else duration_micros(view.kept_for)
                for batch in rows(view, project, entities, seed):
                    store.write(batch, WriteMode.NEWEST_WINS, expires_after=kept)

        def plain_set() -> None:
            for seed, view in enumerate(views()):
                for batch in rows(view, "shop", entities, seed):
                    client.mset(dict(batch.pairs()))

        def floor() -> None:
            for seed in range(len(views())):
                every = list(values(entities, seed))
                for start in range(0, entities, BATCH):
                    part = every[start : start + BATCH]
                    client.mset({f"{seed}:{start + place}": msgspec.msgpack.encode(row) for place, row in enumerate(part)})

        def one_hash() -> None:
            for seed, view in enumerate(views()):
                suffix = key_space("shop", view).suffix
                for batch in rows(view, "shop", entities, seed):
                    pipeline = client.pipeline(transaction=False)
                    for key, row in batch.pairs():
                        pipeline.hset(key.removesuffix(suffix) + b"}", suffix[2:], row)
                    pipeline.execute()

        ways = {
            "floor": floor,
            "SET": plain_set,
            "product": lambda: product(views()),
            "with a TTL": lambda: product(views(ttl=timedelta(days=30))),
            "float32": lambda: product(views(FloatType(32))),
            "short names": lambda: product(views(short=True), "s"),
            "one hash": one_hash,
        }
        client.config_set("hash-max-listpack-value", 4096)
        for name, write in ways.items():
            client.flushall()
            client.execute_command("MEMORY", "PURGE")
            before = held(client)
            write()
            figures["bytes_per_entity"][name] = round((held(client) - before) / entities)
            if name == "product":
                figures["row"] = anatomy(client)
                figures["read_mget_us"] = reading(client, "mget", entities)
            if name == "one hash":
                figures["read_hashes_us"] = reading(client, "hmget", entities)
    store.close()
    return figures


def held(client: redis.Redis) -> int:
    """What the server holds, without its clients' buffers and with its tables grown to their size."""
    while client.info("persistence")["loading"]:
        time.sleep(0.1)
    time.sleep(2.0)  # a table that grows moves a part of itself at a time
    memory = client.info("memory")
    return int(memory["used_memory"]) - int(memory["mem_clients_normal"])


def anatomy(client: redis.Redis) -> dict[str, float]:
    """What one row of the product is made of, in bytes, on average over a thousand."""
    keys = [key for key, _ in zip(client.scan_iter(match="shop:*", count=1000, _type="string"), range(1000), strict=False)]
    lengths = [client.strlen(key) for key in keys]
    usage = [int(client.execute_command("MEMORY", "USAGE", key)) for key in keys]
    count = len(keys)
    return {
        "key_bytes": round(sum(map(len, keys)) / count, 1),
        "row_bytes": round(sum(lengths) / count, 1),
        "redis_says": round(sum(usage) / count, 1),
    }


def reading(client: redis.Redis, how: str, entities: int) -> float:
    """Microseconds of the server for one request of 100 entities × three views."""
    draw = random.Random(1)
    suffixes = [key_space("shop", view).suffix for view in views()]
    prefix = key_space("shop", views()[0]).prefix
    requests = [[prefix + b"%d" % draw.randrange(entities) for _ in range(100)] for _ in range(500)]
    before = busy(client)
    for keys in requests:
        if how == "mget":
            client.mget([key + suffix for key in keys for suffix in suffixes])
        else:
            pipeline = client.pipeline(transaction=False)
            for key in keys:
                pipeline.hmget(key + b"}", [suffix[2:] for suffix in suffixes])
            pipeline.execute()
    return round((busy(client) - before) / len(requests) * 1e6, 1)


def busy(client: redis.Redis) -> float:
    """Seconds of processor time that the server has taken."""
    cpu = client.info("cpu")
    return float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])


def show(figures: dict[str, Any]) -> None:
    print(f"{figures['entities']:,} entities × 3 views × 10 features, Redis {figures['redis']}")
    floor = figures["bytes_per_entity"]["floor"]
    for name, held_bytes in {**figures["bytes_per_entity"], "Feast 0.67": figures["feast"]}.items():
        print(
            f"  {name:12} {held_bytes:5} bytes per entity   {held_bytes / floor:.2f} × floor   {held_bytes / figures['feast']:.2f} × Feast"
        )
    print(f"one row: {figures['row']}")
    print(f"100 entities × 3 views: MGET {figures['read_mget_us']} µs of the server, hashes {figures['read_hashes_us']} µs")


if __name__ == "__main__":
    main()
