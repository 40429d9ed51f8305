"""What a feature is made of, and what a column reaches: the two directions of lineage in the words of the feature store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sqlglot
from sqlglot import exp

from featurestore.dbt.meta import lists_features
from featurestore.errors import RequestError, UnknownNameError
from featurestore.registry.definitions import Feature, FeatureReference, FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import UNRESOLVED

from .project import NodeColumn, ProjectLineage, Trace, added_to_snapshot, is_stored


@dataclass(frozen=True)
class FeatureLineage:
    """Where one feature comes from, and who uses it."""

    reference: FeatureReference
    traces: tuple[Trace, ...]
    """Of the model's columns that its values are made of: itself, or what is aggregated."""

    deciding: tuple[Trace, ...]
    """Of the columns that say when and for whom a value holds: join keys, timestamps, the filter of an aggregation."""

    services: tuple[str, ...]

    @property
    def values(self) -> tuple[NodeColumn, ...]:
        """The columns of sources and seeds that its values are made of."""
        return tuple(sorted({column for trace in self.traces for column in trace.values}))

    @property
    def rows(self) -> tuple[NodeColumn, ...]:
        """The columns of sources and seeds that only decide which rows there are, and when and for whom they hold."""
        found = {column for trace in self.traces for column in trace.rows}
        found |= {column for trace in self.deciding for column in (*trace.values, *trace.rows)}
        return tuple(sorted(found - set(self.values)))

    @property
    def unknown(self) -> tuple[str, ...]:
        """What could not be told."""
        return tuple(dict.fromkeys(reason for trace in (*self.traces, *self.deciding) for reason in trace.unknown))


@dataclass(frozen=True)
class Impact:
    """What a column reaches."""

    column: NodeColumn
    features: tuple[FeatureReference, ...]
    """Those whose values are made of it."""

    deciding: tuple[FeatureReference, ...]
    """Those of which it only decides which rows there are, or when they hold."""

    services: tuple[str, ...]
    """Those that use any of them: an ML model each."""


def with_features_of_sql(lineage: ProjectLineage, view: FeatureView, columns: Iterable[str]) -> FeatureView:
    """The view with a feature for each of those columns of its SQL, too, where every column that is no key or timestamp is one.

    What the registry knows of a view without a contract is of the table as it was built last, or nothing where it never was.
    """
    node = lineage.manifest.nodes[view.unique_id]
    if view.aggregated or (node.contract is not None and node.contract.enforced) or lists_features(node.meta):
        return view
    other = (*view.join_keys, view.event_timestamp, view.created_timestamp, view.valid_to, view.is_deleted)
    known = {column.name.casefold() for column in (*other, *view.features) if column is not None}
    known |= {name.casefold() for name in added_to_snapshot(node)}
    more = {name.casefold(): Feature(name, UNRESOLVED) for name in columns if name.casefold() not in known}
    return replace(view, features=(*view.features, *more.values())) if more else view


def feature_lineage(lineage: ProjectLineage, registry: Registry, view: FeatureView, feature: Feature) -> FeatureLineage:
    """The lineage of one feature."""
    columns, filtered = feature_columns(view, feature, lineage.dialect)
    when = [view.event_timestamp, *filter(None, (view.created_timestamp, view.valid_to))]
    deciding = dict.fromkeys((*(key.name for key in view.join_keys), *(column.name for column in when), *filtered))
    return FeatureLineage(
        FeatureReference(view.name, feature.name),
        tuple(lineage.trace(view.unique_id, name) for name in columns),
        tuple(lineage.trace(view.unique_id, name) for name in deciding),
        registry.services_naming(view, feature),
    )


def feature_columns(view: FeatureView, feature: Feature, dialect: str) -> tuple[list[str], list[str]]:
    """The columns of its model that a feature's values are made of, and those by which its aggregation filters events."""
    kept = [feature] if feature.on_demand is None else [each for each in map(view.feature, feature.on_demand.features) if each is not None]
    columns = [name for each in kept for name in _columns(each)]
    return columns, [name for each in kept if each.aggregation for name in _filtered_by(each.aggregation.filter, dialect)]


def _columns(feature: Feature) -> list[str]:
    """The column of the model that a kept feature is, or is aggregated from."""
    if feature.aggregation is None:
        return [feature.name]
    return [feature.aggregation.column.name] if feature.aggregation.column else []


def impact(lineage: ProjectLineage, registry: Registry, column: NodeColumn) -> Impact:
    """All features and services that a column of a source, seed or model reaches."""
    made, deciding, services = [], [], set[str]()
    same = lineage.same_table(column.node)
    below = lineage.graph.descendants(same) | set(same)
    column_in_lineage = NodeColumn(same[0], column.column)
    for view in registry.views:
        if view.unique_id not in below:
            continue
        for feature in view.all_features:
            of = feature_lineage(lineage, registry, view, feature)
            if any(_meets(column_in_lineage, trace.steps) for trace in of.traces):
                made.append(of.reference)
            elif any(_meets(column_in_lineage, trace.steps) for trace in of.deciding) or any(
                _meets(column_in_lineage, trace.deciding) for trace in (*of.traces, *of.deciding)
            ):
                deciding.append(of.reference)
            else:
                continue
            services |= set(of.services)
    return Impact(column, tuple(made), tuple(deciding), tuple(sorted(services)))


def find_column(lineage: ProjectLineage, text: str) -> NodeColumn:
    """The column that `stg_orders.amount`, `shop.orders.amount` (of a source) or a whole unique id with a column names.

    Raises UnknownNameError with the nearest one, and RequestError where the name is that of several nodes, or of an ephemeral model.
    """
    name, _, column = text.rpartition(".")
    nodes = lineage.manifest.nodes
    found = [each for each, node in nodes.items() if name in (each, node.name, node.view_name, _source_name(each))]
    if not found:
        raise UnknownNameError("model, seed or source", name, {node.name for node in nodes.values()})
    if len(found) > 1 and set(found) <= set(lineage.same_table(found[0])):
        found = [lineage.same_table(found[0])[0]]
    if len(found) > 1:
        raise RequestError(f"{name!r} may be any of {', '.join(sorted(found))}. Write that, with .{column} after it.")
    if not is_stored(nodes[found[0]]):
        raise RequestError(f"{name!r} is ephemeral: its SQL is in the models that select from it. Ask about a column of one of those.")
    columns = lineage.columns_of(found[0]) or tuple(nodes[found[0]].columns())
    if columns and column.casefold() not in {each.casefold() for each in columns}:
        raise UnknownNameError(f"column of {name!r}", column, columns)
    return NodeColumn(found[0], next((each for each in columns if each.casefold() == column.casefold()), column))


def _meets(column: NodeColumn, columns: Iterable[NodeColumn]) -> bool:
    wanted = (column.node, column.column.casefold())
    return any((each.node, each.column.casefold()) == wanted for each in columns)


def _filtered_by(condition: str | None, dialect: str) -> list[str]:
    return [] if condition is None else [column.name for column in sqlglot.parse_one(condition, dialect=dialect).find_all(exp.Column)]


def _source_name(unique_id: str) -> str:
    """`shop.orders` of `source.project.shop.orders`."""
    kind, _, rest = unique_id.partition(".")
    return rest.partition(".")[2] if kind == "source" else ""
