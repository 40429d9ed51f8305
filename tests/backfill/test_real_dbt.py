"""Backfills with the real dbt: what fails, what continues, what is published."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
from shop_project import dbt, fsdbt, make_shop

pytestmark = pytest.mark.xdist_group("real_dbt")

SALES = """\
select * from (values
    (1, timestamp '2024-01-01 10:00', 5), (1, timestamp '2024-01-02 00:00', 0), (1, timestamp '2024-01-03 09:00', 7),
    (2, timestamp '2024-01-03 23:00', 11),
    (2, timestamp '2024-01-05 12:00', 13), (1, timestamp '2024-01-06 00:00', 17)
) as sales (customer_id, sold_at, amount)
"""
DAILY = """\
select customer_id, date_trunc('day', sold_at) as day, cast(sum(
    case when cast(sold_at as date) = date '{{ env_var('BROKEN_DAY', '1999-01-01') }}' then cast('x' || amount as bigint) else amount end
) * 1 as bigint) as spent_1d
from {{ ref('sales') }} group by all
"""
WEEKLY = """\
with days as (select customer_id, cast(date_trunc('day', sold_at) as timestamp) as day, sum(amount) as amount
              from {{ ref('sales').render() }}
  {% if model.batch %}
  where sold_at >= {{ dbt.dateadd('day', -6, "cast('" ~ model.batch.event_time_start.strftime('%Y-%m-%d') ~ "' as timestamp)") }}
    and sold_at < cast('{{ model.batch.event_time_end.strftime('%Y-%m-%d') }}' as timestamp)
  {% endif %}
  group by all)
select customer_id, day, cast(sum(amount) over (partition by customer_id order by day
                                                range between interval '6 days' preceding and current row) as bigint) as spent_7d
from days
"""
TOTALS = "select customer_id, max(day) as day, cast(sum(spent_1d) as bigint) as spent from {{ ref('daily') }} group by all"
BATCHES = "materialized: incremental, incremental_strategy: microbatch, event_time: day, batch_size: day, begin: '2024-01-01'"
VIEW = "meta: {feature_view: {entities: {customer: customer_id}, timestamp: day}}"
YAML = f"""\
models:
  - name: sales
    config: {{materialized: view, event_time: sold_at}}
  - name: daily
    config: {{{BATCHES}, {VIEW}}}
  - name: weekly
    config: {{{BATCHES}, {VIEW}}}
  - name: totals
    config: {{{VIEW}}}
