"""Where what is served, or what the warehouse holds, is not what the project declares: in words, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from featurestore.registry.definitions import Column, Feature, FeatureView
from featurestore.registry.value_types import UNRESOLVED
from featurestore.timestamps import format_duration


def served_otherwise(view: FeatureView, served: FeatureView) -> tuple[tuple[Feature, ...], tuple[str, ...]]:
    """The features that are served as the project declares them, and in words what is not."""
    drift: list[str] = []
    features: list[Feature] = []
    for feature in view.features:
        there = served.feature(feature.name)
        if there is None:
            drift.append(f"{feature.name} is not served yet")
        elif there.value_type != feature.value_type:
            drift.append(f"{feature.name} is served as {there.value_type}, and the project has {feature.value_type}")
        else:
            features.append(feature)
    drift += [
        f"{feature.name} is still served, and the project has it no more"
        for feature in served.features
        if view.feature(feature.name) is None
    ]
    for name in ("ttl", "available_after", "late_data", "exact_for"):
        declared, there_said = getattr(view, name), getattr(served, name)
        if declared != there_said:
            drift.append(f"{name} is served as {_as_declared(there_said)}, and the project has {_as_declared(declared)}")
    return tuple(features), tuple(drift)


def keys_served_otherwise(view: FeatureView, served: FeatureView) -> str | None:
    """That the entity keys are others than those that are served, in words; None where they are the same."""
    declared, there = keys_in_words(view.join_keys), keys_in_words(served.join_keys)
    return None if declared == there else f"its keys are served as {there}, and the project has {declared}"


def stored_otherwise(view: FeatureView, columns: Sequence[Column]) -> tuple[str, ...]:
    """What the columns of the view's table are not as the project declares them."""
    found = _by_name(columns)
    read: list[Column | Feature | None] = [*_framework(view)]
    for feature in view.features:
        read.append(feature.aggregation.column if feature.aggregation else feature)
    drift: dict[str, str] = {}
    for each in read:
        if each is None:
            continue
        there = found.get(each.stored_name)
        if there is None:
            drift[each.name] = f"{each.name} is no column of {view.relation}"
        elif UNRESOLVED not in (there.value_type, each.value_type) and there.value_type != each.value_type:
            drift[each.name] = f"{each.name} is {there.value_type} in {view.relation}, and the project declares {each.value_type}"
    return tuple(drift.values())


def missing_columns(view: FeatureView, columns: Sequence[Column]) -> tuple[str, ...]:
    """Keys and timestamps of the view that its table has no column of: without them nothing can be asked of its rows."""
    found = _by_name(columns)
    return tuple(each.name for each in _framework(view) if each.stored_name not in found)


def _by_name(columns: Sequence[Column]) -> dict[str, Column]:
    return {column.stored_name: column for column in columns} | {column.name: column for column in columns}


def _framework(view: FeatureView) -> list[Column]:
    """The columns that say whose each row is, and when it counts."""
    optional = (view.event_timestamp, view.created_timestamp, view.valid_to)
    return [*view.join_keys, *(each for each in optional if each is not None)]


def _as_declared(value: object) -> str:
    """A setting of a view in the words that its metadata has for it."""
    if isinstance(value, timedelta):
        return format_duration(value)
    return "none" if value is None else str(getattr(value, "value", value))


def keys_in_words(join_keys: Sequence[Column]) -> str:
    """Join keys and their types."""
    return ", ".join(f"{key.name} {key.value_type}" for key in join_keys)
