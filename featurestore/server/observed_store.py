"""The online store as a worker reads it. Reads of requests that arrive together go as one command: under load, that is most of what a
read costs, and an idle worker waits for nobody. Each command is timed and each failure counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from time import perf_counter
from typing import TypeVar

from featurestore.errors import FeatureStoreError
from featurestore.online_store.base import AsyncOnlineStore, EncodedRows, WriteMode

from .metrics import Metrics
from .traces import Tracing

MOST_KEYS_TOGETHER = 512
"""A read of more keys goes by itself, so that no short one waits for a long one."""

_Answer = TypeVar("_Answer")


class _Together:
    """Reads that go as one."""

    __slots__ = ("keys", "readers")

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.readers: list[tuple[int, int, asyncio.Future[list[bytes | None]]]] = []
        """Whose keys stand where."""


class ObservedStore:
    """An `AsyncOnlineStore` before another one."""

    def __init__(self, store: AsyncOnlineStore, metrics: Metrics, tracing: Tracing | None) -> None:
        self._store, self._metrics, self._tracing = store, metrics, tracing
        self._next: _Together | None = None
        self._under_way: set[asyncio.Task[None]] = set()

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`."""
        if self._tracing is None:
            return await self._joined(keys)
        with self._tracing.store_read(len(keys)):
            return await self._joined(keys)

    async def _joined(self, keys: Sequence[bytes]) -> list[bytes | None]:
        if len(keys) > MOST_KEYS_TOGETHER:
            return await self._timed(keys)
        together = self._next
        loop = asyncio.get_running_loop()
        if together is None or len(together.keys) + len(keys) > MOST_KEYS_TOGETHER:
            together = self._next = _Together()
            # It begins in the next turn of the loop: whoever else is ready in this one adds its keys before.
            task = loop.create_task(self._read(together))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        answer: asyncio.Future[list[bytes | None]] = loop.create_future()
        start = len(together.keys)
        together.keys.extend(keys)
        together.readers.append((start, len(together.keys), answer))
        return await answer

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents."""
        return await self._counted(self._store.read_documents(project, names))

    async def write(self, rows: EncodedRows, mode: WriteMode, *, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        return await self._counted(self._store.write(rows, mode, expires_after=expires_after))

    async def last_sequence(self, project: str) -> int:
        """The number of the last run."""
        return await self._counted(self._store.last_sequence(project))

    async def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        await self._counted(self._store.write_documents(project, documents))

    async def close(self) -> None:
        """Close the store."""
        await self._store.close()

    async def _read(self, together: _Together) -> None:
        """Read for all of them. One that has given up meanwhile, because its time was over, stops none of the others."""
        if self._next is together:
            self._next = None
        try:
            rows = await self._timed(together.keys)
        except Exception as error:
            for _, _, reader in together.readers:
                if not reader.done():
                    reader.set_exception(error)
            return
        for start, stop, reader in together.readers:
            if not reader.done():
                reader.set_result(rows[start:stop])

    async def _timed(self, keys: Sequence[bytes]) -> list[bytes | None]:
        started = perf_counter()
        rows = await self._counted(self._store.read(keys))
        self._metrics.count_store_read(perf_counter() - started)
        return rows

    async def _counted(self, asked: Awaitable[_Answer]) -> _Answer:
        try:
            return await asked
        except FeatureStoreError as error:
            self._metrics.count_store_error(type(error).__name__)
            raise
