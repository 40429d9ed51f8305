"""`fsdbt materialize`: newest values, warehouse to online store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from featurestore.errors import MaterializeError

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
from .plan import LEFT, AllowShrink, Everything, FullRefresh

if TYPE_CHECKING:
    from featurestore.materialize.run import MaterializationReport
    from featurestore.store import FeatureStore


def materialize(
    select: Select = None,
    exclude: Exclude = None,
    everything: Everything = False,
    full_refresh: FullRefresh = False,
    allow_shrink: AllowShrink = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Publish what the last dbt run built to the online store."""
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        report = publish(store, select or (), exclude or (), everything=everything, full_refresh=full_refresh, allow_shrink=allow_shrink)
    finish(report, as_json)


def publish(
    store: FeatureStore,
    select: list[str] | tuple[str, ...],
    exclude: list[str] | tuple[str, ...],
    *,
    everything: bool,
    full_refresh: bool,
    allow_shrink: bool,
) -> MaterializationReport:
    """Materialize with a progress display on a terminal. The report tells of failures; it does not raise them."""
    from .progress import shown_progress

    try:
        with shown_progress() as progress:
            return store.materialize(
                select, exclude, everything=everything, full_refresh=full_refresh, allow_shrink=allow_shrink, progress=progress
            )
    except MaterializeError as failed:
        return failed.report


def finish(report: MaterializationReport, as_json: bool) -> None:
    """Say what was done, and leave with code 1 where a view could not be published, or something was left undone."""
    tell(report, as_json)
    if report.failed or report.unfinished:
        sys.exit(MaterializeError.exit_code)


def tell(report: MaterializationReport, as_json: bool) -> None:
    """Say what was done."""
    if as_json:
        write_json(report_document(report))
    elif report.published:
        write_table(
            ("feature view", "read", "rows", "removed", "seconds", "rows/s"),
            [(one.view, one.mode, one.rows, one.removed, round(one.seconds, 2), one.rows_per_second) for one in report.published],
        )
    for one in report.published:
        if not one.rows and one.mode.value == "full":
            note(f"{one.view}: no rows: none counts yet, or all have long expired")
    for skip in report.skipped:
        note(f"{skip.view.name}: skipped: {skip.reason}")
    for one in report.published:
        if one.beside and one.version > 1:
            note(f"{one.view}: readers move over to version {one.version}; what was served before is removed in a few minutes")
    for name in report.left:
        note(f"{name}: removed: {LEFT}")
    for failure in report.failed:
        note(f"error: {failure.view}: {failure.error}")
    if report.unfinished:
        from featurestore.materialize.run import UNFINISHED

        note(f"error: {UNFINISHED}: {report.unfinished}")
    if not (report.published or report.failed or report.left or report.unfinished):
        note("Nothing new to publish.")


def report_document(report: MaterializationReport) -> dict[str, object]:
    """The report as `--json` writes it."""
    return {
        "at": report.at,
        "invocation_id": report.invocation_id,
        "published": [
            {
                "view": one.view,
                "read": one.mode,
                "why": one.reason,
                "rows": one.rows,
                "removed": one.removed,
                "version": one.version,
                "seconds": round(one.seconds, 3),
                "rows_per_second": one.rows_per_second,
            }
            for one in report.published
        ],
        "skipped": [{"view": skip.view.name, "why": skip.reason, "failed": skip.failed} for skip in report.skipped],
        "removed": [{"view": name, "why": LEFT} for name in report.left],
        "failed": [{"view": failure.view, "error": str(failure.error)} for failure in report.failed],
        "unfinished": None if report.unfinished is None else str(report.unfinished),
    }
