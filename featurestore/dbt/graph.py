"""Who selects from whom in a dbt project, and the order in which dbt builds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter

from .artifacts import Manifest


class ProjectGraph:
    """The models, snapshots, seeds and sources of a project, by their unique ids."""

    def __init__(self, manifest: Manifest) -> None:
        self._parents = {
            key: tuple(each for each in node.depends_on().nodes or () if each in manifest.nodes) for key, node in manifest.nodes.items()
        }
        self._children: dict[str, list[str]] = {}
        for key, parents in self._parents.items():
            for parent in parents:
                self._children.setdefault(parent, []).append(key)
        self._position = {key: position for position, key in enumerate(TopologicalSorter(self._parents).static_order())}

    def parents(self, unique_id: str) -> tuple[str, ...]:
        """What it selects from itself."""
        return self._parents[unique_id]

    def ancestors(self, unique_ids: Iterable[str]) -> frozenset[str]:
        """All that they select from, directly or through others; without themselves unless one selects from another."""
        return _reached(unique_ids, self._parents)

    def descendants(self, unique_ids: Iterable[str]) -> frozenset[str]:
        """All that selects from them, directly or through others."""
        return _reached(unique_ids, self._children)

    def in_order(self, unique_ids: Iterable[str]) -> tuple[str, ...]:
        """Each after all that it selects from."""
        return tuple(sorted(unique_ids, key=self._position.__getitem__))


def _reached(starts: Iterable[str], steps: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    waiting = [step for start in starts for step in steps.get(start, ())]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found.add(key)
            waiting.extend(steps.get(key, ()))
    return frozenset(found)
