"""`fsdbt audit`: whether the online store answers what training does."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import RequestError
from featurestore.timestamps import parse_duration, utc_now

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
from .output import cell, note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.audit.outcomes import Example, FeatureAudit
    from featurestore.audit.run import AuditReport, ViewAudit

SAMPLE = 10_000
DISAGREES = 7
"""The exit code where the two sides do not say the same."""


def audit(
    select: Select = None,
    exclude: Exclude = None,
    at: Annotated[str | None, typer.Option("--at", help="The instant that both sides are asked about, in UTC.  [default: now]")] = None,
    sample: Annotated[int | None, typer.Option("--sample", min=1, help="Entity keys of each view, on each side.  [default: 10000]")] = None,
    everything: Annotated[bool, typer.Option("--all", help="All entity keys, of both sides.")] = False,
    served: Annotated[
        Path | None, typer.Option("--served", help="Compare what was logged in that folder when it was served, and not what is online.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", help="With --served: leave out what was asked before that instant, or longer ago: 1d."),
    ] = None,
    examples: Annotated[int, typer.Option("--examples", min=0, help="Values shown of each kind for each feature.")] = 3,
    prometheus: Annotated[Path | None, typer.Option("--prometheus", help="Write the result there, as Prometheus' text.")] = None,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Compare what the online store answers with what training says at the same instant; exit code 7 where they differ."""
    if everything and sample is not None:
        raise RequestError("--all takes all entity keys, and --sample some of them: leave one out.")
    _refuse_together(served, since, at=at is not None, sample=sample is not None, all=everything)
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        if served is not None:
            report = store.audit_served(served, select or (), exclude or (), since=_since(since), examples=examples)
        else:
            most = None if everything else sample or SAMPLE
            report = store.audit(select or (), exclude or (), at=at, sample=most, examples=examples)
    if as_json:
        write_json(_document(report))
    else:
        _print(report)
    if report.served is not None and report.served.log.unreadable:
        note(f"{report.served.log.unreadable:,} lines of {served} could not be read, and were left out")
    if prometheus is not None:
        _write_prometheus(report, prometheus)
    if not report.agrees:
        sys.exit(DISAGREES)


def _refuse_together(served: Path | None, since: str | None, **options: bool) -> None:
    """Options that mean nothing beside one another. Raises RequestError."""
    if served is None and since is not None:
        raise RequestError("--since is about a log of served values: name its folder with --served.")
    said = next((name for name, is_said in options.items() if is_said), None)
    if served is not None and said is not None:
        raise RequestError(f"--{said} is about what is online. With --served, all of the log is compared: choose by --since and --select.")


def _since(said: str | None) -> str | datetime | None:
    """An instant, or how long ago. An instant that is none is named by whoever reads it."""
    if said is None:
        return None
    try:
        return utc_now() - parse_duration(said)
    except ValueError:
        return said


def _write_prometheus(report: AuditReport, path: Path) -> None:
    """Replace that file at once, so that a collector never reads a part. Raises RequestError."""
    from featurestore.audit.report import to_prometheus

    try:
        partial = path.with_name(f"{path.name}.new")
        partial.write_text(to_prometheus(report), encoding="utf-8")
        partial.replace(path)
    except (OSError, ValueError) as error:
        raise RequestError(f"--prometheus {path}: cannot be written: {error}.") from None


def _print(report: AuditReport) -> None:
    from featurestore.audit.outcomes import Outcome

    outcomes = [outcome.value for outcome in (report.views[0].features[0].counts if report.views and report.views[0].features else ())]
    rows = [(str(each.reference), *(each.counts[outcome] for outcome in each.counts)) for view in report.views for each in view.features]
    write_table(("feature", *outcomes), rows)
    for view in report.views:
        for line in view.drift:
            note(f"{view.view}: {line}")
        for each in view.features:
            for example in each.examples:
                note(_sentence(each, example))
            if each.between:
                stale = each.counts[Outcome.STALE]
                note(f"{each.reference}: {each.between:,} of {stale:,} stale values were those of the last materialization before")
    keys = sum(view.keys for view in report.views)
    verdict = "online and offline say the same" if report.agrees else "online and offline DIFFER"
    if report.served is None:
        note(f"{verdict}: {keys:,} entity keys of {len(report.views)} feature views at {cell(report.at)}")
    else:
        when = f"from {cell(report.served.since)} to {cell(report.served.until)}"
        note(f"{verdict}: {keys:,} served rows of {len(report.views)} feature views {when}")


def _sentence(of: FeatureAudit, example: Example) -> str:
    keys = ", ".join(f"{name}={cell(value)}" for name, value in example.keys.items())
    online = _value(example.online, example.online_event_timestamp)
    offline = _value(example.offline, example.offline_event_timestamp)
    asked = "" if example.asked_at is None else f" at {cell(example.asked_at)}"
    materialized = "" if example.materialized_at is None else f" (materialized at {cell(example.materialized_at)})"
    return f"{of.reference} {example.outcome.value} for {keys}{asked}: online {online}{materialized}, offline {offline}"


def _value(value: object, event_timestamp: datetime | None) -> str:
    shown = "null" if value is None else cell(value)
    return shown if event_timestamp is None else f"{shown} of {cell(event_timestamp)}"


def _document(report: AuditReport) -> dict[str, object]:
    document = {"at": report.at, "agrees": report.agrees, "views": [_view_document(view) for view in report.views]}
    if report.served is None:
        return document
    return {"since": report.served.since, "until": report.served.until, **document, "log": asdict(report.served.log)}


def _view_document(view: ViewAudit) -> dict[str, object]:
    return {
        "feature_view": view.view,
        "agrees": view.agrees,
        "entity_keys": view.keys,
        "materialized_at": view.watermark,
        "drift": list(view.drift),
        "features": [
            {
                "feature": str(each.reference),
                "outcomes": {outcome.value: count for outcome, count in each.counts.items()},
                **({"between_materializations": each.between} if each.between else {}),
                "examples": [
                    {
                        "entity": dict(example.keys),
                        "outcome": example.outcome,
                        "online": example.online,
                        "online_event_timestamp": example.online_event_timestamp,
                        "offline": example.offline,
                        "offline_event_timestamp": example.offline_event_timestamp,
                        **_when(example),
                    }
                    for example in each.examples
                ],
            }
            for each in view.features
        ],
    }


def _when(example: Example) -> dict[str, object]:
    """Of a served value, when it was asked for, and as of when its view had been materialized."""
    return {} if example.asked_at is None else {"asked_at": example.asked_at, "materialized_at": example.materialized_at}
