"""A Redis and an embedded online store, each as a URL at which nothing was written yet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis
from redis_server import RedisServer


@pytest.fixture(scope="session")
def running_redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture
def redis_server(running_redis: RedisServer) -> RedisServer:
    """The running one, without what the test before left in it."""
    with redis.Redis(port=running_redis.port) as client:
        client.flushall()
    return running_redis


@pytest.fixture(params=["sqlite", "redis"])
def url(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'online_store.db'}"
    server: RedisServer = request.getfixturevalue("redis_server")
    return server.url
