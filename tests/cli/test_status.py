"""`fsdbt status`, from the first build to a view that is past its limits."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import duckdb
import pytest
from shop_project import YAML, dbt, fsdbt, make_shop

from featurestore import FeatureStore
from featurestore.errors import MaterializeError, RequestError

SOURCES = """
sources:
  - name: app
    schema: main
    config:
      freshness: {warn_after: {count: 12, period: hour}, error_after: {count: 100, period: day}}
      loaded_at_field: loaded_at
    tables:
      - name: raw_orders
      - name: raw_countries
        config: {freshness: null}
"""
BUILD_AFTER = "      freshness: {build_after: {count: 4, period: hour, updates_on: any}}\n"
ORDERS = """
select 1 as customer_id, loaded_at as ordered_at, loaded_at, 1 as orders_7d, amount
from {{ source('app', 'raw_orders') }}, {{ source('app', 'raw_countries') }}
"""
MAKE = """
create table raw_countries as select 'NL' as country;
create table raw_orders as select (now() at time zone 'UTC') - interval 20 hour as loaded_at, 10.5::decimal(10, 2) as amount
"""


@pytest.fixture(scope="module")
def sold(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop whose orders come from a source that promises to be fresh."""
    yaml = YAML.replace("  - name: customer_orders\n    config:\n", "  - name: customer_orders\n    config:\n" + BUILD_AFTER) + SOURCES
    yaml = yaml.replace("ttl: 7 days", "ttl: none")
    shop = make_shop(tmp_path_factory.mktemp("sold") / "shop", orders=ORDERS, yaml=yaml)
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute(MAKE)
    dbt(shop, "build")
    return shop


@pytest.fixture
def shop(sold: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sold, tmp_path / "shop"))


def document(shop: Path, *options: str, code: int) -> dict[str, Any]:
    done = fsdbt(shop, "status", "--json", *options)
    assert done.returncode == code, done.stderr
    return {view["feature_view"]: view for view in json.loads(done.stdout)["views"]}


def messages(view: dict[str, Any]) -> str:
    return "\n".join(f"{each['level']}: {each['message']}" for each in view["concerns"])


def test_from_the_first_build_to_a_failed_run(shop: Path) -> None:
    before = fsdbt(shop, "status")
    assert before.returncode == 10
    assert "customer_orders: error: it was never published; run `fsdbt materialize`" in before.stderr
    assert "\x1b" not in before.stdout, "colours are for terminals"

    fsdbt(shop, "materialize", check=True)
    dbt(shop, "source", "freshness", check=False)
    views = document(shop, "--count", code=0)
    orders, profile = views["customer_orders"], views["customer_profile"]
    assert (orders["status"], profile["status"]) == ("warn", "pass")
    assert (orders["warn_after_seconds"], orders["error_after_seconds"]) == (16 * 3600, 100 * 86400 + 4 * 3600), "with build_after"
    assert 20 * 3600 <= orders["lag_seconds"] < 25 * 3600
    assert "is past warn_after 16 hours, by the freshness of app.raw_orders" in messages(orders)
    assert "`dbt source freshness` said warn of app.raw_orders" in messages(orders)
    assert (orders["rows_online"]["least"], orders["rows_online"]["known_by"]) == (1, "count")
    assert (orders["last_run"]["outcome"], orders["last_run"]["rows"]) == ("published", 1)
    assert orders["online_event_timestamp"] == orders["offline_event_timestamp"]
    assert document(shop, "--warn-error", code=10)["customer_orders"]["status"] == "warn"
    assert "is past the limit of 1 hour" in messages(document(shop, "--max-lag", "1 hour", code=10)["customer_orders"])

    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute("insert into raw_orders values ((now() at time zone 'UTC') - interval 1 minute, 3)")
    dbt(shop, "build")
    ahead = document(shop, code=0)["customer_orders"]
    assert (ahead["next"]["action"], ahead["rows_online"]["least"]) == ("publish", 1)
    assert "warn: what dbt built is not online yet" in messages(ahead)
    assert "warn: the warehouse is ahead of what is online by" in messages(ahead)
    assert ahead["behind_seconds"] > 19 * 3600

    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute("drop table customer_orders; create table customer_orders as select 1 as customer_id where false")
    assert fsdbt(shop, "status").returncode == 3, "a view whose timestamp is gone from its table is none"


