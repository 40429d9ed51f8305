"""The join key of an entity has one type in one feature view and another type in the next.

The number 7 and the text '7' are two keys: what one view is asked for, the other does not have. Training casts silently in some warehouses
and fails in others. Whole numbers of any width are one kind here, as are texts of any length, and instants with or without a zone. Every
other command refuses such views. Cast the key in one of the models.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import UNRESOLVED, key_kind

RULE = Rule("key_type_differs", "A join key has different types in two feature views", Severity.ERROR)


def find(project: Project) -> Iterator[Declared]:
    """Each view whose key has another type than in the view that most of the others agree with; of two, both are named."""
    keys: dict[tuple[str, str], list[tuple[FeatureView, Column]]] = {}
    for view in project.registry.views:
        for entity in view.entities:
            for key in entity.join_keys:
                if key.value_type != UNRESOLVED:
                    keys.setdefault((entity.name, key.name), []).append((view, key))
    for (owner, name), found in keys.items():
        kinds = [key_kind(key.value_type) for _, key in found]
        usual = max(kinds, key=kinds.count)
        if kinds.count(usual) == len(kinds):
            continue
        tie = kinds.count(usual) * 2 <= len(kinds)
        for (view, key), kind in zip(found, kinds, strict=True):
            if kind == usual and not tie:
                continue
            other, theirs = next(each for each, other_kind in zip(found, kinds, strict=True) if other_kind != kind)
            yield Declared(
                view.unique_id,
                view.name,
                frozenset(),
                f"{name}: {key.value_type}",
                f"The key {name!r} of the entity {owner!r} is {key.value_type} here and {theirs.value_type} in {other.name}.",
                f"Cast {name!r} in one of the two models.",
            )
