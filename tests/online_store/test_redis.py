"""Redis that is down, refuses, forgets, or dies in the middle: one clear message each, and nothing half-done."""

from __future__ import annotations

import threading
from datetime import timedelta

import codec_cases as cases
import pytest
import redis
from redis_server import RedisServer

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.errors import OnlineStoreError, OnlineStoreUnavailableError, SettingsError
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_async_store, open_store
from featurestore.online_store.redis_commands import write_steps
from featurestore.online_store.redis_work import Writing

VIEW = cases.feature_view()
SPACE = key_space("shop", VIEW)
KEY = SPACE.key(b"1")
NEWEST = WriteMode.NEWEST_WINS


def one_row(run=1, orders=10, **columns):
    return RowEncoder("shop", VIEW, run).encode(cases.batch_of(VIEW, [{"customer_id": 1, "orders_7d": orders, **columns}]))


def many_rows(count, run=1):
    return RowEncoder("shop", VIEW, run).encode(cases.batch_of(VIEW, [{"customer_id": number} for number in range(count)]))


def write_often(store, batches):
    for batch in batches:
        store.write(batch, NEWEST)


@pytest.fixture
def server():
    with RedisServer() as own:
        yield own


async def test_a_server_that_is_down_is_named_without_its_password():
    url = "redis://user:s3cret@127.0.0.1:1/0"
    store, reader = open_store(url), open_async_store(url)
    acts = [
        lambda: store.read([KEY]),
        lambda: store.write(one_row(), NEWEST),
        lambda: store.next_sequence("shop"),
        lambda: store.count(SPACE),
    ]
    for act in acts:
        with pytest.raises(OnlineStoreUnavailableError, match=r"Redis at 127\.0\.0\.1:1 cannot be reached") as caught:
            act()
        assert "s3cret" not in str(caught.value)
    with pytest.raises(OnlineStoreUnavailableError, match=r"Redis at 127\.0\.0\.1:1 cannot be reached"):
        await reader.read([KEY])
    store.close()
    await reader.close()


def test_a_socket_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OnlineStoreUnavailableError, match=r"nothing\.sock"):
        open_store(f"unix://{tmp_path}/nothing.sock").read([KEY])


async def test_a_wrong_password_is_a_refused_login():
    with RedisServer("--requirepass", "right") as server:
        right = server.url.replace("redis://", "redis://:right@")
        for url in (server.url, server.url.replace("redis://", "redis://:wr0ng@")):
            with pytest.raises(OnlineStoreUnavailableError, match=rf"127.0.0.1:{server.port} refuses the login") as caught:
                open_store(url).read([KEY])
            assert "wr0ng" not in str(caught.value)
            reader = open_async_store(url)
            with pytest.raises(OnlineStoreUnavailableError, match="refuses the login"):
                await reader.read([KEY])
            await reader.close()
        store = open_store(right)
        store.write(one_row(), NEWEST)
        assert store.read([KEY]) != [None]
        store.close()


async def test_a_read_survives_a_dropped_connection(server):
    store, reader = open_store(server.url), open_async_store(server.url)
    store.write(one_row(), NEWEST)
    rows = store.read([KEY])
    assert await reader.read([KEY]) == rows
    with redis.Redis(port=server.port) as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert store.read([KEY]) == rows
    assert await reader.read([KEY]) == rows
    store.close()
    await reader.close()


def test_a_server_that_comes_back_is_used_again(server):
    store = open_store(server.url)
    store.write(one_row(), NEWEST)
    server.kill()
    with pytest.raises(OnlineStoreUnavailableError):
        store.read([KEY])
    server.start()
    assert store.read([KEY]) == [None]
    assert store.write(one_row(), NEWEST) == 1
    store.close()


def test_a_server_that_dies_during_a_write_is_an_error_and_the_next_run_completes(server):
    store, rows = open_store(server.url), many_rows(200_000)
    timer = threading.Timer(0.05, server.kill)
    timer.start()
    with pytest.raises(OnlineStoreUnavailableError, match=f"127.0.0.1:{server.port}"):
        write_often(store, [rows] * 100)
    timer.join()
    server.start()
    assert store.write(rows, NEWEST) == 200_000
    assert store.count(SPACE) == 200_000
    store.close()


def test_a_write_that_stopped_in_the_middle_leaves_whole_rows_only(server):
    store = open_store(server.url)
    store.write(many_rows(20_000, run=1), NEWEST)
    old, new = dict(many_rows(20_000, run=1).pairs()), dict(many_rows(20_000, run=2).pairs())
    with redis.Redis(port=server.port) as client:
        stop = threading.Timer(0.02, lambda: client.client_kill_filter(_type="normal", skipme=True))
        stop.start()
        try:
            for _ in range(50):
                store.write(many_rows(20_000, run=2), NEWEST)
        except OnlineStoreUnavailableError:
            pass
        stop.join()
    keys = list(old)
    assert all(row in (old[key], new[key]) for key, row in zip(keys, store.read(keys), strict=True))
    store.close()


