"""How much a worker takes on: so many requests at once, so many more waiting in the order they came, and beyond that an answer at
once that it is too busy. What it has accepted is then answered in time, however many ask.
"""

from __future__ import annotations

import asyncio

from .http import HttpError

OVERLOADED = HttpError(503, "overloaded", "The server is busy with other requests. Try again shortly.", ((b"retry-after", b"1"),))


class LoadLimit:
    """The gate that every request to the store passes."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._at_once, self._most_waiting = at_once, waiting
        self.in_flight = 0
        """Requests at work or waiting."""

    async def enter(self) -> None:
        """Wait for a place; `leave` gives it back. Raises HttpError 503 where too many wait already."""
        if self.in_flight >= self._at_once + self._most_waiting:
            raise OVERLOADED
        self.in_flight += 1
        try:
            await self._free.acquire()
        except BaseException:
            self.in_flight -= 1
            raise

    def leave(self) -> None:
        """Give the place back."""
        self.in_flight -= 1
        self._free.release()
