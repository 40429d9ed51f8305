"""What a caller may read is the union of what its scopes name, feature by feature; private models are served to nobody outside."""

from __future__ import annotations

from dataclasses import replace

import codec_cases as cases
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import NotAllowedError, UnknownNameError
from featurestore.registry.definitions import Feature, FeatureReference, FeatureService
from featurestore.registry.expressions import Expression, OnDemand, Operation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import INT64
from featurestore.server.access.grants import EVERYTHING, AccessRules, Permissions, read_scopes


def service(name: str, *references: str) -> FeatureService:
    return FeatureService(
        name, f"exposure.shop.{name}", "models/services.yml", tuple(FeatureReference(*reference.split(":")) for reference in references)
    )


def view(name: str, group: str | None = None, access: str | None = None, features=("a", "b")):
    return cases.feature_view(name, dict.fromkeys(features, INT64), group=group, access=access)


ORDERS = view("orders", "sales")
PROFILE = view("profile", "crm")
LOOSE = view("loose")
SHOP = Registry(
    "shop",
    (LOOSE, ORDERS, PROFILE),
    (service("churn", "orders:a", "profile:a"), service("loose_model", "loose:*"), service("upsell", "orders:*")),
)


def allowed(registry: Registry, scopes, features) -> bool:
    try:
        Permissions(read_scopes(scopes), registry).check(registry.resolve(features, full_feature_names=True))
    except NotAllowedError:
        return False
    return True


@pytest.mark.parametrize(
    ("scopes", "features", "answer"),
    [
        (["service:churn"], "churn", True),
        (["service:churn"], ["profile:a"], True),
        (["service:churn"], ["orders:a", "profile:a"], True),
        (["service:churn"], ["orders:b"], False),
        (["service:churn"], ["orders:*"], False),
        (["service:churn"], "upsell", False),
        (["service:upsell"], ["orders:*"], True),
        (["group:sales"], ["orders:*"], True),
        (["group:sales"], "upsell", True),
        (["group:sales"], "churn", False),
        (["group:sales", "group:crm"], "churn", True),
        (["group:sales", "service:churn"], ["orders:b", "profile:a"], True),
        (["group:sales", "service:churn"], ["orders:b", "profile:b"], False),
        (["group:sales"], ["loose:a"], False),
        (["service:loose_model"], ["loose:*"], True),
        (["group:*"], ["loose:a", "orders:a", "profile:b"], True),
        (["service:*"], ["loose:b", "orders:b", "profile:a"], True),
        (["service:*"], ["profile:b"], False),
        (["push:*", "metrics"], ["orders:a"], False),
        (["service:gone"], ["orders:a"], False),
        ([], ["orders:a"], False),
    ],
)
def test_what_scopes_let_a_caller_read(scopes, features, answer) -> None:
    assert allowed(SHOP, scopes, features) is answer


NAMES = [f"{one.name}:{feature.name}" for one in SHOP.views for feature in one.features]
SCOPES = ["service:churn", "service:upsell", "service:loose_model", "service:*", "group:sales", "group:crm", "group:*", "metrics", "push:*"]


@given(st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from(SCOPES)), st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_a_list_is_allowed_when_each_feature_of_it_is_and_more_scopes_never_take_away(scopes, more, features) -> None:
    each = [allowed(SHOP, scopes, [feature]) for feature in features]
    assert allowed(SHOP, scopes, features) is all(each)
    if all(each):
        assert allowed(SHOP, scopes | more, features)


@given(st.sets(st.sampled_from(SCOPES)))
def test_a_caller_sees_exactly_what_may_be_read(scopes) -> None:
    visible = Permissions(read_scopes(scopes), SHOP).visible
    seen = {f"{one.name}:{feature.name}" for one in visible.views for feature in one.features}
    assert seen == {name for name in NAMES if allowed(SHOP, scopes, [name])}
    assert {one.name for one in visible.services} == {one.name for one in SHOP.services if allowed(SHOP, scopes, one.name)}


