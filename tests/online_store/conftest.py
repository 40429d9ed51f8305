"""Every online store there is, each as a URL at which nothing was written yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis_cluster import RedisCluster
from redis_sentinel import RedisWithSentinels
from redis_server import RedisServer

from featurestore.online_store.base import OnlineStore
from featurestore.online_store.connect import open_store


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    with RedisCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis_sentinels() -> Iterator[RedisWithSentinels]:
    with RedisWithSentinels() as servers:
        yield servers


@pytest.fixture(params=["sqlite", "redis-tcp", "redis-unix", "redis-sentinel", "redis-cluster"])
def url(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'online_store.db'}"
    if request.param == "redis-cluster":
        cluster: RedisCluster = request.getfixturevalue("redis_cluster")
        cluster.flush()
        return cluster.url
    if request.param == "redis-sentinel":
        watched: RedisWithSentinels = request.getfixturevalue("redis_sentinels")
        watched.flush()
        return watched.url
    server: RedisServer = request.getfixturevalue("redis_server")
    with server.client() as client:
        client.flushall()
        client.script_flush()
    return server.url if request.param == "redis-tcp" else server.socket_url


@pytest.fixture
def store(url: str) -> Iterator[OnlineStore]:
    opened = open_store(url)
    yield opened
    opened.close()
