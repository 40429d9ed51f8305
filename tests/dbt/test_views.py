"""What a well-written declaration becomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from manifest_files import COLUMNS, CUSTOMER, exposure, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.meta import FeatureViewDefaults
from featurestore.errors import DeclarationError
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, LateData, Owner, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import DATE, FLOAT64, INT64, STRING, TIMESTAMP, UNRESOLVED, DecimalType

TABLE = (Column("customer_id", INT64), Column("ordered_at", TIMESTAMP), Column("orders_7d", DecimalType(38, 0)), Column("tier", STRING))


def load(tmp_path: Path, *nodes: Mapping[str, Any], describe: Any = None, defaults: Any = None, **content: Any) -> Registry:
    path = write_manifest(tmp_path / "manifest.json", manifest(*nodes, **content))
    return load_registry(read_manifest(path), describe=describe, defaults=defaults)


def view(tmp_path: Path, node: Mapping[str, Any], **options: Any) -> FeatureView:
    return load(tmp_path, node, **options).views[0]


def keys(feature_view: FeatureView) -> dict[str, list[str]]:
    return {entity.name: [key.name for key in entity.join_keys] for entity in feature_view.entities}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"entity": "customer_id"}, {"customer_id": ["customer_id"]}),
        ({"entities": {"customer": "customer_id"}}, {"customer": ["customer_id"]}),
        ({"entities": {"customer": ["customer_id"]}}, {"customer": ["customer_id"]}),
        ({"entities": {"trip": ["vendor_id", "trip_no"]}}, {"trip": ["trip_no", "vendor_id"]}),
        ({"entities": {"shop": "shop_id", "customer": "customer_id"}}, {"customer": ["customer_id"], "shop": ["shop_id"]}),
    ],
)
def test_an_entity_is_written_in_one_of_these_ways(tmp_path: Path, said: dict[str, Any], expected: dict[str, list[str]]) -> None:
    columns = dict.fromkeys(("customer_id", "vendor_id", "trip_no", "shop_id", "x"), "bigint") | {"at": "timestamp"}
    assert keys(view(tmp_path, model("m", said | {"timestamp": "at"}, columns))) == expected


def test_every_word_of_the_declaration_arrives(tmp_path: Path) -> None:
    said = CUSTOMER | {
        "created_timestamp": "loaded_at",
        "ttl": "7 days",
        "available_after": "90 minutes",
        "late_data": "as_known",
        "online": False,
        "features": ["tier", "orders_7d"],
    }
    columns = COLUMNS | {"loaded_at": "timestamp", "tier": "varchar", "unused": "interval"}
    made = view(tmp_path, model("customer_orders", said, columns))
    assert made.entities == (Entity("customer", (Column("customer_id", INT64),)),)
    assert made.event_timestamp == Column("ordered_at", TIMESTAMP)
    assert made.created_timestamp == Column("loaded_at", TIMESTAMP)
    assert made.features == (Feature("tier", STRING), Feature("orders_7d", INT64))
    assert (made.ttl, made.available_after, made.late_data, made.online) == (
        timedelta(days=7),
        timedelta(minutes=90),
        LateData.AS_KNOWN,
        False,
    )


def test_every_word_of_an_aggregation_arrives(tmp_path: Path) -> None:
    said = CUSTOMER | {
        "exact_for": "6 hours",
        "aggregations": [
            {"column": "AMOUNT", "functions": ["sum", "last"], "windows": ["1 hour", "2 weeks"]},
            {"functions": ["count"], "windows": ["7 days"]},
            {"column": "amount", "functions": ["avg"], "windows": ["90m"], "filter": "tier = 'gold'", "name": "gold"},
        ],
    }
    columns = COLUMNS | {"amount": {"data_type": "decimal(10, 2)", "tags": ["money"]}, "tier": "varchar", "unused": "interval"}
    made = view(tmp_path, model("customer_orders", said, columns))
    assert made.exact_for == timedelta(hours=6)
    assert made.windows == (timedelta(hours=1), timedelta(minutes=90), timedelta(days=7), timedelta(days=14))
    assert [(feature.name, str(feature.value_type), feature.tags) for feature in made.features] == [
        ("amount_sum_1h", "decimal(38, 2)", ("money",)),
        ("amount_sum_14d", "decimal(38, 2)", ("money",)),
        ("amount_last_1h", "decimal(10, 2)", ("money",)),
        ("amount_last_14d", "decimal(10, 2)", ("money",)),
        ("count_7d", "int64", ()),
        ("gold_avg_90m", "float64", ("money",)),
    ]
    gold = made.features[-1]
    assert gold.aggregation == Aggregation(
        AggregateFunction.AVG, timedelta(minutes=90), Column("amount", DecimalType(10, 2)), "tier = 'gold'"
    )
    assert gold.description == "Mean of amount in the 1 hour 30 minutes before, where tier = 'gold'."


def test_defaults_for_a_ttl_are_not_for_aggregations(tmp_path: Path) -> None:
    said = CUSTOMER | {"aggregations": [{"functions": ["count"], "windows": ["7 days"]}]}
    made = view(tmp_path, model("m", said), defaults=FeatureViewDefaults(ttl=timedelta(days=1), available_after=timedelta(hours=1)))
    assert (made.ttl, made.available_after) == (None, timedelta(hours=1))


def test_a_snapshot_has_no_aggregations(tmp_path: Path) -> None:
    said = {"entities": {"customer": "customer_id"}, "aggregations": [{"functions": ["count"], "windows": ["7 days"]}]}
    columns = {"customer_id": "bigint", "dbt_valid_from": "timestamp", "dbt_valid_to": "timestamp"}
    with pytest.raises(DeclarationError, match="a snapshot's rows are no events, but values that end"):
        view(tmp_path, model("m", said, columns, kind="snapshot"))


def test_a_service_may_only_name_aggregations_that_are_there_though_the_model_is_not_built(tmp_path: Path) -> None:
    said = CUSTOMER | {"aggregations": [{"column": "amount", "functions": ["sum"], "windows": ["7 days"]}]}
    unbuilt = model("payments", said, {"customer_id": None, "ordered_at": None}, contract=False)
    registry = load(tmp_path, unbuilt, exposures=[exposure("churn", ["payments:amount_sum_7d"])])
    assert registry.view("payments").unresolved == ("customer_id", "ordered_at", "amount_sum_7d")
    with pytest.raises(DeclarationError, match="payments has no feature 'amount_sum_8d'"):
        load(tmp_path, unbuilt, exposures=[exposure("churn", ["payments:amount_sum_8d"])])


def test_features_are_by_default_every_column_that_is_no_key_and_no_timestamp(tmp_path: Path) -> None:
    columns = {"tier": "varchar", "loaded_at": "timestamp", **COLUMNS, "signed_up": "timestamp"}
    made = view(tmp_path, model("m", CUSTOMER | {"created_timestamp": "loaded_at"}, columns))
    assert [feature.name for feature in made.features] == ["tier", "orders_7d", "signed_up"]


def test_what_the_model_says_about_itself_is_carried_along(tmp_path: Path) -> None:
    node = model(
        "customer_orders",
        CUSTOMER,
        COLUMNS | {"orders_7d": {"data_type": "bigint", "description": " Orders. ", "config": {"tags": ["b", "a"]}, "tags": ["model"]}},
        description="What a customer ordered.\n",
        tags=["nightly", "core", "core"],
        group="growth",
        access="public",
        alias="orders_v9",
        deprecation_date="2034-01-31T00:00:00+00:00",
    )
    groups = {"group.shop.growth": {"name": "growth", "owner": {"name": "Growth", "email": ["a@example.com", "b@example.com"]}}}
    made = view(tmp_path, node, groups=groups)
    assert made.description == "What a customer ordered."
    assert made.tags == ("core", "nightly")
    assert (made.group, made.access, made.owner) == ("growth", "public", Owner("Growth", "a@example.com, b@example.com"))
    assert made.relation == Relation("orders_v9", "main", "warehouse")
    assert made.deprecation_date == "2034-01-31"
    assert made.features == (Feature("orders_7d", INT64, "Orders.", ("a", "b")),)


def test_versions_are_views_of_their_own_and_the_latest_answers_to_the_plain_name(tmp_path: Path) -> None:
    nodes = [model("risk", CUSTOMER, version=version, latest_version=2, alias=f"risk_v{version}") for version in (1, 2)]
    registry = load(tmp_path, *nodes, exposures=[exposure("fraud", ["risk:orders_7d", "risk.v1:*"])])
    assert [each.name for each in registry.views] == ["risk.v1", "risk.v2"]
    assert registry.view("risk").name == "risk.v2"
    assert [part.view.name for part in registry.resolve("fraud", full_feature_names=True)] == ["risk.v2", "risk.v1"]


def test_models_of_packages_count(tmp_path: Path) -> None:
    registry = load(tmp_path, model("a", CUSTOMER), model("b", CUSTOMER, package="events"))
    assert [each.name for each in registry.views] == ["a", "b"]


@pytest.mark.parametrize("said", [None, False])
def test_a_model_can_say_that_it_is_none(tmp_path: Path, said: object) -> None:
    assert load(tmp_path, model("m", config={"meta": {"feature_view": said, "owner": "me"}})).views == ()


def test_the_project_says_what_holds_for_all_views(tmp_path: Path) -> None:
    defaults = FeatureViewDefaults(ttl=timedelta(days=7), available_after=timedelta(hours=1), online=False)
    nodes = [
        model("says_nothing", CUSTOMER),
        model("says_all", CUSTOMER | {"ttl": "1 day", "available_after": "0 seconds", "online": True}),
        model("never_expires", CUSTOMER | {"ttl": "none"}),
        model("never_expires_either", CUSTOMER | {"ttl": None}),
    ]
    registry = load(tmp_path, *nodes, defaults=defaults)
    found = {each.name: (each.ttl, each.available_after, each.online) for each in registry.views}
    assert found == {
        "says_nothing": (timedelta(days=7), timedelta(hours=1), False),
        "says_all": (timedelta(days=1), timedelta(0), True),
        "never_expires": (None, timedelta(hours=1), False),
        "never_expires_either": (None, timedelta(hours=1), False),
    }


# Timestamps and dbt's own annotations


def test_the_timestamp_is_looked_for_in_one_order(tmp_path: Path) -> None:
    columns = {**COLUMNS, "said": "timestamp", "event": "date", "dimension": "timestamp"}
    dbt = {"agg_time_dimension": "dimension"}
    by_meta = model("m", CUSTOMER | {"timestamp": "said"}, columns, **dbt)
    by_meta["config"]["event_time"] = "event"
    assert view(tmp_path, by_meta).event_timestamp == Column("said", TIMESTAMP)
    del by_meta["config"]["meta"]["feature_view"]["timestamp"]
    assert view(tmp_path, by_meta).event_timestamp == Column("event", DATE)
    del by_meta["config"]["event_time"]
    assert view(tmp_path, by_meta).event_timestamp == Column("dimension", TIMESTAMP)


def annotated(name: str, data_type: str, **annotations: Any) -> dict[str, Any]:
    return {"name": name, "data_type": data_type, **annotations}


def test_annotations_on_the_columns_are_enough(tmp_path: Path) -> None:
    columns = {
        "order_no": annotated("order_no", "bigint", entity={"type": "foreign", "name": "order"}),
        "cust": annotated("cust", "bigint", entity={"type": "primary", "name": "customer"}),
        "at": annotated("at", "timestamp", dimension={"type": "time", "name": "ordered_at"}),
        "x": "double",
    }
    made = view(tmp_path, model("m", True, columns, agg_time_dimension="ordered_at"))
    assert keys(made) == {"customer": ["cust"]}
    assert made.event_timestamp.name == "at"
    assert [feature.name for feature in made.features] == ["order_no", "x"]


def test_a_semantic_model_is_enough(tmp_path: Path) -> None:
    semantic = {
        "name": "orders",
        "depends_on": {"nodes": ["model.shop.m"]},
        "entities": [{"name": "customer", "type": "primary", "expr": "customer_id"}, {"name": "shop", "type": "foreign", "expr": None}],
        "dimensions": [{"name": "day", "type": "time", "expr": "ordered_at"}],
        "defaults": {"agg_time_dimension": "day"},
    }
    made = view(tmp_path, model("m", True), semantic_models={"semantic_model.shop.orders": semantic})
    assert keys(made) == {"customer": ["customer_id"]}
    assert made.event_timestamp.name == "ordered_at"


def test_what_meta_says_comes_before_the_annotations(tmp_path: Path) -> None:
    columns = {**COLUMNS, "order_no": annotated("order_no", "bigint", entity={"type": "primary", "name": "order"})}
    made = view(tmp_path, model("m", CUSTOMER, columns, agg_time_dimension="order_no"))
    assert keys(made) == {"customer": ["customer_id"]}
    assert made.event_timestamp.name == "ordered_at"


def test_annotations_that_name_several_entities_are_ambiguous(tmp_path: Path) -> None:
    columns = {name: annotated(name, "bigint", entity={"type": "foreign", "name": name}) for name in ("customer", "shop")}
    node = model("m", {"timestamp": "at"}, {**columns, "at": "timestamp", "x": "integer"})
    with pytest.raises(
        DeclarationError, match="dbt's annotations name several foreign entities: customer, shop: say what its rows describe"
    ):
        view(tmp_path, node)


# Snapshots


SNAPSHOT_TABLE = (
    Column("product_id", STRING),
    Column("price", FLOAT64),
    Column("dbt_scd_id", STRING),
    Column("dbt_updated_at", TIMESTAMP),
    Column("dbt_valid_from", TIMESTAMP),
    Column("dbt_valid_to", TIMESTAMP),
    Column("dbt_is_deleted", STRING),
)


def snapshot(
    tmp_path: Path, said: Mapping[str, Any] | None = None, *, table: Sequence[Column] = SNAPSHOT_TABLE, **config: Any
) -> FeatureView:
    meta = {"feature_view": {"entities": {"product": "product_id"}, **(said or {})}}
    node = model("product_price", None, {}, kind="snapshot", contract=False, config={"unique_key": "product_id", "meta": meta, **config})
    return view(tmp_path, node, describe=lambda relations: {relations[0]: tuple(table)})


def test_a_snapshot_is_a_view_of_what_was_valid(tmp_path: Path) -> None:
    made = snapshot(tmp_path)
    assert made.event_timestamp == Column("dbt_valid_from", TIMESTAMP)
    assert made.valid_to == Column("dbt_valid_to", TIMESTAMP)
    assert made.is_deleted is None
    assert made.features == (Feature("price", FLOAT64),)
    assert (made.materialized, made.incremental_key, made.disjoint_validity) == ("snapshot", ("product_id",), True)


def test_a_snapshot_that_records_deletions_says_by_which_column(tmp_path: Path) -> None:
    assert snapshot(tmp_path, hard_deletes="new_record").is_deleted == Column("dbt_is_deleted", STRING)
    assert snapshot(tmp_path, hard_deletes="invalidate").is_deleted is None


def test_a_snapshot_may_name_its_columns(tmp_path: Path) -> None:
    renamed = {"dbt_valid_from": "valid_from", "dbt_valid_to": "valid_to", "dbt_scd_id": None}
    table = [Column(renamed.get(column.name) or column.name, column.value_type) for column in SNAPSHOT_TABLE]
    made = snapshot(tmp_path, table=table, snapshot_meta_column_names=renamed)
    assert (made.event_timestamp.name, made.valid_to and made.valid_to.name) == ("valid_from", "valid_to")
    assert [feature.name for feature in made.features] == ["price"]


@pytest.mark.parametrize(
    ("unique_key", "said", "disjoint"),
    [
        ("product_id", {}, True),
        (["product_id"], {}, True),
        ("PRODUCT_ID", {}, True),
        (["product_id", "price"], {}, False),
        ("product_id || '-' || region", {}, False),
        (None, {}, False),
        ("product_id", {"timestamp": "dbt_updated_at"}, False),
    ],
)
def test_validity_is_disjoint_where_dbt_tracks_the_entity_key(
    tmp_path: Path, unique_key: object, said: dict[str, Any], disjoint: bool
) -> None:
    assert snapshot(tmp_path, said, unique_key=unique_key).disjoint_validity is disjoint


def test_a_snapshot_that_is_not_built_yet_is_known_as_far_as_declared(tmp_path: Path) -> None:
    node = model("p", {"entity": "product_id"}, {"price": "double"}, kind="snapshot", contract=False)
    made = view(tmp_path, node, describe=lambda relations: {})
    assert made.event_timestamp == Column("dbt_valid_from", UNRESOLVED)
    assert made.features == (Feature("price", FLOAT64),)


# Types


def test_a_contract_needs_no_warehouse(tmp_path: Path) -> None:
    def describe(relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        raise AssertionError(relations)

    assert view(tmp_path, model("m", CUSTOMER), describe=describe).features == (Feature("orders_7d", INT64),)


def test_the_warehouse_is_asked_once_for_all_that_the_files_leave_open(tmp_path: Path) -> None:
    asked: list[Sequence[Relation]] = []

    def describe(relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        asked.append(relations)
        return dict.fromkeys(relations, TABLE)

    nodes = [
        model("contract", CUSTOMER),
        model("types_only", CUSTOMER, contract=False),
        model("nothing", CUSTOMER, {}, contract=False),
        model("untagged", contract=False),
    ]
    registry = load(tmp_path, *nodes, describe=describe)
    assert asked == [(Relation("types_only", "main", "warehouse"), Relation("nothing", "main", "warehouse"))]
    for name in ("types_only", "nothing"):
        assert registry.view(name).features == (Feature("orders_7d", DecimalType(38, 0)), Feature("tier", STRING))


def test_the_warehouses_spelling_is_kept(tmp_path: Path) -> None:
    table = tuple(Column(column.name.upper(), column.value_type) for column in TABLE)
    node = model("m", CUSTOMER, {"Orders_7d": {"name": "Orders_7d", "description": "Orders."}}, contract=False)
    registry = load(tmp_path, node, describe=lambda relations: {relations[0]: table}, exposures=[exposure("churn", ["m:orders_7d"])])
    made = registry.view("m")
    assert made.join_keys == (Column("CUSTOMER_ID", INT64),)
    assert made.features == (Feature("ORDERS_7D", DecimalType(38, 0), "Orders."), Feature("TIER", STRING))
    assert registry.resolve("churn")[0].output_names == ("ORDERS_7D",)


def test_a_model_that_is_not_built_yet_is_known_as_far_as_declared(tmp_path: Path) -> None:
    node = model("m", CUSTOMER, {"customer_id": None, "orders_7d": "bigint", "tier": None}, contract=False)
    registry = load(tmp_path, node, describe=lambda relations: {}, exposures=[exposure("churn", ["m:not_declared_yet"])])
    made = registry.view("m")
    assert made.join_keys == (Column("customer_id", UNRESOLVED),)
    assert made.event_timestamp == Column("ordered_at", UNRESOLVED)
    # What a service names is believed to be there: only the table could tell.
    assert made.features == (Feature("orders_7d", INT64), Feature("tier", UNRESOLVED), Feature("not_declared_yet", UNRESOLVED))
    assert [feature.name for feature in registry.resolve("churn")[0].features] == ["not_declared_yet"]


def test_a_view_that_lists_its_features_has_no_others_even_before_it_is_built(tmp_path: Path) -> None:
    node = model("m", CUSTOMER | {"features": ["orders_7d"]}, {}, contract=False)
    with pytest.raises(DeclarationError, match="m has no feature 'tier'"):
        load(tmp_path, node, exposures=[exposure("churn", ["m:orders_7d", "m:tier"])])


# Feature services


def test_a_feature_service_is_an_exposure_of_type_ml(tmp_path: Path) -> None:
    exposures = [
        exposure("churn", ["m:*"], description="Who leaves.", maturity="high", url="https://example.com", tags=["b", "a"]),
        {"unique_id": "exposure.shop.report", "name": "report", "type": "dashboard", "config": {"meta": {}}},
    ]
    service = load(tmp_path, model("m", CUSTOMER), exposures=exposures).services[0]
    assert (service.name, [str(reference) for reference in service.features]) == ("churn", ["m:*"])
    assert (service.description, service.maturity, service.url, service.tags) == ("Who leaves.", "high", "https://example.com", ("a", "b"))
    assert service.owner == Owner("Growth", "growth@example.com")


def test_incremental_models_say_how_they_grow(tmp_path: Path) -> None:
    config = {
        "materialized": "incremental",
        "unique_key": ["customer_id"],
        "incremental_strategy": "merge",
        "meta": {"feature_view": CUSTOMER},
    }
    made = view(tmp_path, model("m", config=config))
    assert (made.materialized, made.incremental_strategy, made.incremental_key) == ("incremental", "merge", ("customer_id",))
