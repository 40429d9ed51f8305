"""What an answer promises, whoever gives it: the reader in process or the client of a feature server, each with its twin for asyncio."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import codec_cases as cases
import numpy
import pandas
import polars
import pyarrow as pa
import pytest
from feature_server import FeatureServer
from published_shop import CHURN, NOON, ORDERS, PROFILE, Shop
from redis_server import RedisServer

from featurestore import AsyncFeatureClient, AsyncOnlineFeatureStore, FeatureClient, OnlineFeatureStore
from featurestore.errors import EntityKeyError, FeatureNameCollisionError, NotMaterializedError, RequestError, UnknownNameError
from featurestore.registry.definitions import Column, Feature, FeatureReference
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    FloatType,
    ListType,
    MapType,
    StructType,
)
from featurestore.serving.online_features import OnlineFeatures, Status
from featurestore.sql.on_demand.grammar import parse_expression

PRESENT, NULL, NOT_FOUND, TOO_OLD = Status.PRESENT, Status.NULL_VALUE, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE

VISITS = cases.feature_view(
    "visits", {"visits_1d": INT64}, join_keys=(Column("day", DATE), Column("shop_id", STRING), Column("visitor", INT64)), entity="visit"
)
TWIN = cases.feature_view("twin", {"spent": FLOAT64})
FRESH = cases.feature_view("fresh", {"seen_at": TIMESTAMP_UTC}, ttl=timedelta(days=1))
RATED = replace(
    cases.feature_view("rated", {"usual": FLOAT64}),
    on_demand=(
        Feature(
            "times_usual", FLOAT64, on_demand=parse_expression("amount / nullif(usual, 0)", {"usual": FLOAT64}, {"amount": FLOAT64}, {})
        ),
        Feature("late", BOOLEAN, on_demand=parse_expression("due < date '2024-05-01'", {}, {"due": DATE}, {})),
    ),
)
TYPED = cases.feature_view(
    "typed",
    {
        "day": DATE,
        "opens": TIME,
        "price": DecimalType(10, 2),
        "seen": TIMESTAMP_UTC,
        "local": TIMESTAMP,
        "ratio": FLOAT64,
        "embedding": ListType(FloatType(32)),
        "address": StructType((("city", STRING), ("since", DATE))),
        "counts": MapType(STRING, INT64),
        "by_day": MapType(DATE, DecimalType(10, 2)),
        "photo": BYTES,
    },
)
VALUES = {
    "day": date(2024, 5, 1),
    "opens": datetime(2024, 5, 1, 9, 30, 0, 1).time(),
    "price": Decimal("9.90"),
    "seen": NOON,
    "local": datetime(2024, 5, 1, 12, 0, 0, 250),
    "ratio": float("-inf"),
    "embedding": [0.5, None],
    "address": {"city": "Riga", "since": date(2001, 2, 3)},
    "counts": {"a": 1, "b": None},
    "by_day": {date(2024, 5, 1): Decimal("0.10")},
    "photo": b"\x00\xff",
}


@dataclass(frozen=True)
class Places:
    """Where the features are: the online store, and the server before it."""

    store: str
    server: str


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    with RedisServer() as redis_server:
        shop = Shop(redis_server.url)
        shop.publish(ORDERS, PROFILE, VISITS, FRESH, TYPED, TWIN, RATED)
        shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5}, {"customer_id": 2, "orders_7d": 4, "spent": None})
        shop.write(PROFILE, {"customer_id": 1, "city": "Riga"})
        shop.write(VISITS, {"day": date(2024, 5, 1), "shop_id": "a,b", "visitor": 7, "visits_1d": 2})
        shop.write(FRESH, {"customer_id": 1, "seen_at": NOON, "event_timestamp": now - timedelta(hours=1)})
        shop.write(FRESH, {"customer_id": 2, "seen_at": NOON, "event_timestamp": now - timedelta(days=2)})
        shop.write(RATED, {"customer_id": 1, "usual": 10.0})
        shop.write(TYPED, {"customer_id": 1, **VALUES})
        with FeatureServer(redis_server.url, "shop") as server:
            yield Places(redis_server.url, server.base_url)
        shop.store.close()


Read = Callable[..., OnlineFeatures]


def in_process(places: Places, *asked: Any, **options: Any) -> OnlineFeatures:
    with OnlineFeatureStore(places.store, "shop") as reader:
        return reader.get_online_features(*asked, **options)


def in_process_by_asyncio(places: Places, *asked: Any, **options: Any) -> OnlineFeatures:
    async def read() -> OnlineFeatures:
        async with AsyncOnlineFeatureStore(places.store, "shop") as reader:
            return await reader.get_online_features(*asked, **options)

    return asyncio.run(read())


def over_http(places: Places, *asked: Any, **options: Any) -> OnlineFeatures:
    with FeatureClient(places.server) as client:
        return client.get_online_features(*asked, **options)


def over_http_by_asyncio(places: Places, *asked: Any, **options: Any) -> OnlineFeatures:
    async def read() -> OnlineFeatures:
        async with AsyncFeatureClient(places.server) as client:
            return await client.get_online_features(*asked, **options)

    return asyncio.run(read())


@pytest.fixture(params=[in_process, in_process_by_asyncio, over_http, over_http_by_asyncio], ids=lambda each: each.__name__)
def read(request: pytest.FixtureRequest, places: Places) -> Read:
    way = request.param

    def read_features(*asked: Any, **options: Any) -> OnlineFeatures:
        answer = way(places, *asked, **options)
        assert isinstance(answer, OnlineFeatures)
        return answer

    return read_features


@pytest.mark.parametrize(
    "features", ["churn", CHURN, ["orders:*", "profile:city"], [FeatureReference("orders", "*"), "profile:city"]], ids=str
)
def test_a_service_or_its_features_are_answered(read, features):
    answer = read([{"customer_id": 1}], features)
    assert answer.to_dict() == {"customer_id": [1], "orders_7d": [3], "spent": [9.5], "city": ["Riga"]}


def test_rows_come_back_in_their_order_with_what_else_they_hold(read):
    rows = [{"customer_id": 2, "basket": "b"}, {"customer_id": 99}, {"customer_id": 1, "basket": "a"}, {"customer_id": 2}]
    answer = read(rows, ["profile:city", "orders:spent"])
    assert answer.to_dict() == {
        "customer_id": [2, 99, 1, 2],
        "basket": ["b", None, "a", None],
        "city": [None, None, "Riga", None],
        "spent": [None, None, 9.5, None],
    }
    assert list(answer.to_dict()) == ["customer_id", "basket", "city", "spent"]
    assert answer.rows()[2] == {"customer_id": 1, "basket": "a", "city": "Riga", "spent": 9.5}
    assert answer.statuses() == {"city": [NOT_FOUND, NOT_FOUND, PRESENT, NOT_FOUND], "spent": [NULL, NOT_FOUND, PRESENT, NULL]}
    assert answer.event_timestamps() == {"city": [None, None, NOON, None], "spent": [NOON, None, NOON, NOON]}
    assert repr(answer) == "OnlineFeatures(city, spent)"


def test_composite_and_typed_keys_find_their_rows(read):
    rows = {"shop_id": ["a,b", "a"], "visitor": [7, 7], "day": [date(2024, 5, 1)] * 2}
    assert read(rows, "visits:visits_1d").to_dict() == {**rows, "visits_1d": [2, None]}


def test_a_null_key_finds_nothing(read):
    assert read({"customer_id": [None, 2]}, "orders:orders_7d").statuses() == {"orders_7d": [NOT_FOUND, PRESENT]}


def test_a_value_older_than_its_ttl_is_null_and_says_so(read):
    answer = read({"customer_id": [1, 2, 3]}, "fresh:seen_at")
    assert answer.to_dict()["seen_at"] == [NOON, None, None]
    assert answer.statuses() == {"seen_at": [PRESENT, TOO_OLD, NOT_FOUND]}
    fresh, old, none = answer.event_timestamps()["seen_at"]
    assert fresh - old == timedelta(hours=47)
    assert none is None


def test_full_names_tell_views_apart(read):
    answer = read([{"customer_id": 1}], ["orders:spent", "profile:city"], full_feature_names=True)
    assert answer.to_dict() == {"customer_id": [1], "orders__spent": [9.5], "profile__city": ["Riga"]}


@pytest.mark.parametrize("nothing", [[], {"customer_id": []}])
def test_no_entity_rows_are_no_answers(read, nothing):
    answer = read(nothing, "orders:orders_7d")
    assert answer.to_dict()["orders_7d"] == []
    assert answer.statuses() == {"orders_7d": []}
    assert answer.rows() == []


def test_values_have_the_types_that_were_declared(read):
    answer = read([{"customer_id": 1, "note": "x"}, {"customer_id": 2, "note": "y"}], "typed:*")
    assert cases.same(answer.rows()[0], {"customer_id": 1, "note": "x", **VALUES})
    table = answer.to_arrow()
    assert table.schema.field("customer_id").type == pa.int64()
    assert table.schema.field("embedding").type == pa.list_(pa.float32())
    assert table.schema.field("counts").type == pa.map_(pa.string(), pa.int64())
    assert table.schema.field("seen").type == pa.timestamp("us", "UTC")
    assert table["price"].to_pylist() == [Decimal("9.90"), None]
    assert table["counts"].to_pylist() == [[("a", 1), ("b", None)], None]
    assert answer.to_pandas()["day"].tolist() == [date(2024, 5, 1), None]
    assert isinstance(answer.to_polars(), polars.DataFrame)
    assert answer.to_polars()["address"].to_list() == [VALUES["address"], None]


def test_features_on_demand_are_worked_out_of_what_the_request_brings(read):
    rows = [
        {"customer_id": 1, "amount": 25.0, "due": date(2024, 4, 30)},
        {"customer_id": 1, "amount": None, "due": date(2024, 5, 1)},
        {"customer_id": 9, "amount": 25.0, "due": None},
    ]
    answer = read(rows, ["rated:usual", "rated:times_usual", "rated:late"])
    assert answer.rows() == [
        {**rows[0], "usual": 10.0, "times_usual": 2.5, "late": True},
        {**rows[1], "usual": 10.0, "times_usual": None, "late": False},
        {**rows[2], "usual": None, "times_usual": None, "late": None},
    ]
    assert answer.statuses()["times_usual"] == [PRESENT, NULL, NOT_FOUND]
    with pytest.raises(RequestError, match="amount"):
        read([{"customer_id": 1}], ["rated:times_usual"])


@pytest.mark.parametrize("amount", [float("nan"), numpy.float32("nan")], ids=["float", "numpy"])
def test_an_input_that_is_no_number_is_no_null(read, amount):
    for rows in ([{"customer_id": 1, "amount": amount}], {"customer_id": [1], "amount": [amount]}):
        (worked_out,) = read(rows, ["rated:times_usual"]).to_dict()["times_usual"]
        assert worked_out is not None
        assert math.isnan(worked_out)


def test_columns_of_a_pandas_frame_are_entity_rows(read):
    frame = pandas.DataFrame({"customer_id": [1, 2]})
    as_records = read(frame.to_dict("records"), "orders:orders_7d")
    as_columns = read({"customer_id": frame["customer_id"]}, "orders:orders_7d")
    as_numbers = read({"customer_id": frame["customer_id"].to_numpy()}, "orders:orders_7d")
    assert as_records.to_dict() == as_columns.to_dict() == as_numbers.to_dict() == {"customer_id": [1, 2], "orders_7d": [3, 4]}


def test_a_key_that_no_row_can_have_is_not_found(read):
    assert read({"customer_id": [2**70]}, "orders:orders_7d").statuses() == {"orders_7d": [NOT_FOUND]}


@pytest.mark.parametrize(
    ("rows", "features", "kind", "said"),
    [
        ([{"customer_id": 1}], "chrun", UnknownNameError, "No feature service named 'chrun'. Did you mean 'churn'?"),
        ([{"customer_id": 1}], "orders:spend", UnknownNameError, "Did you mean 'spent'?"),
        ([{"customer_id": 1.5}], "churn", EntityKeyError, "'customer_id' takes int64 values, not 1.5 (float)"),
        ([{"customer_id": 1}, {"basket": 2}], "churn", EntityKeyError, "'customer_id' is missing from entity row 1"),
        ([{"customer": 1}], "churn", EntityKeyError, "'customer_id' is missing"),
        ({"customer_id": [1, 2], "basket": [1]}, "churn", RequestError, "differ in length"),
        ({"customer_id": "abc"}, "churn", RequestError, "'customer_id' of the entity rows is no list"),
        ("customer_id", "churn", RequestError, "Entity rows are a list of dicts"),
        ([{"customer_id": 1}], [], RequestError, "No features were asked for"),
        ([{"customer_id": 1, "spent": 1}], "churn", RequestError, "'spent', which is the name of a feature too"),
    ],
)
def test_a_mistake_is_the_same_error(read, rows, features, kind, said):
    with pytest.raises(kind) as caught:
        read(rows, features)
    assert type(caught.value) is kind
    assert said in str(caught.value)


def test_two_features_of_one_name_are_the_same_error(read):
    with pytest.raises(FeatureNameCollisionError, match="full_feature_names=True"):
        read([{"customer_id": 1}], ["orders:spent", "twin:spent"])


def test_the_error_of_an_empty_store_is_the_same(tmp_path):
    url = f"sqlite:///{tmp_path / 'store.db'}"
    with OnlineFeatureStore(url, "shop") as reader, pytest.raises(NotMaterializedError, match="fsdbt materialize"):
        reader.get_online_features([{"customer_id": 1}], "churn")
    with (
        FeatureServer(url, "shop") as server,
        FeatureClient(server.base_url, retries=0) as client,
        pytest.raises(NotMaterializedError, match="fsdbt materialize"),
    ):
        client.get_online_features([{"customer_id": 1}], "churn")
