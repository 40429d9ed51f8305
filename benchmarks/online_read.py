"""Reading features in process, beside one bare MGET of the same bytes by redis-py with hiredis.

    python benchmarks/online_read.py [--keys 1 10 100 1000] [--seconds 4] [--socket] [--json FILE]

Three views of ten features, read through `to_dict()`. Each request is made both ways, for other keys every time, now the one way first
and now the other. A round's ratios are those of its medians and of its 99th percentiles; what counts is the middle one of all rounds (to
reach: 1.30), since a machine that somebody else uses meanwhile spoils a round and not most of them. Processor time is this process's
own, in Python and in the kernel for it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import statistics
import time
from collections.abc import Iterator
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
ROUNDS = 7
FEWEST = 100
"""Requests of a round."""

FEATURES = [f"{view.name}:*" for view in views()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100, 1000])
    parser.add_argument("--seconds", type=float, default=7.0, help="of measuring for each number of keys")
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


class Timer:
    """What one way took, request by request: by the clock, and in processor time."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.processor = 0.0

    def __enter__(self) -> None:
        self._processor, self._start = time.process_time(), time.perf_counter()

    def __exit__(self, *error: object) -> None:
        self.seconds.append(time.perf_counter() - self._start)
        self.processor += time.process_time() - self._processor


def measure(url: str, count: int, seconds: float) -> dict[str, float]:
    """Both ways in turns, for so many keys."""
    client = redis.Redis.from_url(url, protocol=2)
    with OnlineFeatureStore(url, PROJECT) as reader:
        reader.get_online_features({"customer_id": [0]}, FEATURES)
        rounds = []
        for number in range(ROUNDS):
            bare, ours = Timer(), Timer()
            for ours_first, entity_rows, keys in requests(count, number, seconds / ROUNDS):
                if ours_first:
                    with ours:
                        reader.get_online_features(entity_rows, FEATURES).to_dict()
                with bare:
                    client.mget(keys)
                if not ours_first:
                    with ours:
                        reader.get_online_features(entity_rows, FEATURES).to_dict()
            rounds.append((bare, ours))
    client.close()
    return summary(count, rounds)


async def measure_async(url: str, count: int, seconds: float) -> dict[str, float]:
    """The same by asyncio, beside an MGET by redis.asyncio."""
    client = redis.asyncio.Redis.from_url(url, protocol=2)
    async with AsyncOnlineFeatureStore(url, PROJECT) as reader:
        await reader.get_online_features({"customer_id": [0]}, FEATURES)
        rounds = []
        for number in range(ROUNDS):
            bare, ours = Timer(), Timer()
            for ours_first, entity_rows, keys in requests(count, number, seconds / ROUNDS):
                if ours_first:
                    with ours:
                        (await reader.get_online_features(entity_rows, FEATURES)).to_dict()
                with bare:
                    await client.mget(keys)
                if not ours_first:
                    with ours:
                        (await reader.get_online_features(entity_rows, FEATURES)).to_dict()
            rounds.append((bare, ours))
    await client.aclose()
    return summary(count, rounds)


def requests(count: int, seed: int, seconds: float) -> Iterator[tuple[bool, list[dict[str, int]], list[bytes]]]:
    """For one round: which way comes first, and the same request for both."""
    draw = random.Random(count * ROUNDS + seed)
    spaces = [key_space(PROJECT, view) for view in views()]
    until, made = time.perf_counter() + seconds, 0
    while time.perf_counter() < until or made < FEWEST:
        customers = draw.sample(range(ENTITIES), count)
        made += 1
        yield (
            made % 2 == 0,
            [{"customer_id": customer} for customer in customers],
            [space.key(b"%d" % n) for space in spaces for n in customers],
        )


def summary(count: int, rounds: list[tuple[Timer, Timer]]) -> dict[str, float]:
    figures: dict[str, float] = {"keys": count, "requests": sum(len(ours.seconds) for _, ours in rounds)}
    for name, place in (("p50", 50), ("p99", 99)):
        taken = [[statistics.quantiles(way.seconds, n=100)[place - 1] * 1000 for way in both] for both in rounds]
        floor, own = (round(statistics.median(times), 3) for times in zip(*taken, strict=True))
        ratio = statistics.median(own / floor for floor, own in taken)
        figures |= {f"mget_{name}_ms": floor, f"ours_{name}_ms": own, f"{name}_ratio": round(ratio, 2)}
    bare, ours = (sum(way.processor for way in ways) for ways in zip(*rounds, strict=True))
    return {**figures, "processor_ratio": round(ours / bare, 2)}


def machine() -> dict[str, str]:
    versions = {"redis-py": redis.__version__, "hiredis": hiredis.__version__, "msgspec": msgspec.__version__}
    return {"system": platform.platform(), "python": platform.python_version(), **versions}


def show(lines: list[dict[str, float]], asynchronous: list[dict[str, float]], transport: str) -> None:
    print(f"keys x {VIEWS} views x 10 features, over {transport}; milliseconds; ratio to reach: 1.30\n")
    print(
        f"{'':6}{'keys':>6}{'MGET p50':>11}{'ours p50':>11}{'ratio':>8}{'MGET p99':>11}{'ours p99':>11}{'ratio':>8}{'processor':>11}{'requests':>10}"
    )
    for kind, measured in (("sync", lines), ("async", asynchronous)):
        for line in measured:
            times = "".join(
                f"{line[f'mget_{name}_ms']:>11.3f}{line[f'ours_{name}_ms']:>11.3f}{line[f'{name}_ratio']:>8.2f}" for name in ("p50", "p99")
            )
            print(f"{kind:6}{line['keys']:>6}{times}{line['processor_ratio']:>11.2f}{line['requests']:>10}")


if __name__ == "__main__":
    main()
