"""The options that every command shares, spelled as dbt spells them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from featurestore.store import FeatureStore

ProjectDir = Annotated[
    Path, typer.Option("--project-dir", help="The folder of dbt_project.yml.", envvar="DBT_PROJECT_DIR", rich_help_panel="dbt")
]
ProfilesDir = Annotated[
    Path | None, typer.Option("--profiles-dir", help="The folder of profiles.yml.", envvar="DBT_PROFILES_DIR", rich_help_panel="dbt")
]
Profile = Annotated[str | None, typer.Option("--profile", help="The profile, instead of the project's own.", rich_help_panel="dbt")]
Target = Annotated[str | None, typer.Option("--target", "-t", help="The target of the profile.", rich_help_panel="dbt")]
OnlineStoreUrl = Annotated[str | None, typer.Option("--online-store", help="Its URL, instead of the project's setting.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write the answer to stdout as JSON.")]
Select = Annotated[
    list[str] | None, typer.Option("--select", "-s", help="Feature views: names, globs, tag:…, entity:… or service:…, as in dbt.")
]
Exclude = Annotated[list[str] | None, typer.Option("--exclude", help="Feature views to leave out, written like --select.")]
Features = Annotated[str, typer.Argument(help="A feature service, a feature view:*, or features view:name split by commas.")]

PROJECT_DIR = Path()


def open_feature_store(
    project_dir: Path,
    profiles_dir: Path | None,
    profile: str | None,
    target: str | None,
    online_store: str | None = None,
) -> FeatureStore:
    """The feature store of that dbt project. Imported here, so that `--help` does not pay for it."""
    from featurestore.store import FeatureStore

    return FeatureStore(project_dir, profiles_dir=profiles_dir, profile=profile, target=target, online_store=online_store)


def wanted_features(features: str) -> str | list[str]:
    """A feature service's name, or a list of references."""
    return [part.strip() for part in features.split(",") if part.strip()] if ":" in features else features
