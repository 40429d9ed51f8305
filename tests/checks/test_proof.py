"""`fsdbt check --prove` shows each planted leak by a row, nothing of clean views, and leaves the project's database as it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from shop_project import PROFILES, dbt, fsdbt

SOURCES = "sources:\n  - name: raw\n    schema: main\n    tables: [{name: payments}, {name: customers}]\n"
PAYMENTS = "from {{ source('raw', 'payments') }}"
MODELS = {
    # Three leak: through the whole partition, a bucket stamped at its start, and the current state of history.
    "lifetime": f"select customer_id, paid_at, amount, sum(amount) over (partition by customer_id) as lifetime_spend {PAYMENTS}",
    "daily": f"select customer_id, date_trunc('day', paid_at) as paid_at, sum(amount) as spend_1d {PAYMENTS} group by 1, 2",
    "following": "select customer_id, paid_at, next_at from {{ ref('stg_following') }}",
    "stg_following": f"select customer_id, paid_at, lead(paid_at) over (partition by customer_id order by paid_at) as next_at {PAYMENTS}",
    # Two are clean: a running sum, and whole days that count when they are over.
    "running": "select customer_id, paid_at, sum(amount) over (partition by customer_id order by paid_at, payment_id) as spend, "
    f"lag(amount) over (partition by customer_id order by paid_at, payment_id) as last_amount {PAYMENTS}",
    "complete_days": f"select customer_id, date_trunc('day', paid_at) as paid_at, sum(amount) as spend_1d {PAYMENTS} group by 1, 2",
    # One is another one every time, and one joins what nobody can tell the time of.
    "drawn": f"select customer_id, paid_at, random() as luck {PAYMENTS}",
    "located": f"select customer_id, paid_at, city {PAYMENTS} join {{{{ source('raw', 'customers') }}}} using (customer_id)",
}
VIEWS = [name for name in MODELS if not name.startswith("stg_")]


def described(name: str) -> dict[str, Any]:
    view: dict[str, Any] = {"entities": {"customer": "customer_id"}, "timestamp": "paid_at"}
    if name == "complete_days":
        view["available_after"] = "1 day"
    return {"name": name, "config": {"meta": {"feature_view": view}}}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("proved") / "shop"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: shop\nversion: '1.0'\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\nmodels: {shop: {+materialized: table}}\n"
    )
    (folder / "profiles.yml").write_text(PROFILES)
    for name, sql in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(sql)
    (folder / "models" / "shop.yml").write_text(SOURCES + "models: " + json.dumps([described(name) for name in VIEWS]))
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(
            "create table payments as select i as payment_id, i % 7 as customer_id, "
            "timestamp '2024-01-01' + i * interval 97 minute as paid_at, (i * 13 % 101)::decimal(10, 2) as amount from range(200) t(i)"
        )
        connection.execute("create table customers as select i as customer_id, 'city ' || i as city from range(7) t(i)")
    dbt(folder, "build")
    return folder


def state(shop: Path) -> str:
    return hashlib.sha256((shop / "shop.duckdb").read_bytes()).hexdigest()


def test_each_leak_is_shown_by_a_row_and_nothing_of_clean_views(shop: Path) -> None:
    before = state(shop)
    done = fsdbt(shop, "check", "--prove", "--json")
    assert done.returncode == 9, done.stderr
    found = [each for each in json.loads(done.stdout)["findings"] if each["rule"].startswith("proved_")]
    leaks = {feature for each in found if each["rule"] == "proved_leak" for feature in each["features"]}
    assert leaks == {"lifetime:lifetime_spend", "daily:spend_1d", "following:next_at"}
    assert {feature for each in found if each["rule"] == "proved_chance" for feature in each["features"]} == {"drawn:luck"}
    (lifetime,) = [each for each in found if each["features"] == ["lifetime:lifetime_spend"]]
    assert lifetime["file"] == "models/lifetime.sql"
    assert "For customer_id=" in lifetime["why"]
    assert ", lifetime_spend was " in lifetime["why"]
    assert "left as it is: raw.customers: has no column with a time, so its later rows cannot be told." in done.stderr
    assert "rows later than that were changed in raw.payments by paid_at" in done.stderr
    assert state(shop) == before
