"""`fsdbt train`: a training set, point-in-time correct; and with `--locked`, whether an older one still comes out the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featurestore.errors import RequestError

from .locked import show_comparison
from .options import PROJECT_DIR, AsJson, Profile, ProfilesDir, ProjectDir, Target, open_feature_store, wanted_features
from .output import note, write_json, write_table
from .sql import EventTimestamp, Explain, FullFeatureNames, spine_of

FeaturesUnlessLocked = Annotated[
    str | None, typer.Argument(help="A feature service, a feature view:*, or features view:name split by commas. The lock's with --locked.")
]
Spine = Annotated[str | None, typer.Option("--spine", help="The entity dataframe: SQL text, ref('a_model'), or a Parquet file.")]
Locked = Annotated[
    Path | None, typer.Option("--locked", help="Build this training set (or its lock) again, and say whether it is the same.")
]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write the training set to this Parquet file, with its lock.")]
Table = Annotated[str | None, typer.Option("--table", help="Write the training set to this table of the warehouse.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the table if there is one, or the locked file.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="Without --output or --table: how many rows to show.")]

_SAID_BY_THE_LOCK = ("features", "table", "event_timestamp", "full_feature_names", "limit", "explain")


def train(
    context: typer.Context,
    features: FeaturesUnlessLocked = None,
    spine: Spine = None,
    locked: Locked = None,
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
    """Join features to a spine, each row as of its own time; write it to a file or a table, or show the first rows.

    With --locked, build a training set again from its lock and say whether it is the same; exit code 6 where it is not.
    """
    if output is not None and output.suffix not in (".parquet", ".pq"):
        raise RequestError(f"--output writes Parquet, and {output.name} is called otherwise. Name it like train.parquet.")
    if locked is not None:
        _refuse_what_the_lock_says(context)
        with open_feature_store(project_dir, profiles_dir, profile, target) as store:
            entity_df = spine_of(spine) if spine is not None else None
            comparison = store.rebuild_training_set(locked, entity_df=entity_df, output=output, overwrite=overwrite)
        raise typer.Exit(show_comparison(comparison, as_json=as_json))
    if features is None or spine is None:
        raise RequestError("A training set is of FEATURES for a --spine, or built again with --locked FILE.")
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


def _refuse_what_the_lock_says(context: typer.Context) -> None:
    """An option that would change nothing must not look as if it did."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in _SAID_BY_THE_LOCK and source is not None and source.name != "DEFAULT":
            name = "FEATURES" if parameter.name == "features" else parameter.opts[0]
            raise RequestError(f"{name} cannot be given with --locked: the training set is built again as its lock says. Leave it out.")
