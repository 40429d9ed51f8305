"""`fsdbt profile`: statistics of features, and how far two sets of their values are apart."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import RequestError

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
    from featurestore.profile.statistics import FeatureProfile, ProfileReport

SAMPLE = 10_000
DRIFTED = 11
"""The exit code where values are further apart than the project allows, or those with limits are gone."""


def profile(
    select: Select = None,
    exclude: Exclude = None,
    start: Annotated[str | None, typer.Option("--start", help="Rows whose event timestamp is at that instant or later, in UTC.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="Rows whose event timestamp is before that instant.")] = None,
    online: Annotated[bool, typer.Option("--online", help="Instead of rows of the warehouse, what a service would be told now.")] = False,
    against: Annotated[
        str | None, typer.Option("--against", help="Compare with a training set: a Parquet file, schema.table, or ref('a_model').")
    ] = None,
    against_start: Annotated[str | None, typer.Option("--against-start", help="Compare with the rows from that instant on.")] = None,
    against_end: Annotated[str | None, typer.Option("--against-end", help="Compare with the rows before that instant.")] = None,
    sample: Annotated[
        int | None, typer.Option("--sample", min=0, help="Of --online: entity keys of each view. 0: all.  [default: 10000]")
    ] = None,
    table: Annotated[str | None, typer.Option("--table", help="Add a row for each feature to that table of the warehouse.")] = None,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show statistics of features and, compared with other values of them, how far they drifted; exit code 11 past a limit of `drift`."""
    if sample is not None and not online:
        raise RequestError("--sample is of what is online: rows of the warehouse are profiled all of them. Say --online, or leave it out.")
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        report = store.profile(
            select or (),
            exclude or (),
            start=start,
            end=end,
            online=online,
            against=against,
            against_start=against_start,
            against_end=against_end,
            sample=(SAMPLE if sample is None else sample) or None,
            table=table,
        )
    if as_json:
        write_json(_document(report))
    else:
        _print(report)
    for each in report.unmeasured:
        side = report.of if not each.current.rows else report.against
        note(f"{each.reference} has limits, and no rows to hold to them: there are none of {side}")
    if not report.within_limits:
        sys.exit(DRIFTED)


def _print(report: ProfileReport) -> None:
    headers = ["feature", "rows", "nulls", "distinct", "min", "p50", "max", "mean", "stddev", "top"]
    compared = report.against is not None
    write_table([*headers, *(["psi", "jensen_shannon"] if compared else [])], (_row(each, compared) for each in report.features))
    for line in report.left_out:
        note(line)
    for each in report.drifted:
        assert each.drift is not None
        note(f"{each.reference} drifted: {'; '.join(each.drift.past)}")
    note(f"{report.of}{f', against {report.against}' if compared else ''}; distinct by {report.distinct_by}")


def _row(each: FeatureProfile, compared: bool) -> tuple[object, ...]:
    of, drift = each.current, each.drift
    top = of.top_values[0] if of.top_values else None
    middle = (of.quantiles or {}).get(0.5)
    row = (
        str(each.reference),
        of.rows,
        of.nulls,
        of.distinct,
        _short(of.minimum),
        _short(middle),
        _short(of.maximum),
        _short(of.mean),
        _short(of.stddev),
        f"{_short(top[0])} ({top[1]:,})" if top else None,
    )
    measures = (drift.psi, drift.jensen_shannon) if drift else (None, None)
    return (*row, *(None if value is None else f"{value:.4f}" for value in measures)) if compared else row


def _short(value: object) -> object:
    if isinstance(value, float):
        return f"{value:.6g}"
    text = value if isinstance(value, str) else None
    return value if text is None or len(text) <= 24 else f"{text[:23]}…"


def _document(report: ProfileReport) -> dict[str, object]:
    return {
        "at": report.at,
        "of": report.of,
        "against": report.against,
        "distinct_by": report.distinct_by,
        "quantiles_by": report.quantiles_by,
        "left_out": list(report.left_out),
        "features": [_feature_document(each) for each in report.features],
    }


def _feature_document(each: FeatureProfile) -> dict[str, object]:
    drift = each.drift
    return {
        "feature": str(each.reference),
        "value_type": str(each.value_type),
        "current": asdict(each.current),
        "baseline": asdict(each.baseline) if each.baseline else None,
        "drift": None
        if drift is None
        else {
            "psi": drift.psi,
            "jensen_shannon": drift.jensen_shannon,
            "limits": asdict(drift.limits),
            "past": list(drift.past),
            "bins": [asdict(each) for each in drift.bins],
        },
    }
