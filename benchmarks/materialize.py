"""Encoding and writing to Redis, beside the same bytes made beforehand.

    python benchmarks/materialize.py [--rows 300000] [--repeats 5] [--socket] [--json FILE]

For rows in three views of ten features, from Arrow batches, in turns against one Redis that is emptied before each:

    SET        plain SET commands of the same keys and rows, made beforehand: what Redis takes without any rule
    commands   the product's own commands, made beforehand: newest-wins decided in the server
    product    encode and write, as materialize does

`again` repeats the last over rows that are there. The ratios are what counts: product to commands is what encoding costs (to reach:
0.80), commands to SET is what the rule costs. The processor time of Redis for each, per row, says the same where a machine is busy.
"""

from __future__ import annotations

import argparse
import json
import platform
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hiredis
import pyarrow as pa
import redis
from online_views import PROJECT, VIEWS, batches, views
from redis_server import RedisServer

from featurestore.codec.encode import EncodedBatch, RowEncoder
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis import RedisStore
from featurestore.online_store.redis_commands import write_steps
from featurestore.online_store.redis_scripts import WRITE
from featurestore.online_store.redis_work import Writing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--socket", action="store_true", help="over a Unix socket instead of TCP")
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    per_view = arguments.rows // VIEWS
    rows = [batches(per_view, seed) for seed in range(VIEWS)]
    with RedisServer() as server:
        figures = measure(server, rows, per_view * VIEWS, arguments.repeats, arguments.socket)
    figures |= {"rows": per_view * VIEWS, "transport": "unix" if arguments.socket else "tcp", "machine": machine()}
    show(figures)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(server: RedisServer, rows: list[list[pa.RecordBatch]], count: int, repeats: int, over_socket: bool) -> dict[str, object]:
    """Rows per second and Redis' microseconds per row of each way, from runs that took turns."""
    encoded = [encoder.encode(batch) for encoder, view_rows in zip(encoders(1), rows, strict=True) for batch in view_rows]
    sets = [plain_sets(batch) for batch in encoded]
    commands = [b"".join(b"".join(command) for command in write_commands(batch)) for batch in encoded]
    answers = sum(1 for batch in encoded for _ in write_steps(batch))
    store = RedisStore(server.socket_url if over_socket else server.url)
    ways: dict[str, Callable[[], None]] = {
        "SET": lambda: send(server, over_socket, sets, count),
        "commands": lambda: send(server, over_socket, commands, answers),
        "product": lambda: publish(store, rows, run=1),
        "again": lambda: publish(store, rows, run=2),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    server_time: dict[str, list[float]] = {name: [] for name in ways}
    with redis.Redis(port=server.port) as client:
        client.script_load(WRITE)
        for _ in range(repeats + 1):
            for name, way in ways.items():
                if name != "again":
                    client.flushall()
                busy, start = processor_time(client), time.perf_counter()
                way()
                rates[name].append(count / (time.perf_counter() - start))
                server_time[name].append((processor_time(client) - busy) / count * 1e6)
    store.close()
    ratios = {
        f"{over} / {under}": statistics.median(a / b for a, b in zip(rates[over][1:], rates[under][1:], strict=True))
        for over, under in (("commands", "SET"), ("product", "commands"), ("product", "SET"))
    }
    return {
        "rows_per_second": {name: round(statistics.median(taken[1:])) for name, taken in rates.items()},
        "redis_microseconds_per_row": {name: round(min(taken), 2) for name, taken in server_time.items()},
        "ratios": {name: round(ratio, 2) for name, ratio in ratios.items()},
        "bytes_per_row": round(sum(len(part) for part in commands) / count),
    }


def encoders(run: int) -> list[RowEncoder]:
    return [RowEncoder(PROJECT, view, run) for view in views()]


def publish(store: RedisStore, rows: list[list[pa.RecordBatch]], run: int) -> None:
    """Each view in turn: the next batch is encoded while this one is written."""
    for encoder, view_rows in zip(encoders(run), rows, strict=True):
        for batch in ahead(encoder, view_rows):
            store.write(batch, WriteMode.NEWEST_WINS)


def ahead(encoder: RowEncoder, rows: list[pa.RecordBatch]) -> Iterator[EncodedBatch]:
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(encoder.encode, rows[0])
        for batch in rows[1:]:
            ready, coming = coming.result(), thread.submit(encoder.encode, batch)
            yield ready
        yield coming.result()


def write_commands(rows: EncodedBatch) -> Iterator[tuple[bytes | memoryview, ...]]:
    """As the product sends them, each as the parts to send one after the other."""
    work = Writing(rows, WriteMode.NEWEST_WINS, None)
    return (work.command(members) for members in write_steps(rows))


def plain_sets(rows: EncodedBatch) -> bytes:
    pairs = ((b"$%d\r\n%s\r\n" % (len(key), key), b"$%d\r\n%s\r\n" % (len(row), row)) for key, row in rows.pairs())
    return b"".join(b"*3\r\n$3\r\nSET\r\n" + key + row for key, row in pairs)


def send(server: RedisServer, over_socket: bool, parts: Sequence[bytes], answers: int) -> None:
    """Send ready-made commands as fast as Redis takes them, and read all its answers meanwhile."""
    connection = socket.socket(socket.AF_UNIX if over_socket else socket.AF_INET)
    connection.connect(str(server.socket_path) if over_socket else ("127.0.0.1", server.port))
    sender = threading.Thread(target=lambda: [connection.sendall(part) for part in parts])
    sender.start()
    reader, got = hiredis.Reader(), 0
    while got < answers:
        reader.feed(connection.recv(1 << 16))
        while (answer := reader.gets()) is not False:
            if isinstance(answer, Exception):
                raise answer
            got += 1
    sender.join()
    connection.close()


def processor_time(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def machine() -> dict[str, str]:
    return {"system": platform.platform(), "python": platform.python_version(), "pyarrow": pa.__version__, "redis-py": redis.__version__}


def show(figures: dict[str, object]) -> None:
    size, transport = figures["bytes_per_row"], figures["transport"]
    print(f"{figures['rows']:,} rows in {VIEWS} views of 10 features, {size} bytes each, over {transport}\n")
    rates, busy = figures["rows_per_second"], figures["redis_microseconds_per_row"]
    assert isinstance(rates, dict)
    assert isinstance(busy, dict)
    print(f"{'':12}{'rows/s':>12}{'Redis µs/row':>15}")
    for name, rate in rates.items():
        print(f"{name:12}{rate:>12,}{busy[name]:>15}")
    ratios = figures["ratios"]
    assert isinstance(ratios, dict)
    print()
    for name, ratio in ratios.items():
        print(f"{name:24}{ratio:>6.2f}{'   to reach: 0.80' if name == 'product / commands' else ''}")


if __name__ == "__main__":
    main()
