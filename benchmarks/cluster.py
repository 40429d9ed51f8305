"""A cluster of three masters: reading beside redis-py's own cluster client, writing beside plain SETs.

    python benchmarks/cluster.py [--keys 1 10 100] [--rows 100000] [--repeats 5]

Reading: three views of ten features for so many entity keys, decoded, beside `RedisCluster.mget_nonatomic` of the same keys, in turns.
Writing: rows that are encoded already, beside the same keys and rows as SET commands, made beforehand and sent to all masters at once:
what the cluster takes without any rule. The masters and the client share the machine, so the processor time of all masters for a row
says more than the rate.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import redis
from materialize import processor_time
from online_read import FEATURES, Timer, publish, requests
from online_views import PROJECT, batches, views
from redis_cluster import RedisCluster

from featurestore import OnlineFeatureStore
from featurestore.codec.encode import EncodedBatch, RowEncoder
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis import RedisStore
from featurestore.online_store.redis_commands import packed, slot_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=4.0, help="of reading for each number of keys")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with RedisCluster() as cluster:
        publish(cluster.url)
        print("reading: keys, milliseconds of mget_nonatomic and of ours by the middle request, ratio, ratio of processor time")
        for count in arguments.keys:
            bare, ours = read(cluster, count, arguments.seconds)
            floor, taken = (statistics.median(timer.seconds) * 1000 for timer in (bare, ours))
            print(f"{count:>8}{floor:>10.3f}{taken:>10.3f}{taken / floor:>8.2f}{ours.processor / bare.processor:>8.2f}")
        print("writing: rows a second, microseconds of the masters' processors for a row")
        for name, (rate, busy) in write(cluster, arguments.rows, arguments.repeats).items():
            print(f"{name:>8}{rate:>10,.0f}{busy:>10.2f}")


def read(cluster: RedisCluster, count: int, seconds: float) -> tuple[Timer, Timer]:
    """Both ways in turns."""
    bare, ours = Timer(), Timer()
    client = redis.RedisCluster(host="127.0.0.1", port=cluster.servers[0].port, protocol=2)
    with OnlineFeatureStore(cluster.url, PROJECT) as reader:
        reader.get_online_features({"customer_id": list(range(100))}, FEATURES)
        for ours_first, entity_rows, keys in requests(count, 1, seconds):
            if ours_first:
                with ours:
                    reader.get_online_features(entity_rows, FEATURES).to_dict()
            with bare:
                client.mget_nonatomic(keys)
            if not ours_first:
                with ours:
                    reader.get_online_features(entity_rows, FEATURES).to_dict()
    client.close()
    return bare, ours


def write(cluster: RedisCluster, count: int, repeats: int) -> dict[str, tuple[float, float]]:
    """Rows a second and the masters' microseconds for a row, of each way: the middle of all repeats, and the least."""
    view = views()[0]
    encoder = RowEncoder(PROJECT, view, 2)
    encoded = [encoder.encode(batch) for batch in batches(count, 0)]
    sets = plain_sets(cluster, encoded)
    store = RedisStore(cluster.url)
    ways: dict[str, Callable[[], object]] = {
        "SET": lambda: send(cluster, sets),
        "first": lambda: [store.write(batch, WriteMode.NEWEST_WINS) for batch in encoded],
        "again": lambda: [store.write(batch, WriteMode.NEWEST_WINS) for batch in encoded],
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    clients = [server.client() for server in cluster.masters]
    for _ in range(repeats):
        for name, way in ways.items():
            if name != "again":
                for client in clients:
                    client.flushall()
            busy, start = sum(map(processor_time, clients)), time.perf_counter()
            way()
            rate = count / (time.perf_counter() - start)
            taken[name].append((rate, (sum(map(processor_time, clients)) - busy) / count * 1e6))
    store.close()
    return {name: (statistics.median(rate for rate, _ in runs), min(busy for _, busy in runs)) for name, runs in taken.items()}


def plain_sets(cluster: RedisCluster, encoded: list[EncodedBatch]) -> list[list[bytes]]:
    """SET commands by the master that takes them."""
    by_master: list[list[bytes]] = [[] for _ in cluster.masters]
    share = 16384 // len(cluster.masters) + 1
    for batch in encoded:
        for key, row in batch.pairs():
            by_master[slot_of(key) // share].append(packed("SET", key, row))
    return by_master


def send(cluster: RedisCluster, commands: list[list[bytes]]) -> None:
    """Send each master its commands, all masters at once, and read their answers."""

    def to_one(server, parts: list[bytes]) -> None:
        connection = redis.Connection(port=server.port, protocol=2)
        for start in range(0, len(parts), 5000):
            some = parts[start : start + 5000]
            connection.send_packed_command((b"".join(some),), check_health=False)
            for _ in some:
                connection.read_response()
        connection.disconnect()

    with ThreadPoolExecutor(len(commands)) as threads:
        list(threads.map(to_one, cluster.masters, commands))


if __name__ == "__main__":
    main()
