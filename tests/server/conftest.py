"""A Redis with a small project in it, and a server that reads it."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from feature_server import FeatureServer
from published_shop import ORDERS, PROFILE, Shop
from redis_server import RedisServer


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def shop(redis_server: RedisServer) -> Iterator[Shop]:
    """Customers 1 (all features), 2 (no profile, nothing spent known)."""
    published = Shop(redis_server.url)
    published.publish(ORDERS, PROFILE)
    published.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5}, {"customer_id": 2, "orders_7d": 1, "spent": None})
    published.write(PROFILE, {"customer_id": 1, "city": "Riga"})
    yield published
    published.store.close()


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[FeatureServer]:
    with FeatureServer(shop.url, "shop") as running:
        yield running


@pytest.fixture
def client(server: FeatureServer) -> httpx.Client:
    return server.client
