"""A cluster whose slots move and whose masters fail while it is written and read: nothing lost, nothing wrong, only retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout

import codec_cases as cases
import pytest
from redis_cluster import RedisCluster, wait_until
from store_load import CUSTOMERS, KEYS, NEWEST, SPACE, Load, all_rows_are_of, rows_of

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import run_sequence
from featurestore.codec.rows import PlainRows
from featurestore.online_store.connect import open_async_store, open_store
from featurestore.online_store.redis_commands import slot_of


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with RedisCluster(replicas=1, node_timeout=800) as running:
        yield running


@pytest.fixture
def url(cluster: RedisCluster) -> str:
    wait_until(cluster.healthy)
    cluster.flush()
    return cluster.url


def test_slots_move_while_rows_are_written_and_read(cluster, url):
    slots = sorted({slot_of(key) for key in KEYS})[:: len(KEYS) // 12]
    with Load(url) as load:
        for slot in slots:
            source = cluster.owner(slot)
            target = next(server for server in cluster.masters if server is not source)
            cluster.move_slot(slot, source, target)
    assert load.wrong == []
    assert load.reads > 4
    assert all_rows_are_of(url, load.kept_run)


VIEWS = tuple(cases.feature_view(name) for name in ("orders", "profile", "visits"))


async def test_a_slot_of_which_some_keys_have_moved_already_is_read_and_written_key_by_key(cluster, url):
    keys = [key_space("shop", view).key(b"7") for view in VIEWS]
    rows = [RowEncoder("shop", view, run_sequence(1)).encode(cases.batch_of(view, [{"customer_id": 7, "orders_7d": 2}])) for view in VIEWS]
    together = PlainRows([pair for view_rows in rows for pair in view_rows.pairs()])
    store, reader = open_store(url), open_async_store(url)
    source = cluster.owner(slot_of(keys[0]))
    target = next(server for server in cluster.masters if server is not source)
    seen: list[list[bytes | None]] = []

    def meanwhile() -> None:
        store.write(together, NEWEST)
        seen.append(store.read(keys))

    before = cluster.errors()
    for server, other in ((source, target), (target, source)):
        cluster.move_slot(slot_of(keys[0]), server, other, meanwhile)
        seen.append(await reader.read(keys))
    assert seen == [[row for view_rows in rows for _, row in view_rows.pairs()]] * len(seen)
    assert len(seen) > 2 * len(keys)
    met = {name for name, count in cluster.errors().items() if count > before.get(name, 0)}
    assert {"ASK", "TRYAGAIN", "MOVED"} <= met, "else nothing of it was tried"
    store.close()
    await reader.close()


def test_rows_are_counted_and_removed_while_their_slots_move(cluster, url):
    store = open_store(url)
    store.write(rows_of(1), NEWEST)
    store.write(rows_of(2, CUSTOMERS[::3]), NEWEST)
    slots = sorted({slot_of(key) for key in KEYS})[:: len(KEYS) // 20]

    def move() -> None:
        for slot in slots:
            source = cluster.owner(slot)
            cluster.move_slot(slot, source, next(server for server in cluster.masters if server is not source))

    mover = threading.Thread(target=move)
    mover.start()
    store.remove_older(SPACE, run_sequence(2))
    mover.join()
    assert [row is not None for row in store.read(KEYS)] == [number % 3 == 0 for number in CUSTOMERS]
    assert store.count(SPACE) == len(CUSTOMERS[::3])
    store.close()


def test_a_master_is_killed_while_rows_are_written_and_read(cluster, url):
    master = cluster.owner(slot_of(KEYS[0]))
    with Load(url) as load:
        wait_until(lambda: load.kept_run > 1)
        master.kill()
        wait_until(lambda: cluster.owner(slot_of(KEYS[0])) is not master)
        then = load.kept_run
        wait_until(lambda: load.kept_run > then + 1)
    master.start()
    assert load.wrong == []
    assert all_rows_are_of(url, load.kept_run)


def test_what_a_master_took_with_it_when_it_failed_is_noticed_and_written_again(cluster, url):
    store = open_store(url)
    store.write(rows_of(1), NEWEST)
    holders = store.holders()
    assert store.kept(holders)
    master = cluster.owner(slot_of(KEYS[0]))
    replica = cluster.replica_of(master)
    replica.stop()
    with master.client() as client:
        client.client_kill_filter(_type="replica")
    store.write(rows_of(2), NEWEST)
    assert all_rows_are_of(url, 2)
    master.kill()
    replica.go_on()
    wait_until(lambda: cluster.owner(slot_of(KEYS[0])) is replica)
    assert not all_rows_are_of(url, 2), "the replica never got them"
    assert not store.kept(holders)
    holders = store.holders()
    store.write(rows_of(2), NEWEST)
    assert store.kept(holders)
    assert all_rows_are_of(url, 2)
    store.close()
    master.start()


def test_a_master_hands_over_while_rows_are_written_and_read(cluster, url):
    master = cluster.owner(slot_of(KEYS[0]))
    with Load(url) as load:
        wait_until(lambda: load.kept_run > 1)
        cluster.hand_over(master)
        then = load.kept_run
        wait_until(lambda: load.kept_run > then + 1)
    assert load.wrong == []
    assert all_rows_are_of(url, load.kept_run)


def test_a_run_is_not_kept_before_the_replicas_have_it(cluster, url):
    """Else a master that fails right after it would take rows with it."""
    store = open_store(url)
    master = cluster.owner(slot_of(KEYS[0]))
    replica = cluster.replica_of(master)
    holders = store.holders()
    replica.stop()
    try:
        store.write(rows_of(1), NEWEST)
        with ThreadPoolExecutor(1) as thread:
            kept = thread.submit(store.kept, holders)
            with pytest.raises(FutureTimeout):
                kept.result(timeout=0.5)
            replica.go_on()
            assert kept.result(timeout=10)
    finally:
        replica.go_on()
    store.close()


def test_a_master_that_was_restarted_is_another_one(cluster, url):
    store = open_store(url)
    holders = store.holders()
    assert store.kept(holders)
    cluster.hand_over(cluster.owner(slot_of(KEYS[0])))
    assert not store.kept(holders)
    assert store.kept(store.holders())
    store.close()
