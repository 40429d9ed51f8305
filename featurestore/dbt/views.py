"""Makes a feature view of one tagged model or snapshot, and reports what keeps it from being one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from featurestore.errors import did_you_mean
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Owner
from featurestore.registry.value_types import UNRESOLVED, is_instant, is_key

from .aggregations import PATH, aggregated_features
from .columns import ModelColumn, ModelColumns
from .meta import VIEW, ViewDeclaration
from .nodes import ColumnNode, Node, SemanticModel, as_texts
from .on_demand import OnDemandDeclaration, on_demand_features
from .problems import Report
from .semantics import AmbiguousEntityError, semantic_entities, semantic_timestamp

_SNAPSHOT_COLUMNS = ("dbt_valid_from", "dbt_valid_to", "dbt_scd_id", "dbt_updated_at", "dbt_is_deleted")
_ENTITIES_ADVICE = "say what its rows describe, like `entities: {customer: customer_id}`."


@dataclass(frozen=True, slots=True)
class TaggedModel:
    """A model or snapshot whose meta declares a feature view."""

    node: Node
    said: ViewDeclaration
    on_demand: OnDemandDeclaration | None
    declared: Mapping[str, ColumnNode]
    semantic: SemanticModel | None
    report: Report

    @property
    def is_snapshot(self) -> bool:
        return self.node.resource_type == "snapshot"


def build_view(model: TaggedModel, columns: ModelColumns, owner: Owner, dialect: str, *, any_key: bool = False) -> FeatureView | None:
    """The feature view, or None where something reported makes it impossible.

    Args:
        dialect: sqlglot's name of the warehouse's SQL.
        any_key: let a join key be of a type that no key can have.
    """
    builder = _Builder(model, columns, dialect, any_key)
    entities = builder.entities()
    timestamp = builder.timestamp()
    created = builder.instant(f"{VIEW}.created_timestamp", model.said.created_timestamp)
    validity = builder.validity()
    if entities is None or timestamp is None:
        return None
    keys = {key.name for entity in entities for key in entity.join_keys}
    node = model.node
    features = builder.features(keys, timestamp, created)
    return FeatureView(
        name=node.view_name,
        unique_id=node.unique_id,
        path=node.original_file_path,
        relation=node.relation,
        entities=entities,
        event_timestamp=timestamp,
        features=features,
        created_timestamp=created,
        valid_to=validity.get("dbt_valid_to"),
        is_deleted=validity.get("dbt_is_deleted"),
        disjoint_validity=builder.has_disjoint_validity(keys, timestamp),
        ttl=model.said.ttl,
        available_after=model.said.available_after,
        late_data=model.said.late_data,
        max_shrink=model.said.max_shrink,
        exact_for=model.said.exact_for,
        online=model.said.online,
        description=(node.description or "").strip(),
        tags=tuple(sorted(set(node.tags))),
        group=node.group or node.config.group,
        access=node.access or node.config.access,
        owner=owner,
        version=None if node.version is None else str(node.version),
        is_latest_version=node.is_latest_version,
        # dbt-core adds a midnight to it, dbt v2 does not.
        deprecation_date=node.deprecation_date[:10] if node.deprecation_date else None,
        materialized=node.config.materialized or ("snapshot" if model.is_snapshot else "table"),
        incremental_strategy=node.config.incremental_strategy,
        incremental_key=builder.incremental_key(),
        on_demand=builder.on_demand(features, keys, timestamp),
    )


class _Builder:
    def __init__(self, model: TaggedModel, columns: ModelColumns, dialect: str, any_key: bool) -> None:
        self._any_key = any_key
        self._model, self._columns, self._report, self._dialect = model, columns, model.report, dialect
        renamed = model.node.config.snapshot_meta_column_names or {}
        self._snapshot_columns = {name: renamed.get(name) or name for name in _SNAPSHOT_COLUMNS} if model.is_snapshot else {}

    def entities(self) -> tuple[Entity, ...] | None:
        said, path = self._model.said.entities, f"{VIEW}.entities"
        if said is None:
            try:
                said, path = semantic_entities(self._model.declared, self._model.semantic), "entity"
            except AmbiguousEntityError as error:
                self._report(VIEW, f"{error}: {_ENTITIES_ADVICE}")
                return None
        if said is None:
            self._report(VIEW, f"names no entity: {_ENTITIES_ADVICE}")
            return None
        entities = [Entity(name, self._join_keys(path, name, keys)) for name, keys in sorted(said.items())]
        self._refuse_shared_keys(entities)
        return tuple(entities) if all(entity.join_keys for entity in entities) and entities else None

    def timestamp(self) -> Column | None:
        """The event timestamp: what meta says, else a snapshot's own, else dbt's `event_time`, else the semantic model's."""
        model, node = self._model, self._model.node
        semantic = semantic_timestamp(node, model.declared, model.semantic)
        candidates = (
            (f"{VIEW}.timestamp", model.said.timestamp),
            ("config.snapshot_meta_column_names", self._snapshot_columns.get("dbt_valid_from")),
            ("config.event_time", node.config.event_time),
            ("agg_time_dimension", semantic),
        )
        for path, name in candidates:
            if name:
                return self.instant(path, name)
        self._report(VIEW, "names no timestamp: say when a row became true, like `timestamp: ordered_at`, or set dbt's `event_time`.")
        return None

    def instant(self, path: str, name: str | None) -> Column | None:
        """A column that holds instants."""
        column = self._find(path, name) if name else None
        if column is None:
            return None
        if column.trouble or (column.value_type != UNRESOLVED and not is_instant(column.value_type)):
            kind = column.declared.data_type if column.trouble and column.declared else column.value_type
            self._report(path, f"column {column.name!r} is {kind}, and must be a timestamp or a date. Cast it in the model.")
            return None
        return Column(column.name, column.value_type, column.stored_as)

    def validity(self) -> Mapping[str, Column]:
        """Of a snapshot: the columns that say until when a row counts, and whether it records a deletion."""
        found = {}
        if self._model.is_snapshot:
            wanted = ["dbt_valid_to"]
            if self._model.node.config.hard_deletes == "new_record":
                wanted.append("dbt_is_deleted")
            for own in wanted:
                column = self._find("config.snapshot_meta_column_names", self._snapshot_columns[own])
                if column is not None:
                    found[own] = Column(column.name, column.value_type, column.stored_as)
        return found

    def features(self, keys: set[str], timestamp: Column, created: Column | None) -> tuple[Feature, ...]:
        path, said = f"{VIEW}.features", self._model.said.features
        if self._model.said.aggregations is not None:
            return self._aggregated(keys)
        if said is None:
            taken = {*keys, timestamp.name, *([created.name] if created else [])}
            others = {name.casefold() for name in self._snapshot_columns.values()}
            chosen = [column for column in self._columns if column.name not in taken and column.name.casefold() not in others]
            self._report_missing()
            if not chosen and self._columns.known:
                self._report(VIEW, "has no features: every column is a key or a timestamp.")
        else:
            chosen = [column for name in said if (column := self._find(path, name)) is not None]
            for column in chosen:
                if column.name in keys:
                    self._report(path, f"{column.name!r} is a join key, so it cannot be a feature too.")
                elif column.name == timestamp.name:
                    self._report(path, f"{column.name!r} is the timestamp, so it cannot be a feature too.")
        for column in chosen:
            if column.trouble:
                self._report(f"columns.{column.name}", column.trouble)
            elif ":" in column.name:
                self._report(f"columns.{column.name}", "a feature's name cannot hold a colon. Rename the column, or leave it out.")
        return tuple(_feature(column) for column in chosen)

    def _aggregated(self, keys: set[str]) -> tuple[Feature, ...]:
        said, name = self._model.said, self._model.node.view_name
        self._report_missing()
        if self._model.is_snapshot:
            self._report(PATH, "a snapshot's rows are no events, but values that end. Aggregate events in a model.")
            return ()
        return aggregated_features(said.aggregations or (), self._columns, keys, said.available_after, self._dialect, name, self._report)

    def on_demand(self, features: tuple[Feature, ...], keys: set[str], timestamp: Column) -> tuple[Feature, ...]:
        """Those that are worked out when they are asked for."""
        said = self._model.on_demand
        if said is None:
            return ()
        others = {column.name: "it is no feature of the view: add it to `features`" for column in self._columns}
        others.update(dict.fromkeys(keys, "it is a join key. Ask for it as an input of another name where a value depends on it"))
        others[timestamp.name] = "it is the timestamp, and no feature"
        # A model that is not built yet may have columns that nobody declared.
        is_open = not self._columns.known and self._model.said.says_no_features
        return on_demand_features(said, features, others, is_open, self._dialect, self._report)

    def incremental_key(self) -> tuple[str, ...]:
        """The columns of `unique_key`, where it is of columns and of no expression."""
        if self._model.is_snapshot or self._model.node.config.materialized == "incremental":
            named = [self._columns.find(name) for name in as_texts(self._model.node.config.unique_key)]
            if all(column is not None and column.name.isidentifier() for column in named):
                return tuple(column.name for column in named if column is not None)
        return ()

    def has_disjoint_validity(self, keys: set[str], timestamp: Column) -> bool:
        """Whether dbt ends a row where the next of its entity key begins: it does so per `unique_key`."""
        if not self._model.is_snapshot:
            return True
        tracked = self.incremental_key()
        starts = self._snapshot_columns["dbt_valid_from"].casefold()
        return bool(tracked) and set(tracked) <= keys and timestamp.name.casefold() == starts

    def _join_keys(self, path: str, entity: str, names: Iterable[str]) -> tuple[Column, ...]:
        found = []
        for name in names:
            column = self._find(f"{path}.{entity}", name)
            if column is None:
                continue
            if column.trouble or not (self._any_key or column.value_type == UNRESOLVED or is_key(column.value_type)):
                kind = column.declared.data_type if column.trouble and column.declared else column.value_type
                what = "its values have no one spelling" if not column.trouble else "no join key can have that type"
                self._report(f"{path}.{entity}", f"join key {column.name!r} is {kind}: {what}. Cast it in the model.")
            found.append(Column(column.name, column.value_type, column.stored_as))
        return tuple(sorted(found, key=lambda column: column.name))

    def _refuse_shared_keys(self, entities: Iterable[Entity]) -> None:
        owners: dict[str, str] = {}
        for entity in entities:
            for key in entity.join_keys:
                if key.name in owners:
                    first = owners[key.name]
                    self._report(f"{VIEW}.entities", f"{key.name!r} is a join key of both {first!r} and {entity.name!r}.")
                owners[key.name] = entity.name

    def _find(self, path: str, name: str) -> ModelColumn | None:
        column = self._columns.find(name)
        if column is None:
            known = [column.name for column in self._columns]
            self._report(path, f"{self._model.node.view_name} has no column {name!r}.{did_you_mean(name, known)}")
        return column

    def _report_missing(self) -> None:
        for name in self._columns.missing:
            known = [column.name for column in self._columns]
            self._report(
                f"columns.{name}",
                f"the table {self._model.node.relation} has no such column.{did_you_mean(name, known)} "
                f"Correct the name, or run `dbt build --select {self._model.node.name}` if it is new.",
            )


def _feature(column: ModelColumn) -> Feature:
    declared = column.declared
    if declared is None:
        return Feature(column.name, column.value_type, stored_as=column.stored_as)
    tags, description = declared.tags, (declared.description or "").strip()
    return Feature(column.name, column.value_type, description, tuple(sorted(set(tags))) if tags else (), column.stored_as)
