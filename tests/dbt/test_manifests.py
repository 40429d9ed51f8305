"""What each version of dbt makes of the documented forms becomes the same registry."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from featurestore.dbt.artifacts import Manifest, read_manifest
from featurestore.dbt.load import load_registry
from featurestore.errors import DeclarationError
from featurestore.registry.definitions import FeatureView, LateData, Owner
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import from_json, to_json

MANIFESTS = Path(__file__).parent / "manifests"
VERSIONS = sorted((path.name for path in MANIFESTS.iterdir() if path.is_dir()), key=lambda name: tuple(map(int, name.split("."))))
EVERYWHERE = {
    "customer_at_merchant",
    "customer_embedding",
    "customer_orders",
    "customer_payments",
    "customer_profile",
    "merchant_daily",
    "merchant_risk.v1",
    "merchant_risk.v2",
    "product_price",
    "store_visits",
    "trip_fares",
}
FORMS_OF_SOME = {
    # What a version does not know is left out of its project.
    "account_balance": {"1.8", "1.9", "1.10", "1.11", "1.12"},
    "product_history": {"1.9", "1.10", "1.11", "1.12", "2.0"},
    "courier_position": {"1.10", "1.11", "1.12", "2.0"},
    "device_health": {"1.12", "2.0"},
}


def read(version: str) -> Manifest:
    """The manifest of that version, without the one view that is disabled on purpose."""
    return replace(read_manifest(MANIFESTS / version / "manifest.json", project_name="shop"), disabled=())


@pytest.fixture(scope="module")
def registries() -> dict[str, Registry]:
    return {version: load_registry(read(version)) for version in VERSIONS}


def test_six_versions_are_held_to_it() -> None:
    assert VERSIONS == ["1.8", "1.9", "1.10", "1.11", "1.12", "2.0"]


@pytest.mark.parametrize("version", VERSIONS)
def test_every_form_that_a_version_knows_is_a_view(registries: dict[str, Registry], version: str) -> None:
    some = {name for name, versions in FORMS_OF_SOME.items() if version in versions}
    assert {view.name for view in registries[version].views} == EVERYWHERE | some


def test_a_form_becomes_the_same_view_whichever_dbt_wrote_it(registries: dict[str, Registry]) -> None:
    found: dict[str, set[FeatureView]] = {}
    for registry in registries.values():
        for view in registry.views:
            found.setdefault(view.name, set()).add(view)
    assert {name: len(views) for name, views in found.items() if len(views) > 1} == {}


def test_an_exposure_becomes_the_same_service_whichever_dbt_wrote_it(registries: dict[str, Registry]) -> None:
    assert len({registry.services for registry in registries.values()}) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_disabled_view_is_the_only_problem(version: str) -> None:
    with pytest.raises(DeclarationError) as caught:
        load_registry(read_manifest(MANIFESTS / version / "manifest.json"))
    assert [(problem.file, problem.key) for problem in caught.value.problems] == [("models/not_views/retired_view.sql", "config.enabled")]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_snapshot_of_a_real_registry_reads_back(registries: dict[str, Registry], version: str) -> None:
    registry = registries[version]
    assert from_json(to_json(registry)) == registry


def test_the_yaml_form_says_every_word(registries: dict[str, Registry]) -> None:
    view = registries["2.0"].view("customer_orders")
    assert view.ttl == timedelta(days=7)
    assert view.available_after == timedelta(hours=1)
    assert view.late_data is LateData.AS_KNOWN
    assert view.owner == Owner("Growth", "growth@example.com")
    # dbt v2 shows the model's tags on every column; a feature has its own only.
    assert {feature.name: feature.tags for feature in view.features} == {"orders_7d": ("counts",), "amount_7d": ()}


def test_dbts_own_annotations_are_enough(registries: dict[str, Registry]) -> None:
    for name, entity, timestamp in (("account_balance", "account", "balanced_at"), ("device_health", "device", "reported_at")):
        view = registries["1.12"].view(name)
        assert [each.name for each in view.entities] == [entity]
        assert view.event_timestamp.name == timestamp


def test_a_model_that_is_no_view_can_still_be_a_spine() -> None:
    manifest = read("1.11")
    assert str(manifest.relation("clicks")) == "shop.main.clicks"
    assert str(manifest.relation("merchant_risk")) == str(manifest.relation("merchant_risk.v2")) == "shop.main.merchant_risk_v2"
