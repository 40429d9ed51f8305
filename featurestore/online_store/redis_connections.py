"""Connections to Redis servers. Nothing is decided here: commands are sent, answers read, and what went wrong is handed on as it is.

A connection that answered is kept for the next caller, without the client pool's bookkeeping, which would cost a short read as much
as the read. All servers of a request are sent to before the first one's answer is read.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from .redis_routes import FAILURES
from .redis_steps import Packet, Pause, Steps
from .redis_url import RedisUrl, Server

MOST_THREADS = 10_000
MOST_ASYNC_CONNECTIONS = 64
"""More requests at once to one server than this wait for one another."""

READ_SIZE = 1 << 18

AT_ONCE = 1 << 15
"""Bytes that a transport of asyncio or uvloop, with nothing left to send, takes without making its writer wait: half of what it holds."""

_Result = TypeVar("_Result")


class Connections:
    """To one server. May be shared by threads, and used on after a fork."""

    def __init__(self, url: RedisUrl, server: Server) -> None:
        """Nothing is reached before the first use."""
        self._pool: Any = redis.ConnectionPool(
            max_connections=MOST_THREADS, retry=Retry(NoBackoff(), 0), **_settings(redis.connection, url, server)
        )
        self._idle: list[Any] = []
        self._process = os.getpid()

    def ask(self, command: bytes) -> Any:
        """The answer to one command."""
        connection = self.send((command,))
        try:
            answer = connection.read_response()
        except redis.ResponseError:
            self._idle.append(connection)
            raise
        except BaseException:
            self.give_up(connection)
            raise
        self._idle.append(connection)
        return answer

    def send(self, parts: Sequence[bytes | memoryview]) -> Any:
        """Send commands; the connection that their answers are to be read from."""
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._pool.get_connection()
        try:
            connection.send_packed_command(parts, check_health=False)
        except BaseException:
            self.give_up(connection)
            self.give_up_idle()
            raise
        return connection

    def receive(self, connection: Any, count: int) -> list[Any]:
        """So many answers; an exception stands for one that is an error, or that did not come."""
        answers: list[Any] = []
        try:
            while len(answers) < count:
                try:
                    answers.append(connection.read_response())
                except redis.ResponseError as error:
                    answers.append(error)
        except FAILURES as error:
            self.give_up(connection)
            self.give_up_idle()
            return answers + [error] * (count - len(answers))
        except BaseException:
            self.give_up(connection)
            raise
        self._idle.append(connection)
        return answers

    def give_up_idle(self) -> None:
        """Those that are not in use are dropped: where one was lost, the others are too."""
        while self._idle:
            self.give_up(self._idle.pop())

    def close(self) -> None:
        """Give up all connections."""
        self._idle.clear()
        self._pool.disconnect()

    def give_up(self, connection: Any) -> None:
        """Drop a connection that may still have an answer to come."""
        connection.disconnect()
        self._pool.release(connection)


class Servers:
    """All servers of a store. May be shared by threads."""

    def __init__(self, url: RedisUrl) -> None:
        """Nothing is reached before the first use."""
        self._url = url
        self._connections: dict[Server, Connections] = {}
        for server in url.servers:
            self.of(server)

    def of(self, server: Server) -> Connections:
        """The connections to one server."""
        connections = self._connections.get(server)
        if connections is None:
            connections = self._connections.setdefault(server, Connections(self._url, server))
        return connections

    def run(self, steps: Steps[_Result]) -> _Result:
        """Do what the steps say, and give what they come to."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = steps.send({})
                else:
                    step = steps.send(self._exchanged(step))
        except StopIteration as end:
            result: _Result = end.value
            return result

    def close(self) -> None:
        """Give up all connections."""
        for connections in self._connections.values():
            connections.close()

    def _exchanged(self, packets: Mapping[Server, Packet]) -> dict[Server, list[Any]]:
        sent: dict[Server, Any] = {}
        answers: dict[Server, list[Any]] = {}
        try:
            for server, packet in packets.items():
                try:
                    sent[server] = self.of(server).send(packet.parts)
                except FAILURES as error:
                    answers[server] = [error] * packet.answers
            while sent:
                server, connection = sent.popitem()
                answers[server] = self.of(server).receive(connection, packets[server].answers)
        except BaseException:
            for server, connection in sent.items():
                self.of(server).give_up(connection)
            raise
        return answers


