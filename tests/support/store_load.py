"""Rows written run after run, and read all the while, by threads: what is to be true of a store while its servers move and fail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from datetime import timedelta

import codec_cases as cases

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import row_version, run_sequence
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_async_store, open_store

VIEW = cases.feature_view()
SPACE = key_space("shop", VIEW)
CUSTOMERS = range(1500)
KEYS = [SPACE.key(b"%d" % customer) for customer in CUSTOMERS]
NEWEST = WriteMode.NEWEST_WINS


def rows_of(run: int, customers=CUSTOMERS):
    rows = [{"customer_id": number, "event_timestamp": cases.NOON + timedelta(minutes=run), "orders_7d": run} for number in customers]
    return RowEncoder("shop", VIEW, run_sequence(run)).encode(cases.batch_of(VIEW, rows))


class Load:
    """Writes run after run, each until it is known to be kept, and reads all the while, waiting and not.

    No reader may ever miss a row, or see one older than the last run that was kept when it asked.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._over = threading.Event()
        self.kept_run, self.reads = 0, 0
        self.wrong: list[object] = []
        self.write_one()
        acts = (self._write, self._read, lambda: asyncio.run(self._read_async()))
        self._threads = [threading.Thread(target=self._guarded, args=(act,)) for act in acts]

    def write_one(self) -> None:
        """One run, as materialize does it."""
        store, run = open_store(self._url), self.kept_run
        try:
            while True:
                holders, run = store.holders(), run + 1
                store.write(rows_of(run), NEWEST)
                if store.kept(holders):
                    self.kept_run = run
                    return
        finally:
            store.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:
            self.wrong.append(error)

    def _write(self) -> None:
        while not self._over.is_set():
            self.write_one()

    def _read(self) -> None:
        store = open_store(self._url)
        while not self._over.is_set():
            kept = self.kept_run
            self._judge(kept, store.read(KEYS))
        store.close()

    async def _read_async(self) -> None:
        store = open_async_store(self._url)
        while not self._over.is_set():
            kept = self.kept_run
            self._judge(kept, await store.read(KEYS))
        await store.close()

    def _judge(self, kept: int, rows: list[bytes | None]) -> None:
        self.reads += 1
        bad = [number for number, row in enumerate(rows) if row is None or row_version(row).sequence < run_sequence(kept)]
        if bad:
            self.wrong.append((kept, bad[:5], len(bad)))


def all_rows_are_of(url: str, run: int) -> bool:
    store = open_store(url)
    rows = store.read(KEYS)
    store.close()
    return [row and row_version(row).sequence for row in rows] == [run_sequence(run)] * len(KEYS)
