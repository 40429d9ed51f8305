"""The guide on CI, as it is written: each of its workflows' own commands is run, in their order, and fails where the guide says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs/guides/ci.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL))
FILES = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        flags: {send_anonymous_usage_stats: false}
        vars: {featurestore: {online_store: "sqlite:///online.db"}}
        """,
    "profiles.yml": """
        shop:
          target: ci
          outputs:
            ci: {type: duckdb, path: shop.duckdb, schema: ci, settings: {TimeZone: UTC}}
            prod: {type: duckdb, path: shop.duckdb, schema: main, settings: {TimeZone: UTC}}
        """,
    "packages.yml": f"packages: [{{local: {ROOT}}}]\n",
    "models/customer_orders.sql": """
        select
            customer_id,
            ordered_at,
            date_diff('hour', lag(ordered_at) over (partition by customer_id order by ordered_at), ordered_at) as hours_between,
            amount
        from {{ source('app', 'orders') }}
        """,
    "models/shop.yml": BLOCKS["models/shop.yml"],
}
CHANGES = {
    "models/customer_orders.sql": (
        ("hours_between", "gap_hours"),
        (" amount\n", " case when ordered_at < now() then amount end as amount\n"),
    ),
    "models/shop.yml": (("hours_between", "gap_hours"),),
}
"""What a pull request does: a feature has another name, which breaks whoever asks for it by the old one; and another reads the clock, which
no test of dbt's sees."""

FAIL = {"Look for leaks": 9, "Say whom the change breaks": 8}
"""The steps that are to fail then, and with what."""

LOAD = """
create schema raw;
create table raw.orders as
select (i % 5)::bigint as customer_id, (now() at time zone 'UTC') - i * interval 2 hour as ordered_at, (i % 11)::decimal(10, 2) as amount
from range(1, 600) as r (i)
"""
ELSEWHERE = ("gh ", "pip ")
"""What talks to GitHub and to a package index."""


def steps(workflow: str) -> dict[str, str]:
    """The commands of each step by its name, those left out that need what no test has."""
    (job,) = yaml.safe_load(BLOCKS[f".github/workflows/{workflow}"])["jobs"].values()
    found: dict[str, Any] = {step["name"]: step["run"] for step in job["steps"] if "run" in step}
    return {name: run for name, run in found.items() if not any(line.strip().startswith(ELSEWHERE) for line in run.splitlines())}


PULL_REQUEST, RELEASE = steps("features.yml"), steps("release.yml")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("ci") / "shop"
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
    with duckdb.connect(str(directory / "shop.duckdb")) as connection:
        connection.execute(LOAD)
    return directory


def run(shop: Path, commands: str) -> subprocess.CompletedProcess[str]:
    """A step, as GitHub runs it: by bash, which stops at the first command that fails."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**inherited, "PATH": path, "DO_NOT_TRACK": "1"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=shop,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


def succeed(shop: Path, commands: str) -> str:
    done = run(shop, commands)
    assert done.returncode == 0, f"{commands}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_every_command_of_the_guide_runs_from_a_release_to_a_pull_request_that_breaks(shop: Path) -> None:
    for name, commands in RELEASE.items():
        succeed(shop, commands)
        if name == "Build and publish":
            kept = shop / "production/manifest.json"
            kept.parent.mkdir()
            kept.write_bytes((shop / "target/manifest.json").read_bytes())
    with duckdb.connect(str(shop / "shop.duckdb"), read_only=True) as connection:
        profiles = connection.execute("select feature, psi < 0.25 from main.feature_profiles order by 1").fetchall()
    assert profiles == [("amount", True), ("hours_between", True)]
    assert 'featurestore_audit_agrees{of="online",feature_view="customer_orders"} 1' in (shop / "audit.prom").read_text()

    succeed(shop, PULL_REQUEST["Look for leaks"])
    assert leaks(shop) == [], "what the guide shows is clean"

    for name, changes in CHANGES.items():
        path = shop / name
        for change in changes:
            path.write_text(path.read_text().replace(*change))
    for name, commands in PULL_REQUEST.items():
        done = run(shop, commands)
        assert done.returncode == FAIL.get(name, 0), f"{name} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    (finding,) = leaks(shop)
    assert finding["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].endswith("models/customer_orders.sql")
    assert "churn_model" in (shop / "plan.md").read_text()


def leaks(shop: Path) -> list[Any]:
    """The errors that the check found, as GitHub is told of them."""
    found: list[Any] = json.loads((shop / "check.sarif").read_text())["runs"][0]["results"]
    return [each for each in found if each["level"] == "error"]


def test_every_command_that_the_guide_promises_is_in_a_workflow() -> None:
    in_workflows = "\n".join([*PULL_REQUEST.values(), *RELEASE.values()])
    promised = set(re.findall(r"`?fsdbt (\w+)", GUIDE)) - {"show", "materialize"}
    assert promised == set(re.findall(r"fsdbt (\w+)", in_workflows)) == {"check", "plan", "build", "audit", "status", "profile"}
