"""`fsdbt plan`: what `fsdbt materialize` would do, without doing it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import RequestError
from featurestore.timestamps import from_micros

from .options import (
    PROJECT_DIR,
    AsJson,
    Exclude,
    OnlineStoreUrl,
    Profile,
    ProfilesDir,
    ProjectDir,
    Select,
    Target,
    open_feature_store,
)
from .output import note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.materialize.lease import Lease
    from featurestore.materialize.plan import MaterializationPlan

Everything = Annotated[bool, typer.Option("--all", help="Every feature view, whatever the last dbt run built or was published before.")]
AllowShrink = Annotated[bool, typer.Option("--allow-shrink", help="Publish a view also where its source lost more keys than max_shrink.")]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Read the views in full, published before or not.")]


LEFT = "the project has it no more, or says that it is not online"
"""Why a view is removed."""


def plan(
    select: Select = None,
    exclude: Exclude = None,
    everything: Everything = False,
    full_refresh: FullRefresh = False,
    against: Annotated[
        Path | None, typer.Option("--against", help="Instead, what changed since those dbt artifacts: a folder, or its manifest.json.")
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="With --against: as a comment for a pull request.")] = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show what materialize would publish, how, and why; and what it would leave alone.

    With --against, show what the project as it is does to the features of another state of it; exit code 8 where that breaks readers.
    """
    if against is not None and (select or exclude or everything or full_refresh):
        raise RequestError("--against compares whole projects: without --select, --exclude, --all and --full-refresh.")
    if as_markdown and against is None:
        raise RequestError("--markdown goes with --against.")
    if as_markdown and as_json:
        raise RequestError("--json and --markdown are two ways to write the same: choose one.")
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        if against is not None:
            from .changes import show_changes

            sys.exit(show_changes(store.changes_since(against), as_json=as_json, as_markdown=as_markdown))
        planned = store.plan(select or (), exclude or (), everything=everything, full_refresh=full_refresh)
        publishing = store.publishing()
    if as_json:
        write_json(_plan_document(planned, publishing))
    else:
        rows: list[tuple[object, ...]] = [(task.view.name, "publish", task.mode, task.reason) for task in planned.tasks]
        rows += [(skip.view.name, "skip", None, skip.reason) for skip in planned.skipped]
        rows += [(name, "remove", None, LEFT) for name in planned.leaving]
        write_table(("feature view", "action", "read", "why"), rows)
        for name, lease in publishing.items():
            note(f"{name} is being published already, {lease}")


def _plan_document(planned: MaterializationPlan, publishing: Mapping[str, Lease]) -> dict[str, object]:
    """The plan as `--json` writes it."""
    return {
        "publishing": {name: {"holder": lease.holder, "since": from_micros(lease.since)} for name, lease in publishing.items()},
        "invocation_id": planned.invocation_id,
        "publish": [{"view": task.view.name, "read": task.mode, "why": task.reason} for task in planned.tasks],
        "skip": [{"view": skip.view.name, "why": skip.reason, "failed": skip.failed} for skip in planned.skipped],
        "remove": [{"view": name, "why": LEFT} for name in planned.leaving],
    }
