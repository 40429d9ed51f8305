"""The online store without a server: one SQLite file, which one process writes while any number read.

The file is made by the first write; reading a store that nothing was written to finds nothing. The rule of a write is decided in
SQL, inside the transaction that writes, so concurrent writers need not know of each other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featurestore.codec.keys import KeySpace
from featurestore.codec.layout import row_version
from featurestore.errors import OnlineStoreError, OnlineStoreUnavailableError, WrittenTooLateError
from featurestore.timestamps import Clock, to_micros, utc_now

from .base import EncodedRows, WriteMode

WAIT_FOR_LOCK = 30.0
"""Seconds to wait for another writer."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS rows (
    key BLOB PRIMARY KEY, event_time INTEGER NOT NULL, sequence INTEGER NOT NULL, expires_at INTEGER, row BLOB NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS rows_by_expiry ON rows (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS documents (
    project TEXT NOT NULL, name TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY (project, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequences (project TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;
"""

_UPSERT = """
INSERT INTO rows (key, event_time, sequence, expires_at, row) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE
SET event_time = excluded.event_time, sequence = excluded.sequence, expires_at = excluded.expires_at, row = excluded.row
WHERE (excluded.event_time, excluded.sequence) >= (rows.event_time, rows.sequence)
"""
_UPSERTS = {
    WriteMode.NEWEST_WINS: _UPSERT,
    WriteMode.EXACT: f"{_UPSERT} OR (excluded.sequence > rows.sequence AND (rows.sequence % 2 = 0 OR rows.event_time <= ?))",
}

_OLDER = "((sequence % 2 = 0 AND sequence < ?) OR (sequence % 2 = 1 AND sequence < ? AND event_time <= ?))"
"""Nothing is at most null: without a horizon no pushed row is older."""

CLEANED_UP_PER_WRITE = 20_000
"""More rows than a write of the codec has, so that cleaning up keeps up, and few enough that no write waits long for it."""

_CLEAN_UP = f"""
DELETE FROM rows WHERE key IN (SELECT key FROM rows WHERE expires_at < ? ORDER BY expires_at LIMIT {CLEANED_UP_PER_WRITE})
"""

_IN_SPACE = "key >= ? AND key < ? AND substr(key, -?) = ?"
KEYS_PER_SCAN = 1000
_KEYS_PER_QUERY = (1, 4, 16, 64, 256, 900)
"""Sizes of prepared queries; 999 variables is the least limit that a SQLite build has."""


class EmbeddedStore:
    """An `OnlineStore` in one file. May be shared by threads."""

    def __init__(self, path: Path, *, clock: Clock = utc_now) -> None:
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._opened_file: tuple[int, int] | None = None
        self._laid_out = False

    @property
    def shared_url(self) -> str | None:
        """None: it is a file of this machine, with one writer at a time."""
        return None

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`."""
        with self._reading() as connection:
            if connection is None:
                return [None] * len(keys)
            found: dict[bytes, bytes] = {}
            for part in _parts(keys):
                found.update(connection.execute(_select(len(part)), part))
            return list(map(found.get, keys))

    def write(
        self,
        rows: EncodedRows,
        mode: WriteMode,
        *,
        horizon: int | None = None,
        expires_after: int | None = None,
        until: int | None = None,
    ) -> int:
        """Write rows by the rule of `mode`; return how many were taken. Rows whose expiry has passed are cleaned up."""
        with self._writing() as connection:
            before = connection.total_changes
            now = to_micros(self._clock())
            if until is not None and now > until:
                raise WrittenTooLateError(f"Rows came to {self._path} too late to be written.")
            rule = (horizon,) if mode is WriteMode.EXACT else ()
            parameters = _parameters(rows, None if expires_after is None else now + expires_after)
            connection.executemany(_UPSERTS[mode], ((*each, *rule) for each in parameters))
            taken = connection.total_changes - before
            connection.execute(_CLEAN_UP, (now,))
            return taken

    def remove_older(self, space: KeySpace, sequence: int, *, pushed_before: int = 0, horizon: int | None = None) -> int:
        """Remove what materializations before `sequence` wrote, and what was pushed before `pushed_before` up to `horizon`."""
        with self._writing() as connection:
            parameters = (*_bounds(space), sequence, pushed_before, horizon)
            return connection.execute(f"DELETE FROM rows WHERE {_IN_SPACE} AND {_OLDER}", parameters).rowcount

    def expire(self, space: KeySpace, after: int, per_second: int) -> int:
        """Let all rows of a key space go, the first after so many microseconds; return how many."""
        count, first = 0, to_micros(self._clock()) + after
        for keys in self.scan(space):
            with self._writing() as connection:
                expiries = [(first + 1_000_000 * (count + place) // per_second, key) for place, key in enumerate(keys)]
                count += connection.executemany("UPDATE rows SET expires_at = ? WHERE key = ?", expiries).rowcount
        return count

    def scan(self, space: KeySpace) -> Iterator[list[bytes]]:
        """The keys of a key space, some at a time, in their order."""
        for found in self._scanned("key", _IN_SPACE, space):
            yield [key for (key,) in found]

    def scan_pushed(self, space: KeySpace) -> Iterator[list[tuple[bytes, bytes]]]:
        """The pushed rows of a key space, each with its key, some at a time."""
        yield from self._scanned("key, row", f"{_IN_SPACE} AND sequence % 2 = 1", space)

    def count(self, space: KeySpace) -> int:
        """How many rows a key space holds."""
        with self._reading() as connection:
            if connection is None:
                return 0
            return int(connection.execute(f"SELECT count(*) FROM rows WHERE {_IN_SPACE}", _bounds(space)).fetchone()[0])

    def next_sequence(self, project: str, above: int = 0) -> int:
        """A number greater than `above` and than any that this returned before for that project."""
        with self._writing() as connection:
            connection.execute(
                "INSERT INTO sequences (project, last) VALUES (?1, ?2 + 1) ON CONFLICT (project) DO UPDATE SET last = max(last, ?2) + 1",
                (project, above),
            )
            return int(connection.execute("SELECT last FROM sequences WHERE project = ?", (project,)).fetchone()[0])

    def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        with self._reading() as connection:
            if connection is None:
                return 0
            found = connection.execute("SELECT last FROM sequences WHERE project = ?", (project,)).fetchone()
            return int(found[0]) if found else 0

    def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents."""
        with self._reading() as connection:
            if connection is None:
                return [None] * len(names)
            found: dict[str, bytes] = {}
            for start in range(0, len(names), 900):
                part = names[start : start + 900]
                marks = ", ".join("?" * len(part))
                query = f"SELECT name, content FROM documents WHERE project = ? AND name IN ({marks})"
                found.update(connection.execute(query, (project, *part)))
            return list(map(found.get, names))

    def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        with self._writing() as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO documents (project, name, content) VALUES (?, ?, ?)",
                [(project, name, content) for name, content in documents.items()],
            )

    def exchange_documents(self, project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        """Write documents, all or none, if those of `expected` still are what is given there; return whether they were."""
        with self._writing() as connection:
            for name, content in expected.items():
                there = connection.execute("SELECT content FROM documents WHERE project = ? AND name = ?", (project, name)).fetchone()
                if (there and there[0]) != content:
                    return False
            connection.executemany("DELETE FROM documents WHERE project = ? AND name = ?", [(project, name) for name in documents])
            connection.executemany(
                "INSERT INTO documents (project, name, content) VALUES (?, ?, ?)",
                [(project, name, content) for name, content in documents.items() if content is not None],
            )
            return True

    def time(self, project: str) -> int:
        """What time it is, in microseconds since the epoch: whoever has the file has this machine's clock."""
        return to_micros(self._clock())

    def holders(self) -> str:
        """One file, which is never another."""
        return ""

    def kept(self, holders: str) -> bool:
        """What was written is in the file."""
        return True

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _scanned(self, columns: str, condition: str, space: KeySpace) -> Iterator[list[Any]]:
        """What is in a key space and meets a condition, some at a time: the key first, in whose order they come."""
        query = f"SELECT {columns} FROM rows WHERE {condition} ORDER BY key LIMIT {KEYS_PER_SCAN}"
        start, *rest = _bounds(space)
        while True:
            with self._reading() as connection:
                found = [] if connection is None else connection.execute(query, (start, *rest)).fetchall()
            if found:
                yield found
            if len(found) < KEYS_PER_SCAN:
                return
            start = found[-1][0] + b"\x00"

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """One consistent view of the file; None while nothing was written to it, since reading never makes a file."""
        with self._lock, self._named_errors():
            connection = self._opened(to_write=False)
            if connection is None:
                yield None
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that waits for other writers, and is undone by an error."""
        with self._lock, self._named_errors():
            connection = self._opened(to_write=True)
            assert connection is not None
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _opened(self, *, to_write: bool) -> sqlite3.Connection | None:
        if self._connection is not None and self._file_id() != self._opened_file:
            self._connection.close()
            self._connection, self._laid_out = None, False
        if self._connection is None or (to_write and not self._laid_out):
            connection = self._connection or self._connect(to_write)
            if connection is None:
                return None
            if to_write:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_LAYOUT)
            self._connection, self._laid_out, self._opened_file = connection, to_write, self._file_id()
        return self._connection

    def _file_id(self) -> tuple[int, int] | None:
        """Which file is at the path now: SQLite itself would go on with one that was deleted or replaced. None: there is none."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _connect(self, to_write: bool) -> sqlite3.Connection | None:
        if not to_write and not self._path.exists():
            return None
        address = f"{self._path.absolute().as_uri()}?mode={'rwc' if to_write else 'rw'}"
        connection = sqlite3.connect(
            address, uri=True, timeout=WAIT_FOR_LOCK, isolation_level=None, check_same_thread=False, cached_statements=256
        )
        connection.execute("PRAGMA synchronous = NORMAL")
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'sequences'").fetchone()[0]
        if tables or to_write:
            return connection
        connection.close()
        return None

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise OnlineStoreUnavailableError(f"The online store {self._path} cannot be used: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise OnlineStoreError(f"{self._path} is no online store: {error}.") from error


class AsyncEmbeddedStore:
    """An `AsyncOnlineStore` in one file: SQLite waits in a thread, not in the event loop."""

    def __init__(self, store: EmbeddedStore) -> None:
        self._store = store

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`."""
        return await asyncio.to_thread(self._store.read, keys)

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents."""
        return await asyncio.to_thread(self._store.read_documents, project, names)

    async def write(self, rows: EncodedRows, mode: WriteMode, *, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        return await asyncio.to_thread(self._store.write, rows, mode, expires_after=expires_after)

    async def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        return await asyncio.to_thread(self._store.last_sequence, project)

    async def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        await asyncio.to_thread(self._store.write_documents, project, documents)

    async def close(self) -> None:
        """Close the file."""
        await asyncio.to_thread(self._store.close)


def _parameters(rows: EncodedRows, expires_at: int | None) -> Iterator[tuple[bytes, int, int, int | None, bytes]]:
    for key, row in rows.pairs():
        event_time, sequence = row_version(row)
        yield key, event_time, sequence, expires_at, row


def _parts(keys: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """Keys in parts of few different sizes, so that few queries are ever prepared; the last part repeats its last key."""
    largest = _KEYS_PER_QUERY[-1]
    for start in range(0, len(keys), largest):
        part = keys[start : start + largest]
        size = next(size for size in _KEYS_PER_QUERY if size >= len(part))
        yield [*part, *[part[-1]] * (size - len(part))]


def _select(count: int) -> str:
    return f"SELECT key, row FROM rows WHERE key IN ({', '.join('?' * count)})"


def _bounds(space: KeySpace) -> tuple[bytes, bytes, int, bytes]:
    after = space.prefix[:-1] + bytes((space.prefix[-1] + 1,))
    return space.prefix, after, len(space.suffix), space.suffix
