from __future__ import annotations

from pathlib import Path

import pytest

from featurestore.dbt.profiles import load_target
from featurestore.dbt.project import DbtProject
from featurestore.errors import ProfileError

PROFILES = """\
shop:
  target: "{{ env_var('FSDBT_TEST_TARGET', 'dev') }}"
  outputs:
    dev:
      type: duckdb
      path: "{{ env_var('FSDBT_TEST_PATH', 'shop') }}.duckdb"
      threads: "{{ env_var('FSDBT_TEST_THREADS', '4') | as_number }}"
      read_only: "{{ 'true' | as_bool }}"
      settings: {memory_limit: 1GB, names: ["{{ 'a' | upper }}", b]}
    prod:
      type: postgres
      password: "{{ env_var('FSDBT_TEST_PASSWORD') }}"
bank:
  outputs:
    default: {type: duckdb}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbtProject:
    """A project beside its profiles.yml, far from anybody's home folder and environment."""
    for name in ("DBT_PROFILES_DIR", "DBT_PROFILE", "DBT_TARGET", "DBT_ENGINE_TARGET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (tmp_path / "profiles.yml").write_text(PROFILES)
    return DbtProject(tmp_path, "shop", "shop")


def test_only_the_chosen_output_is_rendered(project: DbtProject) -> None:
    target = load_target(project)
    assert (target.profile, target.name, target.type, target.project_dir) == ("shop", "dev", "duckdb", project.directory)
    assert target.settings == {
        "type": "duckdb",
        "path": "shop.duckdb",
        "threads": 4,
        "read_only": True,
        "settings": {"memory_limit": "1GB", "names": ["A", "b"]},
    }


def test_a_variable_that_nobody_set_is_named(project: DbtProject) -> None:
    with pytest.raises(ProfileError) as caught:
        load_target(project, target="prod")
    path = project.directory / "profiles.yml"
    assert str(caught.value) == (
        f"{path}: profile 'shop': target 'prod': password: the environment variable FSDBT_TEST_PASSWORD is not set."
    )


def test_the_flag_comes_before_the_environment_and_that_before_the_profile(project: DbtProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDBT_TEST_PASSWORD", "x")
    monkeypatch.setenv("FSDBT_TEST_TARGET", "prod")
    assert load_target(project).name == "prod"
    monkeypatch.setenv("DBT_TARGET", "dev")
    assert load_target(project).name == "dev"
    assert load_target(project, target="prod").name == "prod"
    monkeypatch.setenv("DBT_ENGINE_TARGET", "prod")
    assert load_target(project).name == "prod"
    monkeypatch.setenv("DBT_PROFILE", "bank")
    assert str(load_target(project, target="default")) == "bank.default (duckdb)"
    assert load_target(project, profile="shop").profile == "shop"


def test_a_profile_without_a_target_has_dbts_default(project: DbtProject) -> None:
    assert load_target(project, profile="bank").name == "default"


def test_the_file_is_looked_for_where_dbt_looks(project: DbtProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def place(folder: Path, kind: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "profiles.yml").write_text(f"shop: {{target: t, outputs: {{t: {{type: {kind}}}}}}}")
        return folder

    (tmp_path / "profiles.yml").unlink()
    place(tmp_path / "home" / ".dbt", "of_home")
    assert load_target(project).type == "of_home"
    place(tmp_path, "of_project")
    assert load_target(project).type == "of_project"
    place(Path.cwd(), "of_here")
    assert load_target(project).type == "of_here"
    monkeypatch.setenv("DBT_PROFILES_DIR", str(place(tmp_path / "env", "of_environment")))
    assert load_target(project).type == "of_environment"
    assert load_target(project, profiles_dir=place(tmp_path / "flag", "of_flag")).type == "of_flag"


def test_a_secret_shows_up_nowhere(project: DbtProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDBT_TEST_PASSWORD", "hunter2")
    target = load_target(project, target="prod")
    assert target.settings["password"] == "hunter2"
    assert "hunter2" not in f"{target!r} {target}"


def test_a_password_may_look_like_jinja(project: DbtProject) -> None:
    path = project.directory / "profiles.yml"
    path.write_text("shop: {target: t, outputs: {t: {type: postgres, password: 'a{{b', user: 'c{{d'}}}")
    with pytest.raises(ProfileError, match="user: the Jinja cannot be read") as caught:
        load_target(project)
    assert "c{{d" not in str(caught.value)
    path.write_text("shop: {target: t, outputs: {t: {type: postgres, password: 'a{{b'}}}")
    assert load_target(project).settings["password"] == "a{{b"


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (PROFILES, {"profile": "shpo"}, "has no profile 'shpo'. Did you mean 'shop'?"),
        (PROFILES, {"target": "pord"}, "profile 'shop' has no target 'pord'. Did you mean 'prod'?"),
        ("shop: {}", {}, "profile 'shop' has no `outputs`."),
        ("shop: {outputs: {}}", {}, "profile 'shop' has no `outputs`."),
        ("shop: {outputs: {default: x}}", {}, "profile 'shop': target 'default' is no mapping of settings."),
        (
            "shop: {outputs: {default: {path: x}}}",
            {},
            "profile 'shop': target 'default' has no `type`. Name its adapter, like `type: duckdb`.",
        ),
        (
            "shop: {target: '{{ env_var(\"FSDBT_TEST_NO\") }}', outputs: {dev: {}}}",
            {},
            "target: the environment variable FSDBT_TEST_NO is not set.",
        ),
        ("shop: [", {}, "is no YAML at line "),
        ("", {}, "holds no mapping"),
    ],
)
def test_a_profile_that_cannot_be_used_says_why(project: DbtProject, text: str, options: dict[str, str], message: str) -> None:
    (project.directory / "profiles.yml").write_text(text)
    with pytest.raises(ProfileError) as caught:
        load_target(project, **options)
    assert message in str(caught.value)


def test_where_there_is_no_file_every_place_is_named(project: DbtProject, tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").unlink()
    with pytest.raises(ProfileError) as caught:
        load_target(project)
    for folder in (Path.cwd(), tmp_path, tmp_path / "home" / ".dbt"):
        assert str(folder / "profiles.yml") in str(caught.value)


def test_a_project_that_names_no_profile_says_so(project: DbtProject) -> None:
    with pytest.raises(ProfileError, match=r"names no profile\. Add a line like `profile: shop`, or use --profile"):
        load_target(DbtProject(project.directory, "shop"))
