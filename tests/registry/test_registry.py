from __future__ import annotations

from dataclasses import replace

import pytest

from featurestore.errors import RequestError, UnknownNameError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureReference, FeatureService, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import INT64, TIMESTAMP, UNRESOLVED

CUSTOMER = Entity("customer", (Column("customer_id", INT64),))


def view(name: str, *features: str, **fields: object) -> FeatureView:
    made = FeatureView(
        name=name,
        unique_id=f"model.shop.{name}",
        path=f"models/{name}.sql",
        relation=Relation(name),
        entities=(CUSTOMER,),
        event_timestamp=Column("at", TIMESTAMP),
        features=tuple(Feature(feature, INT64) for feature in features),
    )
    return replace(made, **fields)


ORDERS = view("customer_orders", "orders_7d", "amount", tags=("nightly",))
PROFILE = view("customer_profile", "tier", "amount")
RISK_1 = view("risk.v1", "score", version="1", is_latest_version=False)
RISK_2 = view("risk.v2", "score", "band", version="2")
CHURN = FeatureService(
    "churn",
    "exposure.shop.churn",
    "models/services.yml",
    (FeatureReference("customer_orders", "*"), FeatureReference("customer_profile", "tier")),
)
SHOP = Registry("shop", (ORDERS, PROFILE, RISK_1, RISK_2), (CHURN,))


def names(registry: Registry, features: object, **options: bool) -> list[tuple[str, tuple[str, ...]]]:
    return [(part.view.name, part.output_names) for part in registry.resolve(features, **options)]


def test_a_service_names_its_features_in_order() -> None:
    assert names(SHOP, "churn") == [("customer_orders", ("orders_7d", "amount")), ("customer_profile", ("tier",))]
    assert names(SHOP, CHURN) == names(SHOP, "churn")


def test_references_come_back_in_the_order_asked_and_once() -> None:
    asked = ["customer_profile:tier", "customer_orders:amount", "customer_orders:*", "customer_orders:amount"]
    assert names(SHOP, asked) == [("customer_profile", ("tier",)), ("customer_orders", ("amount", "orders_7d"))]


def test_full_names_say_the_view() -> None:
    assert names(SHOP, "customer_orders:amount", full_feature_names=True) == [("customer_orders", ("customer_orders__amount",))]


def test_colliding_names_are_refused_with_the_way_out() -> None:
    with pytest.raises(RequestError, match=r"'amount' is asked for from both .* full_feature_names=True"):
        SHOP.resolve(["customer_orders:amount", "customer_profile:amount"])
    assert len(SHOP.resolve(["customer_orders:amount", "customer_profile:amount"], full_feature_names=True)) == 2


def test_a_version_answers_to_the_name_of_its_table_too() -> None:
    registry = Registry("shop", (RISK_1, RISK_2))
    assert registry.view("risk_v1") is registry.view("risk.v1") is RISK_1
    assert registry.view("risk_v2") is RISK_2


def test_the_latest_version_answers_to_the_plain_name() -> None:
    assert SHOP.view("risk") is RISK_2
    assert SHOP.view("risk.v1") is RISK_1
    assert names(SHOP, ["risk:band"]) == [("risk.v2", ("band",))]


def test_a_feature_is_found_whatever_its_case() -> None:
    shouting = Registry("shop", (view("orders", "ORDERS_7D"),))
    assert names(shouting, "orders:orders_7d") == [("orders", ("ORDERS_7D",))]
    twins = Registry("shop", (view("orders", "a", "A"),))
    assert names(twins, "orders:A") == [("orders", ("A",))]


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ("chrun", "No feature service named 'chrun'. Did you mean 'churn'?"),
        (["customer_order:amount"], "No feature view named 'customer_order'. Did you mean 'customer_orders'?"),
        (["customer_orders:amuont"], "No feature of 'customer_orders' named 'amuont'. Did you mean 'amount'?"),
        ([], "No features were asked for"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(features: object, message: str) -> None:
    with pytest.raises((UnknownNameError, RequestError)) as caught:
        SHOP.resolve(features)  # type: ignore[arg-type]
    assert message in str(caught.value)


def test_an_entity_is_listed_with_the_types_that_are_known() -> None:
    unbuilt = view("a_new_one", "x", entities=(Entity("customer", (Column("customer_id", UNRESOLVED),)),))
    assert Registry("shop", (unbuilt, ORDERS)).entities == (CUSTOMER,)
    assert Registry("shop", (ORDERS, unbuilt)).entities == (CUSTOMER,)


@pytest.mark.parametrize(
    ("select", "exclude", "chosen"),
    [
        ([], [], ["customer_orders", "customer_profile", "risk.v1", "risk.v2"]),
        (["customer_*"], [], ["customer_orders", "customer_profile"]),
        (["customer_* risk.v1"], ["customer_profile"], ["customer_orders", "risk.v1"]),
        (["tag:nightly"], [], ["customer_orders"]),
        (["customer_*,tag:night*"], [], ["customer_orders"]),
        (["entity:customer"], ["risk*"], ["customer_orders", "customer_profile"]),
        (["service:churn"], [], ["customer_orders", "customer_profile"]),
        (["risk"], [], ["risk.v2"]),
    ],
)
def test_views_are_selected_as_dbt_selects(select: list[str], exclude: list[str], chosen: list[str]) -> None:
    assert [view.name for view in SHOP.select(select, exclude)] == chosen


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ("custmer_orders", "No feature view named 'custmer_orders'. Did you mean 'customer_orders'?"),
        ("tag:nigthly", "No tag named 'nigthly'. Did you mean 'nightly'?"),
        ("tags:nightly", "No selection method named 'tags'. Did you mean 'tag'?"),
        ("service:chrun", "No feature service named 'chrun'."),
    ],
)
def test_a_selector_that_names_nothing_is_an_error(selector: str, message: str) -> None:
    with pytest.raises(UnknownNameError) as caught:
        SHOP.select([selector])
    assert message in str(caught.value)
