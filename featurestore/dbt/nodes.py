"""The shapes of what a manifest holds, with only the keys that the feature store reads.

A key may be absent or null: dbt-core writes null where dbt v2 leaves the key out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec

from featurestore.registry.definitions import Owner, Relation


class ColumnConfig(msgspec.Struct, frozen=True, gc=False):
    tags: list[str] | None = None
    meta: Any = None


class Constraint(msgspec.Struct, frozen=True, gc=False):
    type: str = ""
    columns: list[str] | None = None


class ColumnNode(msgspec.Struct, frozen=True, gc=False):
    """A column as a YAML file declares it."""

    name: str
    data_type: str | None = None
    quote: bool | None = None
    description: str | None = None
    own_tags: list[str] | None = msgspec.field(name="tags", default=None)
    own_meta: Any = msgspec.field(name="meta", default=None)
    config: ColumnConfig | None = None
    constraints: list[Constraint] | None = None
    entity: Any = None
    """dbt's semantic annotation: `{type: primary, name: customer}`."""

    dimension: Any = None

    @property
    def tags(self) -> tuple[str, ...]:
        # dbt v2 copies the model's tags to a column that has none of its own; the column's config does not have them.
        tags = self.config.tags if self.config is not None else self.own_tags
        return tuple(tags) if tags else ()

    @property
    def meta(self) -> Mapping[str, Any]:
        said = (self.config.meta if self.config is not None else None) or self.own_meta
        return said if isinstance(said, Mapping) else {}


_CONDITION = re.compile(r"\benabled\s*=(?!\s*(?:true|false)\b)", re.IGNORECASE)
_COLUMNS = msgspec.json.Decoder(dict[str, ColumnNode] | None)


class Contract(msgspec.Struct, frozen=True, gc=False):
    enforced: bool | None = False


class Period(msgspec.Struct, frozen=True, gc=False):
    count: Any = None
    period: str | None = None


class FreshnessNode(msgspec.Struct, frozen=True, gc=False):
    """How old the newest rows of a source may be, or how long a model is left as it is."""

    warn_after: Period | None = None
    error_after: Period | None = None
    build_after: Period | None = None


class NodeConfig(msgspec.Struct, frozen=True, gc=False):
    enabled: Any = True
    materialized: str | None = None
    meta: dict[str, Any] | None = None
    event_time: str | None = None
    unique_key: Any = None
    incremental_strategy: str | None = None
    batch_size: str | None = None
    target_lag: Any = None
    begin: Any = None
    full_refresh: Any = None
    tags: Any = None
    group: str | None = None
    access: str | None = None
    hard_deletes: str | None = None
    snapshot_meta_column_names: dict[str, str | None] | None = None
    strategy: str | None = None
    updated_at: Any = None
    check_cols: Any = None
    freshness: FreshnessNode | None = None


class DependsOn(msgspec.Struct, frozen=True, gc=False):
    nodes: list[str] | None = None
    macros: list[str] | None = None


