from __future__ import annotations

import dataclasses
import json
from datetime import timedelta

import pytest

from featurestore.errors import OnlineStoreError
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import (
    Aggregation,
    Column,
    Entity,
    Feature,
    FeatureReference,
    FeatureService,
    FeatureView,
    LateData,
    Owner,
    Relation,
)
from featurestore.registry.expressions import Expression, OnDemand, Operation
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import from_json, to_json
from featurestore.registry.value_types import DATE, FLOAT64, INT64, STRING, TIMESTAMP, UNRESOLVED, DecimalType, ListType, StructType

TIP = Expression(
    Operation.DIVIDE,
    FLOAT64,
    (
        Expression(Operation.CAST, FLOAT64, (Expression(Operation.INPUT, DecimalType(10, 2), text="tip"),)),
        Expression(Operation.NULLIF, FLOAT64, (Expression(Operation.LITERAL, FLOAT64, text="0.5"), Expression(Operation.LITERAL, FLOAT64))),
    ),
)
PLAIN = FeatureView(
    name="customer_orders",
    unique_id="model.shop.customer_orders",
    path="models/customer_orders.sql",
    relation=Relation("customer_orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("orders_7d", UNRESOLVED),),
)
FULL = FeatureView(
    name="trip_fares.v2",
    unique_id="snapshot.shop.trip_fares.v2",
    path="snapshots/trip_fares.sql",
    relation=Relation("trip_fares_v2", "main", "warehouse"),
    entities=(Entity("trip", (Column("trip_no", STRING), Column("vendor_id", INT64))), Entity("zone", (Column("zone", DATE),))),
    event_timestamp=Column("valid_from", TIMESTAMP),
    features=(
        Feature("fare", DecimalType(18, 2), "What it cost, in €.", ("money", "pii")),
        Feature("route", ListType(StructType((("la t", FLOAT64),)))),
    ),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    valid_to=Column("valid_to", TIMESTAMP),
    is_deleted=Column("is_deleted", STRING),
    disjoint_validity=False,
    ttl=timedelta(days=7, microseconds=1),
    available_after=timedelta(hours=1),
    late_data=LateData.AS_KNOWN,
    exact_for=timedelta(hours=6),
    max_shrink=0.25,
    online=False,
    description="Fares.",
    tags=("a", "b"),
    group="rides",
    access="public",
    owner=Owner("Rides", "rides@example.com"),
    version="2",
    is_latest_version=False,
    deprecation_date="2034-01-31",
    materialized="snapshot",
    incremental_strategy="merge",
    incremental_key=("trip_no", "vendor_id"),
    key_version=3,
    landing=Relation("landed_orders", "raw"),
    on_demand=(Feature("tipped", FLOAT64, "Of the fare.", ("money",), on_demand=OnDemand("tip / nullif(0.5, null)", TIP)),),
)
PAYMENTS = FeatureView(
    name="payments",
    unique_id="model.shop.payments",
    path="models/payments.sql",
    relation=Relation("payments"),
    entities=PLAIN.entities,
    event_timestamp=Column("paid_at", TIMESTAMP),
    features=(
        Feature("count_7d", INT64, aggregation=Aggregation(AggregateFunction.COUNT, timedelta(days=7))),
        Feature(
            "paid_sum_90m",
            DecimalType(38, 2),
            aggregation=Aggregation(AggregateFunction.SUM, timedelta(minutes=90), Column("amount", DecimalType(18, 2)), "status = 'paid'"),
        ),
    ),
)
SERVICE = FeatureService(
    name="fare_model",
    unique_id="exposure.shop.fare_model",
    path="models/services.yml",
    features=(FeatureReference("trip_fares.v2", "fare"), FeatureReference("customer_orders", "*")),
    description="Prices.",
    tags=("x",),
    owner=Owner("Rides"),
    maturity="high",
    url="https://example.com",
)
SHOP = Registry("shop", (PLAIN, FULL), (SERVICE,))


def test_every_field_of_every_record_comes_back() -> None:
    defaults = {field.name for field in dataclasses.fields(FeatureView) if getattr(FULL, field.name) == field.default}
    assert defaults == set(), "the full view must differ from every default, so that each field is seen to travel"
    assert from_json(to_json(SHOP)) == SHOP


def test_the_same_registry_gives_the_same_bytes() -> None:
    assert to_json(SHOP) == to_json(from_json(to_json(SHOP)))


def test_what_is_at_its_default_is_left_out() -> None:
    view = json.loads(to_json(SHOP))["views"][0]
    assert view == {
        "name": "customer_orders",
        "unique_id": "model.shop.customer_orders",
        "path": "models/customer_orders.sql",
        "relation": {"identifier": "customer_orders"},
        "entities": [{"name": "customer", "join_keys": [{"name": "customer_id", "value_type": "int64"}]}],
        "event_timestamp": {"name": "ordered_at", "value_type": "timestamp"},
        "features": [{"name": "orders_7d", "value_type": "unresolved"}],
    }


def test_fields_that_a_newer_version_added_are_ignored() -> None:
    document = json.loads(to_json(SHOP))
    document["written_by"] = "a newer version"
    document["views"][0]["color"] = "blue"
    document["views"][0]["features"][0]["unit"] = "orders"
    assert from_json(json.dumps(document).encode()) == SHOP


def test_aggregations_come_back_and_older_readers_refuse_them() -> None:
    shop = Registry("shop", (PLAIN, PAYMENTS))
    assert from_json(to_json(shop)) == shop
    assert json.loads(to_json(shop))["format"] == 2, "a reader that knows no aggregations would take lists for values"
    assert json.loads(to_json(Registry("shop", (PLAIN,))))["format"] == 1, "and where there are none, it reads on"


def test_an_older_reader_refuses_views_whose_rows_are_under_other_keys_than_it_would_look_for() -> None:
    assert json.loads(to_json(Registry("shop", (dataclasses.replace(PAYMENTS, key_version=2),))))["format"] == 3
    assert json.loads(to_json(Registry("shop", (dataclasses.replace(FULL, key_version=1, on_demand=()),))))["format"] == 1


def test_readers_that_know_no_features_on_demand_refuse_them() -> None:
    assert json.loads(to_json(SHOP))["format"] == 4, "such a reader would say that there is no such feature"


def test_a_newer_format_says_to_upgrade() -> None:
    document = json.loads(to_json(SHOP)) | {"format": 5}
    with pytest.raises(OnlineStoreError, match=r"format 5, and this version reads up to 4\. Upgrade featurestore"):
        from_json(json.dumps(document).encode())


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"format": 1, "project": "shop", "views": [{}], "services": []}']
)
def test_what_is_no_snapshot_says_so(data: bytes) -> None:
    with pytest.raises(OnlineStoreError, match="The registry snapshot cannot be understood"):
        from_json(data)
