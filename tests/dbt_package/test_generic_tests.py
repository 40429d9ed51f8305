"""The generic tests fail when they should, and only then: each test of the project in generic_tests/ carries its outcome in its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dbt_command import DbtRun, copy_project, run_dbt

PROJECT = Path(__file__).parent / "generic_tests"
PROMISES = re.findall(r"name: ((?:passes|fails|errors)_\w+)", (PROJECT / "models" / "promises.yml").read_text(encoding="utf-8"))
OUTCOMES = {"passes": "pass", "fails": "fail", "errors": "error"}

pytestmark = pytest.mark.xdist_group("dbt_package")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> DbtRun:
    project = copy_project(PROJECT, tmp_path_factory.mktemp("generic_tests") / "promises")
    run_dbt(project, "deps")
    return run_dbt(project, "build", check=False)


@pytest.mark.parametrize("promise", PROMISES)
def test_a_generic_test(promise: str, built: DbtRun) -> None:
    outcome = {unique_id.split(".")[2]: result for unique_id, result in built.results.items()}[promise]
    assert outcome["status"] == OUTCOMES[promise.partition("_")[0]], outcome["message"]


def test_nothing_else_goes_wrong(built: DbtRun) -> None:
    others = {key: result for key, result in built.results.items() if not key.startswith("test.")}
    assert {result["status"] for result in others.values()} == {"success"}


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ("errors_without_entity_keys", "needs `entity_keys`. Write `entities` under config.meta.feature_view"),
        ("errors_without_a_timestamp", "needs `timestamp`. Write `timestamp` under config.meta.feature_view"),
        ("errors_for_a_duration_that_is_none", "'two moons' is no duration. Write a whole number and a unit"),
    ],
)
def test_the_error_says_what_to_write(promise: str, words: str, built: DbtRun) -> None:
    outcome = {unique_id.split(".")[2]: result for unique_id, result in built.results.items()}[promise]
    assert words in outcome["message"]
