"""The online store in Redis: a read is one MGET, a write is decided by the server.

A row is a string under its key, so any client reads it. Writes go as a script over a batch of keys and rows: it compares the event
time and sequence that stand at fixed offsets with those of the rows that are there, and sets the winners, so that concurrent
writers need not know of each other and a reader sees a row old or new. Keys and rows are sent as the codec laid them out, without
being copied into a command. Reading needs no right but those of MGET and HMGET.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha1
from itertools import chain
from typing import Any

import hiredis

from featurestore.codec.keys import KeySpace

from .base import EncodedRows, WriteMode
from .redis_connections import AsyncConnections, Connections, UnknownScript
from .redis_scripts import EXCHANGE, EXPIRE, REMOVE_OLDER, WRITE

ROWS_PER_COMMAND = 500
"""While a command runs, Redis answers nobody else: about a millisecond."""

BYTES_PER_COMMAND = 1 << 22
COMMANDS_AHEAD = 8
"""How many commands are sent before the first one's answer is read: Redis always has the next one waiting."""

KEYS_PER_SCAN = 1000
_SIZES = tuple(b"\r\n$%d\r\n" % length for length in range(512))


class RedisStore:
    """An `OnlineStore` in one Redis server. May be shared by threads."""

    def __init__(self, url: str) -> None:
        """Args: url: `redis://`, `rediss://` or `unix://`; nothing is reached before the store is used."""
        self._url = url
        self._connections = Connections(url)

    @property
    def shared_url(self) -> str | None:
        """Its URL, password and all."""
        return self._url

    def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip."""
        rows: list[bytes | None] = self._connections.ask(_mget(keys)) if keys else []
        return rows

    def write(self, rows: EncodedRows, mode: WriteMode, *, horizon: int | None = None, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken."""
        if len(rows) == 0:
            return 0
        return self._with_script(WRITE, lambda connection: _write(connection, write_commands(rows, mode, expires_after, horizon)))

    def remove_older(self, space: KeySpace, sequence: int, *, pushed_before: int = 0, horizon: int | None = None) -> int:
        """Remove what materializations before `sequence` wrote, and what was pushed before `pushed_before` up to `horizon`."""
        arguments = (sequence, pushed_before, _instant_bytes(horizon))

        def remove(connection: Any) -> int:
            batches = _scan(connection, space)
            return sum(_call(connection, "EVALSHA", _digest(REMOVE_OLDER), len(keys), *keys, *arguments) for keys in batches)

        return self._with_script(REMOVE_OLDER, remove)

    def expire(self, space: KeySpace, after: int, per_second: int) -> int:
        """Let all rows of a key space go, the first after so many microseconds; return how many."""

        def expire(connection: Any) -> int:
            count = 0
            for keys in _scan(connection, space):
                first, gap = after // 1000 + 1000 * count // per_second, 1000 / per_second
                count += _call(connection, "EVALSHA", _digest(EXPIRE), len(keys), *keys, first, gap)
            return count

        return self._with_script(EXPIRE, expire)

    def scan(self, space: KeySpace) -> Iterator[list[bytes]]:
        """The keys of a key space, some at a time."""
        with self._connections.one() as connection:
            yield from _scan(connection, space)

    def count(self, space: KeySpace) -> int:
        """How many rows a key space holds; some may count twice while rows are being removed."""
        with self._connections.one() as connection:
            return sum(map(len, _scan(connection, space)))

    def next_sequence(self, project: str, above: int = 0) -> int:
        """A number greater than `above` and than any that this returned before for that project."""
        with self._connections.one() as connection:
            number = int(_call(connection, "INCR", _sequence_key(project)))
            if number > above:
                return number
            return int(_call(connection, "INCRBY", _sequence_key(project), str(above + 1 - number)))

    def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        return int(self._connections.ask(_packed("GET", _sequence_key(project))) or 0)

    def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents, in one round trip."""
        documents: list[bytes | None] = self._connections.ask(_hmget(project, names)) if names else []
        return documents

    def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        if documents:
            with self._connections.one() as connection:
                connection.send_packed_command((_hset(project, documents),), check_health=False)
                connection.read_response()

    def exchange_documents(self, project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        """Write documents, all or none, if those of `expected` still are what is given there; return whether they were."""
        arguments = (len(expected), *_named_contents(expected), *_named_contents(documents))

        def exchange(connection: Any) -> int:
            return int(_call(connection, "EVALSHA", _digest(EXCHANGE), 1, _documents_key(project), *arguments))

        return self._with_script(EXCHANGE, exchange) == 1

    def close(self) -> None:
        """Give up all connections."""
        self._connections.close()

    def _with_script(self, script: str, act: Callable[[Any], int]) -> int:
        """Act, and do so again after loading the script where the server did not know it: all that is done twice ends the same."""
        try:
            with self._connections.one() as connection:
                return act(connection)
        except UnknownScript:
            with self._connections.one() as connection:
                _call(connection, "SCRIPT", "LOAD", script)
                return act(connection)


class AsyncRedisStore:
    """An `AsyncOnlineStore` in one Redis server."""

    def __init__(self, url: str) -> None:
        """Args: url: as for `RedisStore`."""
        self._connections = AsyncConnections(url)

    async def read(self, keys: Sequence[bytes]) -> list[bytes | None]:
        """The row of each key, or None, in the order of `keys`, in one round trip."""
        rows: list[bytes | None] = await self._connections.ask(_mget(keys)) if keys else []
        return rows

    async def read_documents(self, project: str, names: Sequence[str]) -> list[bytes | None]:
        """Small named documents, in one round trip."""
        documents: list[bytes | None] = await self._connections.ask(_hmget(project, names)) if names else []
        return documents

    async def write(self, rows: EncodedRows, mode: WriteMode, *, expires_after: int | None = None) -> int:
        """Write rows by the rule of `mode`; return how many were taken. Writing a second time leaves what the first time left."""
        return sum([await self._written(b"".join(parts)) for parts in write_commands(rows, mode, expires_after)])

    async def last_sequence(self, project: str) -> int:
        """The number that `next_sequence` gave last; 0 before the first."""
        return int(await self._connections.ask(_packed("GET", _sequence_key(project))) or 0)

    async def write_documents(self, project: str, documents: Mapping[str, bytes]) -> None:
        """Write documents, all or none."""
        if documents:
            await self._connections.ask(_hset(project, documents))

    async def _written(self, command: bytes) -> int:
        try:
            return int(await self._connections.ask(command))
        except UnknownScript:
            await self._connections.ask(_packed("SCRIPT", "LOAD", WRITE))
            return int(await self._connections.ask(command))

    async def close(self) -> None:
        """Give up all connections."""
        await self._connections.close()


def write_commands(
    rows: EncodedRows, mode: WriteMode, expires_after: int | None = None, horizon: int | None = None
) -> Iterator[tuple[bytes | memoryview, ...]]:
    """The commands that write rows, each as the parts to send one after the other: what the codec laid out is not copied."""
    lifetime = b"" if expires_after is None else b"%d" % (expires_after // 1000)
    arguments = (mode.value.encode(), lifetime, _instant_bytes(horizon))
    tail = b"".join(b"$%d\r\n%s\r\n" % (len(argument), argument) for argument in arguments)
    size = len(rows.bulk_rows(0, len(rows)))
    step = max(1, min(ROWS_PER_COMMAND, BYTES_PER_COMMAND * len(rows) // max(1, size)))
    for start in range(0, len(rows), step):
        stop = min(start + step, len(rows))
        count = b"%d" % (stop - start)
        head = b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n$%d\r\n%s\r\n" % (
            3 + 2 * (stop - start) + len(arguments),
            _digest(WRITE).encode(),
            len(count),
            count,
        )
        yield head, rows.bulk_keys(start, stop), rows.bulk_rows(start, stop), tail


def _write(connection: Any, commands: Iterator[tuple[bytes | memoryview, ...]]) -> int:
    taken, waiting = 0, 0
    for command in commands:
        connection.send_packed_command(command, check_health=False)
        waiting += 1
        if waiting == COMMANDS_AHEAD:
            taken += int(connection.read_response())
            waiting -= 1
    return taken + sum(int(connection.read_response()) for _ in range(waiting))


def _scan(connection: Any, space: KeySpace) -> Iterator[list[bytes]]:
    """The keys of a key space, some at a time. A key may come twice where the server's table shrinks meanwhile."""
    pattern = _glob_escaped(space.prefix) + b"*" + _glob_escaped(space.suffix)
    cursor = b"0"
    while True:
        cursor, keys = _call(connection, "SCAN", cursor, "MATCH", pattern, "COUNT", KEYS_PER_SCAN)
        if keys:
            yield keys
        if cursor == b"0":
            return


