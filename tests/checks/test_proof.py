"""`fsdbt check --prove` shows each planted leak by a row, nothing of clean views, and leaves the project's database as it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from shop_project import PROFILES, dbt, fsdbt

from featurestore.checks.proof.experiment import Proof, ProvedSource, ProvedView, experiment
from featurestore.errors import RequestError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import TimestampType

RAW = ProvedSource("raw.payments", Relation("raw", "main"), "moment")
TABLES = "{name: payments}, {name: customers}, {name: accounts}, {name: ledger}, {name: visits}, {name: flights}, "
TABLES += "{name: rates, config: {meta: {immutable: true}}}"
SOURCES = f"sources:\n  - name: raw\n    schema: main\n    tables: [{TABLES}]\n"
SOURCES += "  - {name: abroad, database: other, schema: main, tables: [{name: trips}]}\n"
SNAPSHOTS = """\
snapshots:
  - name: tiers
    relation: source('raw', 'accounts')
    config:
      unique_key: customer_id
      strategy: check
      check_cols: [email]
      snapshot_meta_column_names: {dbt_valid_from: starts, dbt_valid_to: ends}
"""
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
    # Clean, too: a dimension by its key, which is unique by its rows or by a constraint; a snapshot as of the event; and sources that
    # cannot be changed.
    "tenure": f"select customer_id, paid_at, date_diff('day', signed_up_at, paid_at) as days, booked_at {PAYMENTS} "
    "join {{ source('raw', 'accounts') }} using (customer_id) "
    "left join {{ source('raw', 'ledger') }} on number = customer_id and booked_at <= paid_at",
    "tiered": f"select p.customer_id, paid_at, email {PAYMENTS} p left join {{{{ ref('tiers') }}}} t on t.customer_id = p.customer_id "
    "and paid_at >= starts and (paid_at < ends or ends is null)",
    "travelled": f"select customer_id, paid_at, trips.at as trip_at, visits.at as visit_at {PAYMENTS} "
    "left join {{ source('abroad', 'trips') }} using (customer_id) left join {{ source('raw', 'visits') }} using (customer_id)",
    # What is planned for after the cut may have left before it; and rows that are said never to change.
    "departed": "select customer_id, planned_at + late * interval 1 minute as paid_at, sum(late) over "
    "(partition by customer_id order by planned_at + late * interval 1 minute) as minutes, rate from {{ source('raw', 'flights') }} "
    "cross join (select max(rate) as rate from {{ source('raw', 'rates') }})",
    # One is another one every time, and one joins what nobody can tell the time of.
    "drawn": f"select customer_id, paid_at, random() as luck {PAYMENTS}",
    "located": f"select customer_id, paid_at, city {PAYMENTS} join {{{{ source('raw', 'customers') }}}} using (customer_id)",
}
PLANNED = "raw.flights: event timestamps are made of planned_at and of late too, so its later rows cannot be told."
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
        "on-run-end: ['select 1']\n"
    )
    (folder / "profiles.yml").write_text(PROFILES.replace("threads", "attach: [{path: other.duckdb}], threads"))
    for name, sql in MODELS.items():
        (folder / "models" / f"{name}.sql").write_text(sql)
    (folder / "models" / "shop.yml").write_text(SOURCES + "models: " + json.dumps([described(name) for name in VIEWS]) + "\n" + SNAPSHOTS)
    with duckdb.connect(str(folder / "other.duckdb")) as connection:
        connection.execute("create table trips as select i as customer_id, timestamp '2023-12-01' as at from range(7) t(i)")
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute(
            "create table payments as select i as payment_id, i % 7 as customer_id, "
            "timestamp '2024-01-01' + i * interval 97 minute as paid_at, (i * 13 % 101)::decimal(10, 2) as amount from range(200) t(i)"
        )
        connection.execute("create table customers as select i as customer_id, 'city ' || i as city from range(7) t(i)")
        connection.execute(
            "create table accounts as select i as customer_id, timestamp '2023-06-01' + i * interval 1 day as signed_up_at, "
            "'a' || i as email from range(7) t(i)"
        )
        connection.execute("create table ledger (number integer primary key, booked_at timestamp)")
        connection.execute("insert into ledger select i, timestamp '2023-07-01' + i * interval 60 day from range(7) t(i)")
        connection.execute(
            "create table flights as select i % 7 as customer_id, timestamp '2024-01-01' + i * interval 97 minute as planned_at, "
            "i * 13 % 240 - 120 as late from range(200) t(i)"
        )
        connection.execute("create table rates as select timestamp '2024-01-01' + i * interval 1 day as day, i as rate from range(30) t(i)")
        connection.execute("create view visits as select i as customer_id, timestamp '2023-12-02' as at from range(7) t(i)")
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
    assert (lifetime["file"], lifetime["line"]) == ("models/lifetime.sql", 1)
    assert "Each build in the copy runs the project's hooks: shop-on-run-end-0." in done.stderr
    assert "For customer_id=" in lifetime["why"]
    assert ", lifetime_spend was " in lifetime["why"]
    assert "left as it is: raw.customers: has no column with a time, so its later rows cannot be told." in done.stderr
    for said in (
        "abroad.trips: it is no table of this database",
        "raw.visits: it is a view in DuckDB",
        PLANNED,
        "raw.rates: it is declared immutable.",
    ):
        assert f"left as it is: {said}" in done.stderr
    (told,) = [line for line in done.stderr.splitlines() if "rows later than that were changed in" in line]
    for changed in ("raw.payments by paid_at", "raw.accounts by signed_up_at", "raw.ledger by booked_at", "tiers by starts"):
        assert changed in told
    assert state(shop) == before


def test_a_proof_that_fails_leaves_what_the_check_found(shop: Path) -> None:
    broken = (shop / "profiles.yml").read_text().replace("path: shop.duckdb", "path: gone.duckdb")
    (shop / "elsewhere").mkdir()
    (shop / "elsewhere" / "profiles.yml").write_text(broken)
    done = fsdbt(shop, "check", "--prove", "--json", "--profiles-dir", "elsewhere")
    assert done.returncode == 2, done.stderr
    assert any(each["rule"] == "whole_partition" for each in json.loads(done.stdout)["findings"])
    assert "it is not there" in done.stderr


def proved(tmp_path: Path, create: str, source: ProvedSource, query: str) -> Proof:
    """The experiment with one view, without dbt."""
    database = tmp_path / "shop.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute(create)

    def build() -> None:
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"create or replace table seen as {query}")

    view = ProvedView("seen", Relation("seen", "main"), ("customer",), Column("moment", TimestampType()), {"value": "value"})
    return experiment(database, [source], [view], build)


ROWS = "from (select i % 5 as customer, timestamp '2024-01-01' + i * interval 1 day as moment, i as amount from range(100) t(i))"


def test_the_same_values_more_than_once_are_told_and_are_no_leak(tmp_path: Path) -> None:
    query = f"select p.customer, p.moment, 1 as value from (select * {ROWS}) p join raw using (customer) where p.moment < '2024-02-01'"
    proof = proved(tmp_path, f"create table raw as select customer, moment, amount::double as amount {ROWS}", RAW, query)
    assert proof.leaks == ()
    assert proof.multiplied == ("seen",)


def test_a_total_over_all_rows_leaks_where_the_table_has_a_primary_key(tmp_path: Path) -> None:
    create = f"create table raw (customer integer, moment timestamp, amount integer primary key); insert into raw select * {ROWS}"
    proof = proved(tmp_path, create, RAW, "select customer, moment, count(*) over (partition by customer) as value from raw")
    assert [each.feature.feature for each in proof.leaks] == ["value"]


def test_what_duckdb_refuses_to_change_is_named(tmp_path: Path) -> None:
    create = (
        "create table raw (customer integer, moment timestamp, amount integer check (amount < 60)); "
        f"insert into raw select customer, moment, amount % 50 {ROWS}"
    )
    with pytest.raises(RequestError, match=r"raw\.payments cannot be changed in the copy of the database"):
        proved(tmp_path, create, RAW, "select customer, moment, amount as value from raw")
