"""One state of a project, as its artifacts alone tell it: two states are only compared by what is known of both in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from featurestore.dbt.artifacts import Manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.meta import FeatureViewDefaults, lists_features
from featurestore.lineage.project import Describe, ProjectLineage, added_to_snapshot
from featurestore.registry.definitions import Feature, FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import UNRESOLVED


@dataclass(frozen=True)
class State:
    """One state of a project."""

    registry: Registry
    lineage: ProjectLineage

    @classmethod
    def of(cls, manifest: Manifest, defaults: FeatureViewDefaults, describe: Describe | None) -> State:
        """The state that a manifest tells of.

        Args:
            defaults: of the views, as they are now: no artifact says what they were.
            describe: asked for the columns of sources and seeds only. What the models of a state have is what their SQL says: the tables
                in the warehouse may be those of the other one.
        """
        return cls(load_registry(manifest, defaults=defaults), ProjectLineage(manifest, describe=describe))

    def views(self) -> Mapping[str, FeatureView]:
        """Its views by name, each with all its features, declared or not."""
        return {view.name: self._completed(view) for view in self.registry.views}

    def contracted(self, view: FeatureView) -> bool:
        """Whether dbt enforces the columns and types of the view's model."""
        contract = self.lineage.manifest.nodes[view.unique_id].contract
        return contract is not None and bool(contract.enforced)

    def _completed(self, view: FeatureView) -> FeatureView:
        if view.aggregated or self.contracted(view) or lists_features(self.lineage.manifest.nodes[view.unique_id].meta):
            return view
        other = (*view.join_keys, view.event_timestamp, view.created_timestamp, view.valid_to, view.is_deleted)
        known = {column.name.casefold() for column in (*other, *view.features) if column is not None}
        known |= {name.casefold() for name in added_to_snapshot(self.lineage.manifest.nodes[view.unique_id])}
        found = self.lineage.columns_of(view.unique_id) or ()
        more = tuple(Feature(name, UNRESOLVED) for name in found if name.casefold() not in known)
        return replace(view, features=(*view.features, *more))
