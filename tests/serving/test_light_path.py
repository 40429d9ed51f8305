"""Serving imports nothing heavy: a service starts in a fraction of a second and needs no dbt, no warehouse and no Arrow."""

from __future__ import annotations

import subprocess
import sys

import pytest
from published_shop import ORDERS, Shop

HEAVY = ("dbt", "duckdb", "numpy", "pandas", "polars", "pyarrow", "sqlglot", "jinja2", "yaml", "typer")

READ = """
import sys
from featurestore import OnlineFeatureStore, AsyncOnlineFeatureStore
from featurestore.errors import NotMaterializedError
try:
    OnlineFeatureStore(sys.argv[1], "shop").get_online_features([{"customer_id": 1}], "churn")
except NotMaterializedError:
    pass
"""
LOADED = f"print(' '.join(sorted(set(m.partition('.')[0] for m in sys.modules) & set({HEAVY!r}))))"


@pytest.mark.parametrize(
    "module",
    [
        "featurestore",
        "featurestore.errors",
        "featurestore.codec.keys",
        "featurestore.codec.layout",
        "featurestore.codec.decode",
        "featurestore.online_store.base",
        "featurestore.online_store.connect",
        "featurestore.online_store.embedded",
        "featurestore.online_store.redis",
        "featurestore.registry.registry",
        "featurestore.registry.snapshot",
        "featurestore.serving.reader",
    ],
)
def test_a_module_of_the_serving_path_imports_nothing_heavy(module):
    program = f"import sys, {module}; {LOADED}"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == ""


def test_a_read_imports_nothing_heavy(url):
    program = f"{READ}\n{LOADED}"
    assert subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True).stdout.strip() == ""


PUSH = """
import asyncio, sys
from featurestore import OnlineFeatureStore, AsyncOnlineFeatureStore
rows = [{"customer_id": 1, "event_timestamp": __import__("datetime").datetime(2024, 5, 1), "orders_7d": 3, "spent": 9.5}]
OnlineFeatureStore(sys.argv[1], "shop").push("orders", rows)
asyncio.run(AsyncOnlineFeatureStore(sys.argv[1], "shop").push("orders", rows))
"""


def test_a_push_imports_nothing_heavy(url):
    shop = Shop(url)
    shop.publish(ORDERS)
    program = f"{PUSH}\n{LOADED}"
    assert subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=True).stdout.strip() == ""
    assert shop.reader().get_online_features([{"customer_id": 1}], "orders:orders_7d").to_dict()["orders_7d"] == [3]


def test_the_serving_path_costs_little_more_than_the_redis_client():
    """Of what importing it takes, in instructions and not in seconds: a shared machine's clock is no test."""
    count = "import sys; before = len(sys.modules); import {}; print(len(sys.modules) - before)"
    ours, client = (
        int(subprocess.run([sys.executable, "-c", count.format(module)], capture_output=True, text=True, check=True).stdout)
        for module in ("featurestore.serving.reader, featurestore.online_store.redis", "redis.asyncio")
    )
    assert ours < client + 120
