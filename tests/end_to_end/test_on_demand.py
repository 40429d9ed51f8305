"""Features on demand are declared once, and training and serving answer the same, over columns and over aggregations of events."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from feature_server import FeatureServer
from shop_project import ORDERS, dbt, fsdbt, make_shop

from featurestore import AsyncOnlineFeatureStore, FeatureStore
from featurestore.errors import EntityDataframeError, RequestError
from featurestore.serving.online_features import Status

YAML = """\
models:
  - name: customer_orders
    config:
      meta:
        feature_view:
          entities: {customer: customer_id}
          timestamp: ordered_at
          created_timestamp: loaded_at
          ttl: 7 days
        on_demand:
          inputs: {basket: "decimal(10, 2)", placed: timestamp}
          features:
            basket_ratio: "basket / nullif(amount, 0)"
            is_large: {expression: "basket > coalesce(amount, 20)", description: Larger than the last order.}
            days_waited: {expression: "date_diff('day', placed, requested_at)", data_type: integer}
            next_order: "orders_7d + 1"
    columns:
      - {name: customer_id, data_type: bigint}
  - name: payments
    config:
      meta:
        feature_view:
          entities: {customer: customer_id}
          timestamp: ordered_at
          aggregations:
            - {column: amount, functions: [avg], windows: [7 days]}
        on_demand:
          inputs: {basket: "decimal(10, 2)"}
          features: {to_mean: "round(basket / nullif(amount_avg_7d, 0), 3)"}
exposures:
  - name: basket_model
    type: ml
    owner: {name: Growth, email: growth@example.com}
    depends_on: [ref('customer_orders'), ref('payments')]
    config:
      meta:
        feature_service:
          features: ["customer_orders:basket_ratio", "customer_orders:is_large", "customer_orders:orders_7d", "payments:to_mean"]
