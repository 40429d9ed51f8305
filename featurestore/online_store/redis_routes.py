"""Which server has which keys, and what an answer tells of that: decided here, on what servers said, without reaching any.

A cluster shares its 16,384 slots out among masters; a slot moves while rows are read and written, and a replica takes the place of a
master that fails. Behind Sentinels there is one master, which changes. All that a client may do is to ask, be told otherwise, and
ask again, so every error is one of a few reactions.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import redis

from featurestore.errors import FeatureStoreError, OnlineStoreError, OnlineStoreUnavailableError

from .redis_commands import SLOTS
from .redis_url import RedisUrl, Server, Topology

FAILURES = (redis.RedisError, OSError)
_NOBODY = 0xFFFF


@dataclass(frozen=True, slots=True)
class Routes:
    """Where everything is, as far as was told."""

    masters: tuple[Server, ...]
    owners: Sequence[int] | None = None
    """By slot, the position of the master that has it. None: there is one master, and no slots."""

    others: tuple[Server, ...] = ()
    """Servers that hold no slot now, but know who does."""

    def of(self, slot: int) -> Server | None:
        """The server to ask for keys of that slot; None where no server has it."""
        if self.owners is None:
            return self.masters[0]
        position = self.owners[slot]
        return None if position == _NOBODY else self.masters[position]

    def by_slot(self) -> list[Server | None]:
        """The server of each slot."""
        return [self.of(slot) for slot in range(SLOTS)]

    def moved(self, slot: int, server: Server) -> Routes | None:
        """The same with one slot moved to a master that is known; None where that one is not."""
        if self.owners is None or server not in self.masters:
            return None
        owners = array("H", self.owners)
        owners[slot] = self.masters.index(server)
        return Routes(self.masters, owners, self.others)


class Reaction(Enum):
    """What to do about an error."""

    MOVED = auto()
    """Ask the server that it names, from now on."""

    ASK = auto()
    """Ask the server that it names, this once: the slot is on its way there."""

    SPLIT = auto()
    """Ask for each key by itself: some of them are on their way."""

    LOAD = auto()
    """Give the server the script that it does not know."""

    LOST = auto()
    """The connection is gone, maybe for a reason that is over."""

    WAIT = auto()
    """Find out what is where, and ask again in a while."""

    REFUSED = auto()
    """Asking again would not help."""


_REACTIONS: Sequence[tuple[type[Exception], Reaction]] = (
    (redis.exceptions.MovedError, Reaction.MOVED),
    (redis.exceptions.AskError, Reaction.ASK),
    (redis.exceptions.TryAgainError, Reaction.SPLIT),
    (redis.exceptions.NoScriptError, Reaction.LOAD),
    (redis.AuthenticationError, Reaction.REFUSED),
    (redis.exceptions.AuthorizationError, Reaction.REFUSED),
    (redis.exceptions.ClusterDownError, Reaction.WAIT),
    (redis.exceptions.MasterDownError, Reaction.WAIT),
    (redis.ReadOnlyError, Reaction.WAIT),
    (redis.BusyLoadingError, Reaction.WAIT),
    (redis.TimeoutError, Reaction.WAIT),
    (redis.ConnectionError, Reaction.LOST),
    (TimeoutError, Reaction.WAIT),
    (OSError, Reaction.LOST),
)


def reaction(error: Exception) -> Reaction:
    """What to do about an error that a server answered with, or that kept it from answering."""
    return next((reaction for kind, reaction in _REACTIONS if isinstance(error, kind)), Reaction.REFUSED)


def redirected(error: redis.exceptions.AskError, asked: Server) -> Server:
    """The server that a redirection names; its host may be left out where it is that of the server asked."""
    return Server(error.host or asked.host, error.port)


def named(error: Exception, server: Server, url: RedisUrl) -> FeatureStoreError:
    """The error in our words: where the server is, never its password."""
    said = str(error).rstrip(".")
    match error:
        case redis.exceptions.AskError() | redis.exceptions.ClusterCrossSlotError() if url.topology is not Topology.CLUSTER:
            return OnlineStoreError(f"Redis at {server} is one server of a cluster. Write redis+cluster:// in the online store's URL.")
        case redis.exceptions.AskError():
            slot, other = error.slot_id, redirected(error, server)
            return OnlineStoreUnavailableError(f"Redis at {server} and {other} do not agree on who has slot {slot} of their cluster.")
        case redis.AuthenticationError() | redis.exceptions.AuthorizationError():
            return OnlineStoreUnavailableError(f"{_what(server)} refuses the login: {said}. Check the online store's URL.")
        case _ if "cluster support disabled" in str(error):
            return OnlineStoreError(f"Redis at {server} belongs to no cluster. Write redis:// in the online store's URL.")
        case (
            redis.exceptions.ClusterDownError()
            | redis.exceptions.MasterDownError()
            | redis.exceptions.TryAgainError()
            | redis.BusyLoadingError()
        ):
            return OnlineStoreUnavailableError(f"{_what(server)} cannot answer now: {said}.")
        case redis.ConnectionError() | redis.TimeoutError() | OSError():
            return OnlineStoreUnavailableError(f"{_what(server)} cannot be reached: {said}. Is it running?")
    return OnlineStoreError(f"{_what(server)} refused: {said}.")


def cluster_routes(answer: Any, asked: Server) -> Routes:
    """What CLUSTER SLOTS says."""
    masters: dict[Server, int] = {}
    others: dict[Server, None] = {}
    owners = array("H", [_NOBODY]) * SLOTS
    for first, last, master, *replicas in answer:
        position = masters.setdefault(_server(master, asked), len(masters))
        owners[first : last + 1] = array("H", [position]) * (last + 1 - first)
        others.update((_server(replica, asked), None) for replica in replicas)
    return Routes(tuple(masters), owners, tuple(others))


def moving_slots(answer: bytes) -> bool:
    """Whether a server says, in CLUSTER NODES, that slots are on their way to it or from it."""
    return any(b"myself" in line and b"[" in line for line in answer.splitlines())


def _server(said: Sequence[Any], asked: Server) -> Server:
    host, port = said[:2]
    return Server(host.decode() if host and host != b"?" else asked.host, int(port))


def _what(server: Server) -> str:
    return f"The Sentinel at {server}" if server.sentinel else f"Redis at {server}"