class Checksum(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    checksum: str | None = None


_CHECKSUM = msgspec.json.Decoder(Checksum | None)
_DEPENDS_ON = msgspec.json.Decoder(DependsOn | None)


class Node(msgspec.Struct, frozen=True):
    """A model, snapshot, seed or source."""

    unique_id: str
    name: str
    resource_type: str = ""
    package_name: str = ""
    original_file_path: str = ""
    patch_path: str | None = None
    database: str | None = None
    schema: str | None = None
    alias: str | None = None
    identifier: str | None = None
    relation_name: str | None = None
    description: str | None = None
    source_name: str | None = None
    node_freshness: FreshnessNode | None = msgspec.field(name="freshness", default=None)
    node_config: NodeConfig | None = msgspec.field(name="config", default=None)
    unrendered_config: msgspec.Raw = msgspec.Raw()
    node_meta: dict[str, Any] | None = msgspec.field(name="meta", default=None)
    node_tags: Any = msgspec.field(name="tags", default=None)
    raw_code: msgspec.Raw = msgspec.Raw()
    raw_compiled_code: msgspec.Raw = msgspec.field(name="compiled_code", default=msgspec.Raw())
    language: str | None = None
    raw_columns: msgspec.Raw = msgspec.field(name="columns", default=msgspec.Raw())
    raw_checksum: msgspec.Raw = msgspec.field(name="checksum", default=msgspec.Raw())
    raw_depends_on: msgspec.Raw = msgspec.field(name="depends_on", default=msgspec.Raw())
    contract: Contract | None = None
    constraints: list[Constraint] | None = None
    group: str | None = None
    access: str | None = None
    version: Any = None
    latest_version: Any = None
    deprecation_date: str | None = None
    agg_time_dimension: str | None = None

    @property
    def config(self) -> NodeConfig:
        return self.node_config or NodeConfig()

    @property
    def meta(self) -> Mapping[str, Any]:
        return self.config.meta or self.node_meta or {}

    @property
    def tags(self) -> tuple[str, ...]:
        return as_texts(self.node_tags if self.node_tags is not None else self.config.tags)

    @property
    def freshness(self) -> FreshnessNode:
        return self.node_freshness or self.config.freshness or FreshnessNode()

    @property
    def relation(self) -> Relation:
        return Relation(self.identifier or self.alias or self.name, self.schema or None, self.database or None)

    @property
    def view_name(self) -> str:
        """The model's name; a versioned model's is `name.v2`."""
        return self.name if self.version is None else f"{self.name}.v{self.version}"

    @property
    def is_latest_version(self) -> bool:
        return self.version is None or self.version == self.latest_version

    @property
    def is_written_in_sql(self) -> bool:
        """Whether dbt makes SQL of it: a model or a snapshot that is no Python."""
        return self.resource_type in ("model", "snapshot") and self.language != "python"

    @property
    def is_microbatch(self) -> bool:
        """Whether dbt builds it one batch of event time after another."""
        return self.config.materialized == "incremental" and self.config.incremental_strategy == "microbatch"

    def depends_on(self) -> DependsOn:
        """What it selects from, and the macros it calls."""
        return (_DEPENDS_ON.decode(self.raw_depends_on) if self.raw_depends_on else None) or DependsOn()

    def checksum(self) -> Checksum:
        """Of the file's text."""
        return (_CHECKSUM.decode(self.raw_checksum) if self.raw_checksum else None) or Checksum()

    def code(self) -> str:
        """The model's own text, Jinja and all; empty where there is none."""
        code = msgspec.json.decode(self.raw_code) if self.raw_code else None
        return code if isinstance(code, str) else ""

    def compiled_code(self) -> str | None:
        """The SQL that dbt made of it, macros expanded; None where dbt has only parsed it, or it is no SQL."""
        code = msgspec.json.decode(self.raw_compiled_code) if self.raw_compiled_code else None
        return code if isinstance(code, str) and code.strip() else None

    def columns(self) -> Mapping[str, ColumnNode]:
        """The declared columns, decoded when asked for: most of a large manifest's are never needed."""
        return (_COLUMNS.decode(self.raw_columns) if self.raw_columns else None) or {}

    def mentions_in_code(self, word: str) -> bool:
        """Whether the model's own SQL says `word`, as it does where `config(meta=…)` declares it."""
        return word.encode() in bytes(self.raw_code)

    def is_conditional(self) -> bool:
        """Whether `enabled` was written as a Jinja expression, so that another target or variable may enable it."""
        written = msgspec.json.decode(self.unrendered_config) if self.unrendered_config else None
        said = written.get("enabled") if isinstance(written, dict) else None
        if isinstance(said, str) and said.casefold() not in ("true", "false"):
            return True
        return _CONDITION.search(self.code()) is not None


class OwnerNode(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None
    email: Any = None


class MacroNode(msgspec.Struct, frozen=True, gc=False):
    macro_sql: str = ""
    depends_on: DependsOn | None = None


class TestMetadata(msgspec.Struct, frozen=True, gc=False):
    name: str = ""
    kwargs: dict[str, Any] | None = None


class TestNode(msgspec.Struct, frozen=True, gc=False):
    attached_node: str | None = None
    column_name: str | None = None
    test_metadata: TestMetadata | None = None
    depends_on: DependsOn | None = None


class GroupNode(msgspec.Struct, frozen=True, gc=False):
    name: str
    owner: OwnerNode | None = None


class ExposureConfig(msgspec.Struct, frozen=True, gc=False):
    meta: dict[str, Any] | None = None
    tags: Any = None


class ExposureNode(msgspec.Struct, frozen=True):
    unique_id: str
    name: str
    type: str = ""
    package_name: str = ""
    original_file_path: str = ""
    description: str | None = None
    exposure_config: ExposureConfig | None = msgspec.field(name="config", default=None)
    exposure_meta: dict[str, Any] | None = msgspec.field(name="meta", default=None)
    exposure_tags: Any = msgspec.field(name="tags", default=None)
    owner: OwnerNode | None = None
    maturity: str | None = None
    url: str | None = None

    @property
    def meta(self) -> Mapping[str, Any]:
        return (self.exposure_config.meta if self.exposure_config else None) or self.exposure_meta or {}

    @property
    def tags(self) -> tuple[str, ...]:
        return as_texts(self.exposure_tags or (self.exposure_config.tags if self.exposure_config else None))


class SemanticEntity(msgspec.Struct, frozen=True, gc=False):
    name: str
    type: str = ""
    expr: str | None = None


class SemanticDimension(msgspec.Struct, frozen=True, gc=False):
    name: str
    expr: str | None = None


class SemanticDefaults(msgspec.Struct, frozen=True, gc=False):
    agg_time_dimension: str | None = None


class SemanticModel(msgspec.Struct, frozen=True):
    """An entry under `semantic_models`: dbt's own word on entities and time."""

    name: str
    depends_on: DependsOn | None = None
    entities: list[SemanticEntity] | None = None
    dimensions: list[SemanticDimension] | None = None
    defaults: SemanticDefaults | None = None


def owner_of(owner: OwnerNode | None) -> Owner:
    """Whom to ask; dbt allows several addresses."""
    if owner is None:
        return Owner()
    return Owner(owner.name or "", ", ".join(as_texts(owner.email)))


def as_texts(value: object) -> tuple[str, ...]:
    """A YAML value that may be one text or a list of them."""
    if value is None:
        return ()
    return tuple(str(item) for item in value) if isinstance(value, list) else (str(value),)
