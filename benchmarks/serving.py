"""The feature server under load, beside a bare endpoint on the same server that answers the same bytes from memory after one MGET.

    python benchmarks/serving.py [--keys 1 10 100] [--seconds 3] [--rounds 5] [--form rows] [--json FILE]

Three views of ten features, 16 connections, asked by wrk as fast as they answer: both in turns, so that the machine's other work is
shared. The server has one processor, wrk and Redis the other. The ratios of requests per second, and of processor time per request, are
what counts (to reach: 0.70). Then the latency at half of the most requests, and two workers beside one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import msgspec
from bare_endpoint import Held
from http_load import SERVER_PROCESSOR, Load, on_processor, post, processor_seconds
from online_read import ENTITIES, FEATURES, publish
from online_views import PROJECT, views
from redis_server import RedisServer, free_port

from featurestore.codec.keys import key_space

HERE = Path(__file__).resolve().parent
CONNECTIONS = 16
DIFFERENT_REQUESTS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keys", type=int, nargs="+", default=[1, 10, 100])
    parser.add_argument("--seconds", type=float, default=3.0, help="of asking in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--form", choices=("rows", "columns"), default="rows", help="how requests name their entity rows")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with RedisServer() as redis, tempfile.TemporaryDirectory() as scratch:
        publish(redis.url)
        with serving(redis.url, pinned=True) as (url, pid):
            lines = [measure(redis.url, url, pid, count, arguments, Path(scratch)) for count in arguments.keys]
        show(lines, arguments.form)
        workers = compare_workers(redis.url, arguments)
    if arguments.json:
        arguments.json.write_text(json.dumps({"one_worker": lines, "two_workers": workers}, indent=2) + "\n", encoding="utf-8")


@contextmanager
def serving(store: str, *, pinned: bool, workers: int = 1) -> Iterator[tuple[str, int]]:
    """Our server; its endpoint's URL and process."""
    port = free_port()
    said = {"FSDBT_ONLINE_STORE": store, "FSDBT_PROJECT": PROJECT, "FSDBT_SERVE_PORT": str(port), "FSDBT_SERVE_WORKERS": str(workers)}
    command = [sys.executable, "-m", "featurestore.server"]
    with running(on_processor(SERVER_PROCESSOR, *command) if pinned else command, port, said) as pid:
        yield f"http://127.0.0.1:{port}/v1/features", pid


@contextmanager
def running(command: list[str], port: int, environment: dict[str, str], within: float = 30) -> Iterator[int]:
    """A server that is ended after; its process. Args: within: seconds that it may take to answer."""
    process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + within
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health")
                break
            except httpx.TransportError:
                if process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{' '.join(command)} did not start") from None
                time.sleep(0.05)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def requests(count: int, form: str) -> tuple[list[list[int]], list[bytes]]:
    """The keys of some different requests, and their bodies."""
    draw = random.Random(count)
    picks = [draw.sample(range(ENTITIES), count) for _ in range(DIFFERENT_REQUESTS)]
    entities = (
        {"rows": [{"customer_id": key} for key in keys]} if form == "rows" else {"columns": {"customer_id": keys}} for keys in picks
    )
    return picks, [msgspec.json.encode({"features": FEATURES, **each}) for each in entities]


