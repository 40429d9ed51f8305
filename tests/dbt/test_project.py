from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.dbt.project import load_project
from featurestore.errors import ProjectError


def write_project(directory: Path, text: str) -> Path:
    (directory / "dbt_project.yml").write_text(text, encoding="utf-8")
    return directory


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DBT_TARGET_PATH", raising=False)


def test_a_project_is_read_from_its_file(tmp_path: Path) -> None:
    write_project(tmp_path, "name: shop\nprofile: bank\nmodel-paths: [models, more]\nvars: {a: 1}\n")
    project = load_project(tmp_path)
    assert (project.name, project.profile, project.directory) == ("shop", "bank", tmp_path)
    assert project.manifest_path == tmp_path / "target" / "manifest.json"
    assert project.run_results_path == tmp_path / "target" / "run_results.json"
    assert project.model_paths == (tmp_path / "models", tmp_path / "more")
    assert project.var("a") == 1


def test_a_relative_folder_is_where_it_was_when_the_project_was_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_project(tmp_path, "name: shop")
    monkeypatch.chdir(tmp_path)
    assert load_project(".").directory == tmp_path


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("name: shop", None, "target"),
        ("name: shop\ntarget-path: out", None, "out"),
        ("name: shop\ntarget-path: out", "elsewhere", "elsewhere"),
        ("name: shop\ntarget-path: \"{{ env_var('FSDBT_TEST_OUT', 'made') }}\"", None, "made"),
        ("name: shop\ntarget-path: /var/target", None, "/var/target"),
    ],
)
def test_the_target_folder_is_where_dbt_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, environment: str | None, expected: str
) -> None:
    if environment:
        monkeypatch.setenv("DBT_TARGET_PATH", environment)
    assert load_project(write_project(tmp_path, text)).target_path == tmp_path / expected


def test_a_variable_of_this_project_comes_before_one_of_all_packages(tmp_path: Path) -> None:
    project = load_project(write_project(tmp_path, "name: shop\nvars: {a: everywhere, b: 2, shop: {a: here}, other: {b: 3}}"))
    assert (project.var("a"), project.var("b"), project.var("c")) == ("here", 2, None)


def test_variables_may_stand_in_a_file_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text("vars: {a: 1, out: made}")
    project = load_project(write_project(tmp_path, "name: shop\ntarget-path: \"{{ var('out') }}\""))
    assert (project.var("a"), project.vars_path, project.target_path) == (1, tmp_path / "vars.yml", tmp_path / "made")
    project = load_project(write_project(tmp_path, "name: shop\nvars: {a: 2}"))
    assert (project.var("a"), project.vars_path) == (2, tmp_path / "dbt_project.yml")


def test_a_folder_without_a_project_is_named_with_the_option(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path)
    assert str(caught.value) == f"There is no dbt_project.yml in {tmp_path}. Name the dbt project's folder with --project-dir."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version: 2", "gives the project no name. Add a line like `name: shop`."),
        ("name: [", "is no YAML at line "),
        ("- name", "holds no mapping of keys to values."),
        ("", "holds no mapping of keys to values."),
        ("name: shop\nvars: [a]", "`vars` must be a mapping of names to values."),
        (
            "name: shop\ntarget-path: \"{{ env_var('FSDBT_TEST_NOBODY_SET') }}\"",
            "target-path: the environment variable FSDBT_TEST_NOBODY_SET is not set",
        ),
    ],
)
def test_a_project_that_cannot_be_used_says_why(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ProjectError) as caught:
        load_project(write_project(tmp_path, text))
    assert message in str(caught.value)
    assert str(tmp_path / "dbt_project.yml") in str(caught.value)
