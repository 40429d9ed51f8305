"""The online store in Redis: a read is one round trip, a write is decided by the server.

A row is a string under its key, so any client reads it. Writes go as a script over a batch of keys and rows: it compares the event
time and sequence that stand at fixed offsets with those of the rows that are there, and sets the winners, so that concurrent
writers need not know of each other and a reader sees a row old or new. Keys and rows are sent as the codec laid them out, without
being copied into a command. Reading needs no right but those of MGET and HMGET, and in a cluster to ask what is where.

One server, the master that Sentinels know, or a cluster: see `redis_url` for how each is written, and `redis_steps` for how a request
is carried out over it. A request to one server that answers takes none of those steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from featurestore.codec.keys import KeySpace

from .base import EncodedRows, WriteMode
from .redis_commands import documents_key, hmget, hset, mget, packed, sequence_key
from .redis_connections import AsyncServers, Servers
from .redis_holders import holders, kept
from .redis_routes import FAILURES
from .redis_scan import Sweep, keys_counted, let_go, older_removed, pushed_rows
from .redis_steps import Knowledge
from .redis_url import parse_redis_url
from .redis_work import answered, documents_exchanged, rows_read, rows_written


class RedisStore:
    """An `OnlineStore` in Redis. May be shared by threads."""

    def __init__(self, url: str, patience: float = 0.0) -> None:
        """Nothing is reached before the store is used. Args: as for `redis_url.parse_redis_url`."""
        self._url = url
        parsed = parse_redis_url(url, patience)
        self._servers, self._knowledge = Servers(parsed), Knowledge.of(parsed)
        self._reads, self._writes = parsed.retry_reads_for, parsed.retry_writes_for

    @property
    def shared_url(self) -> str | None:
        """Its URL, password and all."""
        return self._url

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip to each server that has some of them."""
        if not keys:
            return []
        only = self._knowledge.only_master
        if only is not None:
            try:
                rows: list[bytes | None] = self._servers.of(only).ask(mget(keys))
                return rows
            except FAILURES as error:
                self._knowledge.ask_again(only, error)
        return self._servers.run(rows_read(keys, self._knowledge))

    def write(
        self,
        rows: EncodedRows,
        mode: WriteMode,
        *,
        horizon: int | None = None,
        expires_after: int | None = None,
        until: int | None = None,
    ) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        if not len(rows):
            return 0
        return self._servers.run(rows_written(rows, mode, self._knowledge, expires_after=expires_after, horizon=horizon, until=until))

    def remove_older(self, space: KeySpace, sequence: int, *, pushed_before: int = 0, horizon: int | None = None) -> int:
        """Remove what materializations before `sequence` wrote, and what was pushed before `pushed_before` up to `horizon`."""
        return self._servers.run(older_removed(space, sequence, pushed_before, horizon, self._knowledge))

    def expire(self, space: KeySpace, after: int, per_second: int) -> int:
        """Let all rows of a key space go, the first after so many microseconds; return how many."""
        return self._servers.run(let_go(space, after, per_second, self._knowledge))

    def scan(self, space: KeySpace) -> Iterator[list[bytes]]:
        """The keys of a key space, some at a time."""
        sweep = Sweep(space, self._knowledge)
        while (keys := self._servers.run(sweep.next_keys())) is not None:
            yield keys

    def scan_pushed(self, space: KeySpace) -> Iterator[list[tuple[bytes, bytes]]]:
        """The pushed rows of a key space, each with its key, some at a time. The other rows stay where they are."""
        for keys in self.scan(space):
            if rows := self._servers.run(pushed_rows(keys, self._knowledge)):
                yield rows

    def count(self, space: KeySpace) -> int:
        """How many rows a key space holds; some may count twice while rows are being removed or slots move."""
        return self._servers.run(keys_counted(space, self._knowledge))

    def next_sequence(self, project: str, above: int = 0) -> int:
        """A number greater than `above` and than any that this returned before for that project."""
        number = self._number("INCR", project)
        return number if number > above else self._number("INCRBY", project, above + 1 - number)

    def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        key = sequence_key(project)
        return int(self._servers.run(answered(key, packed("GET", key), self._knowledge, self._reads)) or 0)

    def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents, in one round trip."""
        if not names:
            return []
        steps = answered(documents_key(project), hmget(project, names), self._knowledge, self._reads)
        documents: list[bytes | None] = self._servers.run(steps)
        return documents

    def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        if documents:
            steps = answered(documents_key(project), hset(project, documents), self._knowledge, self._writes)
            self._servers.run(steps)

    def exchange_documents(self, project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        """Write documents, all or none, if those of `expected` still are what is given there; return whether they were."""
        return self._servers.run(documents_exchanged(project, expected, documents, self._knowledge))

    def time(self, project: str) -> int:
        """What time it is in the server that has the project's documents, in microseconds since the epoch."""
        seconds, micros = self._servers.run(answered(documents_key(project), packed("TIME"), self._knowledge, self._reads))
        return int(seconds) * 1_000_000 + int(micros)

    def holders(self) -> str:
        """What names the masters that there are now, each with its present process and history."""
        return self._servers.run(holders(self._knowledge))

    def kept(self, holders: str) -> bool:
        """Wait until the replicas have what was written; whether the masters still are those of `holders`."""
        return self._servers.run(kept(holders, self._knowledge))

    def close(self) -> None:
        """Give up all connections."""
        self._servers.close()

    def _number(self, name: str, project: str, *by: int) -> int:
        key = sequence_key(project)
        return int(self._servers.run(answered(key, packed(name, key, *by), self._knowledge, self._writes)))


class AsyncRedisStore:
    """An `AsyncOnlineStore` in Redis."""

    def __init__(self, url: str) -> None:
        """Args: url: as for `RedisStore`."""
        parsed = parse_redis_url(url)
        self._servers, self._knowledge = AsyncServers(parsed), Knowledge.of(parsed)
        self._reads, self._writes = parsed.retry_reads_for, parsed.retry_writes_for

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip to each server that has some of them."""
        if not keys:
            return []
        only = self._knowledge.only_master
        if only is not None:
            try:
                rows: list[bytes | None] = await self._servers.of(only).ask(mget(keys))
                return rows
            except FAILURES as error:
                self._knowledge.ask_again(only, error)
        return await self._servers.run(rows_read(keys, self._knowledge))

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents, in one round trip."""
        if not names:
            return []
        steps = answered(documents_key(project), hmget(project, names), self._knowledge, self._reads)
        documents: list[bytes | None] = await self._servers.run(steps)
        return documents

    async def write(self, rows: EncodedRows, mode: WriteMode, *, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        return await self._servers.run(rows_written(rows, mode, self._knowledge, expires_after=expires_after)) if len(rows) else 0

    async def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        key = sequence_key(project)
        return int(await self._servers.run(answered(key, packed("GET", key), self._knowledge, self._reads)) or 0)

    async def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        if documents:
            await self._servers.run(answered(documents_key(project), hset(project, documents), self._knowledge, self._writes))

    async def close(self) -> None:
        """Give up all connections."""
        await self._servers.close()
