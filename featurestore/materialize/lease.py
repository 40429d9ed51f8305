"""One run at a time publishes a view: a lease in the online store, which a run renews while it works and nobody else can take meanwhile.

The lease is a document beside the view's watermark: which run has it, and until when by the store's own clock. It is only ever exchanged
for another where it is still the one that was read, so of two runs that want it one gets it. A run that was killed renews it no more;
the next one waits until it has run out, and tells such a run from one that lives by its renewals.

The run's sequence is its fencing number. A run that was held up for longer than its lease (paused, cut off) keeps it as long as nobody
else took it; where a later sequence stands there, it writes nothing more: the lease is renewed before rows are written, wherever they
are; the store itself refuses rows that come after the lease has run out; and the watermark is exchanged together with the lease.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

import msgspec

from featurestore.codec.layout import number_of, run_sequence
from featurestore.errors import FeatureStoreError, LeaseError, ServersReplacedError
from featurestore.online_store.base import OnlineStore
from featurestore.timestamps import duration_micros, from_micros

LEASE = timedelta(seconds=30)
"""How long a run that was killed keeps others from its view. One that works renews three times as often."""

LOOKS_PER_LEASE = 60
"""How often a run that waits looks whether a lease has run out or was renewed."""


_NOTHING: Mapping[str, bytes | None] = MappingProxyType({})


class Lease(msgspec.Struct, frozen=True):
    """Who publishes a view, or did last."""

    sequence: int
    """The sequence of the run's rows."""

    holder: str
    """The run, for people: process and machine."""

    since: int
    """When it began, in microseconds since the epoch, UTC, by the store's clock."""

    expires_at: int
    """Until when nobody else can take the lease, by the store's clock. 0: it was given back."""

    def held_at(self, now: int) -> bool:
        """Whether the run has it at that time of the store's."""
        return now < self.expires_at

    def __str__(self) -> str:
        return f"since {from_micros(self.since):%Y-%m-%d %H:%M:%S} UTC, by {self.holder}"


def document_name(view: str) -> str:
    """The name under which the online store keeps a view's lease."""
    return f"lease/{view}"


@dataclass
class HeldLease:
    """A lease that a run holds. It can be sent to other processes, which then hold it on the run's behalf."""

    project: str
    view: str
    lease: Lease
    lasts: int
    """Microseconds from each renewal on."""

    holders: str = ""
    """The servers that held the rows when the run began, as `OnlineStore.holders` names them."""

    _renewed: float = field(default=-math.inf, repr=False)

    def __getstate__(self) -> dict[str, object]:
        """The clock that says when it was renewed is this machine's own."""
        return {**self.__dict__, "_renewed": -math.inf}

    @property
    def sequence(self) -> int:
        """The sequence of the run's rows."""
        return self.lease.sequence

    @property
    def until(self) -> int:
        """Until when nobody else can take it, by the store's clock: no row of the run may be written later."""
        return self.lease.expires_at

    def check(self, store: OnlineStore) -> None:
        """To be called before anything is written: renews the lease where that is due. Raises LeaseError where another run took it."""
        if time.monotonic() - self._renewed > self.lasts / 3e6:
            self.renew(store)

    def renew(self, store: OnlineStore) -> None:
        """Hold it for as long again. Raises LeaseError where another run took it."""
        renewed = msgspec.structs.replace(self.lease, expires_at=store.time(self.project) + self.lasts)
        self._exchange(store, renewed, {})
        self.lease, self._renewed = renewed, time.monotonic()

    def finish(self, store: OnlineStore, documents: Mapping[str, bytes], stands: Mapping[str, bytes | None] = _NOTHING) -> None:
        """Write documents and give the lease back, both or neither, once the rows that they speak of will outlive any server.

        Args:
            stands: what those documents were when the run began.

        Raises LeaseError where another run took it, or changed those documents; ServersReplacedError where rows may be gone already.
        """
        if documents:
            self.refuse_if_lost(store)
        self._exchange(store, msgspec.structs.replace(self.lease, expires_at=0), documents, stands)

    def refuse_if_lost(self, store: OnlineStore) -> None:
        """Raises ServersReplacedError where a server was restarted or replaced since the run began, and may have taken rows with it."""
        if not store.kept(self.holders):
            raise ServersReplacedError(
                "a server of the online store was restarted or replaced while its rows were written, and some may be gone "
                "with it. What was online before still is; run this again."
            )

    def exchange(self, store: OnlineStore, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        """Write documents if those of `expected` still are what is given there, and the lease is as well; return whether they were written.

        Raises LeaseError where another run took it, ServersReplacedError where rows may be gone already.
        """
        self.refuse_if_lost(store)
        lease = {document_name(self.view): self._still_held(store)}
        return store.exchange_documents(self.project, {**lease, **expected}, documents)

    def _exchange(
        self, store: OnlineStore, mine: Lease, documents: Mapping[str, bytes], stands: Mapping[str, bytes | None] = _NOTHING
    ) -> None:
        name = document_name(self.view)
        while True:
            expected = {name: self._still_held(store), **stands}
            if store.exchange_documents(self.project, expected, {name: msgspec.json.encode(mine), **documents}):
                return
            there = dict(zip(stands, store.read_documents(self.project, list(stands)), strict=True))
            if documents and documents.items() <= there.items():
                return  # It was done, and the answer was lost.
            if there != stands:
                raise LeaseError("another run, over the whole project, has taken leave of it meanwhile. What it took away stays away.")

    def _still_held(self, store: OnlineStore) -> bytes | None:
        """The lease as it stands in the store. An earlier one, or none, is there where that lost the last it was told, in a crash or a
        failover."""
        (content,) = store.read_documents(self.project, [document_name(self.view)])
        there = _read(content)
        if there is not None and there.sequence > self.lease.sequence:
            raise LeaseError(
                f"this run was held up for longer than its lease lasts, and another run has taken over: {there}. "
                "It writes nothing more, and its watermark is left as it was; what it wrote, the other run replaces."
            )
        return content


@contextmanager
def leased(store: OnlineStore, project: str, view: str, *, above: int = 0, lasts: timedelta = LEASE) -> Iterator[HeldLease]:
    """Hold the lease of a view, renewed from a thread, for as long as the block runs.

    Args:
        above: the last sequence of the view that is known, should the store have lost count.
        lasts: from each renewal on.

    Raises LeaseError where another run holds it and lives. Waits for as long as a lease lasts where it may have been killed.
    """
    holders = store.holders()
    held = _acquired(store, project, view, above, duration_micros(lasts))
    held.holders = holders
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(held, store, done), name=f"lease of {view}", daemon=True)
    keeper.start()
    try:
        yield held
    finally:
        done.set()
        keeper.join()
        _give_back(held, store)


