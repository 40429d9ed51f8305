"""`fsdbt sql`: the SQL that the warehouse would be given."""

from __future__ import annotations

from typing import Annotated

import typer

from .options import (
    PROJECT_DIR,
    AsJson,
    Features,
    Profile,
    ProfilesDir,
    ProjectDir,
    Target,
    open_feature_store,
    wanted_features,
)
from .output import note, write_json

Spine = Annotated[str | None, typer.Option("--spine", help="The entity dataframe: SQL text, ref('a_model'), or a Parquet file.")]
EventTimestamp = Annotated[str, typer.Option("--event-timestamp", help="The spine's timestamp column.")]
FullFeatureNames = Annotated[bool, typer.Option("--full-feature-names", help="Name the columns view__feature.")]
Explain = Annotated[bool, typer.Option("--explain", help="Say on stderr which plan was chosen for each view, and why.")]


def sql(
    features: Features,
    spine: Spine = None,
    event_timestamp: EventTimestamp = "event_timestamp",
    full_feature_names: FullFeatureNames = False,
    explain: Explain = False,
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Print the point-in-time join for a spine; without one, the query by which each view is materialized now."""
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        if spine is None:
            statements = store.latest_sql(wanted_features(features))
        else:
            job = store.get_historical_features(
                spine_of(spine),
                wanted_features(features),
                event_timestamp=event_timestamp,
                full_feature_names=full_feature_names,
            )
            statements = {features: job.sql}
            if explain:
                note(str(job.explain()))
    if as_json:
        write_json(statements)
        return
    for name, statement in statements.items():
        if len(statements) > 1:
            print(f"-- {name}")
        print(f"{statement};")


def spine_of(text: str) -> object:
    """`ref('departures')` as a reference to that model; anything else is SQL text."""
    from featurestore.training.entity_df import parse_spine

    return parse_spine(text)
