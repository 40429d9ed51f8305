"""`fsdbt audit`: whether the online store answers what training does."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
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
from .output import cell, note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.audit.outcomes import Example, FeatureAudit
    from featurestore.audit.run import AuditReport, ViewAudit

DISAGREES = 7
"""The exit code where the two sides do not say the same."""


def audit(
    select: Select = None,
    exclude: Exclude = None,
    at: Annotated[str | None, typer.Option("--at", help="The instant that both sides are asked about, in UTC.  [default: now]")] = None,
    sample: Annotated[int, typer.Option("--sample", min=1, help="Entity keys of each view, on each side.")] = 10_000,
    everything: Annotated[bool, typer.Option("--all", help="All entity keys, of both sides.")] = False,
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
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        report = store.audit(select or (), exclude or (), at=at, sample=None if everything else sample, examples=examples)
    if prometheus is not None:
        from featurestore.audit.report import to_prometheus

        partial = prometheus.with_name(f"{prometheus.name}.new")
        partial.write_text(to_prometheus(report), encoding="utf-8")
        partial.replace(prometheus)
    if as_json:
        write_json(_document(report))
    else:
        _print(report)
    if not report.agrees:
        sys.exit(DISAGREES)


def _print(report: AuditReport) -> None:
    outcomes = [outcome.value for outcome in (report.views[0].features[0].counts if report.views and report.views[0].features else ())]
    rows = [(str(each.reference), *(each.counts[outcome] for outcome in each.counts)) for view in report.views for each in view.features]
    write_table(("feature", *outcomes), rows)
    for view in report.views:
        for line in view.drift:
            note(f"{view.view}: {line}")
        for each in view.features:
            for example in each.examples:
                note(_sentence(each, example))
    keys = sum(view.keys for view in report.views)
    verdict = "online and offline say the same" if report.agrees else "online and offline DIFFER"
    note(f"{verdict}: {keys:,} entity keys of {len(report.views)} feature views at {cell(report.at)}")


def _sentence(of: FeatureAudit, example: Example) -> str:
    keys = ", ".join(f"{name}={cell(value)}" for name, value in example.keys.items())
    online = _value(example.online, example.online_event_timestamp)
    offline = _value(example.offline, example.offline_event_timestamp)
    return f"{of.reference} {example.outcome.value} for {keys}: online {online}, offline {offline}"


def _value(value: object, event_timestamp: datetime | None) -> str:
    shown = "null" if value is None else cell(value)
    return shown if event_timestamp is None else f"{shown} of {cell(event_timestamp)}"


def _document(report: AuditReport) -> dict[str, object]:
    return {"at": report.at, "agrees": report.agrees, "views": [_view_document(view) for view in report.views]}


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
                "examples": [
                    {
                        "entity": dict(example.keys),
                        "outcome": example.outcome,
                        "online": example.online,
                        "online_event_timestamp": example.online_event_timestamp,
                        "offline": example.offline,
                        "offline_event_timestamp": example.offline_event_timestamp,
                    }
                    for example in each.examples
                ],
            }
            for each in view.features
        ],
    }
