"""Finds the target in `profiles.yml` that dbt would use, and renders that one output only: others may name variables nobody set.

What a target holds is secret until proved otherwise: its settings show up in no repr, no message and no error.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurestore.errors import ProfileError, ProjectError, did_you_mean

from .jinja import render
from .project import DbtProject, environment_option, read_yaml


@dataclass(frozen=True)
class Target:
    """One output of a profile."""

    profile: str
    name: str
    type: str
    """The adapter: `duckdb`, `postgres`, …"""

    settings: Mapping[str, Any] = field(repr=False)
    """The output as written, rendered. May hold secrets."""

    project_dir: Path
    """Where relative paths in the settings start, since dbt runs there."""

    def __str__(self) -> str:
        return f"{self.profile}.{self.name} ({self.type})"


def load_target(
    project: DbtProject,
    *,
    profiles_dir: Path | str | None = None,
    profile: str | None = None,
    target: str | None = None,
) -> Target:
    """The target that dbt would use for that project. Raises ProfileError.

    Args:
        profiles_dir: the folder of `profiles.yml`. None: `DBT_PROFILES_DIR`, else the current folder, the project's or `~/.dbt`.
        profile: instead of `DBT_PROFILE` and the project's own.
        target: instead of `DBT_TARGET` and the profile's own.
    """
    path, profiles = _read_profiles(project, profiles_dir)
    wanted = profile or environment_option("PROFILE") or project.profile
    if not wanted:
        raise ProfileError(f"{project.directory / 'dbt_project.yml'} names no profile. Add a line like `profile: shop`, or use --profile.")
    chosen = profiles.get(wanted)
    if chosen is None:
        names = (name for name in profiles if name != "config")
        raise ProfileError(f"{path} has no profile {wanted!r}.{did_you_mean(wanted, names)}")
    outputs = chosen.get("outputs") if isinstance(chosen, Mapping) else None
    if not isinstance(outputs, Mapping) or not outputs:
        raise ProfileError(f"{path}: profile {wanted!r} has no `outputs`.")
    name = target or environment_option("TARGET") or _default_target(path, wanted, chosen)
    output = outputs.get(name)
    if output is None:
        raise ProfileError(f"{path}: profile {wanted!r} has no target {name!r}.{did_you_mean(name, map(str, outputs))}")
    where = f"{path}: profile {wanted!r}: target {name!r}"
    if not isinstance(output, Mapping):
        raise ProfileError(f"{where} is no mapping of settings.")
    settings = {str(key): _rendered(where, str(key), value) for key, value in output.items()}
    kind = settings.get("type")
    if not isinstance(kind, str) or not kind:
        raise ProfileError(f"{where} has no `type`. Name its adapter, like `type: duckdb`.")
    return Target(wanted, name, kind, settings, project.directory)


def _read_profiles(project: DbtProject, profiles_dir: Path | str | None) -> tuple[Path, Mapping[str, Any]]:
    tried = []
    for folder in _folders(project, profiles_dir):
        path = folder / "profiles.yml"
        tried.append(str(path))
        try:
            content = read_yaml(path)
        except ProjectError as error:
            raise ProfileError(str(error)) from None
        if content is not None:
            return path, content
    raise ProfileError(f"There is no profiles.yml: looked for {', '.join(dict.fromkeys(tried))}. Name its folder with --profiles-dir.")


def _folders(project: DbtProject, profiles_dir: Path | str | None) -> Iterator[Path]:
    said = profiles_dir or environment_option("PROFILES_DIR")
    if said:
        yield Path(said).expanduser().absolute()
        return
    yield Path.cwd()
    yield project.directory
    yield Path.home() / ".dbt"


def _default_target(path: Path, profile: str, chosen: Mapping[str, Any]) -> str:
    try:
        return str(render(chosen.get("target") or "default"))
    except ValueError as error:
        raise ProfileError(f"{path}: profile {profile!r}: target: {error}.") from None


def _rendered(where: str, key: str, value: Any) -> Any:
    try:
        return render(value)
    except ValueError as error:
        # A password may hold what looks like Jinja and is none, as dbt allows.
        if "password" in key and "the Jinja" in str(error):
            return value
        raise ProfileError(f"{where}: {key}: {error}.") from None
