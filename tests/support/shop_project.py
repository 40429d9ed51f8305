"""A small dbt project for tests: orders and profiles of a shop's customers, built by the real dbt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = """\
name: shop
version: "1.0"
profile: shop
flags: {send_anonymous_usage_stats: false}
models: {shop: {+materialized: table}}
"""

PROFILES = """\
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: shop.duckdb, threads: 1, settings: {TimeZone: UTC}}
"""

ORDERS = """\
select * from (values
    (1, timestamp '2024-01-01 10:00:00', timestamp '2024-01-01 10:05:00', 1, 10.50::decimal(10, 2)),
    (1, timestamp '2024-01-03 09:00:00', timestamp '2024-01-03 09:05:00', 2, 20.25::decimal(10, 2)),
    (2, timestamp '2024-01-02 12:00:00', timestamp '2024-01-02 12:05:00', 1, null)
) as orders (customer_id, ordered_at, loaded_at, orders_7d, amount)
"""

PROFILE = """\
select * from (values (1, timestamp '2024-01-01', 'gold'), (3, timestamp '2024-01-02', 'new'))
as profile (customer_id, since, tier)
"""

YAML = """\
models:
  - name: customer_orders
    config:
      meta:
        feature_view:
          entities: {customer: customer_id}
          timestamp: ordered_at
          created_timestamp: loaded_at
  - name: customer_profile
    config:
      meta:
        feature_view: {entities: {customer: customer_id}, timestamp: since, ttl: 7 days}
exposures:
  - name: churn_model
    type: ml
    owner: {name: Growth, email: growth@example.com}
    depends_on: [ref('customer_orders'), ref('customer_profile')]
    config:
      meta:
        feature_service:
          features: ["customer_orders:*", "customer_profile:tier"]
"""


def make_shop(
    directory: Path,
    *,
    orders: str = ORDERS,
    profile: str = PROFILE,
    yaml: str = YAML,
    project: str = PROJECT,
    extra: dict[str, str] | None = None,
) -> Path:
    """Write the project's files into `directory`; nothing is built."""
    files = {
        "dbt_project.yml": PROJECT,
        "profiles.yml": PROFILES,
        "models/customer_orders.sql": orders,
        "models/customer_profile.sql": profile,
        "models/shop.yml": yaml,
        **(extra or {}),
    }
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def dbt(directory: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the real dbt in that project."""
    return _run(Path(sys.executable).with_name("dbt"), directory, *arguments, check=check)


def fsdbt(directory: Path, *arguments: str, check: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in that project, as a user's shell would."""
    return _run(Path(sys.executable).with_name("fsdbt"), directory, *arguments, check=check, **environment)


def _run(program: Path, directory: Path, *arguments: str, check: bool, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_"))}
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [program, *arguments],
        cwd=directory,
        env={**inherited, "PATH": path, "DO_NOT_TRACK": "1", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if check and done.returncode:
        raise AssertionError(f"{program.name} {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done