def _call(connection: Any, *command: object) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def _mget(keys: Sequence[bytes]) -> bytes:
    """The command, put together for many short keys in less time than a packer of any command takes."""
    try:
        sized = chain.from_iterable(zip(map(_SIZES.__getitem__, map(len, keys)), keys, strict=True))
        return b"*%d\r\n$4\r\nMGET%s\r\n" % (len(keys) + 1, b"".join(sized))
    except IndexError:
        return _packed("MGET", *keys)


def _hmget(project: str, names: Sequence[str]) -> bytes:
    return _packed("HMGET", _documents_key(project), *names)


def _hset(project: str, documents: Mapping[str, bytes]) -> bytes:
    return _packed("HSET", _documents_key(project), *(part for pair in documents.items() for part in pair))


def _packed(*command: str | bytes) -> bytes:
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return packed


def _named_contents(documents: Mapping[str, bytes | None]) -> Iterator[str | bytes]:
    """Name, whether there is one, and content of each document."""
    for name, content in documents.items():
        yield from (name, "0" if content is None else "1", content or b"")


def _sequence_key(project: str) -> str:
    return f"{project}:sequence"


def _instant_bytes(micros: int | None) -> bytes:
    """As a row holds it; empty: there is none."""
    return b"" if micros is None else micros.to_bytes(8, "big", signed=True)


def _documents_key(project: str) -> str:
    return f"{project}:documents"


def _glob_escaped(text: bytes) -> bytes:
    return b"".join(b"\\" + text[at : at + 1] if text[at : at + 1] in b"*?[]^\\-" else text[at : at + 1] for at in range(len(text)))


def _digest(script: str) -> str:
    return sha1(script.encode(), usedforsecurity=False).hexdigest()