def running(store: OnlineStore, project: str, views: list[str]) -> Mapping[str, Lease]:
    """The leases that are held now, by view."""
    documents = store.read_documents(project, [document_name(view) for view in views])
    leases = {view: lease for view, content in zip(views, documents, strict=True) if (lease := _read(content)) is not None}
    if not leases:
        return leases
    now = store.time(project)
    return {view: lease for view, lease in leases.items() if lease.held_at(now)}


def _acquired(store: OnlineStore, project: str, view: str, above: int, lasts: int) -> HeldLease:
    name = document_name(view)
    seen: Lease | None = None
    longest = time.monotonic() + 2 * max(lasts, duration_micros(LEASE)) / 1e6
    while True:
        (content,) = store.read_documents(project, [name])
        there, now = _read(content), store.time(project)
        if there is None or not there.held_at(now):
            known = max(above, there.sequence if there else 0)
            sequence = run_sequence(store.next_sequence(project, above=number_of(known)))
            mine = Lease(sequence, _this_process(), now, now + lasts)
            if store.exchange_documents(project, {name: content}, {name: msgspec.json.encode(mine)}):
                return HeldLease(project, view, mine, lasts, _renewed=time.monotonic())
        elif seen is not None and seen != there:
            raise LeaseError(f"another run is publishing it, {there}. Nothing was written; run this again when that one is done.")
        elif time.monotonic() > longest:
            raise LeaseError(
                f"a run that was killed, {there}, keeps it for {(there.expires_at - now) / 1e6:.0f} seconds more by the clock of the "
                "online store, which was set back meanwhile. Nothing was written. Set the clocks of its servers by NTP, or run this again "
                "then."
            )
        else:
            seen = there
            time.sleep(min(lasts / LOOKS_PER_LEASE, there.expires_at - now + 1) / 1e6)


def _keep(held: HeldLease, store: OnlineStore, done: threading.Event) -> None:
    """Renew until done. What goes wrong is for those to see who check before they write."""
    while not done.wait(held.lasts / 3e6):
        try:
            held.renew(store)
        except LeaseError:
            return
        except FeatureStoreError:
            continue


def _give_back(held: HeldLease, store: OnlineStore) -> None:
    """So that the next run need not wait. Where that cannot be done, the lease runs out."""
    with suppress(FeatureStoreError):
        held.finish(store, {})


def _read(content: bytes | None) -> Lease | None:
    return None if content is None else msgspec.json.decode(content, type=Lease)


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"
