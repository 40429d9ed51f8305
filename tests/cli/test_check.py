"""`fsdbt check`, over a project of the real dbt: its forms, its exit codes, and what it says that it compiles."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from shop_project import YAML, dbt, fsdbt, make_shop

from featurestore import FeatureStore

STAGED = "select customer_id, ordered_at, loaded_at, amount, status from {{ ref('raw_orders') }}"
ORDERS = """\
{% set days = 7 %}
select
    *,
    -- An instant of the warehouse's, which no later training can ask again.
    date_diff('day', ordered_at, current_date) as orders_7d
from {{ ref('stg_orders') }}
"""
SEED = "customer_id,ordered_at,loaded_at,amount,status\n1,2024-01-01 10:00:00,2024-01-01 10:05:00,10.50,paid\n"
LEAK = {"rule": "reads_clock", "severity": "error", "file": "models/customer_orders.sql", "line": 5}


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = {"seeds/raw_orders.csv": SEED, "models/stg_orders.sql": STAGED}
    shop = make_shop(tmp_path_factory.mktemp("check") / "shop", orders=ORDERS, yaml=YAML, extra=files)
    dbt(shop, "parse")
    return shop


@pytest.fixture(scope="module")
def compiled(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = Path(shutil.copytree(parsed, tmp_path_factory.mktemp("compiled") / "shop"))
    dbt(shop, "build")
    return shop


@pytest.fixture
def shop(compiled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(compiled, tmp_path / "shop"))


def test_a_project_that_was_only_parsed_is_compiled_and_its_leak_is_placed_in_the_file(parsed: Path, tmp_path: Path) -> None:
    checked = fsdbt(Path(shutil.copytree(parsed, tmp_path / "shop")), "check")
    assert checked.returncode == 9, checked.stderr
    assert "dbt compile" in checked.stderr
    assert "models/customer_orders.sql:5: error reads_clock\n" in checked.stdout
    assert "  in customer_orders:orders_7d\n" in checked.stdout


def test_every_form_tells_the_same_leak(compiled: Path) -> None:
    as_json = fsdbt(compiled, "check", "--json")
    found = [each for each in json.loads(as_json.stdout)["findings"] if each["severity"] == "error"]
    assert [{key: each[key] for key in LEAK} for each in found] == [LEAK]
    sarif = json.loads(fsdbt(compiled, "check", "--format", "sarif").stdout)
    results = [each for each in sarif["runs"][0]["results"] if each["level"] == "error"]
    place = results[0]["locations"][0]["physicalLocation"]
    assert [each["ruleId"] for each in results] == ["reads_clock"]
    assert (place["artifactLocation"]["uri"], place["region"]["startLine"]) == ("models/customer_orders.sql", 5)
    annotated = fsdbt(compiled, "check", "--format", "github").stdout.splitlines()
    assert [
        line for line in annotated if line.startswith("::error ") and "file=models/customer_orders.sql," in line and ",line=5::" in line
    ]
    assert fsdbt(compiled, "check", "--json", "--format", "sarif").returncode == 2


def test_the_exit_code_goes_by_what_is_asked_for_and_by_how_bad_it_is(compiled: Path) -> None:
    assert [fsdbt(compiled, "check", "--fail-on", level).returncode for level in ("error", "advice", "never")] == [9, 9, 0]
    assert fsdbt(compiled, "check", "--select", "customer_profile").returncode == 0
    assert fsdbt(compiled, "check", "--select", "customer_profile", "--fail-on", "advice").returncode == 9


def test_a_waiver_needs_a_reason(shop: Path) -> None:
    path = shop / "models" / "customer_orders.sql"
    written = path.read_text()
    path.write_text(written.replace("as orders_7d", "as orders_7d -- featurestore: ignore reads_clock"))
    dbt(shop, "compile")
    refused = fsdbt(shop, "check")
    assert (refused.returncode, "error bad_ignore" in refused.stdout, "error reads_clock" in refused.stdout) == (9, True, True)
    path.write_text(written.replace("as orders_7d", "as orders_7d -- featurestore: ignore reads_clock because it is asked at once"))
    dbt(shop, "compile")
    waived = fsdbt(shop, "check")
    assert waived.returncode == 0, waived.stdout
    assert "1 waived" in waived.stderr


def test_a_project_says_how_bad_a_rule_is_and_a_rule_that_there_is_not_is_named(shop: Path) -> None:
    path = shop / "dbt_project.yml"
    written = path.read_text()
    for severity, code in (("off", 0), ("warning", 0), ("error", 9)):
        path.write_text(written + f"\nvars: {{featurestore: {{checks: {{reads_clock: {severity}}}}}}}\n")
        checked = fsdbt(shop, "check")
        assert checked.returncode == code, checked.stderr
        assert ("reads_clock" in checked.stdout) is (severity != "off")
    path.write_text(written + "\nvars: {featurestore: {checks: {read_clock: off}}}\n")
    wrong = fsdbt(shop, "check")
    assert wrong.returncode not in (0, 9)
    assert "reads_clock" in wrong.stderr


def test_a_rule_is_explained_and_a_wrong_name_answered_with_the_nearest(compiled: Path) -> None:
    explained = fsdbt(compiled, "check", "--explain", "bucket_start", check=True).stdout
    assert explained.startswith("bucket_start (error): ")
    assert "available_after" in explained
    wrong = fsdbt(compiled, "check", "--explain", "bucket_strat")
    assert (wrong.returncode, "bucket_start" in wrong.stderr) == (2, True)


def test_python_is_told_the_same(compiled: Path) -> None:
    with FeatureStore(compiled, profiles_dir=compiled) as store:
        report = store.check()
    assert [each.rule for each in report.findings if each.severity.value == "error"] == ["reads_clock"]