"""
TEST = "select * from {{ ref('daily') }} where spent_1d < 0"
RANGE = ("--start", "2024-01-01", "--end", "2024-01-07")
TRUTH = [(1, 1, 5), (1, 2, 0), (1, 3, 7), (1, 6, 17), (2, 3, 11), (2, 5, 13)]


def multiply(shop: Path, factor: int) -> None:
    """Change the definition of the model."""
    (shop / "models" / "daily.sql").write_text(DAILY.replace("* 1", f"* {factor}"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {"sales": SALES, "daily": DAILY, "weekly": WEEKLY, "totals": TOTALS}
    shop = make_shop(
        tmp_path_factory.mktemp("shop") / "shop",
        yaml=YAML,
        extra={**{f"models/{name}.sql": text for name, text in models.items()}, "tests/spent_is_positive.sql": TEST},
    )
    for unused in ("customer_orders", "customer_profile"):
        (shop / "models" / f"{unused}.sql").unlink()
    dbt(shop, "run", "--select", "sales")
    return shop


@pytest.fixture
def shop(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "shop"))


def backfill(
    shop: Path, *arguments: str, view: str = "daily", span: tuple[str, ...] = RANGE, **environment: str
) -> tuple[int, dict[str, Any], str]:
    done = fsdbt(shop, "backfill", "--select", view, *span, "--yes", "--json", *arguments, **environment)
    return done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr


def rows(shop: Path, query: str = "select customer_id, day(day), spent_1d from daily order by all") -> list[tuple[Any, ...]]:
    with duckdb.connect(shop / "shop.duckdb", read_only=True) as connection:
        return connection.sql(query).fetchall()


def is_built(shop: Path, table: str = "daily") -> bool:
    return bool(rows(shop, f"select * from duckdb_tables() where table_name = '{table}'"))


def published(report: dict[str, Any]) -> list[str]:
    return [one["view"] for one in report["publication"]["published"]]


def online(shop: Path, feature: str = "daily:spent_1d") -> list[object]:
    answers = [json.loads(fsdbt(shop, "get", feature, f"customer_id={key}", "--json", check=True).stdout) for key in (1, 2)]
    return [answer["features"][feature.split(":")[1]]["value"] for answer in answers]


def test_a_failed_batch_ends_the_backfill_and_only_what_is_not_done_is_run_again(shop: Path) -> None:
    code, report, said = backfill(shop, "--batches-per-run", "3", BROKEN_DAY="2024-01-02")
    assert (code, report["batches"], report["publication"]) == (1, 2, None)
    assert report["failed"] == [{"model": "daily", "batch": "2024-01-02"}]
    assert "1 batch is not done: daily 2024-01-02." in said
    assert rows(shop) == [(1, 1, 5), (1, 3, 7), (2, 3, 11)], "later runs of dbt are not begun"
    assert fsdbt(shop, "get", "daily:spent_1d", "customer_id=1").returncode == 5, "half a backfill is not published"
    code, report, _ = backfill(shop)
    assert (code, report["batches"], published(report)) == (0, 4, ["daily"])
    assert [(each["batches"], each["done"]) for each in report["plan"]["models"]] == [
        (["2024-01-02", "2024-01-04", "2024-01-05", "2024-01-06"], 2)
    ]
    assert rows(shop) == TRUTH
    assert online(shop) == [17, 13]


def test_what_depends_on_it_is_built_and_published_when_asked_for(shop: Path) -> None:
    code, report, _ = backfill(shop, "--downstream", "--batches-per-run", "0")
    assert (code, published(report)) == (0, ["daily", "totals"])
    assert rows(shop) == TRUTH
    assert online(shop, "totals:spent") == [29, 24]
    multiply(shop, 10)
    code, report, said = backfill(shop, span=("--start", "2024-01-03T15:00:00", "--end", "2024-01-06"))
    assert (code, published(report), report["batches"]) == (0, ["daily"], 3)
    assert "Left alone: totals: depends on daily" in said
    assert rows(shop) == [(1, 1, 5), (1, 2, 0), (1, 3, 70), (1, 6, 17), (2, 3, 110), (2, 5, 130)], "rows outside the range stay as they are"
    assert (online(shop), online(shop, "totals:spent")) == ([17, 130], [29, 24])


def test_a_failed_test_holds_the_view_back_until_it_passes(shop: Path) -> None:
    (shop / "tests" / "spent_is_positive.sql").write_text(TEST.replace("<", ">"))
    code, report, said = backfill(shop)
    assert code == 1
    assert published(report) == []
    assert "daily: its test spent_is_positive failed" in said
    (shop / "tests" / "spent_is_positive.sql").write_text(TEST)
    code, report, _ = backfill(shop)
    assert (code, report["batches"], published(report)) == (0, 0, ["daily"])


def test_a_window_over_seven_days_sees_seven_days(shop: Path) -> None:
    assert backfill(shop, view="weekly")[0] == 0
    found = rows(shop, "select customer_id, day(day), spent_7d from weekly order by all")
    assert found == [(1, 1, 5), (1, 2, 5), (1, 3, 12), (1, 6, 29), (2, 3, 11), (2, 5, 24)]


def test_what_was_built_while_the_project_changed_is_not_published(shop: Path, tmp_path: Path) -> None:
    """A colleague edits the model while dbt runs."""
    real = Path(sys.executable).with_name("dbt")
    script = tmp_path / "bin" / "dbt"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\n"{real}" "$@"\ncode=$?\n[ "$1" != run ] || echo "-- edited" >> models/daily.sql\nexit $code\n')
    script.chmod(0o755)
    code, _, said = backfill(shop, PATH=f"{script.parent}{os.pathsep}{os.environ['PATH']}")
    assert code == 3
    assert "daily: the project changed while dbt ran" in said
    assert fsdbt(shop, "get", "daily:spent_1d", "customer_id=1").returncode == 5
    planned = fsdbt(shop, "backfill", "--select", "daily", *RANGE, "--dry-run", check=True)
    assert "daily: 6 batches" in planned.stdout
    assert "its definition changed since batches of it were done" in planned.stdout


def test_options_that_take_rows_away_are_refused_from_the_environment(shop: Path) -> None:
    done = fsdbt(shop, "backfill", "--select", "daily", *RANGE, "--dry-run", DBT_FULL_REFRESH="1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "is in the environment" in done.stderr


def test_without_a_terminal_nothing_runs_unasked(shop: Path) -> None:
    done = fsdbt(shop, "backfill", "--select", "daily", *RANGE)
    assert done.returncode == 2
    assert "1. dbt run: daily, 6 batches" in done.stderr, "the plan is shown all the same"
    assert "Add --yes to run this plan" in done.stderr
    assert not is_built(shop)
    assert not (shop / "target" / "fsdbt_backfill.json").exists()


@pytest.mark.parametrize(("answer", "code"), [("n\n", 1), ("y\n", 0)])
def test_at_a_terminal_it_asks(shop: Path, answer: str, code: int) -> None:
    mine, theirs = pty.openpty()
    os.write(mine, answer.encode())
    command = [str(Path(sys.executable).with_name("fsdbt")), "backfill", "--select", "daily", *RANGE]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_"))}
    done = subprocess.run(command, cwd=shop, env=inherited, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
    assert done.returncode == code
    assert ("daily" in done.stdout) is (code == 0)
    assert is_built(shop) is (code == 0)


def test_a_project_that_dbt_cannot_read_is_said(shop: Path) -> None:
    (shop / "models" / "daily.sql").write_text("select * from {{ ref('nowhere') }}")
    done = fsdbt(shop, "backfill", "--select", "daily", *RANGE, "--dry-run")
    assert done.returncode == 3
    assert "dbt could not read the project" in done.stderr


# Ordinary runs of a microbatch model, and what materialize makes of them.


def test_materialize_publishes_a_range_and_some_batches_but_not_what_a_full_refresh_left(shop: Path) -> None:
    whole = ("run", "--select", "daily", "--event-time-start", "2024-01-01", "--event-time-end", "2024-01-07")
    dbt(shop, *whole)
    fsdbt(shop, "materialize", check=True)
    assert online(shop) == [17, 13]

    broken = DAILY.replace("1999-01-01", "2024-01-06").replace("* 1", "* 10")
    (shop / "models" / "daily.sql").write_text(broken)
    assert dbt(shop, *whole, check=False).returncode == 1
    (task,) = json.loads(fsdbt(shop, "plan", "--json", check=True).stdout)["publish"]
    assert task["why"].endswith("; 1 of 6 batches failed and are as they were")
    fsdbt(shop, "materialize", check=True)
    assert online(shop) == [17, 130], "the batch that failed has the rows that it had"

    dbt(shop, "run", "--select", "daily", "--full-refresh", "--event-time-start", "2024-01-05", "--event-time-end", "2024-01-06")
    assert rows(shop) == [(2, 5, 130)], "dbt started a new table"
    done = json.loads(fsdbt(shop, "materialize", "--json", check=True).stdout)
    (skip,) = [each for each in done["skipped"] if each["view"] == "daily"]
    assert skip["failed"]
    assert "dbt rebuilt it with --full-refresh from 2024-01-05" in skip["why"]
    assert online(shop) == [17, 130]
