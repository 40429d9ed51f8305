"""`fsdbt status`: how every feature view stands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

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
from .output import Colour, note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.materialize.plan import Skip, Task
    from featurestore.status.assess import ViewStatus
    from featurestore.status.run import StatusReport

PAST_LIMITS = 10
"""The exit code where some view is not as it should be."""

_COLOURS: dict[str, Colour] = {"pass": "green", "warn": "yellow", "error": "red"}


def status(
    select: Select = None,
    exclude: Exclude = None,
    max_lag: Annotated[
        str | None, typer.Option("--max-lag", help="An error where what is online is older: '6 hours'. Beside what dbt's freshness says.")
    ] = None,
    warn_error: Annotated[bool, typer.Option("--warn-error", help="End with exit code 10 on warnings, too.")] = False,
    count: Annotated[bool, typer.Option("--count", help="Count the rows online now: goes over all keys of the store.")] = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show how every feature view stands, offline and online; exit code 10 where one is past a limit."""
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        report = store.status(select or (), exclude or (), max_lag=max_lag, count=count)
    if as_json:
        write_json(_document(report))
    else:
        _print(report)
    if report.level == "error" or (warn_error and report.level == "warn"):
        sys.exit(PAST_LIMITS)


def _print(report: StatusReport) -> None:
    headers = ("feature view", "status", "newest offline", "newest online", "lag", "limit", "ttl", "rows online", "last run")
    levels = [each.level.value for each in report.views]
    write_table(headers, map(_row, report.views), colour=lambda row, column: _COLOURS[levels[row]] if column == 1 else None)
    for each in report.views:
        for concern in each.concerns:
            note(f"{each.view}: {concern.level.value}: {concern.message}")
        if each.known.publishing is not None:
            note(f"{each.view}: is being published, {each.known.publishing}")
    for name in report.left:
        note(f"{name} is still served, and the project has it no more; `fsdbt materialize` removes it")
    if report.invocation_id is None:
        note("what the last dbt command left is no run that builds, so what is to be published is not known")


def _row(of: ViewStatus) -> tuple[object, ...]:
    from featurestore.status.assess import newest_online, shown

    known, rows, last = of.known, of.rows, of.known.last_run
    limits = [shown(each) for each in (of.warn_after, of.error_after) if each is not None]
    counted = "" if rows is None else f"{rows.least:,}" if rows.least == rows.most else f"{rows.least:,}–{rows.most:,}"
    run = "" if last is None else f"{last.outcome} {last.at:%Y-%m-%d %H:%M}Z"
    return (
        of.view,
        of.level.value,
        known.offline_event_timestamp,
        newest_online(known),
        None if of.lag is None else shown(of.lag),
        " / ".join(limits),
        known.view.exact_for if known.view.aggregated else known.view.ttl,
        counted,
        run,
    )


def _document(report: StatusReport) -> dict[str, object]:
    return {
        "at": report.at,
        "status": report.level,
        "invocation_id": report.invocation_id,
        "views": [_view_document(view) for view in report.views],
        "left": list(report.left),
    }


def _view_document(of: ViewStatus) -> dict[str, object]:
    from featurestore.status.assess import newest_online
    from featurestore.timestamps import from_micros

    known, mark, last = of.known, of.known.watermark, of.known.last_run
    return {
        "feature_view": of.view,
        "status": of.level,
        "concerns": [{"level": each.level, "message": each.message} for each in of.concerns],
        "offline_event_timestamp": known.offline_event_timestamp,
        "online_event_timestamp": newest_online(known),
        "materialized_at": mark.at if mark else None,
        "created_timestamp": mark.created_timestamp if mark else None,
        "next_change": mark.next_change if mark else None,
        "lag_seconds": of.lag.total_seconds() if of.lag is not None else None,
        "behind_seconds": of.behind.total_seconds() if of.behind is not None else None,
        "warn_after_seconds": of.warn_after.total_seconds() if of.warn_after is not None else None,
        "error_after_seconds": of.error_after.total_seconds() if of.error_after is not None else None,
        "freshness_of": known.promise.source or None,
        "ttl_seconds": known.view.ttl.total_seconds() if known.view.ttl is not None else None,
        "exact_for_seconds": known.view.exact_for.total_seconds() if known.view.aggregated else None,
        "rows_online": None
        if of.rows is None
        else {"least": of.rows.least, "most": of.rows.most, "known_by": of.rows.known_by, "at": of.rows.at},
        "last_run": None
        if last is None
        else {
            "at": last.at,
            "outcome": last.outcome,
            "reason": last.reason,
            "read": last.mode,
            "rows": last.rows,
            "removed": last.removed,
            "seconds": last.seconds,
            "invocation_id": last.invocation_id,
        },
        "next": _next_document(known.planned),
        "publishing": {"holder": known.publishing.holder, "since": from_micros(known.publishing.since)} if known.publishing else None,
        "sources": [
            {"source": each.source, "status": each.status, "max_loaded_at": each.max_loaded_at, "checked_at": each.checked_at}
            for each in known.sources
        ],
    }


def _next_document(planned: Task | Skip | None) -> dict[str, object] | None:
    """What `materialize` would do with the view now."""
    from featurestore.materialize.plan import Task

    if planned is None:
        return None
    if isinstance(planned, Task):
        return {"action": "publish", "read": planned.mode, "why": planned.reason}
    return {"action": "skip", "why": planned.reason, "failed": planned.failed}
