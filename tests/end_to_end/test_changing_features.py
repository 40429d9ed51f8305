"""Features change while services read them: real dbt builds, real publications, readers from before and after, in both kinds of store."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis_server import RedisServer
from shop_project import ORDERS, YAML, dbt, fsdbt, make_shop

from featurestore import FeatureStore, OnlineFeatureStore
from featurestore.errors import UnknownNameError

ROWS = [{"customer_id": 1}, {"customer_id": 2}]
CHANGED = ORDERS.replace(
    "select *", "select * replace (orders_7d::bigint as orders_7d, coalesce(amount::varchar, 'none') as amount), 7 as returns"
)
RENAMED = ORDERS.replace("select *", "select * exclude (amount), amount as total")
VERSIONED = YAML.replace(
    "  - name: customer_orders\n",
    "  - name: customer_orders\n    latest_version: 2\n    versions:\n      - {v: 1, deprecation_date: 2034-01-31}\n      - {v: 2}\n",
)


class Service(threading.Thread):
    """Reads all the time, as a service does that was started before anything changed."""

    def __init__(self, url: str, feature: str, refresh_after: timedelta) -> None:
        super().__init__(name=f"{feature} in {url}")
        self._url, self._feature, self._refresh_after = url, feature, refresh_after
        self._done = threading.Event()
        self.answers: list[Any] = []
        """Each answer that differs from the one before."""

    def run(self) -> None:
        with OnlineFeatureStore(self._url, "shop", refresh_after=self._refresh_after) as reader:
            while not self._done.is_set():
                try:
                    answer: Any = reader.get_online_features(ROWS, self._feature).to_dict()[self._feature.split(":")[1]]
                except Exception as error:
                    answer = type(error)
                if not self.answers or self.answers[-1] != answer:
                    self.answers.append(answer)
                self._done.wait(0.01)

    def stop(self) -> None:
        self._done.set()
        self.join()


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    with RedisServer() as server:
        yield [f"sqlite:///{tmp_path_factory.mktemp('store')}/online.db", server.url]


def publish(shop: Path, urls: list[str]) -> None:
    dbt(shop, "build")
    for url in urls:
        with FeatureStore(shop, online_store=url) as store:
            assert not store.materialize().failed


def ask(url: str, reference: str) -> Any:
    with OnlineFeatureStore(url, "shop") as reader:
        return reader.get_online_features(ROWS, reference).to_dict()[reference.split(":")[1]]


def test_services_read_on_while_features_are_added_widened_retyped_renamed_dropped_and_versioned(tmp_path: Path, urls: list[str]) -> None:
    shop = make_shop(tmp_path / "shop")
    publish(shop, urls)
    with ExitStack() as stack:
        services = {}
        for url in urls:
            for feature in ("customer_orders:orders_7d", "customer_orders:amount"):
                for refresh_after in (timedelta(0), timedelta(minutes=1)):
                    service = services[url, feature, refresh_after] = Service(url, feature, refresh_after)
                    service.start()
                    stack.callback(service.stop)
        orders = shop / "models/customer_orders.sql"
        orders.write_text(CHANGED)
        publish(shop, urls)
        for url in urls:
            assert ask(url, "customer_orders:amount") == ["20.25", "none"]
            assert ask(url, "customer_orders:returns") == [7, 7]
        orders.write_text(RENAMED)
        publish(shop, urls)
        for url in urls:
            assert ask(url, "customer_orders:total") == [Decimal("20.25"), None]
        for version in (1, 2):
            (shop / f"models/customer_orders_v{version}.sql").write_text(RENAMED.replace("amount as total", f"{version} as total"))
        orders.unlink()
        (shop / "models/shop.yml").write_text(VERSIONED)
        publish(shop, urls)
        for url in urls:
            assert (
                ask(url, "customer_orders:total") == ask(url, "customer_orders.v2:total") == ask(url, "customer_orders_v2:total") == [2, 2]
            )
            assert ask(url, "customer_orders.v1:total") == ask(url, "customer_orders_v1:total") == [1, 1]
    amounts = ([Decimal("20.25"), None], ["20.25", "none"], UnknownNameError)
    for (_, feature, refresh_after), service in services.items():
        if feature == "customer_orders:orders_7d":
            assert service.answers == [[2, 1]], f"{service.name}: it was there all the time, and always the same"
        elif refresh_after:
            assert service.answers == [amount for amount in amounts if amount in service.answers], f"{service.name}: in this order"
        else:
            assert service.answers == list(amounts), service.name
    listed = fsdbt(shop, "list", check=True, FSDBT_ONLINE_STORE=urls[0]).stdout
    assert "2034-01-31" in listed
    read = fsdbt(shop, "get", "customer_orders.v1:total", "customer_id=1", check=True, FSDBT_ONLINE_STORE=urls[0])
    assert "customer_orders.v1 is deprecated from 2034-01-31 on" in read.stderr
