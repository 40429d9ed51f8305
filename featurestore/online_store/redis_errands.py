"""How work is carried out over several servers: sent to all of them at once, and again where an answer says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis

from .redis_commands import packed
from .redis_discovery import found
from .redis_routes import Reaction, Routes, named, reaction, redirected
from .redis_steps import Knowledge, Packet, Patience, Steps
from .redis_url import Server, Topology

_ASKING = packed("ASKING")


class Work(Protocol):
    """Something to be done for each of many members, of which a server can be asked for some at once."""

    @property
    def script(self) -> str | None:
        """The script that the commands run."""
        ...

    def command(self, members: Sequence[int]) -> Sequence[bytes | memoryview]:
        """The command for some members, as the parts to send one after the other: none is copied without need."""
        ...

    def take(self, members: Sequence[int], answer: Any) -> None:
        """What a server answered for those members."""
        ...


@dataclass(slots=True)
class Errand:
    """Members that one command asks for: of one slot, where there are slots."""

    slot: int
    members: Sequence[int]
    elsewhere: Server | None = None
    """The server to ask next, where that is another one than the routes say."""

    asking: bool = False


def carried_out(work: Work, errands: Sequence[Errand], knowledge: Knowledge, retry_for: float) -> Steps[None]:
    """Do the work for every errand. Raises what a server refuses, and what is still wrong after `retry_for` seconds."""
    patience = Patience(knowledge.url, retry_for)
    while errands:
        routes = knowledge.routes or (yield from found(knowledge, patience))
        round_ = _Round(work, knowledge, patience)
        placed = round_.placed(errands, routes)
        if placed:
            answers = yield {server: round_.packet(server, there) for server, there in placed.items()}
            for server, there in placed.items():
                round_.judge(server, there, answers[server])
        errands = round_.again
        if errands:
            yield from _before_next(round_, routes)


def _before_next(round_: _Round, routes: Routes) -> Steps[None]:
    """What lies between two rounds: a pause where it must be, and a new look at what is where."""
    assert round_.trouble is not None
    round_.patience.lost |= round_.lost
    pause = round_.patience.pause(*round_.trouble) if round_.wait else round_.patience.round(*round_.trouble)
    if pause is not None:
        yield pause
    knowledge = round_.knowledge
    if (round_.wait or round_.lost_its_way) and knowledge.routes is routes and knowledge.url.topology is not Topology.SINGLE:
        yield from found(knowledge, round_.patience, round_.suspects)


class _Round:
    """One time of sending errands out, and what has to be done again."""

    def __init__(self, work: Work, knowledge: Knowledge, patience: Patience) -> None:
        self.work, self.knowledge, self.patience = work, knowledge, patience
        self.again: list[Errand] = []
        self.trouble: tuple[Server, Exception] | None = None
        self.wait, self.lost_its_way = False, False
        self.suspects: set[Server] = set()
        self.lost: set[Server] = set()
        self._loading: set[Server] = set()

    def placed(self, errands: Sequence[Errand], routes: Routes) -> dict[Server, list[Errand]]:
        """The errands by the server to ask."""
        placed: dict[Server, list[Errand]] = {}
        for errand in errands:
            server = errand.elsewhere or routes.of(errand.slot)
            if server is None:
                down = redis.exceptions.ClusterDownError(f"no server has slot {errand.slot}")
                self._react(errand, routes.masters[0], down)
            else:
                placed.setdefault(server, []).append(errand)
        return placed

    def packet(self, server: Server, errands: Sequence[Errand]) -> Packet:
        """The commands of all errands to one server, and the script where it was not given it yet."""
        parts: list[bytes | memoryview] = []
        answers = len(errands)
        script = self.work.script
        if script is not None and (server, script) not in self.knowledge.scripted:
            self._loading.add(server)
            parts.append(packed("SCRIPT", "LOAD", script))
            answers += 1
        for errand in errands:
            if errand.asking:
                parts.append(_ASKING)
                answers += 1
            parts.extend(self.work.command(errand.members))
        # Where there are slots, the commands are small: one by one, each would be sent, received and answered by itself.
        return Packet((b"".join(parts),) if len(errands) > 1 and self.knowledge.url.topology is Topology.CLUSTER else parts, answers)

    def judge(self, server: Server, errands: Sequence[Errand], answers: Sequence[Any]) -> None:
        """Take what was answered, and see what is to be done about the rest."""
        coming = iter(answers)
        if server in self._loading:
            loaded = next(coming)
            if not isinstance(loaded, Exception):
                self.knowledge.scripted.add((server, self.work.script or ""))
            elif reaction(loaded) is Reaction.REFUSED:
                raise named(loaded, server, self.knowledge.url) from None
        for errand in errands:
            if errand.asking:
                next(coming)
            answer = next(coming)
            if isinstance(answer, Exception):
                self._react(errand, server, answer)
            else:
                self.work.take(errand.members, answer)

    def _react(self, errand: Errand, server: Server, error: Exception) -> None:
        kind = self._reaction(server, error)
        if kind is Reaction.REFUSED:
            raise named(error, server, self.knowledge.url) from None
        if kind is Reaction.SPLIT and len(errand.members) == 1:
            kind = Reaction.WAIT
        if self.trouble is None or (kind is Reaction.WAIT and not self.wait):
            self.trouble = (server, error)
        elsewhere = redirected(error, server) if isinstance(error, redis.exceptions.AskError) else None
        if kind is Reaction.SPLIT:
            self.again.extend(Errand(errand.slot, (member,)) for member in errand.members)
            return
        if kind is Reaction.MOVED and elsewhere is not None:
            self._moved(errand.slot, elsewhere)
        elif kind is Reaction.LOAD:
            self.knowledge.scripted.discard((server, self.work.script or ""))
        elif kind is Reaction.WAIT:
            self.wait = True
            self.suspects.add(server)
        self.again.append(Errand(errand.slot, errand.members, elsewhere, asking=kind is Reaction.ASK))

    def _reaction(self, server: Server, error: Exception) -> Reaction:
        """The first lost connection may be one that the server gave up while it was idle, so it is replaced without waiting."""
        kind = reaction(error)
        if kind in (Reaction.MOVED, Reaction.ASK) and self.knowledge.url.topology is not Topology.CLUSTER:
            return Reaction.REFUSED
        if kind is Reaction.LOST:
            if server in self.patience.lost:
                return Reaction.WAIT
            self.lost.add(server)
        return kind

    def _moved(self, slot: int, server: Server) -> None:
        routes = self.knowledge.routes
        moved = routes.moved(slot, server) if routes is not None else None
        if moved is None:
            self.lost_its_way = True
        else:
            self.knowledge.routes = moved
