"""A feature is made of the label that the ML model learns to predict.

Training then looks splendid, and serving cannot have the value: it is what is asked for. A feature service says its label in
`meta.feature_service`, as `label: <model>.<column>` or, of a source, `label: <source>.<table>.<column>`. A feature leaks where that
column, or one that the label's values are made of, goes into its values, through however many models. Join keys and event timestamps are
shared by everything and do not count. Leave the feature out of the service, or make it of outcomes that were known before its event
timestamp, waived with how that is made sure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project
from featurestore.errors import RequestError, UnknownNameError
from featurestore.lineage.features import feature_lineage, find_column
from featurestore.lineage.project import NodeColumn
from featurestore.registry.definitions import FeatureService, FeatureView
from featurestore.registry.registry import RequestedView

RULE = Rule("label_in_feature", "A feature is made of the label", Severity.ERROR)


def find(project: Project) -> Iterator[Declared]:
    """Each view of a service some of whose features are."""
    for service in project.registry.services:
        label = _label(project, service)
        views = project.registry.resolve(service, full_feature_names=True)
        if label is None or not views:
            continue
        try:
            column = find_column(project.lineage, label)
        except (UnknownNameError, RequestError) as error:
            yield Declared(
                service.unique_id, views[0].view.name, frozenset(), f"label: {label}", str(error), "Name a column that dbt knows."
            )
            continue
        for requested in views:
            yield from _of_view(project, service, requested, column, label)


def _label(project: Project, service: FeatureService) -> str | None:
    said = project.manifest.exposures[service.unique_id].meta.get("feature_service")
    label = said.get("label") if isinstance(said, dict) else None
    return label if isinstance(label, str) else None


def _of_view(project: Project, service: FeatureService, requested: RequestedView, column: NodeColumn, label: str) -> Iterator[Declared]:
    view = requested.view
    made_of = _steps(project, column) - _shared(project, view)
    leaky = {feature.name: sorted(met) for feature in requested.features if (met := made_of & _value_steps(project, view, feature.name))}
    if leaky:
        way = "; ".join(f"{name} by {met[0]}" for name, met in leaky.items())
        yield Declared(
            service.unique_id,
            view.name,
            frozenset(leaky),
            f"label: {label}",
            f"The label of {service.name} goes into {way}.",
            "Leave the feature out of the service, or make it of outcomes that were known before its event timestamp.",
        )


@dataclass(frozen=True, order=True, slots=True)
class _Step:
    """A column on the way, by its folded name."""

    node: str
    column: str

    def __str__(self) -> str:
        return f"{self.node}.{self.column}"


def _steps(project: Project, column: NodeColumn) -> set[_Step]:
    """A column and all that its values are made of."""
    return {_Step(each.node, each.column.casefold()) for each in project.lineage.trace(column.node, column.column).steps}


def _value_steps(project: Project, view: FeatureView, name: str) -> set[_Step]:
    feature = view.feature(name)
    if feature is None:
        return set()
    of = feature_lineage(project.lineage, project.registry, view, feature)
    return {_Step(each.node, each.column.casefold()) for trace in of.traces for each in trace.steps}


def _shared(project: Project, view: FeatureView) -> set[_Step]:
    """What join keys and the event timestamp are made of."""
    columns = [*(key.name for key in view.join_keys), view.event_timestamp.name]
    return {step for name in columns for step in _steps(project, NodeColumn(view.unique_id, name))}
