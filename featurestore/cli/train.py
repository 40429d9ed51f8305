"""`fsdbt train`: a training set, point-in-time correct."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurestore.errors import RequestError

from .options import PROJECT_DIR, AsJson, Features, Profile, ProfilesDir, ProjectDir, Target, open_feature_store, wanted_features
from .output import note, write_json, write_table
from .sql import EventTimestamp, Explain, FullFeatureNames, spine_of

RequiredSpine = Annotated[str, typer.Option("--spine", help="The entity dataframe: SQL text, or ref('a_model').")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write the training set to this Parquet file.")]
Table = Annotated[str | None, typer.Option("--table", help="Write the training set to this table of the warehouse.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the table if there is one.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Without --output or --table: how many rows to show.")]


def train(
    features: Features,
    spine: RequiredSpine,
    output: Output = None,
    table: Table = None,
    overwrite: Overwrite = False,
    event_timestamp: EventTimestamp = "event_timestamp",
    full_feature_names: FullFeatureNames = False,
    limit: Limit = 10,
    explain: Explain = False,
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Join features to a spine, each row as of its own time; write it to a file or a table, or show the first rows."""
    if output is not None and output.suffix not in (".parquet", ".pq"):
        raise RequestError(f"--output writes Parquet, and {output.name} is called otherwise. Name it like train.parquet.")
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        job = store.get_historical_features(
            spine_of(spine), wanted_features(features), event_timestamp=event_timestamp, full_feature_names=full_feature_names
        )
        if explain:
            note(str(job.explain()))
        written: dict[str, int] = {}
        if output is not None:
            written[str(output)] = job.to_parquet(output)
        if table is not None:
            written[table] = job.to_table(table, overwrite=overwrite)
        if written:
            for place, rows in written.items():
                note(f"{rows:,} rows written to {place}")
            if as_json:
                write_json({"written": written})
            return
        rows = job.head(limit)
    if as_json:
        write_json(rows.to_pylist())
    else:
        write_table(rows.column_names, zip(*rows.to_pydict().values(), strict=True))
