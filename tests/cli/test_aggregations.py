"""A view of aggregations as its users meet it, from dbt build to a read a day later."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
from shop_project import dbt, fsdbt, make_shop

PAYMENTS = """
{% set now = "cast(now() at time zone 'utc' as timestamp)" %}
select 1 as customer_id, {{ dbt.dateadd('minute', -30, now) }} as paid_at, 12.5::double as amount, 'paid' as status
union all
select 1, {{ dbt.dateadd('hour', -30, now) }}, 7.5, 'refunded'
"""
YAML = """
models:
  - name: payments
    config:
      materialized: table
      meta:
        feature_view:
          entities: {customer: customer_id}
          timestamp: paid_at
          aggregations:
            - {column: amount, functions: [sum, last], windows: [1 day, 7 days]}
            - {functions: [count], windows: [7 days], filter: "status = 'refunded'", name: refunds}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = make_shop(
        tmp_path_factory.mktemp("payments") / "shop", extra={"models/payments.sql": PAYMENTS, "models/payments.yml": YAML}
    )
    dbt(directory, "build")
    return directory


def test_the_features_are_listed_and_shown_with_what_they_are(shop: Path) -> None:
    listed = json.loads(fsdbt(shop, "list", "features", "--select", "payments", "--json", check=True).stdout)
    assert [line["feature"].removeprefix("payments:") for line in listed] == [
        "amount_sum_1d", "amount_sum_7d", "amount_last_1d", "amount_last_7d", "refunds_count_7d"
    ]  # fmt: skip
    assert listed[-1]["description"] == "Number of events in the 7 days before, where status = 'refunded'."
    assert json.loads(fsdbt(shop, "show", "payments", "--json", check=True).stdout)["exact_for"] == "1 day"


def test_both_queries_can_be_read_and_run(shop: Path) -> None:
    spine = "select 1 as customer_id, current_timestamp as event_timestamp"
    training = fsdbt(shop, "sql", "payments:amount_sum_1d", "--spine", spine, "--explain", check=True)
    assert "range_join" in training.stderr
    steps = json.loads(fsdbt(shop, "sql", "payments:*", "--json", check=True).stdout)["payments"]
    with duckdb.connect(shop / "shop.duckdb", read_only=True) as connection:
        assert connection.sql(training.stdout).fetchall()[0][-1] == 12.5
        assert len(connection.sql(steps).fetchall()) == 2, "now, and when the newest payment is a day old"


def test_what_is_materialized_is_what_training_says(shop: Path) -> None:
    assert "payments" in fsdbt(shop, "plan", check=True).stdout
    fsdbt(shop, "materialize", check=True)
    read = json.loads(fsdbt(shop, "get", "payments:*", "customer_id=1", "--json", check=True).stdout)
    spine = "select 1 as customer_id, current_timestamp as event_timestamp"
    (trained,) = json.loads(fsdbt(shop, "train", "payments:*", "--spine", spine, "--json", check=True).stdout)
    expected = {"amount_sum_1d": 12.5, "amount_sum_7d": 20.0, "amount_last_1d": 12.5, "amount_last_7d": 12.5, "refunds_count_7d": 1}
    assert {name: trained[name] for name in expected} == expected
    assert all(str(value) in json.dumps(read) for value in expected.values())
