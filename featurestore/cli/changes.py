"""Shows what a change of the project does to its features: as a table, as JSON, and as a comment for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .output import note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.changes.compare import FeatureChange, ProjectChanges

BREAKING = 8
"""The exit code where readers cannot go on unchanged."""


def show_changes(changes: ProjectChanges, *, as_json: bool, as_markdown: bool) -> int:
    """Write it to stdout, and return the exit code that it means."""
    if as_json:
        write_json(_document(changes))
    elif as_markdown:
        print(_markdown(changes))
    else:
        _print(changes)
    return BREAKING if changes.breaking else 0


def _print(changes: ProjectChanges) -> None:
    rows = [_row(change) for view in changes.views for change in view.features]
    rows += [(each.service, "service", "breaking" if each.breaking else "", each.detail, "") for each in changes.services]
    if rows:
        write_table(("feature", "change", "breaking", "how", "services"), rows)
    for view in changes.views:
        if view.rematerialize:
            about = "" if view.rows is None else f", about {view.rows:,} rows"
            note(f"{view.view} has to be materialized again{about}: {view.rematerialize}")
    note(_verdict(changes))


def _row(change: FeatureChange) -> tuple[object, ...]:
    breaking = "breaking" if change.breaking else ""
    return str(change.reference), change.kind.value, breaking, change.detail, ", ".join(change.services)


def _verdict(changes: ProjectChanges) -> str:
    if not changes.views and not changes.services:
        return "no feature changes"
    touched = f"feature services touched: {', '.join(changes.touched)}" if changes.touched else "no feature service is touched"
    return f"{'BREAKING' if changes.breaking else 'nothing breaks'}; {touched}"


def _markdown(changes: ProjectChanges) -> str:
    lines = [f"### Features: {_verdict(changes)}"]
    rows = [_row(change) for view in changes.views for change in view.features]
    if rows:
        lines += ["", "| feature | change | breaking | how | services |", "| --- | --- | --- | --- | --- |"]
        lines += ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    if changes.services:
        lines += ["", *(f"- service `{each.service}`: {each.detail}{' (breaking)' if each.breaking else ''}" for each in changes.services)]
    again = [view for view in changes.views if view.rematerialize]
    if again:
        lines += ["", "To be materialized again:", ""]
        lines += [f"- `{view.view}`{'' if view.rows is None else f', about {view.rows:,} rows'}: {view.rematerialize}" for view in again]
    return "\n".join(lines)


def _document(changes: ProjectChanges) -> dict[str, object]:
    return {
        "breaking": changes.breaking,
        "services_touched": list(changes.touched),
        "features": [
            {
                "feature": str(change.reference),
                "change": change.kind,
                "breaking": change.breaking,
                "detail": change.detail,
                "services": list(change.services),
            }
            for view in changes.views
            for change in view.features
        ],
        "services": [{"service": each.service, "breaking": each.breaking, "detail": each.detail} for each in changes.services],
        "rematerialize": [
            {"feature_view": view.view, "rows": view.rows, "why": view.rematerialize} for view in changes.views if view.rematerialize
        ],
    }