class AsyncConnections:
    """To one server, for asyncio: on one event loop."""

    def __init__(self, url: RedisUrl, server: Server) -> None:
        """Nothing is reached before the first use."""
        settings = _settings(redis.asyncio.connection, url, server)
        self._pool: Any = redis.asyncio.ConnectionPool(max_connections=MOST_ASYNC_CONNECTIONS, retry=AsyncRetry(NoBackoff(), 0), **settings)
        self._idle: list[Any] = []
        self._free = asyncio.Semaphore(MOST_ASYNC_CONNECTIONS)

    async def ask(self, command: bytes) -> Any:
        """The answer to one command."""
        async with self._free:
            connection = await self._send((command,))
            try:
                answer = await connection.read_response()
            except redis.ResponseError:
                self._idle.append(connection)
                raise
            except BaseException:
                await self._give_up(connection)
                raise
            self._idle.append(connection)
            return answer

    async def exchange(self, packet: Packet) -> list[Any]:
        """The answers to a packet's commands; an exception stands for one that is an error, or that did not come."""
        answers: list[Any] = []
        async with self._free:
            try:
                connection = await self._send(packet.parts)
            except FAILURES as error:
                return [error] * packet.answers
            try:
                while len(answers) < packet.answers:
                    try:
                        answers.append(await connection.read_response())
                    except redis.ResponseError as error:
                        answers.append(error)
            except FAILURES as error:
                await self._give_up(connection)
                await self.give_up_idle()
                return answers + [error] * (packet.answers - len(answers))
            except BaseException:
                await self._give_up(connection)
                raise
            self._idle.append(connection)
            return answers

    async def give_up_idle(self) -> None:
        """Those that are not in use are dropped: where one was lost, the others are too."""
        while self._idle:
            await self._give_up(self._idle.pop())

    async def close(self) -> None:
        """Give up all connections."""
        self._idle.clear()
        await self._pool.disconnect()

    async def _send(self, parts: Sequence[bytes | memoryview]) -> Any:
        connection = self._idle.pop() if self._idle else await self._pool.get_connection()
        try:
            await _write(connection, parts)
        except BaseException:
            await self._give_up(connection)
            await self.give_up_idle()
            raise
        return connection

    async def _give_up(self, connection: Any) -> None:
        await connection.disconnect(nowait=True)
        await self._pool.release(connection)


async def _write(connection: Any, parts: Sequence[bytes | memoryview]) -> None:
    """Send a packet. With a time for it, redis-py starts a task and a timer for each packet; one that the transport takes at once needs
    neither. An idle connection has nothing left to send, so that is every packet below what the transport holds without waiting.
    """
    if not connection.is_connected or sum(map(len, parts)) > AT_ONCE:
        await connection.send_packed_command(parts, check_health=False)
        return
    timeout, connection.socket_timeout = connection.socket_timeout, None
    try:
        await connection.send_packed_command(parts, check_health=False)
    finally:
        connection.socket_timeout = timeout


class AsyncServers:
    """All servers of a store, for asyncio."""

    def __init__(self, url: RedisUrl) -> None:
        """Nothing is reached before the first use."""
        self._url = url
        self._connections: dict[Server, AsyncConnections] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def of(self, server: Server) -> AsyncConnections:
        """The connections to one server on the loop that runs."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            # What was opened on another loop, which `asyncio.run` has closed by now, cannot be used on this one.
            self._connections, self._loop = {}, loop
        connections = self._connections.get(server)
        if connections is None:
            connections = self._connections[server] = AsyncConnections(self._url, server)
        return connections

    async def run(self, steps: Steps[_Result]) -> _Result:
        """Do what the steps say, and give what they come to."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = steps.send({})
                else:
                    answers = await asyncio.gather(*(self.of(server).exchange(packet) for server, packet in step.items()))
                    step = steps.send(dict(zip(step, answers, strict=True)))
        except StopIteration as end:
            result: _Result = end.value
            return result

    async def close(self) -> None:
        """Give up all connections."""
        if self._loop is asyncio.get_running_loop():
            for connections in self._connections.values():
                await connections.close()


def _settings(module: Any, url: RedisUrl, server: Server) -> dict[str, Any]:
    """What a pool of connections to a server is made with."""
    settings = {**url.options, **(url.sentinel_login if server.sentinel else url.login), "protocol": 2, "socket_read_size": READ_SIZE}
    if server.path:
        return settings | {"connection_class": module.UnixDomainSocketConnection, "path": server.path}
    kind = module.SSLConnection if url.tls else module.Connection
    return settings | {"connection_class": kind, "host": server.host, "port": server.port}
