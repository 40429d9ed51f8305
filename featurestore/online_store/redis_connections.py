"""Connections to one Redis server, and what goes wrong with them in our words: where the server is, never its password.

A connection that answered is kept for the next caller, without the client pool's bookkeeping, which would cost a short read as much
as the read. One that the server dropped meanwhile shows when it is used: a read is then asked once more, on a new connection.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from featurestore.errors import FeatureStoreError, OnlineStoreError, OnlineStoreUnavailableError, SettingsError

CONNECT_TIMEOUT = 5.0
ANSWER_TIMEOUT = 30.0
MOST_THREADS = 10_000
MOST_ASYNC_CONNECTIONS = 64
"""More requests at once than this wait for one another."""

READ_SIZE = 1 << 18

_FAILURES = (redis.RedisError, OSError)


class UnknownScript(Exception):
    """The server was never given the script, or has forgotten it."""


class Connections:
    """May be shared by threads, and used on after a fork."""

    def __init__(self, url: str) -> None:
        """Nothing is reached before the first use."""
        self._pool = _pool(redis.ConnectionPool, url, max_connections=MOST_THREADS, retry=Retry(NoBackoff(), 0))
        self._place = _place(self._pool.connection_kwargs)
        self._idle: list[Any] = []
        self._process = os.getpid()

    def ask(self, command: bytes) -> Any:
        """The answer to a packed command that may be asked twice."""
        try:
            return self._once(command)
        except redis.ConnectionError as error:
            if isinstance(error, redis.AuthenticationError):
                raise _named(error, self._place) from None
            return self._once_more(command)
        except _FAILURES as error:
            raise _named(error, self._place) from error

    @contextmanager
    def one(self) -> Iterator[Any]:
        """A connection for several commands. It is given up where it may still have an answer to come."""
        try:
            connection = self._pool.get_connection()
            try:
                yield connection
            except BaseException:
                connection.disconnect()
                raise
            finally:
                self._pool.release(connection)
        except _FAILURES as error:
            raise _named(error, self._place) from error

    def close(self) -> None:
        """Give up all connections."""
        self._idle.clear()
        self._pool.disconnect()

    def _once(self, command: bytes) -> Any:
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            connection.send_packed_command((command,), check_health=False)
            answer = connection.read_response()
        except BaseException:
            self._give_up(connection)
            raise
        self._idle.append(connection)
        return answer

    def _once_more(self, command: bytes) -> Any:
        while self._idle:
            self._give_up(self._idle.pop())
        try:
            return self._once(command)
        except _FAILURES as error:
            raise _named(error, self._place) from error

    def _give_up(self, connection: Any) -> None:
        connection.disconnect()
        self._pool.release(connection)


class AsyncConnections:
    """The same for asyncio."""

    def __init__(self, url: str) -> None:
        """Nothing is reached before the first use."""
        self._url = url
        self._start_anew()
        self._place = _place(self._pool.connection_kwargs)
        self._loop: asyncio.AbstractEventLoop | None = None

    async def ask(self, command: bytes) -> Any:
        """The answer to a packed command that may be asked twice."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None:
                # What was opened on another loop, which `asyncio.run` has closed by now, cannot be used on this one.
                self._start_anew()
            self._loop = loop
        async with self._free:
            try:
                return await self._once(command)
            except redis.ConnectionError as error:
                if isinstance(error, redis.AuthenticationError):
                    raise _named(error, self._place) from None
                return await self._once_more(command)
            except _FAILURES as error:
                raise _named(error, self._place) from error

    def _start_anew(self) -> None:
        self._pool = _pool(
            redis.asyncio.ConnectionPool, self._url, max_connections=MOST_ASYNC_CONNECTIONS, retry=AsyncRetry(NoBackoff(), 0)
        )
        self._idle: list[Any] = []
        self._free = asyncio.Semaphore(MOST_ASYNC_CONNECTIONS)

    async def close(self) -> None:
        """Give up all connections."""
        self._idle.clear()
        if self._loop is asyncio.get_running_loop():
            await self._pool.disconnect()

    async def _once(self, command: bytes) -> Any:
        connection = self._idle.pop() if self._idle else await self._pool.get_connection()
        try:
            await connection.send_packed_command(command, check_health=False)
            answer = await connection.read_response()
        except BaseException:
            await self._give_up(connection)
            raise
        self._idle.append(connection)
        return answer

    async def _once_more(self, command: bytes) -> Any:
        while self._idle:
            await self._give_up(self._idle.pop())
        try:
            return await self._once(command)
        except _FAILURES as error:
            raise _named(error, self._place) from error

    async def _give_up(self, connection: Any) -> None:
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)


def _pool(kind: type, url: str, **options: object) -> Any:
    """A pool that does not retry by itself: what is retried, and what must not be, is decided here."""
    timeouts = {"socket_connect_timeout": CONNECT_TIMEOUT, "socket_timeout": ANSWER_TIMEOUT}
    try:
        pool = kind.from_url(url, protocol=2, socket_read_size=READ_SIZE, **timeouts, **options)  # type: ignore[attr-defined]
        pool.connection_class(**pool.connection_kwargs)
    except (ValueError, TypeError):  # whose words may quote a piece of the password
        raise SettingsError(
            "The URL of the Redis online store cannot be read. Write redis://user:password@host:6379/0, with any of :/?#[]@% in "
            "the password percent-encoded."
        ) from None
    return pool


def _place(settings: Mapping[str, Any]) -> str:
    """Where a server is, for people: never its password."""
    return str(settings["path"]) if "path" in settings else f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"


def _named(error: Exception, place: str) -> FeatureStoreError | UnknownScript:
    match error:
        case redis.exceptions.NoScriptError():
            return UnknownScript()
        case redis.AuthenticationError():
            return OnlineStoreUnavailableError(f"Redis at {place} refuses the login: {error}. Check the online store's URL.")
        case redis.ConnectionError() | redis.TimeoutError() | OSError():
            return OnlineStoreUnavailableError(f"Redis at {place} cannot be reached: {error}. Is it running?")
    return OnlineStoreError(f"Redis at {place} refused: {error}.")
