"""What a log of served values costs a read in process: beside the same read by a reader that logs nothing.

    python benchmarks/served_log.py [--keys 1 10 100] [--rates 0.01 1] [--requests 2000]

Three views of ten features, read through `to_dict()`. Every request is made by each reader, in turns. What counts is the middle one of all
rounds' ratios of medians, of 99th percentiles, and of this process's processor time, the thread that writes included.
"""

from __future__ import annotations

import argparse
import random
import statistics
import tempfile
import time
from pathlib import Path

from online_read import ENTITIES, FEATURES, PROJECT, publish
from redis_server import RedisServer

from featurestore import OnlineFeatureStore, ServedLog

ROUNDS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 1.0])
    parser.add_argument("--requests", type=int, default=2000, help="of each round")
    arguments = parser.parse_args()
    with RedisServer() as server, tempfile.TemporaryDirectory() as folder:
        publish(server.url)
        print(f"{'keys':>6}{'rate':>8}{'p50':>8}{'p99':>8}{'processor':>11}{'lines':>9}{'dropped':>9}")
        for keys in arguments.keys:
            for rate in arguments.rates:
                log = ServedLog(Path(folder, f"{keys}-{rate}"), rate=rate)
                ratios = measure(server.url, keys, log, arguments.requests)
                print(
                    f"{keys:>6}{rate:>8}" + "".join(f"{each:>{width}.2f}" for each, width in zip(ratios, (8, 8, 11), strict=True)), end=""
                )
                print(f"{log.written:>9}{log.dropped:>9}")


def measure(url: str, keys: int, log: ServedLog, requests: int) -> list[float]:
    draw = random.Random(keys)
    rounds = []
    with OnlineFeatureStore(url, PROJECT) as plain, OnlineFeatureStore(url, PROJECT, served_log=log) as logging:
        readers = (plain, logging)
        for _ in range(ROUNDS):
            taken: tuple[list[float], list[float]] = ([], [])
            processor = [0.0, 0.0]
            for number in range(requests):
                rows = [{"customer_id": customer} for customer in draw.sample(range(ENTITIES), keys)]
                for which in (0, 1) if number % 2 else (1, 0):
                    used, start = time.process_time(), time.perf_counter()
                    readers[which].get_online_features(rows, FEATURES).to_dict()
                    taken[which].append(time.perf_counter() - start)
                    processor[which] += time.process_time() - used
            percentiles = [[statistics.quantiles(times, n=100)[place] for times in taken] for place in (49, 98)]
            rounds.append([own / floor for floor, own in percentiles] + [processor[1] / processor[0]])
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


if __name__ == "__main__":
    main()
