"""Encodes a view's rows and writes them by newest-wins: in this process, or on the machines that hold them.

A warehouse that runs functions where its rows are gets this very code there, when the store can be opened from elsewhere; then no row
ever passes through this process, however many there are. A task that fails there is run again, and one may run twice at a time: the
rows are those of one run, so writing them again leaves what was there.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from featurestore.codec.encode import RowEncoder
from featurestore.errors import OnlineStoreError, WrittenTooLateError
from featurestore.online_store.base import EncodedRows, OnlineStore, WriteMode
from featurestore.online_store.connect import PATIENCE_OF_A_RUN, open_store
from featurestore.registry.definitions import FeatureView
from featurestore.timestamps import FIRST_INSTANT, LAST_INSTANT, from_micros
from featurestore.warehouse.base import MapsBatches, WarehouseSession

from .lease import HeldLease
from .steps import stepped_rows

_SAID = pa.schema([("rows", pa.int64()), ("newest", pa.timestamp("us"))])
"""What comes back from where the rows are: one row for each part of them that is online."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some rows that are online now."""

    rows: int
    newest: datetime | None
    """The newest event time among them."""


@dataclass(frozen=True, slots=True)
class Publication:
    """How one run writes the rows of one view."""

    project: str
    view: FeatureView
    at: datetime
    lease: HeldLease
    mode: WriteMode
    horizon: int | None
    expires_after: int | None
    """Both in microseconds; see `OnlineStore.write`."""

    def write(self, batches: Iterable[pa.RecordBatch], store: OnlineStore) -> Iterator[Part]:
        """Encode and write the rows that the view's statement answers with, part by part.

        Raises LeaseError, before the next part is written, where another run has taken over.
        """
        event_timestamp = len(self.view.join_keys)
        rows = stepped_rows(batches, self.view, self.at) if self.view.aggregated else batches
        for batch, encoded in _encoded_ahead(rows, RowEncoder(self.project, self.view, self.lease.sequence)):
            self._write_part(encoded, store)
            yield Part(len(encoded), instant(pc.max(batch.column(event_timestamp))))

    def _write_part(self, rows: EncodedRows, store: OnlineStore) -> None:
        self.lease.check(store)
        renewed = -math.inf
        while True:
            try:
                store.write(rows, self.mode, horizon=self.horizon, expires_after=self.expires_after, until=self.lease.until)
                return
            except WrittenTooLateError:
                lasts = self.lease.lasts / 1e6
                if time.monotonic() - renewed < lasts:
                    raise OnlineStoreError(
                        f"Rows came too late, though the lease was renewed less than the {lasts:g} seconds ago for which it lasts: the "
                        "clock of a server that holds rows is ahead of the clock of the one that holds the project's documents. Set the "
                        "clocks of the online store's servers by NTP, then run this again."
                    ) from None
                # Held up on the way. As long as nobody else came, that does no harm.
                renewed = time.monotonic()
                self.lease.renew(store)


@dataclass(frozen=True, slots=True)
class _WriteThere:
    """A publication, as a function over the batches of one partition, in a process that opens the store itself."""

    publication: Publication
    url: str

    def __repr__(self) -> str:
        return f"publication of {self.publication.view.name}"

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for part in self.publication.write(batches, _store_of_this_process(self.url)):
            yield pa.RecordBatch.from_pylist([{"rows": part.rows, "newest": _naive(part.newest)}], schema=_SAID)


def published(session: WarehouseSession, statement: exp.Query, publication: Publication, store: OnlineStore) -> Iterator[Part]:
    """Write the rows that a statement answers with, where they are if that can be done, else here."""
    if store.shared_url is None or not isinstance(session, MapsBatches):
        yield from publication.write(session.query(statement), store)
        return
    # What holds of one key at its instants becomes one row.
    together = len(publication.view.join_keys) if publication.view.aggregated else 0
    said = session.map_batches(statement, _WriteThere(publication, store.shared_url), _SAID, together=together)
    for rows, newest in zip(said.column("rows").to_pylist(), said.column("newest"), strict=True):
        yield Part(rows, instant(newest))


@cache
def _store_of_this_process(url: str) -> OnlineStore:
    return open_store(url, patience=PATIENCE_OF_A_RUN)


def instant(scalar: pa.Scalar) -> datetime | None:
    """An Arrow timestamp as an instant; None where it is null, or infinite or otherwise beyond what a calendar holds."""
    micros = scalar.cast(pa.timestamp("us")).cast(pa.int64()).as_py()
    return None if micros is None or not FIRST_INSTANT <= micros <= LAST_INSTANT else from_micros(micros)


def _naive(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=None)


def _encoded_ahead(batches: Iterable[pa.RecordBatch], encoder: RowEncoder) -> Iterator[tuple[pa.RecordBatch, EncodedRows]]:
    """The rows part by part, as they came and encoded; the next part is fetched and encoded while the caller writes this one."""
    parts = (part for batch in batches for part in encoder.parts(batch))

    def fetch() -> tuple[pa.RecordBatch, EncodedRows] | None:
        part = next(parts, None)
        return None if part is None else (part, encoder.encode(part))

    with ThreadPoolExecutor(1, thread_name_prefix="encode") as ahead:
        coming = ahead.submit(fetch)
        while (ready := coming.result()) is not None:
            coming = ahead.submit(fetch)
            yield ready
