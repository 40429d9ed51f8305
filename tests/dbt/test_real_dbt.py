"""What dbt and DuckDB really make of a project: types from the tables, rows kept unique, deletions in snapshots."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop_project import dbt, make_shop

from featurestore.config import load_settings
from featurestore.dbt.artifacts import Manifest, read_manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.profiles import load_target
from featurestore.dbt.project import load_project
from featurestore.dbt.run_results import read_run_results
from featurestore.errors import DeclarationError
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import UNRESOLVED
from featurestore.warehouse.open import open_warehouse

pytestmark = pytest.mark.xdist_group("real_dbt")

EVENTS = """\
select 1 as customer_id, timestamp '2024-01-01' as seen_at, 1.5::float as ratio, {'a': [1.5], 'b c': uuid()} as nested,
       map {'x': 1::bigint} as counts, '{}'::json as raw, 'a'::enum('a', 'b') as grade, timestamptz '2024-01-01' as zoned
"""
TOTALS = "select customer_id, max(seen_at) as seen_at, sum(customer_id) as total from {{ ref('events') }} group by customer_id"
UNIQUE = "select 1::bigint as customer_id, timestamp '2024-01-01' as seen_at, 1::bigint as visits"
CUSTOMERS = """\
select * from (values (1, 'gold'), (2, 'new')) as customers (customer_id, tier)
{% if var('later', false) %} where customer_id = 1 {% endif %}
"""
YAML = """\
models:
  - name: events
    config: {meta: {feature_view: {entities: {customer: customer_id}, timestamp: seen_at}}}
  - name: totals
    config: {meta: {feature_view: {entities: {customer: customer_id}, timestamp: seen_at}}}
    columns: [{name: TOTAL, description: Of all.}]
  - name: unique_visits
    config: {contract: {enforced: true}, meta: {feature_view: {entity: customer_id, timestamp: seen_at}}}
    constraints: [{type: primary_key, columns: [customer_id, seen_at]}]
    columns:
      - {name: customer_id, data_type: bigint}
      - {name: seen_at, data_type: timestamp}
      - {name: visits, data_type: bigint}
  - name: not_built
    config: {meta: {feature_view: {entity: customer_id, timestamp: seen_at}}}
    columns: [{name: x, data_type: integer}]
snapshots:
  - name: customer_tier
    relation: ref('customers')
    config:
      unique_key: customer_id
      strategy: check
      check_cols: [tier]
      hard_deletes: new_record
      meta: {feature_view: {entities: {customer: customer_id}}}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {"events": EVENTS, "totals": TOTALS, "unique_visits": UNIQUE, "customers": CUSTOMERS, "not_built": UNIQUE}
    directory = make_shop(
        tmp_path_factory.mktemp("shop"),
        yaml=YAML,
        extra={f"models/{name}.sql": text for name, text in models.items()},
    )
    dbt(directory, "build", "--exclude", "not_built")
    dbt(directory, "build", "--select", "customers", "customer_tier", "--vars", "{later: true}")
    return directory


@pytest.fixture(scope="module")
def manifest(shop: Path) -> Manifest:
    return read_manifest(load_project(shop).manifest_path, project_name="shop")


@pytest.fixture(scope="module")
def registry(shop: Path, manifest: Manifest) -> Registry:
    project = load_project(shop)
    target = load_target(project, profiles_dir=shop)
    settings = load_settings(project, target.name, {})
    return load_registry(manifest, defaults=settings.defaults, describe=open_warehouse(target).describe)


def types(view: FeatureView) -> dict[str, str]:
    return {feature.name: str(feature.value_type) for feature in view.features}


def test_types_that_nobody_declared_are_the_tables(registry: Registry) -> None:
    assert types(registry.view("events")) == {
        "ratio": "float32",
        "nested": 'struct<a: list<decimal(2, 1)>, "b c": string>',
        "counts": "map<string, int64>",
        "raw": "string",
        "grade": "string",
        "zoned": "timestamp_utc",
    }
    assert types(registry.view("totals")) == {"total": "decimal(38, 0)"}
    assert registry.view("totals").features[0].description == "Of all."


def test_a_model_that_is_not_built_is_listed_all_the_same(registry: Registry) -> None:
    view = registry.view("not_built")
    assert types(view) == {"x": "int32"}
    assert view.event_timestamp.value_type == UNRESOLVED


def test_a_project_that_was_never_built_is_listed_all_the_same(tmp_path: Path) -> None:
    project = load_project(make_shop(tmp_path))
    dbt(tmp_path, "parse")
    warehouse = open_warehouse(load_target(project, profiles_dir=tmp_path))
    views = load_registry(read_manifest(project.manifest_path), describe=warehouse.describe).views
    assert [view.name for view in views] == ["customer_orders", "customer_profile"]


def test_a_snapshot_records_deletions_where_the_registry_says(shop: Path, registry: Registry) -> None:
    import duckdb

    view = registry.view("customer_tier")
    assert (view.event_timestamp.name, view.valid_to and view.valid_to.name) == ("dbt_valid_from", "dbt_valid_to")
    assert view.disjoint_validity
    assert types(view) == {"tier": "string"}
    assert view.is_deleted is not None
    with duckdb.connect(str(shop / "shop.duckdb"), read_only=True) as connection:
        rows = connection.sql(
            f"select customer_id, {view.is_deleted.name}, dbt_valid_to is null from {view.relation.schema}.{view.relation.identifier}"
        ).fetchall()
    assert sorted(rows) == [(1, "False", True), (2, "False", False), (2, "True", True)]


def test_the_run_says_what_it_built(shop: Path) -> None:
    run = read_run_results(load_project(shop).run_results_path)
    assert run is not None
    assert run.publishable
    assert run.invocation_id


def test_problems_are_found_in_what_dbt_wrote(shop: Path) -> None:
    meta = "{feature_view: {entities: {customer: customer_id}, timestamp: tier, tll: 1 day}}"
    (shop / "models" / "wrong.yml").write_text(f"models:\n  - name: customers\n    config: {{meta: {meta}}}\n")
    dbt(shop, "parse")
    project = load_project(shop)
    with pytest.raises(DeclarationError) as caught:
        load_registry(read_manifest(project.manifest_path), describe=open_warehouse(load_target(project, profiles_dir=shop)).describe)
    assert [str(problem) for problem in caught.value.problems] == [
        "models/wrong.yml: customers: meta.feature_view.tll: there is no such key. Did you mean 'ttl'?",
        "models/wrong.yml: customers: meta.feature_view.timestamp: column 'tier' is string, and must be a timestamp or a date."
        " Cast it in the model.",
    ]
