"""A real redis-server for tests and benchmarks: on a free port and a socket in a folder of its own, gone when it is closed."""

from __future__ import annotations

import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import redis
import trustme


class Certificates:
    """Made for one test: an authority, a server's certificate for 127.0.0.1 and localhost, and a client's."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.authority, self.server, self.client = (str(folder / f"{name}.pem") for name in ("authority", "server", "client"))
        authority.cert_pem.write_to_path(self.authority)
        authority.issue_cert("127.0.0.1", "localhost").private_key_and_cert_chain_pem.write_to_path(self.server)
        authority.issue_cert("client@example.com").private_key_and_cert_chain_pem.write_to_path(self.client)

    @property
    def query(self) -> str:
        """The options of a URL by which a client trusts the authority and shows its own certificate."""
        return f"ssl_ca_certs={self.authority}&ssl_certfile={self.client}&ssl_keyfile={self.client}"

    def server_options(self) -> list[str]:
        """What a server is started with, so that it takes no client without a certificate of the authority."""
        files = ["--tls-cert-file", self.server, "--tls-key-file", self.server, "--tls-ca-cert-file", self.authority]
        return [*files, "--tls-auth-clients", "yes"]


class RedisServer:
    """One running server that keeps nothing on disk.

    Raises RuntimeError, saying how to get it, where redis-server is not installed.
    """

    def __init__(self, *options: str, tls: Certificates | None = None) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise RuntimeError("redis-server is not on the PATH. Install it: apt-get install redis-server, or brew install redis.")
        self._folder = tempfile.TemporaryDirectory(prefix="redis")
        self._command = [program, "--save", "", "--appendonly", "no", "--daemonize", "no", "--bind", "127.0.0.1", *options]
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self._tls = ["--tls-port", str(self.tls_port), *tls.server_options()] if tls else []
        self.socket_path = Path(self._folder.name) / "redis.sock"
        self.start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def socket_url(self) -> str:
        return f"unix://{self.socket_path}"

    def client(self, **options: object) -> redis.Redis:
        """A client of this server, to arrange what a test needs."""
        return redis.Redis(port=self.port, protocol=2, **options)  # type: ignore[arg-type]

    def start(self) -> None:
        """Start it (again), empty, and wait until it answers."""
        places = ["--port", str(self.port), "--unixsocket", str(self.socket_path), "--dir", self._folder.name, *self._tls]
        self._process = subprocess.Popen([*self._command, *places], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + 20
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                output = self._process.communicate()[0].decode(errors="replace")
                raise RuntimeError(f"redis-server did not start: {output}")
            time.sleep(0.01)

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def stop(self) -> None:
        """Let it stand still, as a server behind a cut cable seems to."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on after `stop`."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and remove its folder."""
        if self._process.poll() is None:
            self.kill()
        self._folder.cleanup()

    def __enter__(self) -> RedisServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _accepts(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(5) in (b"+PONG", b"-NOAU")
        except OSError:
            return False


def free_port() -> int:
    """A port that nobody listens on, such that a cluster's servers may talk to one another on the one that is 10,000 above it."""
    while True:
        with socket.socket() as listener, socket.socket() as bus:
            port = random.randrange(20_000, 32_000)
            try:
                listener.bind(("127.0.0.1", port))
                bus.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            return port
