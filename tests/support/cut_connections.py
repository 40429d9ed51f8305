"""A cable to a server that a test can cut: connections through it end after so many bytes, at whatever point that is."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Cable:
    """Listens on a port of its own and passes on what comes, until it is cut; new connections are let through again."""

    def __init__(self, port: int) -> None:
        """Args: port: of the server on this machine."""
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._left: int | None = None
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, bytes_passed: int) -> None:
        """Cut all connections there are when so many more bytes have passed."""
        with self._lock:
            self._left = bytes_passed

    def __enter__(self) -> Cable:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._server)
                self._open += [here, there]
                for source, target in ((here, there), (there, here)):
                    threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while content := source.recv(1 << 16):
                target.sendall(content[: self._allowed(len(content))])
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _allowed(self, size: int) -> int:
        """How many of so many bytes still pass; the last one cuts."""
        with self._lock:
            if self._left is None:
                return size
            allowed = min(size, self._left)
            self._left -= allowed
            if self._left == 0:
                self._left = None
                threading.Timer(0.0, self._cut).start()
            return allowed

    def _cut(self) -> None:
        opened, self._open = self._open, []
        for each in opened:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
