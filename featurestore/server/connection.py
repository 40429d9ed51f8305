"""One connection of uvicorn's, with bounds on what comes before a request is known to be one: the head of a request has a greatest
size and a time within which it is whole. Without them, whoever reaches the port could fill the memory with one header, or hold
connections open by sending a byte now and then.

What is no HTTP is answered as every other error is, and the connection ends with it: nothing that follows is read as a request.
"""

from __future__ import annotations

import asyncio
import os
from functools import cache
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from .http import HttpError, error_response
from .settings import settings_from

MOST_HEAD_BYTES = 65_536
"""Of a request's line and headers together."""

_AROUND_A_HEADER = len(b": \r\n")

_NOT_HTTP = HttpError(400, "malformed_http", "This is no HTTP/1.1 request.")
_TOO_LARGE = HttpError(431, "head_too_large", f"The request's line and headers may have {MOST_HEAD_BYTES} bytes together.")
_NO_UPGRADE = HttpError(400, "no_upgrade", "This server speaks HTTP/1.1 and nothing else on a connection: leave out `Upgrade`.")
_SLOW = HttpError(408, "timeout", "The request's headers did not arrive in time.")


@cache
def head_timeout() -> float:
    """Seconds from the first byte of a request, or from the connection's beginning, until the head is whole: what a request may take."""
    return settings_from(os.environ).request_timeout


class Connection(HttpToolsProtocol):
    """One connection and the requests on it, one after the other."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._in_head = False
        self._timer: asyncio.TimerHandle | None = None
        self._answered: RequestResponseCycle | None = None
        """The request that is at work. `cycle` is the one that was read last, which may still wait behind it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._timer = self.loop.call_later(head_timeout(), self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if self._answered is not None and not self._answered.response_complete:
            self._give_up(self._answered)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._timer is None:
            self._timer = self.loop.call_later(head_timeout(), self._too_slow)

    def on_message_begin(self) -> None:
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._stop_timer()
        if self.transport.is_closing():
            # What came behind a request that was refused is no request.
            return
        refusal = self._refusal()
        if refusal is not None:
            return self._refuse(refusal)
        earlier = self.cycle
        super().on_headers_complete()
        if earlier is None or earlier.response_complete:
            self._answered = self.cycle

    def on_response_complete(self) -> None:
        queued = self.pipeline[-1][0] if self.pipeline else None
        super().on_response_complete()
        if queued is not None:
            self._answered = queued

    def eof_received(self) -> bool:  # type: ignore[override]
        """Whether to go on writing: who has sent all there is to send still waits for the answer."""
        at_work = self._answered
        if at_work is None or at_work.response_complete:
            return False
        # Under TLS the transport ends whatever is said here.
        if self.scheme == "http" and not (at_work is self.cycle and at_work.more_body):
            self.cycle.keep_alive = False
            return True
        self._give_up(at_work)
        self._give_up(self.cycle)
        return False

    def send_400_response(self, msg: str) -> None:
        self._refuse(_NOT_HTTP)

    def _unsupported_upgrade_warning(self) -> None:
        """It has been answered."""

    def _refusal(self) -> HttpError | None:
        """Why a request is not to be answered as its head is."""
        size, hosts = len(self.url), 0
        for name, value in self.headers:
            size += len(name) + len(value) + _AROUND_A_HEADER
            if name == b"host":
                hosts += 1
            elif name == b"transfer-encoding" and value.lower() != b"chunked":
                return _NOT_HTTP
        if size > MOST_HEAD_BYTES:
            return _TOO_LARGE
        if self.parser.should_upgrade():
            return _NO_UPGRADE
        return None if hosts == 1 or (hosts == 0 and self.parser.get_http_version() == "1.0") else _NOT_HTTP

    def _too_slow(self) -> None:
        self._timer = None
        if self._in_head:
            self._refuse(_SLOW)
        elif not self.transport.is_closing():
            self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _refuse(self, error: HttpError) -> None:
        """Answer and end the connection."""
        self._stop_timer()
        if self.transport.is_closing():
            return
        at_work = self._answered
        if at_work is not None and not at_work.response_complete:
            if at_work is not self.cycle or not at_work.more_body or at_work.response_started:
                # An earlier request is still being answered. Its answer ends the connection.
                at_work.keep_alive = False
                self.pipeline.clear()
                return
            self._give_up(at_work)
        response = error_response(error, "")
        head = f"HTTP/1.1 {error.status} {HTTPStatus(error.status).phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(response.body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode() + response.body)
        self.transport.close()

    def _give_up(self, cycle: RequestResponseCycle) -> None:
        """Nobody is there for its answer."""
        cycle.disconnected = True
        cycle.message_event.set()
