"""Finding out what is where: from any server of a cluster, or from any Sentinel."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import Any

import redis

from .redis_commands import packed
from .redis_routes import Reaction, Routes, cluster_routes, named, reaction
from .redis_steps import Knowledge, Packet, Patience, Steps
from .redis_url import Server, Topology


def found(knowledge: Knowledge, patience: Patience, suspects: Collection[Server] = ()) -> Steps[Routes]:
    """Ask around until somebody knows. Servers that are suspected not to answer are asked last, since that takes long."""
    cluster = knowledge.url.topology is Topology.CLUSTER
    while True:
        trouble: tuple[Server, Exception] | None = None
        for place in _places(knowledge, suspects):
            told = yield from _told_by_cluster(place, knowledge) if cluster else _told_by_sentinel(place, knowledge)
            if isinstance(told, Routes):
                knowledge.routes = told
                return told
            trouble = (place, told)
        assert trouble is not None
        yield patience.pause(*trouble)


def asked(server: Server, command: bytes, knowledge: Knowledge) -> Steps[Any]:
    """A server's answer to one command, or the error that kept it from answering twice. Raises what it refuses."""
    answer: Any = None
    for _ in range(2):
        (answer,) = (yield {server: Packet((command,), 1)})[server]
        kind = reaction(answer) if isinstance(answer, Exception) else None
        if kind is Reaction.REFUSED:
            raise named(answer, server, knowledge.url) from None
        if kind is not Reaction.LOST:
            return answer
    return answer


def _places(knowledge: Knowledge, suspects: Collection[Server]) -> list[Server]:
    """Whom to ask, in an order that differs from time to time: what one of them says may be old."""
    routes = knowledge.routes if knowledge.url.topology is Topology.CLUSTER else None
    places = list(dict.fromkeys((*(routes.masters + routes.others if routes else ()), *knowledge.url.servers)))
    random.shuffle(places)
    return sorted(places, key=lambda place: place in suspects)


def _told_by_cluster(place: Server, knowledge: Knowledge) -> Steps[Routes | Exception]:
    answer = yield from asked(place, packed("CLUSTER", "SLOTS"), knowledge)
    if isinstance(answer, Exception):
        return answer
    return cluster_routes(answer, place) if answer else redis.exceptions.ClusterDownError("it knows of no slots")


def _told_by_sentinel(place: Server, knowledge: Knowledge) -> Steps[Routes | Exception]:
    """The master that a Sentinel names, once that says itself that it is one: a Sentinel may not have heard yet who it is now."""
    service = knowledge.url.service
    answer = yield from asked(place, packed("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service), knowledge)
    if isinstance(answer, Exception):
        return answer
    if answer is None:
        return redis.ConnectionError(f"it knows no master by the name of {service!r}")
    master = Server(answer[0].decode(), int(answer[1]))
    (role,) = (yield {master: Packet((packed("ROLE"),), 1)})[master]
    if isinstance(role, redis.exceptions.NoPermissionError):
        return Routes((master,))
    if isinstance(role, redis.AuthenticationError):
        raise named(role, master, knowledge.url) from None
    if isinstance(role, Exception):
        return redis.ConnectionError(f"the master that it names, {master}, does not answer: {role}")
    return Routes((master,)) if role[0] == b"master" else redis.ConnectionError(f"the master that it names, {master}, is none")
