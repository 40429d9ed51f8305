"""What rules look at: the models behind each feature view, and which features depend on what in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sqlglot import exp

from featurestore.dbt.artifacts import Manifest
from featurestore.dbt.nodes import Node
from featurestore.lineage.features import with_features_of_sql
from featurestore.lineage.project import ProjectLineage
from featurestore.lineage.query import Query, Select
from featurestore.lineage.tables import Table
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry

from .origins import Origins
from .parts import Needed, Part, Walks, needed_by, parts_of, unknown_in
from .sources import Place, SourceFile, ephemeral_around


class CheckedModel:
    """One model or snapshot, whichever views need it."""

    def __init__(self, lineage: ProjectLineage, node: Node, folder: Path | None) -> None:
        self.node = node
        self._lineage = lineage
        self.source = SourceFile(node, lineage.manifest.located(node.original_file_path, node.package_name), folder)
        self.dialect = lineage.dialect
        """What sqlglot calls the warehouse's SQL."""

    @property
    def name(self) -> str:
        return self.node.view_name

    @property
    def path(self) -> str:
        """Its file, seen from the project's folder."""
        return self.source.path

    @property
    def is_snapshot(self) -> bool:
        return self.node.resource_type == "snapshot"

    @property
    def materialized(self) -> str:
        """How dbt builds it: `table`, `view`, `incremental`, `snapshot`, …"""
        return self.node.config.materialized or "view"

    @cached_property
    def raw(self) -> str:
        """Its text as dbt read it, Jinja and all."""
        return self.node.code()

    @cached_property
    def compiled(self) -> str | None:
        """Its SQL, macros expanded; None where it is no SQL, or not compiled."""
        return self.node.compiled_code()

    @cached_property
    def query(self) -> Query | None:
        """Its parsed SQL with names resolved; None where it cannot be read, and then `unreadable` says why."""
        found = self._lineage.query(self.node.unique_id)
        return None if isinstance(found, str) else found

    @cached_property
    def unreadable(self) -> str:
        """Why its SQL cannot be read; empty where it can."""
        found = self._lineage.query(self.node.unique_id)
        return found if isinstance(found, str) else ""

    @property
    def tree(self) -> exp.Expr | None:
        return None if self.query is None else self.query.root.expression


@dataclass(frozen=True, eq=False)
class ModelInView:
    """One model, in the light of one feature view that needs it: what a rule on SQL is asked about."""

    project: Project
    view: FeatureView
    model: CheckedModel
    needed: Needed
    """Which of the model's columns the view's features need, and in what way; column names are folded."""

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The pieces of its SQL that the view's features depend on. Empty where the SQL cannot be read."""
        return tuple(parts_of(self.project.walks, self.model.node.unique_id, self.needed))

    @cached_property
    def selects(self) -> Mapping[Select, frozenset[str]]:
        """Each select of which anything is needed, with the features that depend on it in whatever way."""
        found: dict[Select, frozenset[str]] = {}
        for part in self.parts:
            found[part.select] = found.get(part.select, frozenset()) | part.features
        return found

    @property
    def features(self) -> frozenset[str]:
        """All of the view's features that depend on it."""
        return frozenset().union(*self.needed.values())

    @property
    def unknown(self) -> Mapping[str, tuple[exp.Expr | None, frozenset[str]]]:
        """What the view's features depend on and cannot be told: each reason with a place of it, and the features."""
        return unknown_in(self.project.walks, self.model.node, self.needed)

    @property
    def is_view(self) -> bool:
        """Whether it is the feature view's own model."""
        return self.model.node.unique_id == self.view.unique_id

    def node_of(self, table: Table) -> Node | None:
        """What dbt knows of a table that it reads; None where that is nothing."""
        return self.project.node_of(table)


@dataclass(frozen=True, eq=False)
class CheckedView:
    """A feature view and the models behind it."""

    view: FeatureView
    models: tuple[ModelInView, ...]
    """Its own, and every model and snapshot that its features depend on, each after those that it reads."""


class Project:
    """All feature views of a project, and what is known of the SQL behind them.

    Args:
        folder: of the dbt project, where its files are to be looked at.
    """

    def __init__(self, manifest: Manifest, registry: Registry, lineage: ProjectLineage, folder: Path | None = None) -> None:
        self.manifest, self.lineage = manifest, lineage
        self.folder = folder
        self.walks = Walks(lineage)
        self.origins = Origins(lineage)
        self.registry = replace(registry, views=tuple(map(self._with_its_sql, registry.views)))
        self._models: dict[str, CheckedModel] = {}

    @cached_property
    def views(self) -> tuple[CheckedView, ...]:
        """Each feature view with the models behind it."""
        return tuple(map(self._checked, self.registry.views))

    def model(self, unique_id: str) -> CheckedModel:
        """That model or snapshot."""
        return self._models.setdefault(unique_id, CheckedModel(self.lineage, self.manifest.nodes[unique_id], self.folder))

    def place(self, model: CheckedModel, at: exp.Expr | None) -> Place:
        """Where a piece of a model's SQL stands: in its file, or in that of an ephemeral model whose SQL it is."""
        if at is None or model.compiled is None:
            return Place(model.node, 1, ignores=model.source.whole_file)
        ephemeral = ephemeral_around(at)
        above = self.lineage.graph.ancestors([model.node.unique_id]) if ephemeral else ()
        owner = next((each for each in map(self.manifest.nodes.__getitem__, above) if (each.alias or each.name) == ephemeral), model.node)
        return self.model(owner.unique_id).source.place(at, model.compiled)

    def node_of(self, table: Table) -> Node | None:
        """What dbt knows of a table in compiled SQL."""
        unique_id = self.lineage.node_of(table)
        return None if unique_id is None else self.manifest.nodes[unique_id]

    def _with_its_sql(self, view: FeatureView) -> FeatureView:
        root = self.origins.root(view.unique_id)
        named = () if root is None else (each.name for each in root.projections)
        return with_features_of_sql(self.lineage, view, named)

    def _checked(self, view: FeatureView) -> CheckedView:
        needed = needed_by(self.lineage, self.walks, view)
        models = [each for each in needed if self.manifest.nodes[each].resource_type in ("model", "snapshot")]
        in_order = self.lineage.graph.in_order(models)
        return CheckedView(view, tuple(ModelInView(self, view, self.model(each), needed[each]) for each in in_order))
