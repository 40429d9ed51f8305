"""One line of JSON on stdout for each request: what was asked of whom and how it went. Never a key's value, a header or a query.

Lines are gathered and written a few times a second, each write whole lines and short enough that those of several workers do not mix.
"""

from __future__ import annotations

import asyncio
import os
from datetime import datetime, timezone
from time import perf_counter

import msgspec

from .http import Request

WRITE_AFTER = 0.2
"""Seconds that a line may wait."""

_PIPE_BUFFER = 4096
"""What POSIX lets be written to a pipe in one piece at least."""

_MOST_WAITING = 1000

_encode = msgspec.json.Encoder().encode


class _Line(msgspec.Struct, frozen=True):
    time: datetime
    request_id: str
    method: str
    endpoint: str
    caller: str
    service: str
    rows: int
    status: int
    duration_ms: float


class AccessLog:
    """The log of one worker, to a file descriptor."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._lines: list[bytes] = []

    def add(self, request: Request, endpoint: str, status: int) -> None:
        """A request was answered."""
        duration = round((perf_counter() - request.started) * 1000, 3)
        line = _Line(
            datetime.now(timezone.utc),
            request.id,
            request.method,
            endpoint,
            "" if request.caller is None else request.caller.name,
            request.service,
            request.rows,
            status,
            duration,
        )
        if not self._lines:
            asyncio.get_running_loop().call_later(WRITE_AFTER, self.write)
        self._lines.append(_encode(line) + b"\n")
        if len(self._lines) >= _MOST_WAITING:
            self.write()

    def write(self) -> None:
        """Write what waits."""
        lines, self._lines = self._lines, []
        piece = b""
        for line in lines:
            if len(piece) + len(line) > _PIPE_BUFFER:
                self._put(piece)
                piece = b""
            piece += line
        self._put(piece)

    def _put(self, piece: bytes) -> None:
        try:
            while piece:
                piece = piece[os.write(self._descriptor, piece) :]
        except OSError:
            # Whoever read the log has gone. Requests are answered all the same.
            pass
