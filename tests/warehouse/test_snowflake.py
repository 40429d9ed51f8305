"""Snowflake's session, end to end: dbt-snowflake logs in, the real connector speaks to fakesnow's server, Arrow comes back.

`fakesnow/play.py` is what runs, in an environment of its own, because fakesnow asks for another release of sqlglot than ours.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from environments import environment

PLAY = Path(__file__).parent / "fakesnow" / "play.py"
REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = (
    "fakesnow[server]==0.12.1",
    "dbt-core>=1.10,<1.12",
    "dbt-snowflake>=1.10,<2",
    "snowflake-connector-python[pandas]>=3.12",
    "hypothesis>=6.100",
)
CHECKS = ["names_and_types_are_as_they_are_stored", "training", "a_missing_table_names_dbt_build", "random_histories"]

pytestmark = pytest.mark.xdist_group("fakesnow")


def test_what_is_promised_of_snowflake_holds_on_fakesnow() -> None:
    python = environment("fakesnow-0.12.1", *PACKAGES, "--editable", str(REPOSITORY)) / "python"
    played = subprocess.run(
        [str(python), "-W", "ignore", str(PLAY)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "DO_NOT_TRACK": "1"},
    )
    assert [line.split()[0] for line in played.stdout.splitlines() if line.endswith(" holds")] == CHECKS, played.stdout + played.stderr
