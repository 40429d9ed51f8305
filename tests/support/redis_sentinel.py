"""A real master with replicas and three Sentinels that watch them, on loopback, for tests."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import redis
from redis_cluster import wait_until
from redis_server import RedisServer, free_port

SERVICE = "features"


class Sentinel:
    """One running Sentinel."""

    def __init__(self, master: RedisServer, quorum: int, *lines: str) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="sentinel")
        self.port = free_port()
        settings = Path(self._folder.name) / "sentinel.conf"
        settings.write_text(
            "\n".join(
                [
                    f"port {self.port}",
                    "bind 127.0.0.1",
                    f"dir {self._folder.name}",
                    f"sentinel monitor {SERVICE} 127.0.0.1 {master.port} {quorum}",
                    f"sentinel down-after-milliseconds {SERVICE} 500",
                    f"sentinel failover-timeout {SERVICE} 2000",
                    *lines,
                    "",
                ]
            )
        )
        program = shutil.which("redis-server")
        assert program is not None
        self._process = subprocess.Popen([program, str(settings), "--sentinel"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def client(self, **options: object) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=2, **options)  # type: ignore[arg-type]

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def __enter__(self) -> Sentinel:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class RedisWithSentinels:
    """A master, its replica, and three Sentinels of which two must agree.

    Args:
        password: of the servers.
        sentinel_password: of the Sentinels.
    """

    def __init__(self, *options: str, password: str | None = None, sentinel_password: str | None = None) -> None:
        self._stack = ExitStack()
        self._password, self._sentinel_password = password, sentinel_password
        login = ("--requirepass", password, "--masterauth", password) if password else ()
        quickly = ("--repl-diskless-sync-delay", "0", *login, *options)
        watching = [f"sentinel auth-pass {SERVICE} {password}"] if password else []
        own = [f"requirepass {sentinel_password}", f"sentinel sentinel-pass {sentinel_password}"] if sentinel_password else []
        try:
            self.servers = [self._stack.enter_context(RedisServer(*quickly))]
            follow = ("--replicaof", "127.0.0.1", str(self.servers[0].port))
            self.servers.append(self._stack.enter_context(RedisServer(*quickly, *follow)))
            self.sentinels = [self._stack.enter_context(Sentinel(self.servers[0], 2, *watching, *own)) for _ in range(3)]
            wait_until(self._ready)
        except BaseException:
            self._stack.close()
            raise

    @property
    def hosts(self) -> str:
        return ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)

    @property
    def url(self) -> str:
        login = f":{self._password}@" if self._password else ""
        secret = f"?sentinel_password={self._sentinel_password}" if self._sentinel_password else ""
        return f"redis+sentinel://{login}{self.hosts}/{SERVICE}/0{secret}"

    @property
    def master(self) -> RedisServer:
        """The server that two of the Sentinels say is the master."""
        while True:
            told = [self._told(sentinel) for sentinel in self.sentinels]
            for server in self.servers:
                if told.count(server.port) >= 2:
                    return server
            time.sleep(0.05)

    def flush(self) -> None:
        """Empty it, and let it forget its scripts."""
        with self.master.client(password=self._password) as client:
            client.flushall()
            client.script_flush()

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> RedisWithSentinels:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _told(self, sentinel: Sentinel) -> int | None:
        with sentinel.client(password=self._sentinel_password) as client:
            address = client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
        return int(address[1]) if address else None

    def _ready(self) -> bool:
        with self.servers[1].client(password=self._password) as replica:
            if replica.info("replication")["master_link_status"] != "up":
                return False
        for sentinel in self.sentinels:
            try:
                with sentinel.client(password=self._sentinel_password) as client:
                    (flat,) = client.execute_command("SENTINEL", "MASTERS")
            except redis.ConnectionError:
                return False
            told = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
            if (told[b"num-slaves"], told[b"num-other-sentinels"]) != (b"1", b"2"):
                return False
        return True
