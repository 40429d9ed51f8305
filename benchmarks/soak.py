"""A feature server asked without a pause while its views are materialized beside it: nothing fails, memory stays, the slowest stay as slow.

    python benchmarks/soak.py [--minutes 10] [--json FILE]

Each minute: requests, failures, p50 and p99 in milliseconds, and the server's memory. It says at the end by how much the memory and the
p99 of the last third differ from those of the first one after a minute of warming up.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

from http_load import post
from online_views import VIEWS
from redis_server import RedisServer
from serving import requests, serving

HERE = Path(__file__).resolve().parent
CONNECTIONS = 8
SLICE_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with RedisServer() as redis:
        beside = subprocess.Popen([sys.executable, HERE / "materializing.py", redis.url], stdout=subprocess.PIPE, text=True)
        try:
            assert beside.stdout is not None
            beside.stdout.readline()
            with serving(redis.url, pinned=False) as (url, pid):
                slices = ask(url, pid, arguments.minutes * 60)
        finally:
            beside.terminate()
            runs = [1, *map(int, beside.stdout)] if beside.stdout else []
    print(
        f"\n{len(runs)} materializations of {VIEWS} views beside it; {len(runs) // 4} built them under new versions of their keys", end=""
    )
    third = max(1, len(slices) // 3)
    first, last = slices[:third], slices[-third:]
    summary = {
        name: statistics.median(each[name] for each in last) / statistics.median(each[name] for each in first) for name in ("mb", "p99_ms")
    }
    failed, answered = sum(each["failed"] for each in slices), sum(each["requests"] for each in slices)
    print(f"\n{answered} requests, {failed} failed; last third / first: memory {summary['mb']:.3f}, p99 {summary['p99_ms']:.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps({"slices": slices, "last_to_first": summary}, indent=2) + "\n", encoding="utf-8")


def ask(url: str, pid: int, seconds: float) -> list[dict[str, float]]:
    """Requests of ten keys, one slice of time after the other."""
    _, bodies = requests(10, "rows")
    post(url, bodies, connections=CONNECTIONS, seconds=min(SLICE_SECONDS, seconds / 6))
    until, slices = time.monotonic() + seconds, []
    print(f"{'s':>6}{'requests':>10}{'failed':>8}{'p50 ms':>9}{'p99 ms':>9}{'MB':>8}", flush=True)
    started = time.monotonic()
    while time.monotonic() < until:
        load = post(url, bodies, connections=CONNECTIONS, seconds=min(SLICE_SECONDS, max(1.0, until - time.monotonic())))
        line = {"s": round(time.monotonic() - started), "requests": load.requests, "failed": load.failed}
        line |= {"p50_ms": load.p50_ms, "p99_ms": load.p99_ms, "mb": resident(pid)}
        slices.append(line)
        print(
            f"{line['s']:>6}{line['requests']:>10}{line['failed']:>8}{line['p50_ms']:>9.2f}{line['p99_ms']:>9.2f}{line['mb']:>8.1f}",
            flush=True,
        )
    return slices


def resident(pid: int) -> float:
    """The memory of a process, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


if __name__ == "__main__":
    main()
