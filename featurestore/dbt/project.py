"""Reads `dbt_project.yml`: the project's name, profile, target folder and variables.

From dbt 1.12 on, the variables may stand in `vars.yml` beside it, never in both.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from featurestore.errors import ProjectError

from .jinja import render
from .nodes import as_texts


@dataclass(frozen=True)
class DbtProject:
    """A folder with a `dbt_project.yml`."""

    directory: Path
    name: str
    profile: str | None = None
    """The profile it names, if any."""

    target_path: Path = Path("target")
    """Where dbt writes its artifacts, absolute."""

    model_paths: tuple[Path, ...] = ()
    """The folders of its models, absolute."""

    vars: Mapping[str, Any] = field(default_factory=dict)
    """As written, without Jinja rendered, as dbt leaves them."""

    vars_path: Path = Path("dbt_project.yml")
    """The file where the variables stand, or would stand."""

    @property
    def manifest_path(self) -> Path:
        return self.target_path / "manifest.json"

    @property
    def run_results_path(self) -> Path:
        return self.target_path / "run_results.json"

    def var(self, name: str) -> Any:
        """A variable's value: what is said for this project by its name comes before what is said for every package."""
        scoped = self.vars.get(self.name)
        if isinstance(scoped, Mapping) and name in scoped:
            return scoped[name]
        return self.vars.get(name)


def load_project(project_dir: Path | str) -> DbtProject:
    """Read the project in that folder. Raises ProjectError."""
    directory = Path(project_dir).expanduser().absolute()
    path = directory / "dbt_project.yml"
    content = read_yaml(path)
    if content is None:
        raise ProjectError(f"There is no dbt_project.yml in {directory}. Name the dbt project's folder with --project-dir.")
    name = content.get("name")
    if not isinstance(name, str) or not name:
        raise ProjectError(f"{path} gives the project no name. Add a line like `name: shop`.")
    vars_path, variables = _variables(path, content)
    settings = {key: _rendered(path, key, content.get(key), variables) for key in ("profile", "target-path")}
    target = environment_option("TARGET_PATH") or settings["target-path"] or "target"
    return DbtProject(
        directory=directory,
        name=name,
        profile=settings["profile"],
        target_path=directory / Path(target).expanduser(),
        model_paths=tuple(directory / folder for folder in as_texts(content.get("model-paths") or "models")),
        vars=variables,
        vars_path=vars_path,
    )


def environment_option(name: str) -> str | None:
    """What the environment says for one of dbt's options: `DBT_ENGINE_TARGET`, which dbt prefers from 1.11 on, or `DBT_TARGET`."""
    return os.environ.get(f"DBT_ENGINE_{name}") or os.environ.get(f"DBT_{name}")


def read_yaml(path: Path) -> dict[str, Any] | None:
    """The mapping that a YAML file holds; None where there is no such file. Raises ProjectError with the line."""
    try:
        content = yaml.load(path.read_bytes(), Loader=_Loader)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}.") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark else ""
        raise ProjectError(f"{path} is no YAML{where}: {getattr(error, 'problem', None) or 'it cannot be read'}.") from None
    if not isinstance(content, dict):
        raise ProjectError(f"{path} holds no mapping of keys to values.")
    return content


def _variables(path: Path, content: Mapping[str, Any]) -> tuple[Path, Mapping[str, Any]]:
    """The variables, and the file that holds them."""
    said = content.get("vars")
    own = path.with_name("vars.yml")
    if not said and own.exists():
        path, said = own, (read_yaml(own) or {}).get("vars")
    if said is not None and not isinstance(said, Mapping):
        raise ProjectError(f"{path}: `vars` must be a mapping of names to values.")
    return path, said or {}


def _rendered(path: Path, key: str, value: object, variables: Mapping[str, Any]) -> str | None:
    if value is None:
        return None
    try:
        return str(render(str(value), variables=variables))
    except ValueError as error:
        raise ProjectError(f"{path}: {key}: {error}") from None


_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
