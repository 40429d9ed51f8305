"""Which table takes the rows that are pushed to a view offline: one that its model reads, so that training sees what serving saw."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

from featurestore.errors import did_you_mean
from featurestore.registry.definitions import FeatureView, Relation

from .artifacts import Manifest
from .graph import ProjectGraph
from .meta import VIEW
from .nodes import Node
from .table_references import ModelReference, SourceReference
from .views import TaggedModel

_KEY = f"{VIEW}.landing"
_REFERABLE = ("model", "seed")


class Landings:
    """The landing tables of one project."""

    def __init__(self, manifest: Manifest) -> None:
        self._manifest = manifest

    def of(self, model: TaggedModel, view: FeatureView) -> Relation | None:
        """The relation that the view's `landing` names. What is wrong with it is reported."""
        said = model.said.landing
        if said is None:
            return None
        if view.aggregated or view.valid_to is not None:
            kind = "a view of aggregations" if view.aggregated else "a snapshot"
            model.report(_KEY, f"no rows can be pushed to {kind}. Leave it out.")
            return None
        node = self._named(said)
        if node is None:
            known = (name for each in self._manifest.nodes.values() for name in _names(each))
            model.report(_KEY, f"there is no {said}.{did_you_mean(str(said), map(str, known))}")
            return None
        if node.unique_id not in self._graph.ancestors([model.node.unique_id]):
            model.report(_KEY, f"the model does not read {said}, so what is pushed would never reach training. Union it in the model.")
        if node.config.materialized in ("view", "ephemeral"):
            model.report(_KEY, f"{said} is no table, and rows are appended to it. Materialize it as incremental.")
        return node.relation

    @cached_property
    def _graph(self) -> ProjectGraph:
        return ProjectGraph(self._manifest)

    def _named(self, said: ModelReference | SourceReference) -> Node | None:
        return next((node for node in self._manifest.nodes.values() if said in _names(node)), None)


def _names(node: Node) -> Iterator[ModelReference | SourceReference]:
    """How a node is referred to: without a version, the latest is meant."""
    if node.resource_type == "source":
        yield SourceReference(node.unique_id.split(".")[-2], node.name)
    elif node.resource_type in _REFERABLE:
        if node.is_latest_version:
            yield ModelReference(node.name)
        if node.version is not None:
            yield ModelReference(node.name, str(node.version))
