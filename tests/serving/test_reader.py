"""A service reads features from the store alone, by asyncio or not, and follows what is published while it runs."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

import codec_cases as cases
import pytest
from published_shop import CHURN, ORDERS, PROFILE, Shop
from redis_cluster import RedisCluster
from watched_redis import asked

from featurestore import AsyncOnlineFeatureStore, OnlineFeatureStore
from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.errors import NotInstalledError, NotMaterializedError, OnlineStoreError, UnknownNameError
from featurestore.online_store.base import WriteMode
from featurestore.online_store.redis_commands import slot_of
from featurestore.online_store.redis_connections import Servers
from featurestore.online_store.redis_steps import Knowledge
from featurestore.online_store.redis_url import parse_redis_url
from featurestore.online_store.redis_work import rows_read
from featurestore.registry.definitions import FeatureReference
from featurestore.registry.value_types import (
    FLOAT64,
    INT64,
    STRING,
)


@pytest.fixture
def shop(url):
    published = Shop(url)
    yield published
    published.store.close()


def test_a_service_is_answered_from_the_store_alone(shop):
    shop.publish(ORDERS, PROFILE)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})
    shop.write(PROFILE, {"customer_id": 1, "city": "Riga"})
    with shop.reader() as reader:
        for features in ("churn", CHURN, ["orders:*", "profile:city"], [FeatureReference("orders", "*"), "profile:city"]):
            answer = reader.get_online_features([{"customer_id": 1}], features)
            assert answer.to_dict() == {"customer_id": [1], "orders_7d": [3], "spent": [9.5], "city": ["Riga"]}
        assert [view.name for view in reader.registry.views] == ["orders", "profile"]


def test_the_async_reader_answers_the_same(shop):
    shop.publish(ORDERS, PROFILE)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})

    async def ask():
        async with AsyncOnlineFeatureStore(shop.url, "shop", clock=shop.clock) as reader:
            rows = [{"customer_id": number} for number in (1, 2)]
            answers = await asyncio.gather(*(reader.get_online_features(rows, "churn") for _ in range(100)))
            registry = await reader.read_registry()
            with pytest.raises(UnknownNameError):
                await reader.get_online_features(rows, "chrun")
            return answers, registry

    answers, registry = asyncio.run(ask())
    with shop.reader() as reader:
        expected = reader.get_online_features([{"customer_id": 1}, {"customer_id": 2}], "churn")
        assert registry == reader.registry
    for answer in answers:
        assert answer.to_dict() == expected.to_dict()
        assert answer.statuses() == expected.statuses()
        assert answer.event_timestamps() == expected.event_timestamps()


def test_a_project_that_was_never_materialized_says_what_to_run(shop):
    shop.publish(ORDERS)
    with OnlineFeatureStore(shop.url, "another") as reader, pytest.raises(NotMaterializedError, match=r"'another'.*fsdbt materialize"):
        reader.get_online_features([{"customer_id": 1}], "churn")


def test_an_empty_store_says_what_to_run(url):
    with OnlineFeatureStore(url, "shop") as reader, pytest.raises(NotMaterializedError, match="fsdbt materialize"):
        reader.registry  # noqa: B018


def test_a_feature_added_while_a_service_runs_is_served_without_a_restart(shop):
    shop.publish(ORDERS)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5}, {"customer_id": 2, "orders_7d": 4, "spent": 1.5})
    wider = cases.feature_view("orders", {"orders_7d": FLOAT64, "returns": INT64, "spent": FLOAT64})
    with shop.reader() as reader:
        assert reader.get_online_features({"customer_id": [1]}, "orders:*").to_dict() == {
            "customer_id": [1],
            "orders_7d": [3],
            "spent": [9.5],
        }
        shop.publish(wider)
        shop.write(wider, {"customer_id": 1, "orders_7d": 3.5, "returns": 1, "spent": 9.5})
        answer = reader.get_online_features({"customer_id": [1, 2]}, "orders:*")
        assert answer.to_dict() == {"customer_id": [1, 2], "orders_7d": [3.5, 4.0], "returns": [1, None], "spent": [9.5, 1.5]}


def test_a_name_added_while_a_service_runs_is_found(shop):
    shop.publish(ORDERS)
    with shop.reader() as reader:
        reader.get_online_features({"customer_id": [1]}, "orders:*")
        shop.publish(ORDERS, PROFILE)
        shop.clock.now += timedelta(seconds=2)
        assert reader.get_online_features({"customer_id": [1]}, "churn").to_dict()["city"] == [None]
        with pytest.raises(UnknownNameError, match="Did you mean 'churn'"):
            reader.get_online_features({"customer_id": [1]}, "chrun")


def test_a_change_of_ttl_is_followed_within_a_minute(shop):
    shop.publish(ORDERS)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3})
    with shop.reader() as reader:
        shop.clock.now += timedelta(hours=1)
        assert reader.get_online_features({"customer_id": [1]}, "orders:orders_7d").to_dict()["orders_7d"] == [3]
        shop.publish(dataclasses.replace(ORDERS, ttl=timedelta(minutes=1)))
        shop.clock.now += timedelta(minutes=1)
        assert reader.get_online_features({"customer_id": [1]}, "orders:orders_7d").to_dict()["orders_7d"] == [None]


def test_rows_of_an_older_declaration_are_read_after_a_restart(shop):
    shop.publish(ORDERS)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})
    narrower = cases.feature_view("orders", {"spent": FLOAT64})
    shop.publish(narrower)
    shop.write(narrower, {"customer_id": 2, "spent": 1.5})
    with shop.reader() as reader:
        assert reader.get_online_features({"customer_id": [1, 2]}, "orders:*").to_dict() == {"customer_id": [1, 2], "spent": [9.5, 1.5]}


def test_rows_whose_schema_is_lost_are_an_error_that_says_what_to_run(shop):
    shop.publish(ORDERS)
    other = cases.feature_view("orders", {"orders_7d": STRING})
    shop.store.write(RowEncoder("shop", other, 1).encode(cases.batch_of(other, [{"customer_id": 1}])), WriteMode.NEWEST_WINS)
    with (
        shop.reader() as reader,
        pytest.raises(OnlineStoreError, match=r"'orders' were written under schema .* fsdbt materialize --full-refresh"),
    ):
        reader.get_online_features({"customer_id": [1]}, "orders:*")


def test_one_request_is_one_round_trip(redis_server):
    shop = Shop(f"{redis_server.url}?client_name=reader")
    shop.publish(ORDERS, PROFILE)
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3})
    shop.store.close()
    with shop.reader() as reader:
        reader.get_online_features({"customer_id": [1]}, "churn")
        commands = asked([redis_server], "reader", lambda: reader.get_online_features({"customer_id": [1, 2, 3]}, "churn"))
    assert commands == [["MGET"]]


def test_one_request_to_a_cluster_is_one_round_trip_to_each_of_its_servers():
    customers = list(range(60))
    with RedisCluster() as cluster:
        shop = Shop(f"{cluster.url}?client_name=reader")
        shop.publish(ORDERS, PROFILE)
        shop.write(ORDERS, *({"customer_id": number, "orders_7d": number} for number in customers))
        shop.store.close()
        with shop.reader() as reader:
            reader.get_online_features({"customer_id": customers}, "churn")
            answers = []
            commands = asked(
                cluster.servers, "reader", lambda: answers.append(reader.get_online_features({"customer_id": customers}, "churn"))
            )
        assert answers[0].to_dict()["orders_7d"] == customers
        slots = {slot_of(key_space("shop", ORDERS).key(b"%d" % number)) for number in customers}
        assert {command for of_server in commands for command in of_server} == {"MGET"}
        assert sum(map(len, commands)) == len(slots), "both views of a customer are asked for at once"
        keys = [key_space("shop", view).key(b"%d" % number) for view in (ORDERS, PROFILE) for number in customers]
        knowledge = Knowledge.of(parse_redis_url(cluster.url))
        servers = Servers(knowledge.url)
        servers.run(rows_read(keys[:1], knowledge))
        sent = next(rows_read(keys, knowledge))
        assert {server.port for server in sent} == {server.port for server in cluster.masters}
        assert sum(packet.answers for packet in sent.values()) == len(slots), "everything is sent before any answer is awaited"
        servers.close()


def test_a_data_frame_library_that_is_missing_is_named(shop, monkeypatch):
    shop.publish(ORDERS)
    with shop.reader() as reader:
        answer = reader.get_online_features({"customer_id": [1]}, "orders:*")
    for name, convert in (("pandas", answer.to_pandas), ("polars", answer.to_polars)):
        monkeypatch.setitem(__import__("sys").modules, name, None)
        with pytest.raises(NotInstalledError, match=rf"pip install 'featurestore\[{name}\]'"):
            convert()


def test_an_answer_says_what_it_holds(shop):
    shop.publish(ORDERS)
    with shop.reader() as reader:
        assert repr(reader.get_online_features({"customer_id": [1]}, "orders:*")) == "OnlineFeatures(orders_7d, spent)"
