"""What to do about a feature view that dbt does not build in batches: said before anything runs."""

from __future__ import annotations

from collections.abc import Sequence

from featurestore.registry.definitions import FeatureView


def remedy(view: FeatureView) -> str:
    """Why a view has no batches to run, and what brings its history up to date instead."""
    name = view.name
    if view.materialized == "table":
        return f"a table is built anew as a whole: run `fsdbt build -- --select {name}`"
    if view.materialized == "view":
        return f"a view has no rows of its own: build what it selects from, then run `fsdbt materialize --all --select {name}`"
    if view.materialized == "snapshot":
        return "a snapshot has recorded what it saw when it ran; its history cannot be built again"
    return f"it is {view.materialized} and not built in batches: run `fsdbt build --full-refresh -- --select {name}`"


def not_in_batches(views: Sequence[FeatureView], others: bool) -> str:
    """The message for views that were asked for and have no batches.

    Args:
        others: whether views were selected, too, that have.
    """
    lines = [f"  {view.name}: {remedy(view)}" for view in views]
    able = [view for view in views if view.materialized in ("table", "incremental")]
    if able:
        example = able[0]
        lines.append(
            "To build one in batches, let its config say materialized: incremental, incremental_strategy: microbatch, "
            f"event_time: {example.event_timestamp.name}, batch_size: day and begin: (a date); see docs/guides/backfill.md."
        )
    if others:
        lines.append(f"To backfill the others, add --exclude '{' '.join(view.name for view in views)}'.")
    count = "1 feature view is" if len(views) == 1 else f"{len(views)} feature views are"
    return "\n".join([f"{count} not built in batches by dbt, so there are none to run:", *lines])
