"""Bytes over a socket, as no HTTP client would send them, and what came back."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def exchange(port: int, pieces: bytes | Iterable[bytes], *, pause: float = 0.0, quiet: float = 0.4) -> list[Answer]:
    """Send the pieces, and read every response until the server ends the connection or has said nothing for a while.

    Args:
        pause: seconds between two pieces.
        quiet: seconds without a word after which nothing more is waited for, once there is a first response.
    """
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        try:
            for piece in (pieces,) if isinstance(pieces, bytes) else pieces:
                connection.sendall(piece)
                time.sleep(pause)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while more := connection.recv(65_536):
                received += more
                connection.settimeout(quiet)
        except (ConnectionResetError, TimeoutError):
            pass
    return responses(received)


def responses(received: bytes) -> list[Answer]:
    """The responses that those bytes are. Raises ValueError where they are something else."""
    found = []
    while received:
        head, blank, rest = received.partition(b"\r\n\r\n")
        if not blank or not head.startswith(b"HTTP/1.1 "):
            raise ValueError(f"this is no response: {received[:200]!r}")
        line, *fields = head.split(b"\r\n")
        headers = {name.decode().lower(): value.strip().decode() for name, _, value in (field.partition(b":") for field in fields)}
        status = int(line.split(b" ")[1])
        length = int(headers.get("content-length", 0))
        if status != 100:
            found.append(Answer(status, headers, rest[:length]))
        received = rest[length:]
    return found


def post(path: str, body: bytes, *headers: bytes, length: bool = True) -> bytes:
    """A POST of JSON."""
    lines = [f"POST {path} HTTP/1.1".encode(), b"host: features", b"content-type: application/json", *headers]
    if length:
        lines.append(b"content-length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body
