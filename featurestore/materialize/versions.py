"""Builds a view beside the version of it that is served, and has readers move over at once.

    begin_build   the next version is announced to whoever writes single rows, and what a killed run left half built is retired
    (the run writes every row under the new version's keys)
    swap          pushed rows that are ahead of the warehouse are taken over; then one exchange of documents changes the snapshot, the
                  watermark and what is retired: readers find one version or the other, wherever a run is killed
    let_go        rows of retired versions are told to expire

A reader may hold the snapshot for a while, so a retired version stays complete for `KEPT_FOR`; see `featurestore.serving.reader`. After it
the store removes the rows by itself, no more than `GONE_PER_SECOND`, so that no run waits for that and no server is busy with it. What is
retired is written down in the store until nothing is left of it: the next run goes on where one was killed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import msgspec

from featurestore.codec.keys import KeySpace, key_space
from featurestore.codec.layout import row_version
from featurestore.codec.rows import PlainRows
from featurestore.codec.versions import Building, building_document_name, takes_rows
from featurestore.errors import LeaseError
from featurestore.online_store.base import OnlineStore, WriteMode
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import HELD_FOR, SNAPSHOT, to_json
from featurestore.timestamps import as_utc, duration_micros, from_micros

from .lease import HeldLease
from .served import never_published, read_state, served_registry, views_online
from .state import RETIRED, RetiredSpace, StoreState, retired_document
from .watermarks import Watermark, written_watermark

KEPT_FOR = HELD_FOR * 2
"""How long a version that is served no more stays complete."""

GONE_PER_SECOND = 20_000
"""So many rows of a retired version the store removes in a second. A server that sets 300,000 hardly notices; ten million rows take eight
minutes."""


@dataclass(frozen=True, slots=True)
class Build:
    """A version of a view that is being built."""

    view: FeatureView
    """With the version of its keys."""

    document: bytes
    """What the store says of it as long as nobody else has begun to build the view."""

    replaces: FeatureView | None
    """The version that is served meanwhile."""


def begin_build(store: OnlineStore, project: str, view: FeatureView) -> Build:
    """Announce that the next version of a view is built."""
    building_name = building_document_name(view.name)
    while True:
        state = StoreState.read(store, project, [view.name])
        served, abandoned = state.served_view(view.name), state.building(view.name)
        built = replace(view, key_version=state.next_version(view.name))
        space = key_space(project, built)
        takes = served is not None and takes_rows(served, built)
        document = msgspec.json.encode(Building(built.key_version, space.prefix.decode(), space.suffix.decode(), takes))
        documents: dict[str, bytes | None] = {building_name: document}
        if abandoned is not None:
            retired = RetiredSpace.of(view.name, abandoned.version, abandoned.space)
            documents[RETIRED] = retired_document((*state.retired, retired))
        if state.exchange(store, documents):
            return Build(built, document, served)


def take_over_pushed(
    store: OnlineStore, project: str, build: Build, *, horizon: int | None, sequence: int, expires_after: int | None
) -> int:
    """Copy the pushed rows that are ahead of the warehouse from the served version; return how many.

    Args:
        horizon: the newest event time that the view has in the warehouse, in microseconds. None: it is empty there.
        sequence: of the run: what was pushed after it began is ahead of what it read, too.
        expires_after: as for `OnlineStore.write`.
    """
    if build.replaces is None or not takes_rows(build.replaces, build.view):
        return 0
    old, new = key_space(project, build.replaces), key_space(project, build.view)
    taken = 0
    for rows in store.scan_pushed(old):
        ahead = [(_moved(key, old, new), row) for key, row in rows if _ahead(row, horizon, sequence)]
        if ahead:
            taken += store.write(PlainRows(ahead), WriteMode.NEWEST_WINS, expires_after=expires_after)
    return taken


def swap(held: HeldLease, store: OnlineStore, registry: Registry, build: Build, watermark: Watermark) -> None:
    """Have readers move over to what was built.

    Raises LeaseError where another run has begun to build the view meanwhile, ServersReplacedError where what was built may be gone.
    """
    name, project = build.view.name, held.project
    mark = written_watermark(watermark)
    while True:
        state = read_state(store, project, registry)
        if mark.items() <= state.documents.items():
            return  # It was done, and the answer was lost.
        if state.documents[building_document_name(name)] != build.document:
            held.refuse_if_lost(store)
            raise LeaseError("another run has begun to build it meanwhile. This one leaves what is served as it was.")
        online = {**views_online(state, registry), name: build.view.key_version}
        snapshot = to_json(served_registry(registry, state.served, online, (), never_published(state, registry, online)))
        documents: dict[str, bytes | None] = {SNAPSHOT: snapshot, building_document_name(name): None, **mark}
        if build.replaces is not None:
            retired = RetiredSpace.of(name, build.replaces.key_version, key_space(project, build.replaces))
            documents[RETIRED] = retired_document((*state.retired, retired))
        if held.exchange(store, state.expected(documents), documents):
            return


def abandon(store: OnlineStore, project: str, build: Build) -> None:
    """Give up what was begun, and retire what was written of it."""
    name = build.view.name
    while True:
        state = StoreState.read(store, project, [name])
        if state.documents[building_document_name(name)] != build.document:
            return
        retired = RetiredSpace.of(name, build.view.key_version, key_space(project, build.view))
        documents = {building_document_name(name): None, RETIRED: retired_document((*state.retired, retired))}
        if state.exchange(store, documents):
            return


def let_go(store: OnlineStore, project: str) -> None:
    """Tell the rows of retired versions to expire, and forget the versions of which nothing is left; all by the store's own clock."""
    for space in StoreState.read(store, project, ()).retired:
        if space.gone_at is None:
            rows = store.expire(space.space, duration_micros(KEPT_FOR), GONE_PER_SECOND)
            _replace(store, project, space, msgspec.structs.replace(space, gone_at=_gone_at(_now(store, project) + KEPT_FOR, rows)))
        elif as_utc(space.gone_at) < (now := _now(store, project)):
            # Whoever was slow to hear of the swap may have written to it still.
            rows = store.expire(space.space, 0, GONE_PER_SECOND)
            _replace(store, project, space, msgspec.structs.replace(space, gone_at=_gone_at(now, rows)) if rows else None)


def _now(store: OnlineStore, project: str) -> datetime:
    return from_micros(store.time(project))


def _replace(store: OnlineStore, project: str, space: RetiredSpace, instead: RetiredSpace | None) -> None:
    """Write down how far a retired version has gone, if it is still as it was read."""
    while True:
        state = StoreState.read(store, project, ())
        others: Iterator[RetiredSpace | None] = (instead if each == space else each for each in state.retired)
        if state.exchange(store, {RETIRED: retired_document(each for each in others if each is not None)}):
            return


def _gone_at(first: datetime, rows: int) -> datetime:
    return first + timedelta(seconds=1 + rows / GONE_PER_SECOND)


def _ahead(row: bytes, horizon: int | None, sequence: int) -> bool:
    """Whether a pushed row is ahead of the warehouse."""
    version = row_version(row)
    return horizon is None or version.event_time > horizon or version.sequence > sequence


def _moved(key: bytes, old: KeySpace, new: KeySpace) -> bytes:
    """The same entity key's full key in another key space."""
    return new.key(key[len(old.prefix) : len(key) - len(old.suffix)])
