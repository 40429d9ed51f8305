"""A real Redis cluster for tests and benchmarks, on loopback: three masters, each with as many replicas as a test needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import redis
from redis_server import RedisServer

MASTERS = 3
SLOTS = 16384


class RedisCluster:
    """One running cluster whose slots are shared out evenly."""

    def __init__(self, *options: str, replicas: int = 0, node_timeout: int = 1000) -> None:
        """Args: node_timeout: milliseconds after which a server that does not answer counts as failed."""
        self._stack = ExitStack()
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout), "--cluster-announce-ip", "127.0.0.1")
        quickly = ("--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no")
        try:
            self.servers = [self._stack.enter_context(RedisServer(*cluster, *quickly, *options)) for _ in range(MASTERS * (1 + replicas))]
            self._form()
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}/"

    @property
    def masters(self) -> list[RedisServer]:
        """The servers that began as masters."""
        return self.servers[:MASTERS]

    def flush(self) -> None:
        """Empty it, and let it forget its scripts."""
        for server in self.masters:
            with server.client() as client:
                client.flushall()
                client.script_flush()

    def replicas_of(self, master: RedisServer) -> list[RedisServer]:
        """The servers that began as that master's replicas."""
        return self.servers[MASTERS + self.masters.index(master) :: MASTERS]

    def move_slot(self, slot: int, source: RedisServer, target: RedisServer, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Move a slot as redis-cli does; what is to happen `meanwhile` happens after each key."""
        source_id, target_id = self._id(source), self._id(target)
        with source.client() as here, target.client() as there:
            there.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", source_id)
            here.execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", target_id)
            meanwhile()
            while keys := here.execute_command("CLUSTER", "GETKEYSINSLOT", slot, 100):
                for key in keys:
                    here.execute_command("MIGRATE", "127.0.0.1", target.port, key, 0, 5000)
                    meanwhile()
            for client in (there, here):
                client.execute_command("CLUSTER", "SETSLOT", slot, "NODE", target_id)

    def owner(self, slot: int) -> RedisServer:
        """The server that has that slot now."""
        for server in self.servers:
            try:
                with server.client() as client:
                    ranges = client.execute_command("CLUSTER", "SLOTS")
            except redis.RedisError:
                continue
            for first, last, (_, port, *_), *_ in ranges:
                if first <= slot <= last:
                    return next(server for server in self.servers if server.port == port)
        raise LookupError(slot)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> RedisCluster:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _form(self) -> None:
        share = SLOTS // MASTERS + 1
        first = self.servers[0]
        for number, server in enumerate(self.servers):
            with server.client() as client:
                client.execute_command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
                if number < MASTERS:
                    client.execute_command("CLUSTER", "ADDSLOTS", *range(number * share, min((number + 1) * share, SLOTS)))
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.port)
        wait_until(lambda: all(self._known_to(server) == len(self.servers) for server in self.servers))
        for master in self.masters:
            for replica in self.replicas_of(master):
                with replica.client() as client:
                    wait_until(lambda client=client, master=master: self._follows(client, self._id(master)))
        wait_until(lambda: all(self._ready(server) for server in self.servers))

    def _known_to(self, server: RedisServer) -> int:
        with server.client() as client:
            lines = client.execute_command("CLUSTER", "NODES").splitlines()
        return sum(b"handshake" not in line and b" connected" in line for line in lines)

    @staticmethod
    def _follows(client: redis.Redis, master_id: str) -> bool:
        try:
            client.execute_command("CLUSTER", "REPLICATE", master_id)
        except redis.ResponseError:
            return False
        return True

    @staticmethod
    def _ready(server: RedisServer) -> bool:
        with server.client() as client:
            told = client.info("replication")
            linked = told["role"] == "master" or told["master_link_status"] == "up"
            return linked and b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")

    @staticmethod
    def _id(server: RedisServer) -> str:
        with server.client() as client:
            told: str = client.execute_command("CLUSTER", "MYID").decode()
            return told


def wait_until(holds: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait until something holds. Raises TimeoutError where it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:g} seconds")
        time.sleep(0.02)
