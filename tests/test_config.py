from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from featurestore.config import DEFAULT_ONLINE_STORE, Settings, load_settings
from featurestore.dbt.project import load_project
from featurestore.errors import SettingsError
from featurestore.registry.definitions import LateData


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FSDBT_ONLINE_STORE", "FSDBT_PROJECT", "FSDBT_SERVED_LOG", "FSDBT_SERVED_LOG_RATE", "DBT_TARGET_PATH"):
        monkeypatch.delenv(name, raising=False)


def settings(
    tmp_path: Path, said: object = None, *, target: str = "dev", name: str = "shop", flags: Any = None, **variables: Any
) -> Settings:
    content = {"name": name, "vars": {**variables, **({} if said is None else {"featurestore": said})}}
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump(content))
    return load_settings(load_project(tmp_path), target, flags or {})


def test_without_a_word_the_defaults_hold(tmp_path: Path) -> None:
    found = settings(tmp_path)
    assert (found.online_store, found.project) == (DEFAULT_ONLINE_STORE, "shop")
    assert {line.name: (line.value, line.origin) for line in found.shown()} == {
        "online_store": ("sqlite:///online_store.db", "default"),
        "project": ("shop", "default"),
        "served_log": ("none", "default"),
        "served_log_rate": ("0.01", "default"),
        "defaults.ttl": ("none", "default"),
        "defaults.available_after": ("0 seconds", "default"),
        "defaults.online": ("true", "default"),
        "defaults.late_data": ("as_event", "default"),
        "defaults.max_shrink": ("50%", "default"),
    }


def test_a_flag_beats_the_environment_that_beats_the_project_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"online_store": "redis://file", "project": "of_file"}
    found = settings(tmp_path, said)
    assert (found.online_store, found.origins["online_store"]) == ("redis://file", "dbt_project.yml")
    assert (found.project, found.origins["project"]) == ("of_file", "dbt_project.yml")
    monkeypatch.setenv("FSDBT_ONLINE_STORE", "redis://environment")
    found = settings(tmp_path, said)
    assert (found.online_store, found.origins["online_store"]) == ("redis://environment", "FSDBT_ONLINE_STORE")
    found = settings(tmp_path, said, flags={"online_store": "redis://flag", "project": None})
    assert (found.online_store, found.origins["online_store"]) == ("redis://flag", "--online-store")
    assert found.project == "of_file"


def test_the_project_file_says_the_defaults_of_all_views(tmp_path: Path) -> None:
    found = settings(
        tmp_path,
        {"defaults": {"ttl": "7 days", "available_after": "1 hour", "online": False, "late_data": "as_known", "max_shrink": "20%"}},
    )
    assert found.defaults.ttl == timedelta(days=7)
    assert found.defaults.available_after == timedelta(hours=1)
    assert (found.defaults.online, found.defaults.late_data) == (False, LateData.AS_KNOWN)
    assert [(line.value, line.origin) for line in found.shown()[4:]] == [
        ("7 days", "dbt_project.yml"),
        ("1 hour", "dbt_project.yml"),
        ("false", "dbt_project.yml"),
        ("as_known", "dbt_project.yml"),
        ("20%", "dbt_project.yml"),
    ]


def test_served_values_are_logged_where_the_project_or_the_environment_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"served_log": "logs/served", "served_log_rate": "{{ 0.5 }}"}
    found = settings(tmp_path, said)
    assert (found.served_log, found.served_log_rate, found.origins["served_log_rate"]) == ("logs/served", 0.5, "dbt_project.yml")
    monkeypatch.setenv("FSDBT_SERVED_LOG", "/var/log/served")
    monkeypatch.setenv("FSDBT_SERVED_LOG_RATE", "0.25")
    found = settings(tmp_path, said)
    assert (found.served_log, found.served_log_rate, found.origins["served_log_rate"]) == ("/var/log/served", 0.25, "FSDBT_SERVED_LOG_RATE")
    monkeypatch.setenv("FSDBT_SERVED_LOG_RATE", "often")
    with pytest.raises(SettingsError, match=r"^FSDBT_SERVED_LOG_RATE: must be a number from 0 to 1, such as 0\.01, and is 'often'"):
        settings(tmp_path, said)


def test_each_target_may_have_a_store_of_its_own_and_only_its_url_is_rendered(tmp_path: Path) -> None:
    said = {
        "online_store": {"dev": "redis://dev", "prod": "redis://:{{ env_var('FSDBT_TEST_NOBODY_SET') }}@prod", "default": "redis://other"}
    }
    assert settings(tmp_path, said).online_store == "redis://dev"
    assert settings(tmp_path, said, target="ci").online_store == "redis://other"
    with pytest.raises(
        SettingsError, match=r"vars: featurestore: online_store: the environment variable FSDBT_TEST_NOBODY_SET is not set\."
    ):
        settings(tmp_path, said, target="prod")


def test_the_jinja_knows_the_environment_the_target_and_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSDBT_TEST_HOST", "cache")
    said = {"online_store": "redis://{{ env_var('FSDBT_TEST_HOST') }}/{{ var('database') }}", "project": "shop_{{ target.name }}"}
    found = settings(tmp_path, said, database=3)
    assert (found.online_store, found.project) == ("redis://cache/3", "shop_dev")


def test_variables_of_this_project_alone_count_too(tmp_path: Path) -> None:
    assert settings(tmp_path, shop={"featurestore": {"project": "mine"}}).project == "mine"


def test_the_origin_is_the_file_where_the_variables_stand(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop")
    (tmp_path / "vars.yml").write_text("vars: {featurestore: {project: mine}}")
    assert load_settings(load_project(tmp_path), "dev", {}).origins["project"] == "vars.yml"


def test_a_password_is_shown_nowhere(tmp_path: Path) -> None:
    found = settings(tmp_path, {"online_store": "redis://user:hunter2@cache:6379/0?password=hunter2"})
    assert "hunter2" in found.online_store
    assert "hunter2" not in repr(found) + "".join(line.value for line in found.shown())
    assert found.shown()[0].value == "redis://cache:6379/0"


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ({"online_stor": "x"}, "vars: featurestore: there is no setting 'online_stor'. Did you mean 'online_store'?"),
        ({"online_store": 7}, "vars: featurestore: online_store: must be a text, and is of type int."),
        ({"project": ""}, "vars: featurestore: project: is empty."),
        ({"project": "my shop"}, "project: 'my shop' is part of every key, so it cannot hold a colon, a slash, braces or spaces."),
        (
            {"online_store": {"prod": "redis://x"}},
            "vars: featurestore: online_store: there is no URL for the target 'dev'. There is: prod. Add one, or `default`.",
        ),
        ({"defaults": {"tll": "1 day"}}, "vars: featurestore: defaults.tll: there is no such key. Did you mean 'ttl'?"),
        ({"defaults": {"ttl": "1 dya"}}, "vars: featurestore: defaults.ttl: '1 dya' is no duration."),
        ({"defaults": ["ttl"]}, "vars: featurestore: defaults: must be a mapping of keys to values, not ['ttl']."),
        ("redis://x", "vars: featurestore must be a mapping of settings to values."),
    ],
)
def test_a_setting_that_is_wrong_is_named(tmp_path: Path, said: object, line: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, said)
    assert line in str(caught.value)
    assert str(tmp_path / "dbt_project.yml") in str(caught.value)


def test_all_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, {"projekt": "a", "online_store": 1, "defaults": {"ttl": "x"}})
    assert len(str(caught.value).splitlines()) == 4
