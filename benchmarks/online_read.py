"""Reading features in process, beside one bare MGET of the same bytes by redis-py with hiredis.

    python benchmarks/online_read.py [--keys 1 10 100 1000] [--seconds 4] [--socket] [--json FILE]

Three views of ten features, read through `to_dict()`. Each request is made both ways, one after the other, for other keys every time;
the ratios of the medians and of the 99th percentiles are what counts (to reach: 1.30).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import time
from pathlib import Path

import hiredis
import msgspec
import redis
from online_views import PROJECT, VIEWS, batches, views
from redis_server import RedisServer

from featurestore import AsyncOnlineFeatureStore, OnlineFeatureStore
from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis import RedisStore
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import to_json

ENTITIES = 100_000
FEATURES = [f"{view.name}:*" for view in views()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=4.0, help="of measuring for each number of keys")
    parser.add_argument("--socket", action="store_true", help="over a Unix socket instead of TCP")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with RedisServer() as server:
        url = server.socket_url if arguments.socket else server.url
        publish(url)
        lines = [measure(url, count, arguments.seconds) for count in arguments.keys]
        asynchronous = [asyncio.run(measure_async(url, count, arguments.seconds / 2)) for count in arguments.keys]
    show(lines, asynchronous, "unix" if arguments.socket else "tcp")
    if arguments.json:
        figures = {"sync": lines, "async": asynchronous, "transport": "unix" if arguments.socket else "tcp", "machine": machine()}
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def publish(url: str) -> None:
    """Every view, as materialize leaves it."""
    store = RedisStore(url)
    store.write_documents(PROJECT, {"registry": to_json(Registry(PROJECT, views()))})
    for seed, view in enumerate(views()):
        encoder = RowEncoder(PROJECT, view, 1)
        for batch in batches(ENTITIES, seed):
            store.write(encoder.encode(batch), WriteMode.NEWEST_WINS)
    store.close()


def measure(url: str, count: int, seconds: float) -> dict[str, float]:
    """Both ways in turns, for so many keys."""
    draw, bare, ours = random.Random(count), [], []
    spaces = [key_space(PROJECT, view) for view in views()]
    client = redis.Redis.from_url(url, protocol=2)
    with OnlineFeatureStore(url, PROJECT) as reader:
        reader.get_online_features({"customer_id": [0]}, FEATURES)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(ours) < 200:
            customers = draw.sample(range(ENTITIES), count)
            entity_rows = [{"customer_id": customer} for customer in customers]
            keys = [space.key(b"%d" % customer) for space in spaces for customer in customers]
            start = time.perf_counter()
            client.mget(keys)
            between = time.perf_counter()
            reader.get_online_features(entity_rows, FEATURES).to_dict()
            ours.append(time.perf_counter() - between)
            bare.append(between - start)
    client.close()
    return summary(count, bare, ours)


async def measure_async(url: str, count: int, seconds: float) -> dict[str, float]:
    """The same by asyncio, beside an MGET by redis.asyncio."""
    draw, bare, ours = random.Random(count), [], []
    spaces = [key_space(PROJECT, view) for view in views()]
    client = redis.asyncio.Redis.from_url(url, protocol=2)
    async with AsyncOnlineFeatureStore(url, PROJECT) as reader:
        await reader.get_online_features({"customer_id": [0]}, FEATURES)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(ours) < 200:
            customers = draw.sample(range(ENTITIES), count)
            entity_rows = [{"customer_id": customer} for customer in customers]
            keys = [space.key(b"%d" % customer) for space in spaces for customer in customers]
            start = time.perf_counter()
            await client.mget(keys)
            between = time.perf_counter()
            (await reader.get_online_features(entity_rows, FEATURES)).to_dict()
            ours.append(time.perf_counter() - between)
            bare.append(between - start)
    await client.aclose()
    return summary(count, bare, ours)


def summary(count: int, bare: list[float], ours: list[float]) -> dict[str, float]:
    figures: dict[str, float] = {"keys": count, "requests": len(ours)}
    for name, place in (("p50", 50), ("p99", 99)):
        floor, taken = (statistics.quantiles(times, n=100)[place - 1] * 1000 for times in (bare, ours))
        figures |= {f"mget_{name}_ms": round(floor, 3), f"ours_{name}_ms": round(taken, 3), f"{name}_ratio": round(taken / floor, 2)}
    return figures


def machine() -> dict[str, str]:
    versions = {"redis-py": redis.__version__, "hiredis": hiredis.__version__, "msgspec": msgspec.__version__}
    return {"system": platform.platform(), "python": platform.python_version(), **versions}


def show(lines: list[dict[str, float]], asynchronous: list[dict[str, float]], transport: str) -> None:
    print(f"keys x {VIEWS} views x 10 features, over {transport}; milliseconds; ratio to reach: 1.30\n")
    print(f"{'':6}{'keys':>6}{'MGET p50':>11}{'ours p50':>11}{'ratio':>8}{'MGET p99':>11}{'ours p99':>11}{'ratio':>8}{'requests':>11}")
    for kind, measured in (("sync", lines), ("async", asynchronous)):
        for line in measured:
            times = "".join(
                f"{line[f'mget_{name}_ms']:>11.3f}{line[f'ours_{name}_ms']:>11.3f}{line[f'{name}_ratio']:>8.2f}" for name in ("p50", "p99")
            )
            print(f"{kind:6}{line['keys']:>6}{times}{line['requests']:>11}")


if __name__ == "__main__":
    main()
