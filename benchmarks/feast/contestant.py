"""What every contestant is told, what it measures and what it answers, so that both are asked and timed by the same lines.

A contestant is a script of two commands, each run in a process of its own. It writes its answers to a Parquet file, to be compared,
and prints its figures as one JSON object. Times start when data and store are open and end when the answer is there: starting Python,
importing, declaring the features and writing the answers down are not counted, for anybody.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

ENTITY_KEY, TIMESTAMP = "customer_id", "event_timestamp"
SERVICE = "contest"
BATCHES = (1, 10, 100, 1000)
"""How many keys one online read asks for."""

Figures = dict[str, Any]


class Contestant(Protocol):
    """One feature store, asked through its public Python interface."""

    def training(self, spine: Path, answers: Path, repeats: int) -> Figures:
        """Join every view to the spine, to Arrow."""

    def online(self, redis_url: str, answers: Path, keys: int, seconds: float) -> Figures:
        """Materialize every view into an empty Redis, then read it."""


def main(open_contestant: Callable[[Sequence[Path]], Contestant]) -> None:
    """Run the command that the command line names and print its figures."""
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("training", "online"):
        command = commands.add_parser(name)
        command.add_argument("--views", type=Path, nargs="+", required=True, help="a Parquet file per feature view, named after it")
        command.add_argument("--answers", type=Path, required=True, help="the Parquet file to write the answers to")
        if name == "training":
            command.add_argument("--spine", type=Path, required=True)
            command.add_argument("--repeats", type=int, required=True)
        else:
            command.add_argument("--redis", required=True, help="URL of an empty Redis")
            command.add_argument("--keys", type=int, required=True, help="the entity keys are 0 to this, exclusive")
            command.add_argument("--seconds", type=float, required=True, help="how long to read with each number of keys")
    asked = parser.parse_args()
    contestant = open_contestant(asked.views)
    if asked.command == "training":
        figures = contestant.training(asked.spine, asked.answers, asked.repeats)
    else:
        figures = contestant.online(asked.redis, asked.answers, asked.keys, asked.seconds)
    json.dump({**figures, "peak_mb": peak_megabytes()}, sys.stdout)


def feature_columns(view: Path) -> list[tuple[str, str]]:
    """The features of a view's file and their Arrow types: every column that is neither key nor timestamp."""
    import pyarrow.parquet as pq

    return [(field.name, str(field.type)) for field in pq.read_schema(view) if field.name not in (ENTITY_KEY, TIMESTAMP)]


def timed(work: Callable[[], Any]) -> tuple[Figures, Any]:
    """How long it took, by the clock and on this process's processors, and what came of it."""
    started, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return {"seconds": time.perf_counter() - started, "cpu_seconds": time.process_time() - cpu}, answer


def fastest(work: Callable[[], Any], repeats: int) -> tuple[Figures, Any]:
    """The fastest of several runs, and the answer of the last one."""
    runs, answer = [], None
    for _ in range(repeats):
        answer = None  # the last one is given back before the next one is made
        taken, answer = timed(work)
        runs.append(taken)
    return min(runs, key=lambda taken: taken["seconds"]), answer


def online_latencies(read: Callable[[list[dict[str, int]]], Any], keys: int, seconds: float) -> Figures:
    """p50 and p99, in milliseconds, of reads of different random keys, by how many keys a read asks for."""
    found = {}
    for size in BATCHES:
        picks = random.Random(size)
        for _ in range(20):
            read(_entity_rows(picks, keys, size))
        taken: list[float] = []
        until = time.perf_counter() + seconds
        while time.perf_counter() < until or len(taken) < 20:
            rows = _entity_rows(picks, keys, size)
            started = time.perf_counter()
            read(rows)
            taken.append((time.perf_counter() - started) * 1000)
        found[str(size)] = {"p50_ms": statistics.median(taken), "p99_ms": statistics.quantiles(taken, n=100)[98], "reads": len(taken)}
    return found


def sampled_rows(keys: int) -> list[dict[str, int]]:
    """The entity rows whose online answers are compared: a thousand known keys, and one that nobody knows."""
    return [*_entity_rows(random.Random(0), keys, min(keys, 1000)), {ENTITY_KEY: keys + 1}]


def redis_bytes(redis_url: str) -> int:
    """The memory that the server uses for what it holds; what its clients have buffered is left out."""
    import redis

    with redis.Redis.from_url(redis_url) as client:
        memory = client.info("memory")
        return int(memory["used_memory"]) - int(memory["mem_clients_normal"])


def peak_megabytes() -> float:
    """The most memory that this process has held so far."""
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage counts what the parent held when it started this process
        return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _entity_rows(picks: random.Random, keys: int, size: int) -> list[dict[str, int]]:
    return [{ENTITY_KEY: key} for key in picks.sample(range(keys), min(size, keys))]
