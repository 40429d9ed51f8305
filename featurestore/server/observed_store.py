"""The online store as a server reads it: each read is timed, and each failure counted."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from featurestore.errors import FeatureStoreError
from featurestore.online_store.base import AsyncOnlineStore

from .metrics import Metrics


class ObservedStore:
    """An `AsyncOnlineStore` that passes everything on to another one."""

    def __init__(self, store: AsyncOnlineStore, metrics: Metrics) -> None:
        self._store, self._metrics = store, metrics

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """As the store does."""
        started = perf_counter()
        try:
            rows = await self._store.read(keys)
        except FeatureStoreError as error:
            self._metrics.count_store_error(type(error).__name__)
            raise
        self._metrics.count_store_read(perf_counter() - started)
        return rows

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """As the store does."""
        try:
            return await self._store.read_documents(project, names)
        except FeatureStoreError as error:
            self._metrics.count_store_error(type(error).__name__)
            raise

    async def close(self) -> None:
        """As the store does."""
        await self._store.close()
