"""What readers are told exists, decided from what the project says, what is served and what is online."""

from __future__ import annotations

from dataclasses import replace

from featurestore.materialize.served import left, served_registry
from featurestore.registry.definitions import Column, Entity, Feature, FeatureReference, FeatureService, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP

ORDERS = FeatureView(
    name="orders",
    unique_id="model.shop.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", FLOAT64),),
)
PROFILE = replace(ORDERS, name="profile", unique_id="model.shop.profile")


def service(*references: tuple[str, str]) -> FeatureService:
    return FeatureService("churn", "exposure.shop.churn", "models/services.yml", tuple(FeatureReference(*each) for each in references))


def shop(*views: FeatureView, services: tuple[FeatureService, ...] = ()) -> Registry:
    return Registry("shop", tuple(sorted(views, key=lambda view: view.name)), services)


def versions_of(registry: Registry) -> dict[str, int]:
    return {view.name: view.key_version for view in registry.views}


def test_a_view_is_told_of_with_the_version_that_its_rows_are_under() -> None:
    assert versions_of(served_registry(shop(ORDERS, PROFILE), shop(), {"orders": 3}, ())) == {"orders": 3, "profile": 1}


def test_a_view_that_is_not_online_under_its_new_definition_keeps_the_one_that_is_served() -> None:
    before = shop(replace(ORDERS, key_version=2))
    wider = replace(ORDERS, features=(*ORDERS.features, Feature("more", FLOAT64)))
    assert served_registry(shop(wider), before, {}, ()) == before
    assert served_registry(shop(wider), before, {"orders": 3}, ()) == shop(replace(wider, key_version=3))


def test_views_that_left_are_those_that_the_project_lacks_or_takes_offline() -> None:
    before = shop(ORDERS, PROFILE)
    assert left(shop(ORDERS, PROFILE), before) == ()
    assert left(shop(PROFILE), before) == left(shop(replace(ORDERS, online=False), PROFILE), before) == ("orders",)


def test_a_view_that_left_is_served_until_it_may_leave() -> None:
    before = shop(ORDERS, PROFILE)
    for now in (shop(PROFILE), shop(replace(ORDERS, online=False), PROFILE)):
        assert served_registry(now, before, {"profile": 1}, ()).view("orders") == ORDERS
        gone = served_registry(now, before, {"profile": 1}, ("orders",))
        assert [view.name for view in gone.views if view.online] == ["profile"]


def test_a_view_that_a_served_service_still_needs_does_not_leave_before_the_service_can_do_without() -> None:
    """The model was renamed, and its rows under the new name are not online yet."""
    renamed = replace(ORDERS, name="purchases", features=(Feature("total", FLOAT64),))
    before = shop(ORDERS, services=(service(("orders", "amount")),))
    now = shop(renamed, services=(service(("purchases", "total")),))
    kept = served_registry(now, before, {}, ("orders",), ("purchases",))
    assert kept.resolve("churn")[0].view == ORDERS
    moved = served_registry(now, before, {"purchases": 1}, ("orders",))
    assert [part.view.name for part in moved.resolve("churn")] == ["purchases"]
    assert [view.name for view in moved.views] == ["purchases"]


def test_the_plain_name_of_a_model_goes_to_a_new_version_once_that_is_online() -> None:
    first = replace(ORDERS, name="orders.v1", version="1")
    older, second = replace(first, is_latest_version=False), replace(ORDERS, name="orders.v2", version="2")
    before, now = shop(first), shop(older, second)
    assert served_registry(now, before, {"orders.v1": 1}, ()).view("orders").name == "orders.v1"
    assert served_registry(now, before, {"orders.v1": 1, "orders.v2": 1}, ()).view("orders").name == "orders.v2"
    assert served_registry(now, shop(), {}, ()).view("orders").name == "orders.v2", "nothing answered before"
