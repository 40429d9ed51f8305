"""Two states of a project side by side: which features are added, removed, renamed, retyped or redefined, and what that breaks.

A feature is redefined when the SQL that makes it changed, in its own model or anywhere upstream, as far as the feature depends on it; a
change beside it is none. What readers cannot go on with unchanged is breaking: a feature that is gone or called otherwise, another type,
another key. A wider type breaks where the model's contract is enforced, as it does for dbt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from featurestore.dbt.nodes import Node
from featurestore.lineage.definition import Definitions
from featurestore.materialize.watermarks import fingerprint
from featurestore.registry.definitions import Column, Feature, FeatureReference, FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import UNRESOLVED, DecimalType, FloatType, IntegerType, ValueType
from featurestore.timestamps import format_duration

from .incremental import readings
from .state import State


class Kind(str, Enum):
    """What happened to a feature."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    RETYPED = "retyped"
    REDEFINED = "redefined"
    RULES = "rules"
    """The same values under other rules: keys, timestamps, TTL."""


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """What happened to one feature."""

    reference: FeatureReference
    """As it was called before, if there was one."""

    kind: Kind
    breaking: bool
    detail: str
    services: tuple[str, ...]
    """The feature services, before or after, that name it."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """What happened to one feature view."""

    view: str
    features: tuple[FeatureChange, ...]
    rematerialize: str
    """Why its rows have to be published again; empty where they need not be."""

    rows: int | None = None
    """Roughly how many rows that are: as many as were published last. None: not known, or none."""


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """What happened to one feature service."""

    service: str
    breaking: bool
    detail: str


@dataclass(frozen=True, slots=True)
class ProjectChanges:
    """All that is different."""

    views: tuple[ViewChange, ...]
    services: tuple[ServiceChange, ...]
    """Those that are added, removed, or list other features."""

    @property
    def breaking(self) -> bool:
        """Whether anybody has to change because of it."""
        return any(change.breaking for view in self.views for change in view.features) or any(each.breaking for each in self.services)

    @property
    def touched(self) -> tuple[str, ...]:
        """The feature services, an ML model each, whose answers change or end."""
        named = {service for view in self.views for change in view.features for service in change.services if change.kind is not Kind.ADDED}
        return tuple(sorted(named | {each.service for each in self.services}))


def compare(before: State, after: State, published_rows: Mapping[str, int]) -> ProjectChanges:
    """What is different.

    Args:
        published_rows: by view, how many rows were published last, as far as that is known.
    """
    of_before, of_after = readings(before.lineage, after.lineage)
    definitions = Definitions(before.lineage, of_before), Definitions(after.lineage, of_after)
    old, new = before.views(), after.views()
    views = []
    for name in sorted(old.keys() | new.keys()):
        change = _of_view(before, after, definitions, old.get(name), new.get(name), published_rows.get(name))
        if change is not None:
            views.append(change)
    return ProjectChanges(tuple(views), tuple(_of_services(before.registry, after.registry)))


def _of_view(
    before: State,
    after: State,
    definitions: tuple[Definitions, Definitions],
    old: FeatureView | None,
    new: FeatureView | None,
    rows: int | None,
) -> ViewChange | None:
    if old is None:
        assert new is not None
        added = tuple(_change(after, before, new, feature, Kind.ADDED, False, "") for feature in new.all_features)
        return ViewChange(new.name, added, "it is new" if new.online else "")
    if new is None:
        gone = tuple(_change(before, after, old, feature, Kind.REMOVED, True, "its feature view is gone") for feature in old.all_features)
        return ViewChange(old.name, gone, "")
    changes = (*_of_features(before, after, definitions, old, new), *_of_rules(before, after, old, new))
    if not changes:
        return None
    why = _why_again(old, new, changes)
    return ViewChange(new.name, changes, why, rows if why else None)


def _why_again(old: FeatureView, new: FeatureView, changes: Sequence[FeatureChange]) -> str:
    """Why the rows of a view have to be published again, as a run decides it; empty where they need not be."""
    # What is worked out on demand is in no row.
    on_demand = {feature.name for feature in (*old.on_demand, *new.on_demand)}
    kept = [change for change in changes if change.reference.feature not in on_demand]
    redefined = any(change.kind is Kind.REDEFINED for change in kept)
    # Another target keeps the same rows in another table.
    same = fingerprint(replace(old, relation=new.relation)) == fingerprint(new)
    if not new.online or (old.online and same and not redefined):
        return ""
    return ", ".join(dict.fromkeys(map(_why, kept))) or "its definition changed"


def _of_features(
    before: State, after: State, definitions: tuple[Definitions, Definitions], old: FeatureView, new: FeatureView
) -> Iterator[FeatureChange]:
    digests = [_digests(of, view) for of, view in zip(definitions, (old, new), strict=True)]
    removed = [each for each in old.all_features if new.feature(each.name) is None]
    added = [each for each in new.all_features if old.feature(each.name) is None]
    for feature in removed:
        same = [
            each
            for each in added
            if digests[1][each.name] == digests[0][feature.name] and not _retyped(feature.value_type, each.value_type)
        ]
        if len(same) == 1:
            added.remove(same[0])
            yield _change(before, after, old, feature, Kind.RENAMED, True, f"now {same[0].name}")
        else:
            yield _change(before, after, old, feature, Kind.REMOVED, True, "")
    for feature in added:
        yield _change(after, before, new, feature, Kind.ADDED, False, "")
    for feature in old.all_features:
        there = new.feature(feature.name)
        if there is None:
            continue
        if _retyped(feature.value_type, there.value_type):
            breaking = after.contracted(new) or not _widened(feature.value_type, there.value_type)
            yield _change(before, after, old, feature, Kind.RETYPED, breaking, f"{feature.value_type} to {there.value_type}")
        needed = _inputs(there) - _inputs(feature)
        if needed:
            said = ", ".join(sorted(f"{name} {kind}" for name, kind in needed))
            yield _change(before, after, old, feature, Kind.REDEFINED, True, f"every request has to bring {said} now")
        elif digests[0][feature.name] != digests[1][there.name]:
            yield _change(before, after, old, feature, Kind.REDEFINED, False, _changed_models(before, after, old, new))


def _of_rules(before: State, after: State, old: FeatureView, new: FeatureView) -> Iterator[FeatureChange]:
    """Changes of the whole view."""
    rules = []
    if [entity.name for entity in old.entities] != [entity.name for entity in new.entities] or [key.name for key in old.join_keys] != [
        key.name for key in new.join_keys
    ]:
        rules.append((True, f"keys: {_keys(old)} to {_keys(new)}"))
    elif any(_retyped(a.value_type, b.value_type) for a, b in zip(old.join_keys, new.join_keys, strict=True)):
        rules.append((True, "the types of its keys"))
    for name in ("event_timestamp", "created_timestamp", "valid_to"):
        was, now = getattr(old, name), getattr(new, name)
        if (was and was.name) != (now and now.name) or (was and now and _retyped(was.value_type, now.value_type)):
            rules.append((False, f"{name}: {_column(was)} to {_column(now)}"))
    for name in ("ttl", "available_after", "exact_for"):
        was, now = getattr(old, name), getattr(new, name)
        if was != now:
            rules.append((False, f"{name}: {format_duration(was) if was else 'none'} to {format_duration(now) if now else 'none'}"))
    if old.late_data is not new.late_data:
        rules.append((False, f"late_data: {old.late_data.value} to {new.late_data.value}"))
    if old.online is not new.online:
        rules.append((old.online, "it is not online any more" if old.online else "it is online now"))
    for breaking, detail in rules:
        yield FeatureChange(FeatureReference(old.name, "*"), Kind.RULES, breaking, detail, _services(before, after, old))


def _of_services(before: Registry, after: Registry) -> Iterator[ServiceChange]:
    old = {service.name: service for service in before.services}
    new = {service.name: service for service in after.services}
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            yield ServiceChange(name, True, "removed")
        elif name not in old:
            yield ServiceChange(name, False, "added")
        elif old[name].features != new[name].features:
            gone = sorted({str(each) for each in old[name].features} - {str(each) for each in new[name].features})
            come = sorted({str(each) for each in new[name].features} - {str(each) for each in old[name].features})
            lists = [f"without {', '.join(gone)}" if gone else "", f"with {', '.join(come)}" if come else ""]
            yield ServiceChange(name, bool(gone), "now " + " and ".join(filter(None, lists)) if gone or come else "in another order")


def _inputs(feature: Feature) -> set[tuple[str, ValueType]]:
    return set() if feature.on_demand is None else set(feature.on_demand.inputs.items())


def _column(column: Column | None) -> str:
    return "none" if column is None else column.name if column.value_type == UNRESOLVED else f"{column.name} {column.value_type}"


def _digests(of: Definitions, view: FeatureView) -> dict[str, str]:
    """How each feature comes about: its column, and what says when and for whom it holds."""
    deciding = [*view.join_keys, view.event_timestamp, *filter(None, (view.created_timestamp, view.valid_to))]
    shared = " ".join(of.digest(view.unique_id, column.stored_name) for column in deciding)
    return {feature.name: f"{_of_feature(of, view, feature)} {shared}" for feature in view.all_features}


def _of_feature(of: Definitions, view: FeatureView, feature: Feature) -> str:
    aggregation = feature.aggregation
    if feature.on_demand is not None:
        needed = filter(None, map(view.feature, feature.on_demand.features))
        return " ".join([repr(feature.on_demand.tree), *(_of_feature(of, view, each) for each in needed)])
    if aggregation is None:
        return of.digest(view.unique_id, feature.stored_name)
    return f"{aggregation} {of.digest(view.unique_id, aggregation.column.stored_name) if aggregation.column else ''}"


def _retyped(old: ValueType, new: ValueType) -> bool:
    return old != new and UNRESOLVED not in (old, new)


def _widened(old: ValueType, new: ValueType) -> bool:
    """Whether every value of the old type is one of the new one."""
    match old, new:
        case (IntegerType(bits, signed), IntegerType(wider, also_signed)):
            return wider > bits and (also_signed or not signed)
        case (FloatType(bits), FloatType(wider)):
            return wider > bits
        case (DecimalType(precision, scale), DecimalType(more, same)):
            return same == scale and more > precision
    return False


def _changed_models(before: State, after: State, old: FeatureView, new: FeatureView) -> str:
    """The models on the way whose files changed."""
    ids = (after.lineage.graph.ancestors([new.unique_id]) | {new.unique_id}) | before.lineage.graph.ancestors([old.unique_id])
    nodes = before.lineage.manifest.nodes, after.lineage.manifest.nodes
    changed = [
        each for each in sorted(ids) if each not in nodes[0] or each not in nodes[1] or _file(nodes[0][each]) != _file(nodes[1][each])
    ]
    return (
        f"changed: {', '.join(each.partition('.')[2].partition('.')[2] for each in changed)}" if changed else "what dbt made of it changed"
    )


def _file(node: Node) -> str | None:
    return node.checksum().checksum


def _why(change: FeatureChange) -> str:
    return {
        Kind.ADDED: "features are added",
        Kind.REMOVED: "features are removed",
        Kind.RENAMED: "features are renamed",
        Kind.RETYPED: "types changed",
        Kind.REDEFINED: "SQL changed",
        Kind.RULES: "its rules changed",
    }[change.kind]


def _keys(view: FeatureView) -> str:
    return ", ".join(f"{entity.name} ({', '.join(key.name for key in entity.join_keys)})" for entity in view.entities)


def _change(of: State, other: State, view: FeatureView, feature: Feature, kind: Kind, breaking: bool, detail: str) -> FeatureChange:
    return FeatureChange(FeatureReference(view.name, feature.name), kind, breaking, detail, _services(of, other, view, feature))


def _services(one: State, other: State, view: FeatureView, feature: Feature | None = None) -> tuple[str, ...]:
    """The services of either state that use a feature, or anything of a view."""
    known = [state.registry for state in (one, other) if view.name in {each.name for each in state.registry.views}]
    return tuple(sorted({name for registry in known for name in registry.services_naming(view, feature)}))
