"""The project of shop.json, published to a Redis, and a server that reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from feast_shop import feast_shop
from feature_server import FeatureServer
from published_shop import Shop
from redis_server import RedisServer

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def described() -> dict[str, Any]:
    content: dict[str, Any] = json.loads((HERE / "shop.json").read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def shop(described: dict[str, Any]) -> Iterator[Shop]:
    with RedisServer() as redis_server:
        published = feast_shop(redis_server.url, described)
        yield published
        published.store.close()


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[FeatureServer]:
    with FeatureServer(shop.url, "shop") as running:
        yield running


@pytest.fixture
def client(server: FeatureServer) -> httpx.Client:
    return server.client
