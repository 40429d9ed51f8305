"""`fsdbt lineage`: where a feature comes from and who uses it; and of a column, what it reaches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import UnknownNameError
from featurestore.registry.registry import Registry

from .options import PROJECT_DIR, AsJson, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .output import note, write_json

if TYPE_CHECKING:
    from featurestore.lineage.features import FeatureLineage, Impact
    from featurestore.lineage.project import NodeColumn, Trace


def lineage(
    name: Annotated[
        str,
        typer.Argument(help="A feature view:name, a feature view or feature service, or a column: stg_orders.amount, shop.orders.amount."),
    ],
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show what a feature is made of and who uses it, or what a column reaches."""
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        features = _features(name, store.registry)
        if features is None:
            reached = store.impact(name)
        else:
            found = store.lineage(features)
    if features is not None and not found:
        note(f"no feature of {name} is known yet: build it (`dbt build`), or declare its columns in YAML with their data_type")
    if features is None:
        write_json(_impact_document(reached)) if as_json else _print_impact(reached)
    elif as_json:
        write_json([_feature_document(each) for each in found])
    else:
        for position, each in enumerate(found):
            print("\n" * bool(position), end="")
            _print_feature(each)


def _features(name: str, registry: Registry) -> str | None:
    """The features that a name asks for; None where it can only be a column."""
    views, services = {view.name for view in registry.views}, {service.name for service in registry.services}
    if ":" in name or name in services:
        return name
    if name in views:
        return f"{name}:*"
    if "." in name:
        return None
    raise UnknownNameError("feature view, feature service or column", name, views | services)


def _print_feature(of: FeatureLineage) -> None:
    print(of.reference)
    for trace in of.traces:
        _print_steps(trace, trace.start, "  ", set())
    _print_list("rows and instants decided by", map(_shown, of.rows))
    _print_list("used by", of.services)
    _print_list("not known", of.unknown)


def _print_steps(trace: Trace, column: NodeColumn, indent: str, seen: set[NodeColumn]) -> None:
    print(f"{indent}{_shown(column)}{'  (see above)' if column in seen and trace.steps[column].values else ''}")
    if column in seen:
        return
    seen.add(column)
    for each in trace.steps[column].values:
        _print_steps(trace, each, indent + "  ", seen)


def _print_list(title: str, lines: Iterable[object]) -> None:
    listed = list(lines)
    if listed:
        print(f"  {title}")
        for line in listed:
            print(f"    {line}")


def _print_impact(of: Impact) -> None:
    print(_shown(of.column))
    _print_list("features made of it", of.features)
    _print_list("features whose rows or instants it decides", of.deciding)
    _print_list("feature services", of.services)
    if not of.features and not of.deciding:
        print("  reaches no feature")


def _shown(column: NodeColumn) -> str:
    kind, _, rest = column.node.partition(".")
    return f"{kind} {rest.partition('.')[2]}.{column.column}" if rest else f"{column.node}.{column.column}"


def _feature_document(of: FeatureLineage) -> dict[str, object]:
    return {
        "feature": str(of.reference),
        "values": [_column(each) for each in of.values],
        "rows": [_column(each) for each in of.rows],
        "steps": [
            {**_column(column), "values": [_column(each) for each in step.values], "rows": [_column(each) for each in step.rows]}
            for trace in of.traces
            for column, step in trace.steps.items()
        ],
        "services": list(of.services),
        "unknown": list(of.unknown),
    }


def _impact_document(of: Impact) -> dict[str, object]:
    return {
        **_column(of.column),
        "features": [str(each) for each in of.features],
        "deciding": [str(each) for each in of.deciding],
        "services": list(of.services),
    }


def _column(column: NodeColumn) -> dict[str, str]:
    return {"node": column.node, "column": column.column}
