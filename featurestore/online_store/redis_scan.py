"""Going through all rows of a key space, on every server: to count them, to remove those that an earlier run wrote, to let them go.

A key may be seen twice. None is missed: where slots move meanwhile, a key can go from a server that is yet to be asked to one that was
asked already, so all is gone through again until nothing moved; and it begins anew where a server was replaced, whose cursor means
nothing to its successor.
"""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.codec.keys import KeySpace

from .redis_commands import packed, scan
from .redis_discovery import asked, found
from .redis_errands import carried_out
from .redis_routes import Routes, moving_slots
from .redis_steps import Knowledge, Patience, Steps
from .redis_url import Server, Topology
from .redis_work import Expiring, Pushed, Removing, errands_for, single_errands

KEYS_PER_SCAN = 1000
PASSES = 3
"""How often all is gone through at most while slots move: a key that one pass missed has arrived, and the next one sees it."""


class Sweep:
    """All keys of a key space, some at a time."""

    def __init__(self, space: KeySpace, knowledge: Knowledge) -> None:
        self._space, self._knowledge = space, knowledge
        self._trouble: dict[Server, Patience] = {}
        """With each server that did not answer when it was asked last. One that answers again has all of our patience the next time."""
        self._left: list[Server] | None = None
        self._cursor = b"0"
        self._routes, self._moving = Routes(()), False
        self.passes = 0
        """How often the keys have been begun with; each time all of them come."""
        self._finished = 0

    def next_keys(self) -> Steps[list[bytes] | None]:
        """Some keys; None after the last."""
        while True:
            if self._left is None:
                self.passes += 1
                self._routes, self._moving = yield from self._seen()
                self._left = list(self._routes.masters)
            if not self._left:
                if (yield from self._over()):
                    return None
                self._left = None
                continue
            server = self._left[-1]
            answer = yield from asked(server, scan(self._space, self._cursor, KEYS_PER_SCAN), self._knowledge)
            if isinstance(answer, Exception):
                self._left, self._cursor = None, b"0"
                yield self._trouble.setdefault(server, self._patience()).pause(server, answer)
                continue
            self._trouble.pop(server, None)
            self._cursor, keys = answer
            if self._cursor == b"0":
                self._left.pop()
            if keys:
                return list(keys)

    def _over(self) -> Steps[bool]:
        self._finished += 1
        if self._knowledge.url.topology is not Topology.CLUSTER or self._finished >= PASSES:
            return True
        routes, moving = yield from self._seen()
        return not (self._moving or moving) and routes.by_slot() == self._routes.by_slot()

    def _seen(self) -> Steps[tuple[Routes, bool]]:
        """What is where now, and whether slots are under way."""
        knowledge = self._knowledge
        if knowledge.url.topology is Topology.SINGLE and knowledge.routes is not None:
            return knowledge.routes, False
        patience = self._patience()
        while True:
            routes = yield from found(knowledge, patience)
            if knowledge.url.topology is not Topology.CLUSTER:
                return routes, False
            moving, trouble = False, None
            for server in routes.masters:
                answer = yield from asked(server, packed("CLUSTER", "NODES"), knowledge)
                if isinstance(answer, Exception):
                    trouble = (server, answer)
                    break
                moving = moving or moving_slots(answer)
            if trouble is None:
                return routes, moving
            yield patience.pause(*trouble)

    def _patience(self) -> Patience:
        return Patience(self._knowledge.url, self._knowledge.url.retry_writes_for)


def pushed_rows(keys: Sequence[bytes], knowledge: Knowledge) -> Steps[list[tuple[bytes, bytes]]]:
    """Those of the keys under which a pushed row is, each with that row."""
    work = Pushed(keys)
    yield from carried_out(work, errands_for(keys, knowledge), knowledge, knowledge.url.retry_writes_for)
    return work.rows


def keys_counted(space: KeySpace, knowledge: Knowledge) -> Steps[int]:
    """How many keys a key space has."""
    sweep, of_pass, counted = Sweep(space, knowledge), 0, 0
    while (keys := (yield from sweep.next_keys())) is not None:
        of_pass, counted = sweep.passes, len(keys) + (counted if of_pass == sweep.passes else 0)
    return counted


def older_removed(space: KeySpace, sequence: int, pushed_before: int, horizon: int | None, knowledge: Knowledge) -> Steps[int]:
    """Remove what materializations before `sequence` wrote, and what was pushed before `pushed_before` up to `horizon`; how many."""
    sweep, removed = Sweep(space, knowledge), 0
    while (keys := (yield from sweep.next_keys())) is not None:
        work = Removing(keys, sequence, pushed_before, horizon)
        yield from carried_out(work, errands_for(keys, knowledge), knowledge, knowledge.url.retry_writes_for)
        removed += work.removed
    return removed


def let_go(space: KeySpace, after: int, per_second: int, knowledge: Knowledge) -> Steps[int]:
    """Let the rows of a key space expire, the first after so many microseconds, then so many a second; how many."""
    sweep, of_pass, count = Sweep(space, knowledge), 0, 0
    while (keys := (yield from sweep.next_keys())) is not None:
        of_pass, count = sweep.passes, count if of_pass == sweep.passes else 0
        work = Expiring(keys, after // 1000 + 1000 * count // per_second, 1000 / per_second)
        yield from carried_out(work, single_errands(keys, knowledge), knowledge, knowledge.url.retry_writes_for)
        count += work.count
    return count
