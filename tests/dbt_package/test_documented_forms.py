"""Every form that the documentation shows is one that dbt takes without a word: strictly checked by dbt-core, and parsed by dbt v2."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dbt_command import copy_package, copy_project, run_dbt, warnings_of
from environments import environment

FORMS = Path(__file__).parent / "documented_forms"
STRICT_PARSE = Path(__file__).parent / "strict_parse.py"
DBT_V2 = "dbt==2.0.0rc196"

pytestmark = pytest.mark.xdist_group("dbt_package")


@pytest.fixture(scope="session")
def dbt_v2() -> Path:
    """dbt v2, in a virtual environment of its own that is kept for the next run (a wheel of 94 MB)."""
    return environment(DBT_V2.replace("==", "-"), DBT_V2) / "dbt"


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with its package installed. A test that changes it takes a copy."""
    project = copy_project(FORMS, tmp_path_factory.mktemp("forms") / "shop")
    run_dbt(project, "deps")
    return project


def strictly(project: Path) -> list[dict[str, str]]:
    """What dbt's strict check says about a project."""
    done = subprocess.run([sys.executable, str(STRICT_PARSE)], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_dbt_core_checks_them_strictly_and_finds_nothing(forms: Path) -> None:
    assert strictly(forms) == []


def test_the_strict_check_would_find_a_key_in_the_wrong_place(forms: Path, tmp_path: Path) -> None:
    wrong = shutil.copytree(forms, tmp_path / "wrong", symlinks=True)
    (wrong / "models" / "wrong.yml").write_text("models:\n  - name: clicks\n    feature_view: {entity: click_id}\n", encoding="utf-8")
    assert "feature_view" in "".join(complaint["message"] for complaint in strictly(wrong))


def test_dbt_core_builds_them_without_a_warning(forms: Path) -> None:
    assert warnings_of(run_dbt(forms, "build")) == []


def test_dbt_selects_feature_views_by_what_they_declare(forms: Path) -> None:
    listed = run_dbt(forms, "--quiet", "ls", "--resource-type", "model", "--select", "config.meta.feature_view.online:false")
    assert listed.output.split() == ["shop.yaml_form.customer_embedding"]


def test_dbt_v2_parses_them_without_a_warning(forms: Path, dbt_v2: Path, tmp_path: Path) -> None:
    known = shutil.copytree(forms, tmp_path / "known", symlinks=True)
    # Of semantic models that are not written on the columns, v2 warns itself.
    shutil.rmtree(known / "models" / "semantic_models")
    assert warnings_of(run_dbt(known, "parse", dbt=dbt_v2)) == []


def test_dbt_v2_parses_the_reference_project_without_a_warning(tmp_path: Path, dbt_v2: Path) -> None:
    assert warnings_of(run_dbt(copy_package(tmp_path / "featurestore"), "parse", dbt=dbt_v2)) == []
