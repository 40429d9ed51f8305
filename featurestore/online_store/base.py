"""What an online store is: keys, bytes and an event time. It knows no features.

Every row carries, at fixed places in its bytes, the event time and the sequence of the materialization or push that wrote it (see
`featurestore.codec.layout`). Runs take their numbers from one counter of the project, and a push has the number that was taken last, so
sequences order them as they come. Two rules decide what a write leaves:

- `NEWEST_WINS`: a row replaces another when its (event time, sequence) is at least as great. An older event time never replaces
  a newer one; an equal one is overwritten by what began later. The end is the same whatever the order of writers.
- `EXACT`, of a run that read the whole view: as above, and it also replaces whatever an earlier materialization wrote, so that a newest
  row whose time moved back is corrected; and what was pushed before it, unless that is newer than anything the warehouse has (its
  *horizon*): a push that is ahead of the warehouse stays until the warehouse has caught up with it. What a later run or push wrote
  meanwhile and is newer stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from typing import Protocol

from featurestore.codec.keys import KeySpace as KeySpace


class WriteMode(Enum):
    """Which rule decides between a row and the one that is there."""

    NEWEST_WINS = "newest_wins"
    EXACT = "exact"


class EncodedRows(Protocol):
    """Rows ready to be written, no key twice: what the codec makes of a batch."""

    def __len__(self) -> int: ...

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Full key and row bytes of each row."""
        ...

    def bulk_strings(self) -> tuple[Sequence[bytes], Sequence[bytes]]:
        """The full keys and the bytes of the rows, each as a bulk string of the Redis protocol, one by one."""
        ...

    def bulk_keys(self, start: int, stop: int) -> memoryview:
        """The full keys of those rows as consecutive bulk strings of the Redis protocol, ready to send."""
        ...

    def bulk_rows(self, start: int, stop: int) -> memoryview:
        """The bytes of those rows as consecutive bulk strings of the Redis protocol, ready to send."""
        ...


class OnlineStore(Protocol):
    """Reads and writes. Every method raises OnlineStoreUnavailableError where the store cannot be reached."""

    @property
    def shared_url(self) -> str | None:
        """The URL by which other processes, on other machines, may write to the store beside this one. None: only this one can."""
        ...

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip."""
        ...

    def write(
        self,
        rows: EncodedRows,
        mode: WriteMode,
        *,
        horizon: int | None = None,
        expires_after: int | None = None,
        until: int | None = None,
    ) -> int:
        """Write rows by the rule of `mode`; return how many were taken. Each row is old or new to a reader, never mixed.

        Args:
            horizon: of an exact write, the newest event time that the view has in the warehouse, in microseconds. An earlier pushed row
                with a newer one stays. None: the view is empty there, so every pushed row does.
            expires_after: microseconds after which the store may drop a row that nobody wrote again, to clean up. None: never.
            until: after this time, by the store's own clock, no more of them are written. None: whenever they arrive.

        Raises WrittenTooLateError where some rows came after `until`.
        """
        ...

    def remove_older(self, space: KeySpace, sequence: int, *, pushed_before: int = 0, horizon: int | None = None) -> int:
        """Remove the rows of a key space that were written by a materialization before `sequence`; return how many.

        Args:
            pushed_before: and the rows that were pushed before this sequence, whose event time is at most `horizon`.
            horizon: microseconds. None: no pushed row is removed.
        """
        ...

    def expire(self, space: KeySpace, after: int, per_second: int) -> int:
        """Let all rows of a key space go: the first after so many microseconds, then no more than so many a second; return how many.

        The store removes them by itself; nobody waits. A row that is written again meanwhile has the lifetime it was written with.
        """
        ...

    def scan(self, space: KeySpace) -> Iterator[list[bytes]]:
        """The keys of a key space, some at a time. One that is written or removed meanwhile may be left out, or come twice."""
        ...

    def scan_pushed(self, space: KeySpace) -> Iterator[list[tuple[bytes, bytes]]]:
        """The pushed rows of a key space, each with its full key, some at a time, as `scan` finds the keys. No other row is fetched."""
        ...

    def count(self, space: KeySpace) -> int:
        """How many rows a key space holds."""
        ...

    def next_sequence(self, project: str, above: int = 0) -> int:
        """A number greater than any that this returned before for that project: it orders materializations and pushes.

        What rows carry is made of it by `run_sequence` and `push_sequence`.

        Args:
            above: and greater than this one, which is known to have been used, should the store have lost count.
        """
        ...

    def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first. What is pushed is ordered after the run that has it."""
        ...

    def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents (registry snapshot, schemas, watermarks), in one round trip."""
        ...

    def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        ...

    def exchange_documents(self, project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        """Write documents, all or none, if those of `expected` still are what is given there; return whether they were.

        None stands for a document that does not exist, and removes one.
        """
        ...

    def time(self, project: str) -> int:
        """What time it is where that project's documents are, in microseconds since the epoch: one clock for all who write."""
        ...

    def holders(self) -> str:
        """What names the servers that hold the rows now. It changes where one is restarted or replaced: rows may be gone with it."""
        ...

    def kept(self, holders: str) -> bool:
        """Wait until what was written will outlive any server that can be replaced; whether all of them are still those of `holders`.

        Where they are not, what was written since then may be gone, and is to be written again.

        Raises OnlineStoreUnavailableError where that cannot be told in time.
        """
        ...

    def close(self) -> None:
        """Give up the connection or file."""
        ...


class AsyncOnlineStore(Protocol):
    """What a service needs, for asyncio: to read, and to write what is pushed. As in `OnlineStore`."""

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip."""
        ...

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents, in one round trip."""
        ...

    async def write(self, rows: EncodedRows, mode: WriteMode, *, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        ...

    async def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        ...

    async def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        ...

    async def close(self) -> None:
        """Give up the connection or file."""
        ...