def test_a_refusal_names_the_feature_and_the_scope_it_takes() -> None:
    with pytest.raises(NotAllowedError) as refused:
        Permissions(read_scopes(["service:churn"]), SHOP).check(SHOP.resolve(["orders:a", "profile:b"]))
    assert "profile:b" in str(refused.value)
    assert refused.value.scope == "group:crm"


def test_an_unknown_name_suggests_only_what_the_caller_sees() -> None:
    with pytest.raises(UnknownNameError) as unknown:
        SHOP.resolve(["order:a"])
    assert "orders" in str(unknown.value)
    assert "orders" not in str(Permissions(read_scopes(["group:crm"]), SHOP).as_seen(unknown.value))
    assert "orders" in str(Permissions(read_scopes(["group:sales"]), SHOP).as_seen(unknown.value))


@pytest.mark.parametrize(
    ("scopes", "pushes"),
    [(["push:sales"], {"orders"}), (["push:*"], {"orders", "profile", "loose"}), (["group:*", "service:*", "metrics"], set())],
)
def test_pushing_takes_a_scope_of_its_own(scopes, pushes) -> None:
    permissions = Permissions(read_scopes(scopes), SHOP)

    def may(one) -> bool:
        try:
            permissions.check_push(one)
        except NotAllowedError:
            return False
        return True

    assert {one.name for one in SHOP.views if may(one)} == pushes


def test_nothing_private_is_public_and_a_service_with_private_features_is_left_out_whole() -> None:
    secret = view("secret", "sales", access="private")
    shop = Registry("shop", (ORDERS, secret), (service("leaky", "orders:a", "secret:a"), service("upsell", "orders:*")))
    public = shop.public()
    assert [one.name for one in public.views] == ["orders"]
    assert [one.name for one in public.services] == ["upsell"]
    for asked in (["secret:a"], ["secret:*"], "leaky"):
        with pytest.raises(UnknownNameError) as unknown:
            public.resolve(asked)
        assert "secret" not in str(unknown.value).replace("'secret'", "")
    assert SHOP.public() is SHOP


@pytest.mark.parametrize("access", ["protected", "public", None])
def test_other_access_than_private_is_served(access) -> None:
    shop = Registry("shop", (view("orders", access=access),))
    assert shop.public() is shop


@pytest.mark.parametrize("scope", ["", "service", "service:", "read:orders", "metrics:all", "groups:sales", "*"])
def test_a_scope_that_means_nothing_is_an_error_unless_it_is_for_others(scope) -> None:
    with pytest.raises(ValueError, match="is no scope"):
        read_scopes([scope])
    assert read_scopes([scope, "service:churn"], others_too=True).services == {"churn"}


def test_scopes_are_written_as_they_are_read() -> None:
    grant = read_scopes(["metrics", "push:sales", "service:churn", "group:crm", "group:*"])
    assert read_scopes(grant.scopes()) == grant
    assert EVERYTHING.scopes() == ("service:*", "group:*", "push:*", "metrics")


def test_permissions_are_worked_out_once_for_a_registry() -> None:
    rules, grant = AccessRules(), read_scopes(["group:crm"])
    first = rules.permissions(grant, SHOP)
    assert rules.permissions(grant, SHOP) is first
    assert rules.permissions(grant, Registry("shop", (ORDERS,))).visible.views == ()


def test_a_feature_on_demand_is_granted_by_a_service_that_names_it_and_seen_by_who_may_read_it() -> None:
    made = Feature("twice", INT64, on_demand=OnDemand("2", Expression(Operation.LITERAL, INT64, text="2")))
    orders = replace(ORDERS, on_demand=(made,))
    shop = Registry("shop", (orders,), (service("churn", "orders:a"), service("doubled", "orders:twice")))
    assert allowed(shop, ["service:doubled"], ["orders:twice"])
    assert not allowed(shop, ["service:churn"], ["orders:twice"])
    assert allowed(shop, ["group:sales"], ["orders:twice"])
    assert Permissions(read_scopes(["service:churn"]), shop).visible.view("orders").on_demand == ()
    assert [each.name for each in Permissions(read_scopes(["service:doubled"]), shop).visible.services] == ["doubled"]
