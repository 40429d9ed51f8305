"""What is sent where, and what is done about each answer: written once, for one server or many, for callers that wait or do not.

The steps of a request are a generator. It yields what to send to which servers, all at once, and is given their answers; or how long
to pause. Every command may be carried out twice, since all that is done twice ends the same: so a command whose answer was lost is
simply sent again.
"""

from __future__ import annotations

import random
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, TypeAlias, TypeVar

from .redis_routes import Reaction, Routes, named, reaction
from .redis_url import RedisUrl, Server, Topology

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 0.5
"""Seconds."""

ROUNDS_WITHOUT_PAUSE = 5
"""How often an answer may send a request elsewhere before it waits a little."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Packet:
    """Commands to one server, in one go."""

    parts: Sequence[bytes | memoryview]
    answers: int
    """How many answers will come."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


Answers: TypeAlias = Mapping[Server, Sequence[Any]]
"""As many of each server as its packet says; an exception stands for an answer that is an error, or that did not come."""

Steps: TypeAlias = Generator[Mapping[Server, Packet] | Pause, Answers, _Result]


@dataclass(slots=True)
class Knowledge:
    """What the requests of one store have learned, for those that follow. A race costs a question, never a wrong answer."""

    url: RedisUrl
    routes: Routes | None = None
    scripted: set[tuple[Server, str]] = field(default_factory=set)
    """Servers that were given a script."""

    @classmethod
    def of(cls, url: RedisUrl) -> Knowledge:
        """What the URL alone tells."""
        return cls(url, Routes(url.servers) if url.topology is Topology.SINGLE else None)

    @property
    def only_master(self) -> Server | None:
        """The server that has everything, where there is one and it is known."""
        return self.routes.masters[0] if self.routes is not None and self.routes.owners is None else None

    def ask_again(self, server: Server, error: Exception) -> None:
        """After a question to that server alone went wrong: raises the error in our words where it is not to be asked step by step."""
        kind = reaction(error)
        if kind is Reaction.LOST or (kind is Reaction.WAIT and self.url.retry_reads_for > 0):
            if self.url.topology is Topology.SENTINEL:
                self.routes = None
            return
        raise named(error, server, self.url) from None


class Patience:
    """How long one request goes on trying."""

    def __init__(self, url: RedisUrl, seconds: float) -> None:
        self._url, self._seconds = url, seconds
        self._until: float | None = None
        self._rounds, self._pauses = 0, 0
        self.lost: set[Server] = set()
        """Servers of which a connection was lost and replaced."""

    def round(self, server: Server, error: Exception) -> Pause | None:
        """What to do before asking elsewhere: nothing the first few times."""
        self._rounds += 1
        return None if self._rounds <= ROUNDS_WITHOUT_PAUSE else self.pause(server, error)

    def pause(self, server: Server, error: Exception) -> Pause:
        """How long to wait before asking again. Raises the error in our words where that went on for long enough."""
        now = monotonic()
        if self._until is None:
            self._until = now + self._seconds
        if now >= self._until:
            raise named(error, server, self._url) from None
        self._pauses += 1
        longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._pauses, 10))
        return Pause(min(longest * random.uniform(0.5, 1.0), self._until - now))
