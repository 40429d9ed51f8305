"""`fsdbt build`: `dbt build`, then publish what succeeded."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from featurestore.dbt.invoke import project_options, run_dbt

from .materialize import finish, publish
from .options import PROJECT_DIR, AsJson, OnlineStoreUrl, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .output import note
from .plan import AllowShrink, FullRefresh

DbtArguments = Annotated[list[str] | None, typer.Argument(help="After --, what else `dbt build` is to be told: -- --select +plane_record")]


def build(
    dbt_arguments: DbtArguments = None,
    full_refresh: FullRefresh = False,
    allow_shrink: AllowShrink = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Run `dbt build` with whatever dbt is on the PATH, then publish the feature views that it built.

    The exit code is dbt's where dbt failed, after what did succeed was published.
    """
    arguments = ["build", *(dbt_arguments or ()), *project_options(project_dir, profiles_dir, profile, target)]
    if full_refresh:
        arguments.append("--full-refresh")
    code = run_dbt(arguments, project_dir)
    if code not in (0, 1):
        note(f"dbt could not run (exit code {code}); nothing is published.")
        sys.exit(code)
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        report = publish(store, (), (), everything=False, full_refresh=full_refresh, allow_shrink=allow_shrink)
    finish(report, as_json)
    sys.exit(code)
