"""Another dbt project installs this repository and gets the macros and generic tests, and none of the reference models."""

from __future__ import annotations

import subprocess
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from dbt_command import DbtRun, copy_package, copy_project, run_dbt, warnings_of

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry

CONSUMER = Path(__file__).parent / "consumer"

pytestmark = pytest.mark.xdist_group("dbt_package")


@pytest.fixture(scope="module")
def git_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A git repository with this package, tagged as a release."""
    repository = copy_package(tmp_path_factory.mktemp("published") / "featurestore")
    git = ["git", "-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "init.defaultBranch=main"]
    for command in (["init", "--quiet"], ["add", "--all"], ["commit", "--quiet", "--message", "Release"], ["tag", "v0.1.0"]):
        subprocess.run([*git, *command], cwd=repository, check=True)
    return repository.as_uri()


@pytest.fixture(scope="module", params=["local", "git"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    packages = None
    if request.param == "git":
        packages = f'packages:\n  - git: "{request.getfixturevalue("git_url")}"\n    revision: v0.1.0\n'
    project = copy_project(CONSUMER, tmp_path_factory.mktemp(request.param) / "bikeshare", packages)
    run_dbt(project, "deps")
    return run_dbt(project, "build")


def test_none_of_the_reference_project_is_built(built: DbtRun) -> None:
    assert {node["package_name"] for node in built.manifest["nodes"].values()} == {"bikeshare"}
    assert {exposure["package_name"] for exposure in built.manifest["exposures"].values()} == {"bikeshare"}
    with duckdb.connect(str(built.project / "bikeshare.duckdb"), read_only=True) as connection:
        assert connection.sql("select table_name from information_schema.tables order by 1").fetchall() == [("clocks",), ("station_load",)]


def test_its_feature_views_and_services_are_its_own(built: DbtRun) -> None:
    registry = load_registry(read_manifest(built.project / "target" / "manifest.json"))
    assert [view.name for view in registry.views] == ["station_load"]
    assert [service.name for service in registry.services] == ["rebalancing"]


def test_the_generic_tests_run_on_its_own_models(built: DbtRun) -> None:
    passed = {unique_id.split(".")[2] for unique_id, result in built.results.items() if result["status"] == "pass"}
    for name in ("unique_entity_timestamp", "not_from_the_future", "fresh_within"):
        assert any(test.startswith(f"featurestore_{name}_station_load") for test in passed), passed


def test_the_macros_can_be_called(built: DbtRun) -> None:
    with duckdb.connect(str(built.project / "bikeshare.duckdb"), read_only=True) as connection:
        found = connection.sql("select berlin, later from clocks").fetchall()
    assert found == [(datetime(2024, 5, 2, 0, 30), datetime(2024, 5, 3, 0, 0))]


def test_dbt_has_nothing_to_warn_about(built: DbtRun) -> None:
    assert warnings_of(built) == []
