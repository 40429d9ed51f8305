"""One state of a project, as its artifacts alone tell it: two states are only compared by what is known of both in the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featurestore.dbt.artifacts import Manifest
from featurestore.dbt.load import load_registry
from featurestore.dbt.meta import FeatureViewDefaults
from featurestore.lineage.features import with_features_of_sql
from featurestore.lineage.project import Describe, ProjectLineage
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry


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
        completed = (
            with_features_of_sql(self.lineage, view, self.lineage.columns_of(view.unique_id) or ()) for view in self.registry.views
        )
        return {view.name: view for view in completed}

    def contracted(self, view: FeatureView) -> bool:
        """Whether dbt enforces the columns and types of the view's model."""
        contract = self.lineage.manifest.nodes[view.unique_id].contract
        return contract is not None and bool(contract.enforced)
