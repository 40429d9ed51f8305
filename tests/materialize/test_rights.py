"""The rights that the reference page names are enough, each for what it says: a user that has these and no others does all of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from duckdb_file import DuckDBFile
from history_project import PROJECT, HistoryProject, at_hour
from redis_cluster import RedisCluster
from redis_sentinel import SERVICE, RedisWithSentinels
from redis_server import RedisServer

from featurestore import OnlineFeatureStore
from featurestore.errors import OnlineStoreError
from featurestore.materialize import versions
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, TIMESTAMP

PAGE = (Path(__file__).parents[2] / "docs/reference/online-store.md").read_text(encoding="utf-8").partition("## Rights")[2]
ORDERS = FeatureView(
    name="orders",
    unique_id="model.lawful.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", INT64),),
    ttl=timedelta(days=30),
)
READ, PUSH, RUN = "a service that reads", "one that pushes", "`fsdbt materialize`"


def rights(*rows: str) -> list[str]:
    """What the rows of the page's tables that begin so allow."""
    found: list[str] = []
    for row in rows:
        (line,) = (line for line in PAGE.splitlines() if line.startswith(f"| {row}"))
        found += re.findall(r"\+[a-z|]+", line.replace("\\|", "|"))
    return found


WHERE = {
    "one server": rights("`+select`", "`+client\\|setname`"),
    "sentinels": rights("`+role`"),
    "cluster": rights("`+cluster\\|slots`"),
}


@contextmanager
def running(where: str) -> Iterator[tuple[list[RedisServer], str]]:
    """The servers, and a URL to put a login into."""
    if where == "cluster":
        with RedisCluster() as cluster:
            yield cluster.servers, cluster.url
    elif where == "sentinels":
        with RedisWithSentinels() as watched:
            yield watched.servers, f"redis+sentinel://{watched.hosts}/{SERVICE}"
    else:
        with RedisServer("--repl-diskless-sync-delay", "0") as server, RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica:
            yield [server, replica], f"redis://127.0.0.1:{server.port}/1?client_name=service"


def logged_in(servers: list[RedisServer], url: str, allowed: list[str]) -> str:
    """The URL of a user that may do that and nothing else."""
    for server in servers:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">pw", f"~{PROJECT}:*", *allowed)
    return url.replace("://", "://limited:pw@")


def refused(servers: list[RedisServer]) -> set[str]:
    """The commands that some user was not let do, but for the name of its library that redis-py tells, and needs no answer to."""
    entries = []
    for server in servers:
        with server.client() as client:
            entries += client.acl_log()
    return {entry["object"] for entry in entries} - {"client|setinfo"}


@pytest.mark.parametrize("where", WHERE)
def test_each_user_may_do_what_it_is_there_for(where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "KEPT_FOR", timedelta(0))
    everywhere = WHERE[where] if where != "sentinels" else []
    with running(where) as (servers, url):
        all_of_it = rights(READ, PUSH, RUN) + everywhere
        project = HistoryProject(DuckDBFile(tmp_path), logged_in(servers, url, all_of_it), ORDERS)
        rows = [{"customer_id": customer, "ordered_at": at_hour(1).replace(tzinfo=None), "amount": customer} for customer in range(300)]
        project.build(rows)
        project.materialize(at_hour(2))
        project.build(rows[100:])
        assert project.materialize(at_hour(3)).published[0].removed == 100
        pushes = logged_in(servers, url, rights(READ, PUSH) + everywhere)
        with OnlineFeatureStore(pushes, PROJECT, clock=lambda: at_hour(4)) as service:
            assert service.push("orders", [{"customer_id": 1, "ordered_at": at_hour(4), "amount": 7}]).written == 1
        logged_in(servers, url, all_of_it)
        project.view = replace(project.view, features=(*ORDERS.features, Feature("more", INT64)))
        project.build([{**row, "more": 1} for row in rows[100:]])
        assert project.materialize(at_hour(5)).published[0].beside
        reads = logged_in(servers, url, rights(READ) + everywhere)
        with OnlineFeatureStore(reads, PROJECT, clock=lambda: at_hour(6)) as service:
            answer = service.get_online_features({"customer_id": [1, 100]}, "orders:*").to_dict()
        assert (answer["amount"], answer["more"]) == ([7, 100], [None, 1])
        assert refused(servers) == ({"role"} if where == "sentinels" else set())
        store = open_store(reads)
        with pytest.raises(OnlineStoreError, match=r"refused|refuses"):
            store.next_sequence(PROJECT)
        store.close()


def test_a_run_may_ask_replicas_to_hurry() -> None:
    with running("one server") as ((server, replica), url):
        allowed = rights(READ, PUSH, RUN) + WHERE["one server"]
        store = open_store(logged_in([server], url, allowed))
        with server.client() as client:
            while client.info("replication").get("slave0", {}).get("state") != "online":
                threading.Event().wait(0.05)
        holders = store.holders()
        replica.stop()
        store.write_documents(PROJECT, {"registry": b"one"})
        later = threading.Timer(0.5, replica.go_on)
        later.start()
        assert store.kept(holders)
        later.join()
        assert refused([server]) == set()
        store.close()
