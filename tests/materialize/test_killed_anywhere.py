"""Whatever ends a run, wherever it is: readers see old rows or new ones, the watermark is never ahead of them, and the next run completes.

The points are drawn at random, anew each time. `FSDBT_TEST_KILLS` says how many per test (a few dozen in all where it is not set).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cut_connections import Cable
from history_project import PROJECT, at_hour
from materializing_process import COMING_AND_GOING, DONE, FAILED, READINGS, SENSORS, MaterializingProcess, build
from redis_server import RedisServer

from featurestore.codec.keys import key_space
from featurestore.errors import OnlineStoreUnavailableError
from featurestore.materialize.watermarks import read_watermarks
from featurestore.online_store.connect import open_store
from featurestore.serving.reader import OnlineFeatureStore

LEASE = timedelta(milliseconds=200)
KILLS = int(os.environ.get("FSDBT_TEST_KILLS", "0"))


class Readers:
    """Threads that read all the time and keep what they found wrong."""

    def __init__(self, url: str, published: int) -> None:
        self.completed = self.begun = published
        """Rows may be of any version from the last that was published to the one that is being published."""

        self.wrong: list[str] = []
        self.seen: Counter[int] = Counter()
        self.unavailable = 0
        self._url, self._stop = url, threading.Event()
        self._threads = [threading.Thread(target=self._read) for _ in range(2)]

    def __enter__(self) -> Readers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _read(self) -> None:
        choice = random.Random()
        with OnlineFeatureStore(self._url, PROJECT, clock=lambda: at_hour(1000)) as store:
            while not self._stop.is_set():
                sensors = choice.sample(range(1, SENSORS), 50)
                oldest = self.completed
                try:
                    found = store.get_online_features({"sensor_id": sensors}, ["readings:*"]).to_dict()
                except OnlineStoreUnavailableError:
                    self.unavailable += 1
                    time.sleep(0.01)
                    continue
                newest = self.begun
                for sensor, value, unit in zip(sensors, found["value"], found["unit"], strict=True):
                    self._look(sensor, value, unit, oldest, newest)

    def _look(self, sensor: int, value: Any, unit: Any, oldest: int, newest: int) -> None:
        if unit is None or value is None:
            self.wrong.append(f"{sensor} is missing: {value}, {unit}")
            return
        version = int(unit[1:])
        self.seen[version] += 1
        if value != sensor * version:
            self.wrong.append(f"{sensor} is mixed: {value}, {unit}")
        if not oldest <= version <= newest:
            self.wrong.append(f"{sensor} is of version {version}, while {newest} is published over {oldest}")


class Shop:
    """A store, and a warehouse for each version of the rows."""

    def __init__(self, url: str, directory: Path, process: MaterializingProcess) -> None:
        self.url, self.directory, self._process = url, directory, process
        self.version = 0
        self.readers: Readers

    def next_version(self) -> int:
        shutil.rmtree(self.warehouse, ignore_errors=True)
        self.version += 1
        build(self.warehouse, self.version)
        return self.version

    def start(self, url: str | None = None) -> int:
        """Begin to publish the version that the warehouse has."""
        return self._process.start(self.warehouse, url or self.url, self.version, LEASE)

    def wait(self, pid: int) -> tuple[int, str]:
        """How that run ended, after looking at what it left."""
        code, said = self._process.wait(pid)
        published = self.published_version()
        if published == self.version:
            self.check_complete()
        assert code != DONE or published == self.version, said
        return code, said

    def complete(self) -> None:
        """Publish what the warehouse has, undisturbed."""
        code, said = self.wait(self.start())
        assert code == DONE, said
        self.check_complete()

    def check_complete(self) -> None:
        """What the watermark says is online is online, and nothing else."""
        store = open_store(self.url)
        space = key_space(PROJECT, READINGS)
        first_of_version = SENSORS + COMING_AND_GOING * self.version
        sensors = [*range(SENSORS), *range(first_of_version, first_of_version + COMING_AND_GOING)]
        assert all(f"v{self.version}".encode() in (row or b"") for row in store.read(space.keys([str(sensor) for sensor in sensors])))
        assert store.count(space) == len(sensors)
        store.close()

    def published_version(self) -> int | None:
        """Which version is online, as the watermark says."""
        store = open_store(self.url)
        watermark = read_watermarks(store, PROJECT, [READINGS]).get("readings")
        store.close()
        return None if watermark is None else int(str(watermark.invocation_id).removeprefix("run-"))

    @property
    def warehouse(self) -> Path:
        return self.directory / "warehouse"


@pytest.fixture(scope="module")
def process() -> Iterator[MaterializingProcess]:
    with MaterializingProcess() as forking:
        yield forking


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer("--appendonly", "yes", "--appendfsync", "everysec") as own:
        yield own


def disturbed(shop: Shop, times: int, start: Callable[[], int], disturb: Callable[[int, float], None]) -> Counter[str]:
    """Publish version after version and disturb each; count how the runs ended. Now and then one is left alone, and completes.

    Args:
        start: begins a run; its process id.
        disturb: given that id, and for about how many seconds a run lasts undisturbed.
    """
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    random.seed(seed)
    shop.next_version()
    shop.complete()
    shop.next_version()
    started = time.monotonic()
    code, said = shop.wait(shop.start())
    lasts, ends = time.monotonic() - started, Counter[str]()
    assert code == DONE, said
    with Readers(shop.url, shop.version) as readers:
        for number in range(1, times + 1):
            readers.begun = shop.next_version()
            pid = start()
            disturb(pid, lasts)
            code, said = shop.wait(pid)
            ends[{DONE: "done", FAILED: "failed"}.get(code, "killed")] += 1
            assert code in (DONE, FAILED, -signal.SIGKILL), said
            if number % 4 == 0 or number == times:
                shop.complete()
                readers.completed = shop.version
            assert not readers.wrong, (seed, readers.wrong[:5])
    assert len(readers.seen) >= times // 4, "readers saw version after version"
    print(ends, readers.seen.total(), "values were read")
    return ends


@pytest.mark.parametrize(("kind", "times"), [("redis", 12), ("embedded", 6)])
def test_the_process_is_killed(kind: str, times: int, server: RedisServer, tmp_path: Path, process: MaterializingProcess) -> None:
    shop = Shop(server.url if kind == "redis" else f"sqlite:///{tmp_path}/online.db", tmp_path, process)

    def kill(pid: int, lasts: float) -> None:
        time.sleep(random.uniform(0, lasts + LEASE.total_seconds()))
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    ends = disturbed(shop, KILLS or times, shop.start, kill)
    assert ends["killed"] > 0


def test_redis_is_killed_and_started_again(server: RedisServer, tmp_path: Path, process: MaterializingProcess) -> None:
    """With an append-only file, as a store that is to outlive its process has. A run fails with a clear error, or never noticed."""
    shop = Shop(server.url, tmp_path, process)

    def kill(_: int, lasts: float) -> None:
        time.sleep(random.uniform(0, lasts))
        server.kill()
        server.start()

    ends = disturbed(shop, KILLS or 6, shop.start, kill)
    assert ends["killed"] == 0


def test_the_network_is_cut(server: RedisServer, tmp_path: Path, process: MaterializingProcess) -> None:
    """After any byte, of what is sent or of what is answered: the run fails with a clear error, or asks again and completes."""
    shop = Shop(server.url, tmp_path, process)
    with Cable(server.port) as cable:

        def cut(_: int, __: float) -> None:
            cable.cut_after(random.randrange(1, random.choice([2_000, 1_500_000])))

        def start() -> int:
            return shop.start(f"redis://127.0.0.1:{cable.port}/0{random.choice(['', '?retry_reads_for=5&retry_writes_for=5'])}")

        ends = disturbed(shop, KILLS or 10, start, cut)
    assert ends["killed"] == 0


def test_a_run_that_stood_still_while_another_published_writes_nothing_more(
    server: RedisServer, tmp_path: Path, process: MaterializingProcess
) -> None:
    """Stopped anywhere for longer than its lease lasts, as on a machine that swaps or was suspended."""
    shop = Shop(server.url, tmp_path, process)
    shop.next_version()
    started = time.monotonic()
    shop.complete()
    lasts, overtaken = time.monotonic() - started, 0
    with MaterializingProcess() as another:
        for number in count():
            if number >= (KILLS or 4) and overtaken:
                break
            assert number < (KILLS or 40), "no run was stopped while it held the lease"
            # Each has a warehouse of its own: DuckDB's file has one process at a time.
            stopped, later = (
                Shop(server.url, tmp_path / f"{name}{number}", who) for name, who in (("first", process), ("second", another))
            )
            for run, version in ((stopped, 2 * number + 1), (later, 2 * number + 2)):
                run.directory.mkdir()
                run.version = version
                run.next_version()
            pid = stopped.start()
            time.sleep(random.uniform(0, lasts))
            os.kill(pid, signal.SIGSTOP)
            later.complete()
            os.kill(pid, signal.SIGCONT)
            ended, why = process.wait(pid)
            assert ended == DONE or "another run" in why, why
            overtaken += ended == FAILED
            # One that was stopped before it had begun comes last, one that was stopped when it was done came first: both are done.
            (last,) = (run for run in (stopped, later) if run.published_version() == run.version)
            assert ended == DONE or last is later
            last.check_complete()
    assert overtaken > 0
