"""Every wrong declaration has one line that says what, where and what now. The lines are part of the product."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from manifest_files import COLUMNS, CUSTOMER, exposure, manifest, model, write_manifest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.meta import FeatureViewDefaults
from featurestore.errors import DeclarationError
from featurestore.registry.definitions import Column, LateData, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import FLOAT64, INT64, STRING, TIMESTAMP, UNRESOLVED


def load(tmp_path: Path, content: Mapping[str, Any], **options: Any) -> Registry:
    return load_registry(read_manifest(write_manifest(tmp_path / "manifest.json", content)), **options)


def problems(tmp_path: Path, content: Mapping[str, Any], **options: Any) -> list[str]:
    with pytest.raises(DeclarationError) as caught:
        load(tmp_path, content, **options)
    return [str(problem) for problem in caught.value.problems]


HERE = Path(__file__).parent
BAD_VIEWS = yaml.safe_load((HERE / "bad_feature_views.yml").read_text())
BAD_ON_DEMAND = yaml.safe_load((HERE / "bad_on_demand.yml").read_text())
BAD_SERVICES = yaml.safe_load((HERE / "bad_feature_services.yml").read_text())


@pytest.mark.parametrize("row", BAD_VIEWS, ids=[row["line"][:70] for row in BAD_VIEWS])
def test_a_wrong_feature_view_is_named_in_one_line(tmp_path: Path, row: Mapping[str, Any]) -> None:
    columns = {name: kind for name, kind in (COLUMNS | row.get("columns", {})).items() if kind}
    found = problems(tmp_path, manifest(model("customer_orders", row["says"], columns)))
    assert f"models/features.yml: customer_orders: {row['line']}" in found


@pytest.mark.parametrize("row", BAD_ON_DEMAND, ids=[row["line"][:70] for row in BAD_ON_DEMAND])
def test_a_wrong_feature_on_demand_is_named_in_one_line(tmp_path: Path, row: Mapping[str, Any]) -> None:
    assert f"models/features.yml: customer_orders: {row['line']}" in problems(tmp_path, on_demand(row["says"]))


def on_demand(said: object, **declared: Any) -> dict[str, Any]:
    """A project whose view has those features on demand."""
    orders = model("customer_orders", CUSTOMER, {**COLUMNS, "mean": "double", "embedding": "double[]"}, **declared)
    orders["config"]["meta"]["on_demand"] = said
    return manifest(orders)


def test_features_on_demand_are_features_that_are_not_kept(tmp_path: Path) -> None:
    said = {"inputs": {"amount": "double"}, "features": {"ratio": "amount / Mean", "more": {"expression": "orders_7d", "data_type": "int"}}}
    view = load(tmp_path, on_demand(said)).view("customer_orders")
    assert [feature.name for feature in view.features] == ["orders_7d", "mean", "embedding"]
    assert [(feature.name, str(feature.value_type)) for feature in view.on_demand] == [("ratio", "float64"), ("more", "int32")]
    assert view.request_inputs == (Column("amount", FLOAT64),)


def test_of_a_model_that_is_not_built_yet_any_name_is_believed(tmp_path: Path) -> None:
    said = {"features": {"ratio": "orders_30d / nullif(orders_7d, 0)"}}
    view = load(tmp_path, on_demand(said, contract=False)).view("customer_orders")
    assert not view.on_demand[0].on_demand.tree.resolved


def test_features_on_demand_stand_beside_a_feature_view(tmp_path: Path) -> None:
    alone = model("customer_orders")
    alone["config"]["meta"]["on_demand"] = {"features": {"ratio": "1"}}
    (problem,) = problems(tmp_path, manifest(alone))
    assert problem.endswith("needs meta.feature_view beside it: features on demand are worked out of those of a feature view.")
    (problem,) = problems(
        tmp_path, manifest(model("customer_orders", CUSTOMER, config={"meta": {"feature_view": CUSTOMER, "on_demnd": {}}}))
    )
    assert problem.endswith("meta.on_demnd: there is no such key. Did you mean 'on_demand'?")


@pytest.mark.parametrize("row", BAD_SERVICES, ids=[row["line"][:70] for row in BAD_SERVICES])
def test_a_wrong_feature_service_is_named_in_one_line(tmp_path: Path, row: Mapping[str, Any]) -> None:
    service = exposure("churn", [], kind=row.get("type", "ml"), config={"enabled": True, "meta": row["meta"]})
    content = manifest(model("customer_orders", CUSTOMER), model("raw_orders"), exposures=[service])
    assert f"models/services.yml: churn: {row['line']}" in problems(tmp_path, content)


def test_every_problem_of_every_model_is_named_at_once(tmp_path: Path) -> None:
    content = manifest(
        model("customer_orders", {"entities": {"customer": "id"}, "timestamp": "at", "tll": "7 days", "online": 1}),
        model("customer_profile", CUSTOMER | {"ttl": "long"}),
        exposures=[exposure("churn", ["customer_profil:tier", "nonsense"])],
    )
    assert problems(tmp_path, content) == [
        "models/features.yml: customer_orders: meta.feature_view.tll: there is no such key. Did you mean 'ttl'?",
        "models/features.yml: customer_orders: meta.feature_view.online: must be true or false, not 1.",
        "models/features.yml: customer_orders: meta.feature_view.entities.customer: customer_orders has no column 'id'."
        " There is: customer_id, ordered_at, orders_7d.",
        "models/features.yml: customer_orders: meta.feature_view.timestamp: customer_orders has no column 'at'."
        " There is: customer_id, ordered_at, orders_7d.",
        "models/features.yml: customer_profile: meta.feature_view.ttl: 'long' is no duration."
        " Write a whole number and a unit, like '7 days', '12 hours' or '90 minutes'.",
        "models/services.yml: churn: meta.feature_service.features: 'nonsense' is no feature reference."
        " Write it like 'customer_orders:orders_7d' or 'customer_orders:*'.",
        "models/services.yml: churn: meta.feature_service.features: 'customer_profil:tier': there is no feature view 'customer_profil'."
        " Did you mean 'customer_profile'?",
    ]


NOT_VIEWS: list[tuple[dict[str, Any], str]] = [
    (
        model("a:b", CUSTOMER),
        "models/features.yml: a:b: name: a feature view's name begins every reference and every key:"
        " letters, digits, points, dashes and underscores.",
    ),
    (
        model("m", CUSTOMER, config={"materialized": "ephemeral", "meta": {"feature_view": CUSTOMER}}),
        "models/features.yml: m: config.materialized: an ephemeral model has no rows to read."
        " Materialize it as a table, view or incremental.",
    ),
    (
        model("m", CUSTOMER, kind="seed"),
        "models/features.yml: m: meta.feature_view: a seed cannot be a feature view. Select from it in a model, and tag that.",
    ),
    (
        model("m", CUSTOMER, kind="source"),
        "models/features.yml: m: meta.feature_view: a source cannot be a feature view. Select from it in a model, and tag that.",
    ),
    (
        model("m", config={"meta": {"feature_veiw": True}}),
        "models/features.yml: m: meta.feature_veiw: there is no such key. Did you mean 'feature_view'?",
    ),
    (
        model("m", config={"meta": {"feature_service": {}}}),
        "models/features.yml: m: meta.feature_service: belongs on an exposure of type ml.",
    ),
    (
        # The model's own SQL declares it, so that is the file to mend.
        model("m", CUSTOMER, {"ordered_at": "date"}, raw_code="{{ config(meta={'feature_view': {}}) }} select 1"),
        "models/m.sql: m: meta.feature_view.entities.customer: m has no column 'customer_id'. There is: ordered_at.",
    ),
    (
        model("m", CUSTOMER, {"ordered_at": "date"}, package="events"),
        "dbt_packages/events/models/features.yml: m: meta.feature_view.entities.customer: m has no column 'customer_id'."
        " There is: ordered_at.",
    ),
]


@pytest.mark.parametrize(("node", "line"), NOT_VIEWS)
def test_what_cannot_be_a_feature_view_is_refused(tmp_path: Path, node: dict[str, Any], line: str) -> None:
    assert line in problems(tmp_path, manifest(node))


def test_a_disabled_model_is_refused_when_it_is_tagged(tmp_path: Path) -> None:
    line = "models/features.yml: m: config.enabled: is false, so its features do not exist. Enable the model, or remove meta.feature_view."
    assert problems(tmp_path, manifest(disabled=[model("m", CUSTOMER)])) == [line]
    in_sql = model("m", CUSTOMER, raw_code="{{ config(enabled = false) }} select 1", unrendered_config={"enabled": False})
    assert problems(tmp_path, manifest(disabled=[in_sql])) == [line]


@pytest.mark.parametrize(
    "disabled",
    [
        model("m", CUSTOMER, package="somebody_elses"),
        model("m", CUSTOMER, unrendered_config={"enabled": "{{ target.name == 'prod' }}"}),
        model("m", CUSTOMER, raw_code="{{ config(materialized='table', enabled=(target.name == 'prod')) }} select 1"),
        model("m", False),
        model("m"),
    ],
)
def test_a_model_that_others_disabled_or_another_target_enables_is_left_out(tmp_path: Path, disabled: dict[str, Any]) -> None:
    assert load(tmp_path, manifest(disabled=[disabled])).views == ()
    line = "models/services.yml: churn: meta.feature_service.features: 'm:x': "
    found = problems(tmp_path, manifest(disabled=[disabled], exposures=[exposure("churn", ["m:x"])]))
    reason = "the model is disabled." if disabled["config"]["meta"].get("feature_view") else "there is no feature view 'm'."
    assert found == [line + reason]


def test_an_entity_has_the_same_join_keys_everywhere(tmp_path: Path) -> None:
    other = {"entities": {"customer": "cust_no"}, "timestamp": "ordered_at"}
    content = manifest(
        model("customer_orders", CUSTOMER), model("visits", other, {"cust_no": "bigint", "ordered_at": "date", "visits": "integer"})
    )
    assert problems(tmp_path, content) == [
        "models/features.yml: visits: meta.feature_view.entities.customer: its join key is cust_no here and customer_id in customer_orders."
        " Use the same columns, or give one of the entities another name."
    ]


@pytest.mark.parametrize(("first", "second"), [("bigint", "varchar"), ("decimal(10, 2)", "decimal(10, 3)"), ("date", "timestamp")])
def test_a_join_key_has_compatible_types_everywhere(tmp_path: Path, first: str, second: str) -> None:
    content = manifest(model("a", CUSTOMER, COLUMNS | {"customer_id": first}), model("b", CUSTOMER, COLUMNS | {"customer_id": second}))
    assert len(problems(tmp_path, content)) == 1
    line = problems(tmp_path, content)[0]
    assert line.startswith("models/features.yml: b: meta.feature_view.entities.customer: 'customer_id' is ")
    assert line.endswith(" in a. Cast one in its model.")


@pytest.mark.parametrize(
    ("first", "second"),
    [("bigint", "smallint"), ("varchar(10)", "text"), ("decimal(10, 2)", "decimal(18, 2)"), ("timestamp", "timestamptz"), ("bigint", None)],
)
def test_types_that_spell_a_key_alike_are_compatible(tmp_path: Path, first: str, second: str | None) -> None:
    nodes = [
        model("a", CUSTOMER, COLUMNS | {"customer_id": first}),
        model("b", CUSTOMER, COLUMNS | {"customer_id": second}, contract=second is not None),
    ]
    assert len(load(tmp_path, manifest(*nodes)).views) == 2


def test_views_of_one_name_from_two_packages_are_refused(tmp_path: Path) -> None:
    content = manifest(model("orders", CUSTOMER), model("orders", CUSTOMER, package="events"))
    assert problems(tmp_path, content) == [
        "dbt_packages/events/models/features.yml: orders: meta.feature_view: there is another feature view 'orders': model.shop.orders."
        " Names must differ across packages."
    ]


def test_services_of_one_name_from_two_packages_are_refused(tmp_path: Path) -> None:
    services = [exposure("churn", ["orders:*"]), exposure("churn", ["orders:*"], package="events")]
    assert problems(tmp_path, manifest(model("orders", CUSTOMER), exposures=services)) == [
        "dbt_packages/events/models/services.yml: churn: meta.feature_service: there is another feature service 'churn':"
        " exposure.shop.churn. Names must differ across packages."
    ]


def test_a_service_of_a_broken_view_is_not_blamed_for_it(tmp_path: Path) -> None:
    content = manifest(model("orders", {"entity": "nobody", "timestamp": "ordered_at"}), exposures=[exposure("churn", ["orders:x"])])
    assert problems(tmp_path, content)[-1].endswith("'orders:x': the feature view has problems of its own.")


def test_a_declared_column_that_the_table_lacks_is_a_problem(tmp_path: Path) -> None:
    table = (Column("customer_id", INT64), Column("ordered_at", TIMESTAMP), Column("orders_7_d", INT64))
    found = problems(
        tmp_path,
        manifest(model("orders", CUSTOMER, contract=False)),
        describe=lambda relations: {relations[0]: table},
    )
    assert found == [
        "models/features.yml: orders: columns.orders_7d: the table warehouse.main.orders has no such column. Did you mean 'orders_7_d'?"
        " Correct the name, or run `dbt build --select orders` if it is new."
    ]


def test_a_column_that_no_feature_can_hold_is_a_problem_unless_it_is_left_out(tmp_path: Path) -> None:
    table = (Column("customer_id", INT64), Column("ordered_at", TIMESTAMP), Column("orders_7d", INT64), Column("wait", UNRESOLVED))

    def describe(relations: tuple[Relation, ...]) -> dict[Relation, tuple[Column, ...]]:
        return {relations[0]: table}

    assert problems(tmp_path, manifest(model("orders", CUSTOMER, contract=False)), describe=describe) == [
        "models/features.yml: orders: columns.wait: no feature can have the type that it has in the warehouse."
        " Cast it in the model, or leave it out."
    ]
    chosen = CUSTOMER | {"features": ["orders_7d"]}
    registry = load(tmp_path, manifest(model("orders", chosen, contract=False)), describe=describe)
    assert [feature.name for feature in registry.view("orders").features] == ["orders_7d"]


def test_a_text_timestamp_is_found_in_the_warehouse_too(tmp_path: Path) -> None:
    table = (Column("customer_id", INT64), Column("ordered_at", STRING), Column("orders_7d", INT64))
    content = manifest(model("orders", CUSTOMER, {}, contract=False))
    assert problems(tmp_path, content, describe=lambda relations: {relations[0]: table}) == [
        "models/features.yml: orders: meta.feature_view.timestamp: column 'ordered_at' is string, and must be a timestamp or a date."
        " Cast it in the model."
    ]


def test_late_data_of_the_defaults_counts_only_where_a_row_says_when_it_was_written(tmp_path: Path) -> None:
    columns = COLUMNS | {"loaded_at": "timestamp"}
    content = manifest(model("a", CUSTOMER, columns), model("b", CUSTOMER | {"created_timestamp": "loaded_at"}, columns))
    registry = load(tmp_path, content, defaults=FeatureViewDefaults(late_data=LateData.AS_KNOWN))
    assert registry.view("a").late_data is LateData.AS_EVENT
    assert registry.view("b").late_data is LateData.AS_KNOWN
