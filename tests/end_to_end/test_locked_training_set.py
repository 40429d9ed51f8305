"""A training set of the reference project, locked: it comes out the same until a model changes, and then exactly what moved is named."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import duckdb
import pytest
from dbt_command import DbtRun, run_dbt
from shop_project import fsdbt

pytestmark = pytest.mark.xdist_group("reference_project")

HERE = ("--profiles-dir", "profiles")


@pytest.fixture(scope="module")
def project(built: DbtRun, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy with a locked training set of every departure."""
    copy = Path(shutil.copytree(built.project, tmp_path_factory.mktemp("locked") / "featurestore"))
    train = ("train", "departure_delay_model", "--spine", "ref('departures')", "--output", "train.parquet")
    fsdbt(copy, *train, *HERE, check=True)
    return copy


def locked(project: Path, *options: str) -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    done = fsdbt(project, "train", "--locked", "train.parquet", "--json", *options, *HERE)
    return done, json.loads(done.stdout)


def change(project: Path, model: str, old: str, new: str) -> None:
    """Change a model's text, and run it and what is built from it."""
    path = project / "models" / model
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    run_dbt(project, "run", "--select", f"{path.stem}+")


def test_a_build_that_changes_nothing_changes_no_value(project: Path) -> None:
    run_dbt(project, "build", "--exclude", "resource_type:seed", "resource_type:test")
    done, comparison = locked(project)
    assert (done.returncode, comparison["same"], comparison["file"]) == (0, True, "intact"), done.stdout
    assert comparison["changes"] == []
    assert comparison["rows"] > 50_000


@pytest.mark.parametrize(
    ("model", "old", "new", "moved", "because"),
    [
        pytest.param(
            "features/carrier_daily.sql",
            "arrival_delay >= 15",
            "arrival_delay >= 20",
            "carrier_daily:late_share_1d",
            ["carrier_daily: checksum"],
            id="the model itself",
        ),
        pytest.param(
            "staging/stg_weather.sql",
            "wind_speed < 200",
            "wind_speed < 30",
            "origin_weather:wind_speed",
            ["origin_weather: upstream model.featurestore.stg_weather"],
            id="a model that it is built from",
        ),
    ],
)
def test_exactly_the_feature_that_moved_is_named(project: Path, model: str, old: str, new: str, moved: str, because: list[str]) -> None:
    before = (project / "train.parquet").read_bytes()
    change(project, model, old, new)
    try:
        done, comparison = locked(project, "--output", "now.parquet")
    finally:
        change(project, model, new, old)
    assert done.returncode == 6
    found = [each for each in comparison["features"] if each["verdict"] != "same"]
    assert [each["feature"] for each in found] == [moved]
    assert [each["what"] for each in comparison["changes"]] == [*because, "project.manifest"]
    assert (project / "train.parquet").read_bytes() == before
    differing = moved_rows(project, moved.partition(":")[2])
    assert found[0]["rows"] == len(differing) > 0
    row, then, now = differing[0]
    assert (found[0]["example"]["row"], str(found[0]["example"]["then"]), str(found[0]["example"]["now"])) == (row, str(then), str(now))
    assert locked(project)[1]["same"], "and back"


def moved_rows(project: Path, column: str) -> list[tuple[Any, ...]]:
    """The rows in which the two files differ, found by DuckDB."""
    with duckdb.connect() as connection:
        return connection.execute(
            f"select file_row_number, old.{column}, new.{column} from read_parquet(?, file_row_number = true) as old "
            f"join read_parquet(?, file_row_number = true) as new using (file_row_number) "
            f"where old.{column} is distinct from new.{column} order by 1",
            [str(project / "train.parquet"), str(project / "now.parquet")],
        ).fetchall()
