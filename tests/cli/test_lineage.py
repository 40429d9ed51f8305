"""`fsdbt lineage`, over a project that the real dbt built."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from shop_project import YAML, dbt, fsdbt, make_shop

STAGED = "select customer_id, ordered_at, loaded_at, amount, status from {{ ref('raw_orders') }} where status <> 'test'"
ORDERS = """\
select *, count(*) over (partition by customer_id order by ordered_at) as orders_7d from {{ ref('stg_orders') }}
"""
SEED = "customer_id,ordered_at,loaded_at,amount,status\n1,2024-01-01 10:00:00,2024-01-01 10:05:00,10.50,paid\n"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"seeds/raw_orders.csv": SEED, "models/stg_orders.sql": STAGED}
    shop = make_shop(tmp_path_factory.mktemp("lineage") / "shop", orders=ORDERS, yaml=YAML, extra=files)
    dbt(shop, "build")
    return shop


def test_a_feature_is_shown_with_its_way_and_its_services(shop: Path) -> None:
    assert fsdbt(shop, "lineage", "customer_orders:amount", check=True).stdout.splitlines() == [
        "customer_orders:amount",
        "  model customer_orders.amount",
        "    model stg_orders.amount",
        "      seed raw_orders.amount",
        "  rows and instants decided by",
        "    seed raw_orders.customer_id",
        "    seed raw_orders.loaded_at",
        "    seed raw_orders.ordered_at",
        "    seed raw_orders.status",
        "  used by",
        "    churn_model",
    ]


def test_a_service_and_a_view_are_shown_feature_by_feature(shop: Path) -> None:
    of_service = json.loads(fsdbt(shop, "lineage", "churn_model", "--json", check=True).stdout)
    of_view = json.loads(fsdbt(shop, "lineage", "customer_orders", "--json", check=True).stdout)
    assert [each["feature"] for each in of_service] == [*(each["feature"] for each in of_view), "customer_profile:tier"]
    assert {"node": "seed.shop.raw_orders", "column": "ordered_at"} in of_view[-1]["values"]


def test_a_column_is_shown_with_all_that_it_reaches(shop: Path) -> None:
    reached = json.loads(fsdbt(shop, "lineage", "raw_orders.amount", "--json", check=True).stdout)
    assert (reached["features"], reached["services"]) == (["customer_orders:amount"], ["churn_model"])
    decided = fsdbt(shop, "lineage", "raw_orders.status", check=True).stdout
    assert "features made of it\n    customer_orders:status" in decided
    assert "features whose rows or instants it decides\n    customer_orders:amount" in decided


def test_a_wrong_name_is_answered_with_the_nearest(shop: Path) -> None:
    for name, nearest in (("customer_order:amount", "customer_orders"), ("stg_orders.amunt", "amount"), ("churn_mode", "churn_model")):
        failed = fsdbt(shop, "lineage", name)
        assert failed.returncode == 2
        assert f"Did you mean {nearest!r}?" in failed.stderr


def test_a_view_that_is_not_built_says_that_its_features_are_not_known_yet(tmp_path: Path) -> None:
    unbuilt = make_shop(tmp_path / "shop")
    dbt(unbuilt, "parse")
    for arguments, written in ((("customer_orders",), ""), (("customer_orders", "--json"), "[]\n")):
        shown = fsdbt(unbuilt, "lineage", *arguments, check=True)
        assert shown.stdout == written
        assert "no feature of customer_orders is known yet: build it (`dbt build`)" in shown.stderr