"""
NOW = datetime(2024, 1, 4, 12, tzinfo=timezone.utc)
ROWS: list[dict[str, Any]] = [
    {"customer_id": 1, "basket": Decimal("40.50")},
    {"customer_id": 2, "basket": Decimal("1.00")},
    {"customer_id": 99, "basket": Decimal("30.00")},
    {"customer_id": 1, "basket": None},
]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = make_shop(tmp_path_factory.mktemp("on_demand") / "shop", yaml=YAML, extra={"models/payments.sql": ORDERS})
    dbt(shop, "build")
    return shop


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Iterator[FeatureStore]:
    directory = shutil.copytree(built, tmp_path / "shop")
    with FeatureStore(directory, clock=lambda: NOW) as store:
        store.materialize(everything=True)
        yield store


def spine(**columns: list[Any]) -> pa.Table:
    return pa.table(
        {"event_timestamp": pa.array([NOW.replace(tzinfo=None)] * len(next(iter(columns.values()))), pa.timestamp("us")), **columns}
    )


def baskets() -> pa.Array:
    return pa.array([row["basket"] for row in ROWS], pa.decimal128(10, 2))


def test_the_online_answer_is_the_training_answer(shop: FeatureStore) -> None:
    keys = [row["customer_id"] for row in ROWS]
    trained = shop.get_historical_features(spine(customer_id=keys, basket=baskets()), "basket_model").to_arrow()
    served = shop.get_online_features(ROWS, "basket_model")
    features = ["basket_ratio", "is_large", "orders_7d", "to_mean"]
    assert trained.select(features).equals(served.to_arrow().select(features))
    assert served.to_dict()["basket_ratio"] == [2.0, None, None, None]
    assert served.to_dict()["to_mean"] == [2.634, None, None, None]
    assert served.to_dict()["is_large"] == [True, False, True, None]


def test_a_value_is_present_though_its_row_is_not_and_else_is_as_the_row_is(shop: FeatureStore) -> None:
    served = shop.get_online_features(ROWS, "basket_model")
    statuses = served.statuses()
    assert statuses["is_large"] == [Status.PRESENT, Status.PRESENT, Status.PRESENT, Status.NULL_VALUE]
    assert statuses["basket_ratio"] == [Status.PRESENT, Status.NULL_VALUE, Status.NOT_FOUND, Status.NULL_VALUE]
    assert served.event_timestamps()["basket_ratio"][0] == datetime(2024, 1, 3, 9, tzinfo=timezone.utc)


def test_past_its_ttl_a_row_is_nulls_to_an_expression_on_both_roads(built: Path, tmp_path: Path) -> None:
    later = NOW + timedelta(days=7)
    times = [NOW]
    with FeatureStore(shutil.copytree(built, tmp_path / "shop"), clock=lambda: times[-1]) as store:
        store.materialize(everything=True)
        times.append(later)
        served = store.get_online_features(ROWS[:1], ["customer_orders:basket_ratio", "customer_orders:is_large"])
        asked = spine(customer_id=[1], basket=baskets()[:1]).set_column(0, "event_timestamp", pa.array([later.replace(tzinfo=None)]))
        trained = store.get_historical_features(asked, ["customer_orders:basket_ratio", "customer_orders:is_large"]).to_arrow()
    assert served.to_dict()["is_large"] == trained["is_large"].to_pylist() == [True]
    assert served.to_dict()["basket_ratio"] == trained["basket_ratio"].to_pylist() == [None]
    assert served.statuses()["basket_ratio"] == [Status.OUTSIDE_MAX_AGE]


def test_the_instant_is_the_rows_own_in_training_and_the_moment_of_the_request_in_serving(shop: FeatureStore) -> None:
    placed = datetime(2024, 1, 1, 23, 59)
    asked = spine(customer_id=[1, 1], placed=pa.array([placed, None], pa.timestamp("us")))
    trained = shop.get_historical_features(asked, "customer_orders:days_waited").to_arrow()
    rows = [{"customer_id": 1, "placed": placed}, {"customer_id": 1, "placed": None}]
    served = shop.get_online_features(rows, "customer_orders:days_waited")
    assert trained["days_waited"].to_pylist() == served.to_dict()["days_waited"] == [3, None]
    assert trained["days_waited"].type == served.to_arrow()["days_waited"].type == pa.int32()


def test_what_only_an_expression_needs_is_not_in_the_answer(shop: FeatureStore) -> None:
    served = shop.get_online_features(ROWS, "customer_orders:basket_ratio", full_feature_names=True)
    assert list(served.to_dict()) == ["customer_id", "basket", "customer_orders__basket_ratio"]
    trained = shop.get_historical_features(
        spine(customer_id=[1], basket=baskets()[:1]), "customer_orders:basket_ratio", full_feature_names=True
    )
    assert trained.to_arrow().column_names == ["event_timestamp", "customer_id", "basket", "customer_orders__basket_ratio"]


def test_a_star_means_what_is_kept(shop: FeatureStore) -> None:
    assert list(shop.get_online_features([{"customer_id": 1}], "customer_orders:*").to_dict()) == ["customer_id", "orders_7d", "amount"]


def test_what_needs_no_input_is_asked_for_without_one(shop: FeatureStore) -> None:
    assert shop.get_online_features([{"customer_id": 1}], "customer_orders:next_order").to_dict()["next_order"] == [3]
    assert shop.get_historical_features(spine(customer_id=[1]), "customer_orders:next_order").to_arrow()["next_order"].to_pylist() == [3]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"customer_id": 1}], r"Input 'basket' of type decimal\(10, 2\) is missing, which 'customer_orders:basket_ratio' needs"),
        ([{"customer_id": 1, "baskt": 1}], "Did you mean 'baskt'"),
        (
            [{"customer_id": 1, "basket": 1}, {"customer_id": 2}],
            "Input 'basket', which 'customer_orders:basket_ratio' needs, is missing from",
        ),
        (
            [{"customer_id": 1, "basket": "x"}],
            r"Input 'basket' of entity row 0 is 'x', and 'customer_orders:basket_ratio' takes it as decimal",
        ),
        ([{"customer_id": 1, "basket": True}], "is True"),
        ([{"customer_id": 1, "basket": 1.005}], "is 1.005"),
        ([{"customer_id": 1, "basket": 10**8}], "is 100000000"),
        ([{"customer_id": 1, "basket": float("nan")}], "is nan"),
    ],
)
def test_an_input_that_is_missing_or_wrong_is_named_with_the_feature_that_needs_it(shop: FeatureStore, rows: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        shop.get_online_features(rows, "basket_model")


def test_inputs_are_taken_as_json_says_them(shop: FeatureStore) -> None:
    rows = [{"customer_id": 1, "basket": said, "placed": "2024-01-01T23:59:00Z"} for said in (40.5, "40.50", 40.50, Decimal("40.5"))]
    answer = shop.get_online_features(rows, ["customer_orders:basket_ratio", "customer_orders:days_waited"]).to_dict()
    assert answer["basket_ratio"] == [2.0] * 4
    assert answer["days_waited"] == [3] * 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({}, r"no column 'basket', an input of type decimal\(10, 2\) that 'customer_orders:basket_ratio' needs"),
        ({"basket": [1.5]}, "column 'basket' holds float64, but 'customer_orders:basket_ratio' takes it as decimal"),
        ({"basket": pa.array([Decimal("1.005")])}, r"holds decimal\(4, 3\)"),
    ],
)
def test_a_spine_without_an_input_says_so(shop: FeatureStore, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(EntityDataframeError, match=message):
        shop.get_historical_features(spine(customer_id=[1], **columns), "basket_model").to_arrow()


def test_any_kind_of_spine_brings_inputs(shop: FeatureStore, tmp_path: Path) -> None:
    query = "select 1 as customer_id, timestamp '2024-01-04 12:00:00' as event_timestamp, 40.50::decimal(6, 2) as basket, 'x' as note"
    frame = pd.DataFrame({"customer_id": [1], "event_timestamp": [NOW], "basket": [Decimal("40.50")], "note": ["x"]})
    for given in (query, frame):
        job = shop.get_historical_features(given, "basket_model")
        assert job.to_arrow()["basket_ratio"].to_pylist() == [2.0]
        assert job.to_arrow()["note"].to_pylist() == ["x"]
    assert shop.get_historical_features(query, "basket_model").to_table("trained") == 1
    assert shop.get_historical_features(frame, "basket_model").head(1)["to_mean"].to_pylist() == [2.634]
    path = tmp_path / "train.parquet"
    shop.get_historical_features(query, "basket_model").to_parquet(path)
    lock = json.loads((tmp_path / "train.parquet.lock.json").read_text())
    assert lock["features"][0]["definition"]["on_demand"]["expression"] == "basket / nullif(amount, 0)"
    assert shop.rebuild_training_set(path).same


def test_the_expression_stands_in_the_sql_that_is_shown(shop: FeatureStore) -> None:
    sql = shop.get_historical_features("select 1 as customer_id, now() as event_timestamp, 1 as basket", "basket_model").sql
    assert "/ NULLIF(" in sql


def test_asyncio_reads_the_same(shop: FeatureStore) -> None:
    async def read() -> dict[str, list[Any]]:
        url, project = shop.settings.online_store, shop.settings.project
        async with AsyncOnlineFeatureStore(url, project, base_dir=shop.project.directory, clock=lambda: NOW) as online:
            return (await online.get_online_features(ROWS, "basket_model")).to_dict()

    assert asyncio.run(read()) == shop.get_online_features(ROWS, "basket_model").to_dict()


def test_the_command_line_shows_asks_and_trains(shop: FeatureStore) -> None:
    directory = shop.project.directory
    listed = fsdbt(directory, "list", "features", "--json")
    assert {"feature": "customer_orders:is_large", "type": "boolean", "description": "Larger than the last order."} in json.loads(
        listed.stdout
    )
    shown = json.loads(fsdbt(directory, "show", "basket_model", "--json").stdout)
    assert shown["request_inputs"] == ["basket decimal(10, 2)"]
    assert shown["features"][0]["expression"] == "basket / nullif(amount, 0)"
    assert "basket / nullif(amount, 0)" in fsdbt(directory, "show", "customer_orders").stdout
    got = json.loads(fsdbt(directory, "get", "customer_orders:next_order", "customer_id=1", "--json").stdout)
    assert got["entity"] == {"customer_id": 1}
    without = fsdbt(directory, "get", "basket_model", "customer_id=1")
    assert without.returncode
    assert "The input 'basket', which 'customer_orders:basket_ratio' needs, is missing. Add basket=…." in without.stderr
    asked = fsdbt(directory, "get", "customer_orders:is_large", "customer_id=1", "basket=40.50", "--json")
    assert json.loads(asked.stdout)["features"]["is_large"]["value"] is True


def test_the_server_takes_inputs_as_json_and_lists_them(shop: FeatureStore) -> None:
    url = f"sqlite:///{(shop.project.directory / 'online_store.db').resolve()}"
    with FeatureServer(url, shop.settings.project) as server:
        asked = {"features": "basket_model", "rows": [{"customer_id": 1, "basket": "40.50"}]}
        answer = server.client.post("/v1/features", json=asked)
        wrong = server.client.post("/v1/features", json={**asked, "rows": [{"customer_id": 1}]})
        views = {view["name"]: view for view in server.client.get("/v1/feature-views").json()["feature_views"]}
        services = server.client.get("/v1/feature-services").json()["feature_services"]
    assert answer.status_code == 200, answer.text
    # By the server's own clock the row is past its TTL, and the basket is compared with what stands in for it.
    assert answer.json()["rows"][0]["is_large"] is True
    assert wrong.status_code == 422
    assert "Input 'basket' of type decimal(10, 2) is missing" in wrong.text
    assert views["customer_orders"]["request_inputs"][0] == {"name": "basket", "type": "decimal(10, 2)"}
    assert "basket_ratio" in {feature["name"] for feature in views["customer_orders"]["features"]}
    assert services[0]["request_inputs"] == [{"name": "basket", "type": "decimal(10, 2)"}]


def test_a_feature_on_demand_is_made_of_the_columns_that_it_names(shop: FeatureStore) -> None:
    (shown,) = json.loads(fsdbt(shop.project.directory, "lineage", "customer_orders:basket_ratio", "--json").stdout)
    assert [(step["node"], step["column"]) for step in shown["steps"]] == [("model.shop.customer_orders", "amount")]
    assert shown["unknown"] == []
