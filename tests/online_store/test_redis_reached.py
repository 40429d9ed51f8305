"""Every way to reach Redis, with a real server at its end; and a server that cannot be reached is told of in time, without a secret."""

from __future__ import annotations

import re
from time import monotonic

import pytest
from redis_cluster import RedisCluster, wait_until
from redis_sentinel import SERVICE, RedisWithSentinels
from redis_server import Certificates, RedisServer
from store_load import KEYS, NEWEST, Load, all_rows_are_of, rows_of

from featurestore.errors import OnlineStoreError, OnlineStoreUnavailableError
from featurestore.online_store.connect import open_async_store, open_store
from featurestore.online_store.redis_commands import slot_of


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def sentinels():
    with RedisWithSentinels(password="pa55w0rd", sentinel_password="s3cret") as servers:
        yield servers


async def written_and_read(url: str) -> None:
    """A store there takes rows, and gives them to both halves."""
    store, reader = open_store(url), open_async_store(url)
    rows = rows_of(1)
    assert store.write(rows, NEWEST) == len(KEYS)
    assert store.kept(store.holders())
    assert store.read(KEYS) == await reader.read(KEYS) == [row for _, row in rows.pairs()]
    store.close()
    await reader.close()


async def errors_of(url: str) -> list[OnlineStoreError]:
    """What both halves say where that store cannot be read or written, and how bounded the time is that they take."""
    store, reader = open_store(url), open_async_store(url)
    said, started = [], monotonic()
    for act in (lambda: store.read(KEYS), lambda: store.write(rows_of(1), NEWEST), lambda: store.next_sequence("shop")):
        with pytest.raises(OnlineStoreError) as caught:
            act()
        said.append(caught.value)
    with pytest.raises(OnlineStoreError) as caught:
        await reader.read(KEYS)
    said.append(caught.value)
    store.close()
    await reader.close()
    assert monotonic() - started < 60
    for error in said:
        assert not {secret for secret in ("pa55w0rd", "s3cret", "wr0ng") if secret in f"{error} {error!r} {error.__cause__!r}"}
    return said


async def test_a_server_is_reached_by_tls_with_certificates_of_both_sides(certificates):
    with RedisServer(tls=certificates) as server:
        for scheme in ("rediss", "valkeys"):
            await written_and_read(f"{scheme}://localhost:{server.tls_port}/0?{certificates.query}")
        for query in ("", f"ssl_ca_certs={certificates.authority}"):
            for error in await errors_of(f"rediss://localhost:{server.tls_port}/0?{query}"):
                assert isinstance(error, OnlineStoreUnavailableError)


async def test_a_server_is_reached_by_user_and_password_over_a_socket_too():
    with RedisServer() as server:
        with server.client() as client:
            client.execute_command("ACL", "SETUSER", "us:er", "on", ">p@ss/w0rd", "~shop:*", "+@all")
        await written_and_read(f"redis://us%3Aer:p%40ss%2Fw0rd@127.0.0.1:{server.port}/0")
        await written_and_read(f"unix://us%3Aer:p%40ss%2Fw0rd@{server.socket_path}?db=1")
        await written_and_read(f"valkey://127.0.0.1:{server.port}?username=us:er&password=p%40ss/w0rd")


async def test_a_cluster_is_reached_by_tls_and_by_a_user_that_may_only_read(certificates):
    with RedisCluster(tls=certificates) as cluster:
        await written_and_read(cluster.tls_url)
        for server in cluster.servers:
            with server.client() as client:
                rights = ("~shop:*", "resetchannels", "-@all", "+mget", "+hmget", "+cluster|slots")
                client.execute_command("ACL", "SETUSER", "service", "on", ">pw", *rights)
        store = open_store(cluster.url.replace("://", "://service:pw@"))
        assert None not in store.read(KEYS)
        assert store.read_documents("shop", ["registry"]) == [None]
        store.close()
        single = next(server for server in cluster.servers if server is not cluster.owner(slot_of(b"shop:sequence")))
        for error in await errors_of(single.url):
            assert "one server of a cluster. Write redis+cluster://" in str(error)
        for error in await errors_of(cluster.url.replace("://", "://service:wr0ng@")):
            assert "refuses the login" in str(error)


async def test_what_is_no_cluster_says_so():
    with RedisServer() as server:
        for error in await errors_of(server.url.replace("redis://", "redis+cluster://")):
            assert "belongs to no cluster. Write redis://" in str(error)


async def test_the_master_is_reached_through_sentinels_with_a_login_each(sentinels):
    await written_and_read(sentinels.url)
    for wrong, said in (
        (sentinels.url.replace("pa55w0rd", "wr0ng"), "Redis at .* refuses the login"),
        (sentinels.url.replace("s3cret", "wr0ng"), "Sentinel at .* refuses the login"),
        (sentinels.url.replace(f"/{SERVICE}/", "/other/") + "&retry_reads_for=0.2&retry_writes_for=0.2", "knows no master .* 'other'"),
    ):
        for error in await errors_of(wrong):
            assert re.search(said, str(error))


def test_a_master_is_killed_while_sentinels_watch_and_rows_are_written_and_read(sentinels):
    with Load(sentinels.url) as load:
        wait_until(lambda: load.kept_run > 1)
        master = sentinels.master
        master.kill()
        wait_until(lambda: sentinels.master is not master)
        then = load.kept_run
        wait_until(lambda: load.kept_run > then + 1)
    assert load.wrong == []
    assert all_rows_are_of(sentinels.url, load.kept_run)


async def test_a_server_that_stands_still_is_given_up_in_time():
    with RedisServer() as server:
        url = f"{server.url}?socket_timeout=0.3"
        store = open_store(url)
        store.write(rows_of(1), NEWEST)
        server.stop()
        try:
            for error in await errors_of(url):
                assert isinstance(error, OnlineStoreUnavailableError)
                assert f"127.0.0.1:{server.port} cannot be reached: Timeout" in str(error)
        finally:
            server.go_on()
        assert None not in store.read(KEYS)
        store.close()


async def test_a_cluster_of_which_one_server_stands_still_is_given_up_in_time():
    with RedisCluster(node_timeout=500) as cluster:
        url = f"{cluster.url}?socket_timeout=0.3&retry_reads_for=0.5&retry_writes_for=0.5"
        store = open_store(url)
        store.write(rows_of(1), NEWEST)
        cluster.servers[1].stop()
        try:
            for error in await errors_of(url):
                assert isinstance(error, OnlineStoreUnavailableError)
        finally:
            cluster.servers[1].go_on()
        wait_until(cluster.healthy)
        assert None not in store.read(KEYS)
        store.close()
