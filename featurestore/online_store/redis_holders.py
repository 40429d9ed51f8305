"""Which servers hold the rows, and whether all that was written is safe with them.

Redis acknowledges a write before its replicas have it. A master that fails then takes with it what no replica had got, and one that is
restarted comes back with what it had saved. Neither shows in any answer. So whoever writes a view asks before the first row who the
masters are, each by the number of its process and of its history, both of which change when it is restarted or replaced; and after the
last row waits until every replica that follows a master has what that master had, and asks again. If the masters are the same, nothing
can have been lost, and nothing will be when one of them fails from here on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import monotonic

from featurestore.errors import OnlineStoreUnavailableError

from .redis_commands import packed
from .redis_discovery import asked, found
from .redis_steps import Knowledge, Packet, Patience, Pause, Steps
from .redis_url import Server, Topology

REPLICAS_ACKNOWLEDGE_WITHIN = 10.0
"""Seconds. A replica that stands still for longer keeps a run from saying that it is done."""

WAIT_MILLISECONDS = 200
_REPLICATED = "+"


@dataclass(frozen=True, slots=True)
class Master:
    """What a master says of itself."""

    run_id: str
    history_id: str
    offset: int
    """How much it has written in its life."""

    replicas: tuple[tuple[str, int], ...]
    """The replicas that follow it, and how much of that each has said to have."""


def masters(knowledge: Knowledge) -> Steps[dict[Server, Master]]:
    """Every master there is now. Raises OnlineStoreUnavailableError where one does not answer for too long."""
    patience = Patience(knowledge.url, knowledge.url.retry_writes_for)
    while True:
        if knowledge.url.topology is Topology.SINGLE and knowledge.routes is not None:
            routes = knowledge.routes
        else:
            routes = yield from found(knowledge, patience)
        told: dict[Server, Master] = {}
        trouble: tuple[Server, Exception] | None = None
        for server in routes.masters:
            answer = yield from asked(server, packed("INFO"), knowledge)
            if isinstance(answer, Exception):
                trouble = (server, answer)
                break
            told[server] = parse_info(answer)
        if trouble is None:
            return told
        yield patience.pause(*trouble)


def holders(knowledge: Knowledge) -> Steps[str]:
    """What names the masters that there are now."""
    told = yield from masters(knowledge)
    return " ".join(sorted(_name(server, master) for server, master in told.items()))


def kept(holders: str, knowledge: Knowledge) -> Steps[bool]:
    """Wait until the replicas have what was written so far; whether the masters still are those that `holders` names."""
    written: dict[Server, Master] | None = None
    until = monotonic() + REPLICAS_ACKNOWLEDGE_WITHIN
    while True:
        told = yield from masters(knowledge)
        if not same(holders, told):
            return False
        written = written or told
        behind = [server for server, master in written.items() if not caught_up(told[server], master.offset)]
        if not behind:
            return True
        if monotonic() > until:
            raise OnlineStoreUnavailableError(
                f"A replica of Redis at {behind[0]} has not taken over what was written, for {REPLICAS_ACKNOWLEDGE_WITHIN:g} seconds, so "
                "it could still be lost. See what keeps the replica, then run this again."
            )
        # WAIT makes a master ask its replicas at once; they would tell by themselves once a second.
        yield {server: Packet((packed("PING"), packed("WAIT", 1, WAIT_MILLISECONDS)), 2) for server in behind}
        yield Pause(0.01)


def same(holders: str, masters: Mapping[Server, Master]) -> bool:
    """Whether those masters are the ones that `holders` names, and none that had replicas is alone now: they may have seen less of it."""
    before = {name.removesuffix(_REPLICATED): name.endswith(_REPLICATED) for name in holders.split(" ")}
    now = {_name(server, master).removesuffix(_REPLICATED): bool(master.replicas) for server, master in masters.items()}
    return before.keys() == now.keys() and all(now[name] for name, replicated in before.items() if replicated)


def caught_up(master: Master, offset: int) -> bool:
    """Whether every replica that follows has said to have that much."""
    return all(has >= offset for _, has in master.replicas)


def parse_info(answer: bytes) -> Master:
    """What INFO says of a master. Replicas that are still being filled do not count: nobody would let one take over."""
    said = dict(line.split(":", 1) for line in answer.decode(errors="replace").splitlines() if ":" in line)
    replicas = []
    for name, text in said.items():
        if name.startswith("slave") and name[5:].isdigit():
            replica = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
            if replica.get("state") == "online":
                replicas.append((f"{replica.get('ip')}:{replica.get('port')}", int(replica.get("offset", 0))))
    return Master(said.get("run_id", ""), said.get("master_replid", ""), int(said.get("master_repl_offset", 0)), tuple(replicas))


def _name(server: Server, master: Master) -> str:
    return f"{server}/{master.run_id}/{master.history_id}{_REPLICATED if master.replicas else ''}"