def measure(store: str, url: str, pid: int, count: int, arguments: argparse.Namespace, scratch: Path) -> dict[str, float]:
    """Both in turns, for so many keys."""
    picks, bodies = requests(count, arguments.form)
    answer = httpx.post(url, content=bodies[0], headers={"content-type": "application/json"}).raise_for_status().content
    spaces = [key_space(PROJECT, view) for view in views()]
    held = Held(store, [[space.key(b"%d" % key) for space in spaces for key in keys] for keys in picks], answer)
    file = scratch / f"held-{count}"
    file.write_bytes(msgspec.msgpack.encode(held))
    port = free_port()
    command = on_processor(SERVER_PROCESSOR, sys.executable, HERE / "bare_endpoint.py", port)
    ours, bare = [], []
    with running(command, port, {"BARE_ENDPOINT": str(file)}) as bare_pid:
        bare_url = f"http://127.0.0.1:{port}/"
        for warm in (bare_url, url):
            post(warm, bodies, connections=CONNECTIONS, seconds=1)
        for _ in range(arguments.rounds):
            bare.append(asked(bare_url, bare_pid, bodies, arguments.seconds))
            ours.append(asked(url, pid, bodies, arguments.seconds))
    most = statistics.median(load.per_second for load, _ in ours)
    half = post(url, bodies, connections=CONNECTIONS, seconds=arguments.seconds, per_second=most / 2)
    pairs = list(zip(ours, bare, strict=True))
    return {
        "keys": count,
        "bytes": len(answer),
        "bare_per_second": round(statistics.median(load.per_second for load, _ in bare)),
        "ours_per_second": round(most),
        "ratio": round(statistics.median(mine.per_second / floor.per_second for (mine, _), (floor, _) in pairs), 2),
        "bare_us": round(statistics.median(micros for _, micros in bare)),
        "ours_us": round(statistics.median(micros for _, micros in ours)),
        "processor_ratio": round(statistics.median(floor / mine for (_, mine), (_, floor) in pairs), 2),
        "failed": sum(load.failed for load, _ in ours),
        "half_per_second": round(half.per_second),
        "half_p50_ms": half.p50_ms,
        "half_p99_ms": half.p99_ms,
    }


def asked(url: str, pid: int, bodies: list[bytes], seconds: float) -> tuple[Load, float]:
    """What came of it, and the microseconds of processor time that the server took for each request."""
    before = processor_seconds(pid)
    load = post(url, bodies, connections=CONNECTIONS, seconds=seconds)
    return load, (processor_seconds(pid) - before) / load.requests * 1e6


def compare_workers(store: str, arguments: argparse.Namespace) -> dict[str, float]:
    """Two workers beside one, on all processors, which wrk and Redis share with them."""
    found: dict[int, list[float]] = {1: [], 2: []}
    _, bodies = requests(100, arguments.form)
    with ExitStack() as stack:
        urls = {workers: stack.enter_context(serving(store, pinned=False, workers=workers))[0] for workers in found}
        for _ in range(arguments.rounds):
            for workers, url in urls.items():
                load = post(url, bodies, connections=4 * CONNECTIONS, seconds=arguments.seconds, pinned=False)
                found[workers].append(load.per_second)
    ratio = statistics.median(two / one for one, two in zip(found[1], found[2], strict=True))
    figures = {"one_per_second": round(statistics.median(found[1])), "two_per_second": round(statistics.median(found[2]))}
    print(f"\ntwo workers, 100 keys: {figures['two_per_second']} requests/s, one {figures['one_per_second']}: ratio {ratio:.2f}")
    return {**figures, "ratio": round(ratio, 2)}


def show(lines: list[dict[str, float]], form: str) -> None:
    print(f"keys x 3 views x 10 features, {form}, {CONNECTIONS} connections, one worker; ratio to reach: 0.70\n")
    print(f"{'keys':>5}{'bytes':>8}{'bare/s':>9}{'ours/s':>9}{'ratio':>7}{'bare us':>9}{'ours us':>9}{'ratio':>7}{'failed':>8}", end="")
    print(f"{'half/s':>9}{'p50 ms':>9}{'p99 ms':>9}")
    for line in lines:
        print(f"{line['keys']:>5}{line['bytes']:>8}{line['bare_per_second']:>9}{line['ours_per_second']:>9}{line['ratio']:>7.2f}", end="")
        print(f"{line['bare_us']:>9}{line['ours_us']:>9}{line['processor_ratio']:>7.2f}{line['failed']:>8}", end="")
        print(f"{line['half_per_second']:>9}{line['half_p50_ms']:>9.2f}{line['half_p99_ms']:>9.2f}")


if __name__ == "__main__":
    main()
