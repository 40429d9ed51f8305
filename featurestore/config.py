"""The settings in force, and where each came from: a flag beats the environment, which beats dbt_project.yml, which beats the default.

They stand under `vars: {featurestore: …}` of dbt_project.yml, or of vars.yml, with Jinja rendered: a password can come from `env_var`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from featurestore.dbt.jinja import render
from featurestore.dbt.meta import DEFAULTS_KEYS, FeatureViewDefaults, read_defaults
from featurestore.dbt.project import DbtProject
from featurestore.errors import SettingsError, did_you_mean
from featurestore.online_store.connect import without_secrets
from featurestore.served_log import DEFAULT_RATE
from featurestore.timestamps import format_duration

DEFAULT_ONLINE_STORE = "sqlite:///online_store.db"
SETTINGS = ("online_store", "project", "served_log", "served_log_rate", "defaults", "checks")
"""What may stand under `vars: {featurestore: …}`."""

_VARS = "vars: featurestore"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class ShownSetting:
    """One line of `fsdbt config`."""

    name: str
    value: str
    """As it may be shown: without passwords."""

    origin: str
    """Where it came from, such as `--online-store`, `FSDBT_ONLINE_STORE` or `dbt_project.yml`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one project and target."""

    online_store: str = field(repr=False)
    """The URL of the online store. May hold a password."""

    project: str
    """What the project is called in the online store."""

    served_log: str | None
    """The folder where readers of this project log served values, relative to the project's. None: nowhere."""

    served_log_rate: float
    """The part of the requests whose values are, from 0 to 1."""

    defaults: FeatureViewDefaults
    checks: Mapping[str, object]
    """The severity of each rule of the check for which the project says another one, as it is written."""

    origins: Mapping[str, str]
    """Where each setting came from."""

    def shown(self) -> tuple[ShownSetting, ...]:
        """Every setting, fit to be shown."""
        values = {"online_store": without_secrets(self.online_store), "project": self.project}
        values |= {"served_log": self.served_log or "none", "served_log_rate": f"{self.served_log_rate:g}"}
        values.update({f"defaults.{key}": _default_text(self.defaults, key) for key in DEFAULTS_KEYS})
        values.update({f"checks.{rule}": "off" if word is False else str(word) for rule, word in self.checks.items()})
        return tuple(ShownSetting(name, value, self.origins[name]) for name, value in values.items())


def load_settings(project: DbtProject, target_name: str, flags: Mapping[str, str | None]) -> Settings:
    """The settings in force.

    Args:
        target_name: the dbt target, which `online_store` may depend on.
        flags: what the caller said itself, by setting; None where it did not.

    Raises SettingsError naming every setting that is wrong.
    """
    written = _written_settings(project, target_name)
    problems: list[str] = [f"{_VARS}: there is no setting {key!r}.{did_you_mean(key, SETTINGS)}" for key in written if key not in SETTINGS]
    online_store, project_name, served_log = (
        _text_setting(name, flags.get(name), written.get(name), default, project.vars_path.name, problems)
        for name, default in (("online_store", DEFAULT_ONLINE_STORE), ("project", project.name), ("served_log", ""))
    )
    rate = _rate(written.get("served_log_rate"), project.vars_path.name, problems)
    if any(mark in project_name[0] for mark in ":{}/ "):
        problems.append(f"project: {project_name[0]!r} is part of every key, so it cannot hold a colon, a slash, braces or spaces.")
    said_defaults = written.get("defaults")
    defaults = read_defaults(said_defaults, lambda key, message: problems.append(f"{_VARS}: {key}: {message}"))
    checks = written.get("checks") or {}
    if not isinstance(checks, Mapping):
        problems.append(f"{_VARS}: checks: must map rules to error, warning, advice or off, and is of type {type(checks).__name__}.")
    if problems:
        raise SettingsError("\n".join([f"{project.vars_path}:", *(f"  {problem}" for problem in problems)]))
    said = said_defaults if isinstance(said_defaults, Mapping) else {}
    origins = {"online_store": online_store[1], "project": project_name[1], "served_log": served_log[1], "served_log_rate": rate[1]}
    origins.update({f"defaults.{key}": project.vars_path.name if key in said else _DEFAULT for key in DEFAULTS_KEYS})
    origins.update({f"checks.{rule}": project.vars_path.name for rule in checks})
    severities = {str(rule): word for rule, word in checks.items()}
    return Settings(online_store[0], project_name[0], served_log[0] or None, rate[0], defaults, severities, origins)


def _written_settings(project: DbtProject, target_name: str) -> dict[str, Any]:
    """What dbt_project.yml says, rendered. Only the chosen target's URL is: others may name variables nobody set."""
    path = project.vars_path
    written = project.var("featurestore")
    if written is None:
        return {}
    if not isinstance(written, Mapping):
        raise SettingsError(f"{path}: {_VARS} must be a mapping of settings to values.")
    chosen = dict(written)
    if isinstance(chosen.get("online_store"), Mapping):
        chosen["online_store"] = _of_target(path, chosen["online_store"], target_name)
    rendered = {}
    for key, value in chosen.items():
        try:
            rendered[str(key)] = render(value, {"target": {"name": target_name}}, project.vars)
        except ValueError as error:
            raise SettingsError(f"{path}: {_VARS}: {key}: {error}.") from None
    return rendered


def _of_target(path: object, urls: Mapping[str, Any], target_name: str) -> Any:
    """The URL of that target; `default` holds for those not named."""
    if target_name in urls:
        return urls[target_name]
    if "default" in urls:
        return urls["default"]
    known = did_you_mean(target_name, map(str, urls))
    raise SettingsError(f"{path}: {_VARS}: online_store: there is no URL for the target {target_name!r}.{known} Add one, or `default`.")


def _text_setting(name: str, flag: str | None, written: object, default: str, origin: str, problems: list[str]) -> tuple[str, str]:
    """A setting's value and where it came from."""
    variable = f"FSDBT_{name.upper()}"
    if flag is not None:
        return flag, f"--{name.replace('_', '-')}"
    if os.environ.get(variable):
        return os.environ[variable], variable
    if written is None:
        return default, _DEFAULT
    if not isinstance(written, str) or not written:
        problems.append(
            f"{_VARS}: {name}: must be a text, and is of type {type(written).__name__}." if written else f"{_VARS}: {name}: is empty."
        )
        return default, _DEFAULT
    return written, origin


def _rate(written: object, origin: str, problems: list[str]) -> tuple[float, str]:
    """The rate of the log of served values, and where it came from."""
    variable = os.environ.get("FSDBT_SERVED_LOG_RATE")
    said = variable or written
    if said is None:
        return DEFAULT_RATE, _DEFAULT
    try:
        rate = float(said) if isinstance(said, str | int | float) and not isinstance(said, bool) else nan
    except ValueError:
        rate = nan
    if not 0 <= rate <= 1:
        wrong = f"must be a number from 0 to 1, such as 0.01, and is {said!r}."
        if variable:
            raise SettingsError(f"FSDBT_SERVED_LOG_RATE: {wrong}")
        problems.append(f"{_VARS}: served_log_rate: {wrong}")
    return rate, "FSDBT_SERVED_LOG_RATE" if variable else origin


def _default_text(defaults: FeatureViewDefaults, key: str) -> str:
    if key == "ttl":
        return "none" if defaults.ttl is None else format_duration(defaults.ttl)
    if key == "available_after":
        return format_duration(defaults.available_after)
    if key == "max_shrink":
        return f"{100 * defaults.max_shrink:g}%"
    return str(defaults.online).lower() if key == "online" else defaults.late_data.value
