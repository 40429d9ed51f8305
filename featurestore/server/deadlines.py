"""The time that each request has. One timer looks after all requests of a worker: one for each would cost more than the rest of the way
to its endpoint.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

LOOK_EVERY = 0.05
"""Seconds: by so much a request may be late at being ended."""


class Deadlines:
    """Ends what takes longer than so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._at_work: dict[asyncio.Task[Any], float] = {}
        """Since when, by `time.perf_counter`."""

        self._ended: set[asyncio.Task[Any]] = set()

    def begin(self, started: float) -> asyncio.Task[Any]:
        """What the current task does from here on ends in time, by being cancelled. `end` has to follow."""
        task = asyncio.current_task()
        assert task is not None
        self._at_work[task] = started
        return task

    def end(self, task: asyncio.Task[Any]) -> None:
        """The task has done it."""
        del self._at_work[task]
        self._ended.discard(task)

    def is_over(self, task: asyncio.Task[Any]) -> bool:
        """Whether a task was cancelled for being late. It may then go on, to say so."""
        if task not in self._ended:
            return False
        if hasattr(task, "uncancel"):
            task.uncancel()
        return True

    async def keep(self) -> None:
        """Look after them, for as long as the worker lives."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            latest = perf_counter() - self._seconds
            for task, started in self._at_work.items():
                if started < latest and task not in self._ended:
                    self._ended.add(task)
                    task.cancel()
