"""A real `fsdbt serve` for tests and benchmarks: a process of its own on a free port, stopped when it is closed."""

from __future__ import annotations

import os
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from redis_server import free_port


class FeatureServer:
    """One running server. `client` is an `httpx.Client` that asks it.

    Args:
        url: of the online store.
        project: the project that it serves.
        arguments: of `fsdbt serve`, such as `--workers`, `2`.
        port: where it listens; a free one where none is said.
        verify: how `client` checks the server's certificate, and shows its own: an SSL context. False: it does neither.
        environment: variables beside this process's own; none of its `FSDBT_…` and `DBT_…` ones reach the server.
    """

    def __init__(
        self,
        url: str,
        project: str,
        *arguments: str,
        port: int | None = None,
        verify: ssl.SSLContext | bool = False,
        **environment: str,
    ) -> None:
        self.port = port or free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="fsdbt-serve")
        self.log_path = Path(self._folder.name) / "access.log"
        self.errors_path = Path(self._folder.name) / "errors.log"
        program = Path(sys.executable).with_name("fsdbt")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_"))}
        store = {"FSDBT_ONLINE_STORE": url, "FSDBT_PROJECT": project}
        with self.log_path.open("wb") as log, self.errors_path.open("wb") as errors:
            self.process = subprocess.Popen(
                [program, "serve", "--port", str(self.port), *arguments],
                env={**inherited, **store, **environment},
                cwd=self._folder.name,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=errors,
            )
        scheme = "https" if "--tls-cert" in arguments else "http"
        self.base_url = f"{scheme}://127.0.0.1:{self.port}"
        self._verify = verify
        self.client = self.new_client()
        self._wait()

    def new_client(self) -> httpx.Client:
        """One with connections of its own."""
        return httpx.Client(base_url=self.base_url, timeout=30, trust_env=False, verify=self._verify)

    @property
    def log(self) -> str:
        """What it has written to stdout so far."""
        return self.log_path.read_text(encoding="utf-8")

    @property
    def errors(self) -> str:
        """What it has written to stderr so far."""
        return self.errors_path.read_text(encoding="utf-8")

    def stop(self, signal_number: int = signal.SIGTERM, *, within: float = 30) -> int:
        """Ask it to end, and wait until it has; its exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(timeout=within)

    def close(self) -> None:
        """End it and remove its logs."""
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._folder.cleanup()

    def __enter__(self) -> FeatureServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while True:
            try:
                if self.client.get("/health").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                errors = self.errors
                self.close()
                raise RuntimeError(f"fsdbt serve did not start: {errors}")
            time.sleep(0.02)