def test_scripts_that_the_server_forgot_are_loaded_again(server):
    store = open_store(server.url)
    store.write(one_row(run=1), NEWEST)
    with redis.Redis(port=server.port) as client:
        client.script_flush()
        assert store.write(many_rows(20_000, run=2), NEWEST) == 20_000
        client.script_flush()
        assert store.remove_older(SPACE, 3) == 20_000
    store.close()


def test_a_full_server_says_so_in_its_own_words(server):
    store = open_store(server.url)
    with redis.Redis(port=server.port) as client:
        client.config_set("maxmemory", "1mb")
        with pytest.raises(OnlineStoreError, match=rf"Redis at 127.0.0.1:{server.port} refused: .*maxmemory"):
            write_often(store, [many_rows(20_000)] * 20)
    store.close()


def test_a_read_only_replica_says_so(server):
    with RedisServer("--replicaof", "127.0.0.1", str(server.port)) as replica:
        store = open_store(replica.url)
        with pytest.raises(OnlineStoreError, match=r"refused: .*(replica|script|READONLY|MASTERDOWN)"):
            store.write(one_row(), NEWEST)
        store.close()


def test_serving_needs_only_the_right_to_read(server):
    with redis.Redis(port=server.port) as client:
        client.execute_command("ACL", "SETUSER", "service", "on", ">pw", "~shop:*", "resetchannels", "-@all", "+mget", "+hmget")
    writer = open_store(server.url)
    writer.write(one_row(), NEWEST)
    writer.write_documents("shop", {"registry": b"one"})
    store = open_store(f"redis://service:pw@127.0.0.1:{server.port}/0")
    assert store.read([KEY]) == writer.read([KEY])
    assert store.read_documents("shop", ["registry"]) == [b"one"]
    with pytest.raises(OnlineStoreError, match=r"refused: .*permissions"):
        store.write(one_row(), NEWEST)
    store.close()
    writer.close()


def test_something_else_under_a_key_is_no_row_and_no_crash(server):
    store = open_store(server.url)
    with redis.Redis(port=server.port) as client:
        client.lpush(KEY, "not ours")
    assert store.read([KEY]) == [None]
    store.close()


def test_another_database_of_the_server_is_another_store(server):
    first, second = open_store(server.url), open_store(server.url.replace("/0", "/1"))
    first.write(one_row(), NEWEST)
    assert second.read([KEY]) == [None]
    first.close()
    second.close()


def test_keys_too_long_for_the_quick_way_are_read_too(server):
    view = cases.feature_view("x" * 3000)
    store = open_store(server.url)
    rows = RowEncoder("shop", view, 1).encode(cases.batch_of(view, [{"customer_id": 1}]))
    store.write(rows, NEWEST)
    assert store.read([key_space("shop", view).key(b"1")]) == [row for _, row in rows.pairs()]
    store.close()


def test_rows_larger_than_the_table_of_lengths_are_written(server):
    view = cases.feature_view("notes", {"note": cases.STRING})
    store = open_store(server.url)
    texts = ["x" * length for length in (0, 2000, 2047, 2048, 100_000)]
    rows = [{"customer_id": number, "note": text, "event_timestamp": cases.NOON + timedelta(number)} for number, text in enumerate(texts)]
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows))
    assert store.write(encoded, NEWEST) == len(texts)
    pairs = dict(encoded.pairs())
    assert store.read(list(pairs)) == list(pairs.values())
    store.close()


def test_large_rows_go_in_smaller_commands():
    view = cases.feature_view("notes", {"note": cases.STRING})
    rows = [{"customer_id": number, "note": "x" * 100_000} for number in range(200)]
    encoded = RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows))
    commands = list(map(Writing(encoded, NEWEST, None).command, write_steps(encoded)))
    assert len(commands) > 4
    assert max(sum(map(len, command)) for command in commands) < 5_000_000
    assert len(list(write_steps(many_rows(1200)))) == 3


@pytest.mark.parametrize("url", ["redis://localhost:port/0", "redis://user:s3cr/et@host/0", "redis://host/0?no_such_option=s3cret"])
def test_a_url_that_cannot_be_read_is_a_setting_to_mend(url):
    for opening in (open_store, open_async_store):
        with pytest.raises(SettingsError, match="cannot be read") as caught:
            opening(url)
        assert "s3cr" not in str(caught.value)
