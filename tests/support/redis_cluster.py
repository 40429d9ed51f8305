"""A real Redis cluster for tests and benchmarks, on loopback: three masters, each with as many replicas as a test needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import redis
from redis_server import Certificates, RedisServer

MASTERS = 3
SLOTS = 16384


class RedisCluster:
    """One running cluster whose slots are shared out evenly."""

    def __init__(self, *options: str, replicas: int = 0, node_timeout: int = 1000, tls: Certificates | None = None) -> None:
        """Args: node_timeout: milliseconds after which a server that does not answer counts as failed."""
        self._tls = tls
        self._stack = ExitStack()
        options = (*options, *(("--tls-cluster", "yes", "--tls-replication", "yes") if tls else ()))
        cluster = ("--cluster-enabled", "yes", "--cluster-node-timeout", str(node_timeout), "--cluster-announce-ip", "127.0.0.1")
        quickly = ("--repl-diskless-sync-delay", "0", "--cluster-replica-validity-factor", "0", "--cluster-allow-replica-migration", "no")
        try:
            self.servers = [
                self._stack.enter_context(RedisServer(*cluster, *quickly, *options, tls=tls)) for _ in range(MASTERS * (1 + replicas))
            ]
            self._form()
        except BaseException:
            self._stack.close()
            raise

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{server.port}" for server in self.servers[:2])
        return f"redis+cluster://{hosts}/"

    @property
    def tls_url(self) -> str:
        assert self._tls is not None
        return f"rediss+cluster://127.0.0.1:{self.servers[0].tls_port}/?{self._tls.query}"

    @property
    def masters(self) -> list[RedisServer]:
        """The servers that began as masters."""
        return self.servers[:MASTERS]

    def flush(self) -> None:
        """Empty it, and let it forget its scripts."""
        for server in self.servers:
            with server.client() as client:
                if client.info("replication")["role"] == "master":
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
        # A slot that went back before all had heard of this would end as nobody's.
        wait_until(lambda: len({self._epoch(server) for server in self.servers}) == 1)

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

    def replica_of(self, master: RedisServer) -> RedisServer:
        """A server that follows that one now."""
        with master.client() as client:
            port = client.info("replication")["slave0"]["port"]
        return next(server for server in self.servers if server.port == port)

    def hand_over(self, master: RedisServer) -> None:
        """Let that master's replica take its place, with its consent. On a busy machine the two may need several attempts."""
        replica = self.replica_of(master)

        def handed_over() -> bool:
            with replica.client() as client:
                if client.info("replication")["role"] == "master":
                    return True
                client.execute_command("CLUSTER", "FAILOVER")
            time.sleep(0.3)
            return False

        wait_until(handed_over)

    def errors(self) -> dict[str, int]:
        """How often the servers have answered with each kind of error."""
        counts: dict[str, int] = {}
        for server in self.servers:
            with server.client() as client:
                for name, said in client.info("errorstats").items():
                    kind = name.removeprefix("errorstat_")
                    counts[kind] = counts.get(kind, 0) + said["count"]
        return counts

    def healthy(self) -> bool:
        """Whether every server is up, knows that the cluster is whole, and every replica follows its master."""
        return all(self._ready(server) for server in self.servers)

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
                client.execute_command("CLUSTER", "MEET", "127.0.0.1", first.tls_port or first.port)
        wait_until(lambda: all(self._known_to(server) == len(self.servers) for server in self.servers))
        for master in self.masters:
            for replica in self.replicas_of(master):
                with replica.client() as client:
                    wait_until(lambda client=client, master=master: self._follows(client, self._id(master)))
        wait_until(self.healthy)

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
        try:
            with server.client() as client:
                told = client.info("replication")
                linked = told["role"] == "master" or told["master_link_status"] == "up"
                return linked and b"cluster_state:ok" in client.execute_command("CLUSTER", "INFO")
        except redis.ConnectionError:
            return False

    @staticmethod
    def _epoch(server: RedisServer) -> bytes:
        with server.client() as client:
            said = client.execute_command("CLUSTER", "INFO").splitlines()
        return next(bytes(line) for line in said if line.startswith(b"cluster_current_epoch"))

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