def test_what_a_run_could_not_do_is_kept(shop: Path) -> None:
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
        with duckdb.connect(str(shop / "shop.duckdb")) as connection:
            connection.execute("delete from customer_orders")
        with pytest.raises(MaterializeError, match="no entity key is left"):
            store.materialize(everything=True)
        found = {status.view: status for status in store.status(count=True).views}
        assert "the last run failed: no entity key is left" in found["customer_orders"].concerns[0].message
        assert found["customer_orders"].rows is not None
        assert (found["customer_orders"].rows.least, found["customer_profile"].rows.least) == (1, 2)  # type: ignore[union-attr]
        store.materialize(everything=True, allow_shrink=True)
        last = {status.view: status.known.last_run for status in store.status().views}["customer_orders"]
        assert last is not None
        assert (last.outcome, last.removed, last.full_rows) == ("published", 1, 0)


def test_without_a_dbt_run_the_rest_is_still_told(shop: Path) -> None:
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
    path = shop / "target/run_results.json"
    path.write_text(path.read_text().replace('"which": "build"', '"which": "compile"'))
    told = fsdbt(shop, "status", "--select", "customer_profile")
    assert told.returncode == 0
    assert "what is to be published is not known" in told.stderr
    assert told.stdout.splitlines()[1].split()[:2] == ["customer_profile", "pass"]


def test_what_is_served_otherwise_than_declared_is_told(shop: Path) -> None:
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
    path = shop / "models/shop.yml"
    path.write_text(path.read_text().replace("timestamp: since, ttl: none", "timestamp: since, ttl: 9000 days"))
    dbt(shop, "parse")
    drifted = document(shop, "-s", "customer_profile", code=0)["customer_profile"]
    assert "warn: ttl is served as none, and the project has 9000 days" in messages(drifted)
    assert "warn: what dbt built is not online yet (its definition changed" in messages(drifted)


def test_a_wrong_limit_is_an_error(shop: Path) -> None:
    assert fsdbt(shop, "status", "--max-lag", "soon").returncode == 2
    with FeatureStore(shop, profiles_dir=shop) as store, pytest.raises(RequestError, match="max_lag: 'soon' is no duration"):
        store.status(max_lag="soon")


CONTRACT = """
    config:
      contract: {enforced: true}
      meta:
        feature_view: {entities: {customer: customer_id}, timestamp: since, ttl: none}
    columns:
      - {name: customer_id, data_type: integer}
      - {name: since, data_type: timestamp}
      - {name: tier, data_type: varchar}
"""


def broken(shop: Path, statement: str) -> dict[str, Any]:
    """How the profiles, which have a contract, and the orders stand after that happened to their tables."""
    path = shop / "models/shop.yml"
    without = "\n    config:\n      meta:\n        feature_view: {entities: {customer: customer_id}, timestamp: since, ttl: none}\n"
    assert without in path.read_text()
    path.write_text(path.read_text().replace(without, CONTRACT))
    dbt(shop, "build")
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute(statement)
    return document(shop, code=10)


@pytest.mark.parametrize("column", ["since", "customer_id"])
def test_a_table_without_its_timestamp_or_key_is_an_error_of_that_view_alone(shop: Path, column: str) -> None:
    views = broken(shop, f"alter table customer_profile drop column {column}")
    assert f"error: {column} is no column of" in messages(views["customer_profile"])
    assert views["customer_orders"]["offline_event_timestamp"] is not None


def test_what_the_warehouse_refuses_to_say_is_an_error_of_that_view_alone(shop: Path) -> None:
    views = broken(
        shop,
        "drop table customer_profile; create table gone as select 1 as customer_id, timestamp '2024-01-01' as since, 'new' as tier; "
        "create view customer_profile as select * from gone; drop table gone",
    )
    assert "error: the warehouse does not say what" in messages(views["customer_profile"])
    assert views["customer_orders"]["offline_event_timestamp"] is not None


def test_of_a_table_that_is_gone_only_that_is_said(shop: Path) -> None:
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute("drop table customer_profile")
    (concern,) = document(shop, code=10)["customer_profile"]["concerns"]
    assert concern["message"].endswith("is not in the warehouse; run `dbt build`")
