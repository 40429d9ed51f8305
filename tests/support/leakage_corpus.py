"""The labelled corpus of leaky and clean feature views under tests/checks/corpus: how a case is read, and what reaches its features.

tests/checks/corpus/README.md says what the fields of a case mean.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec
import sqlglot
from sqlglot import exp

from featurestore.lineage.query import Query
from featurestore.lineage.reach import Reached, reached
from featurestore.lineage.tables import Table

CORPUS = Path(__file__).parents[1] / "checks" / "corpus"
HALVES = ("development", "held_out")
DIALECTS = (
    "duckdb",
    "postgres",
    "snowflake",
    "bigquery",
    "redshift",
    "databricks",
    "spark",
    "clickhouse",
    "trino",
    "tsql",
    "athena",
    "fabric",
)
LEAKS = (
    "reads_clock",
    "load_time_as_timestamp",
    "looks_ahead",
    "whole_partition",
    "aggregate_joined_back",
    "bucket_start",
    "one_row_per_entity",
    "aggregate_without_timestamp",
    "mutable_join",
    "window_never_decays",
    "incremental_loses_late_rows",
    "label_in_feature",
    "nondeterministic",
    "sampled",
    "naive_cast",
)
DECLARATIONS = ("float_key", "key_type_differs", "ttl_shorter_than_refresh")


class View(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The model's `meta.feature_view`."""

    entities: dict[str, str | list[str]]
    timestamp: str
    ttl: str | None = None
    available_after: str | None = None
    created_timestamp: str | None = None
    features: list[str] | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns of all its entities."""
        return tuple(key for keys in self.entities.values() for key in ([keys] if isinstance(keys, str) else keys))


class Service(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A feature service: what its ML model predicts, and from what."""

    label: str
    features: list[str]


class OtherView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another feature view of the same project, as far as it is declared."""

    entities: dict[str, str | list[str]]
    types: dict[str, str]


class Case(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True, kw_only=True):
    """A feature view, the models it is made of, and what is wrong with it."""

    name: str = ""
    half: str = ""
    about: str
    dialect: str
    sources: dict[str, dict[str, str]]
    models: dict[str, str]
    view: View
    expected: dict[str, list[str]]
    looks_like: list[str] = []
    why: str
    provable: bool
    snapshots: list[str] = []
    immutable: list[str] = []
    history: dict[str, str] = {}
    incremental: dict[str, str] = {}
    services: dict[str, Service] = {}
    types: dict[str, str] = {}
    config: dict[str, object] = {}
    other_views: dict[str, OtherView] = {}

    @property
    def view_name(self) -> str:
        """The model that is the feature view."""
        return list(self.models)[-1]

    @cached_property
    def queries(self) -> Mapping[str, Query]:
        """The models as graphs of columns."""
        known = {_table(name): tuple(columns) for name, columns in self.sources.items()}
        found: dict[str, Query] = {}
        for name, sql in self.models.items():
            found[name] = Query(sqlglot.parse_one(sql, dialect=self.dialect), known)
            known[Table(name, "analytics")] = tuple(column.name for column in found[name].root.projections)
        return found

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the feature view."""
        return tuple(column.name for column in self.queries[self.view_name].root.projections)

    @property
    def features(self) -> tuple[str, ...]:
        """The feature view's features."""
        if self.view.features is not None:
            return tuple(self.view.features)
        besides = {*self.view.keys, self.view.timestamp, self.view.created_timestamp}
        return tuple(column for column in self.columns if column not in besides)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """Words that its SQL compares with."""
        found = {
            literal.name
            for sql in self.models.values()
            for literal in sqlglot.parse_one(sql, dialect=self.dialect).find_all(exp.Literal)
            if literal.is_string
            and re.fullmatch(r"[a-z_]{2,}", literal.name)
            and isinstance(literal.parent, (exp.EQ, exp.NEQ, exp.In, exp.If))
        }
        return tuple(sorted(found))

    @cached_property
    def json_fields(self) -> tuple[str, ...]:
        """Fields that its SQL takes out of JSON, by paths of one step."""
        return tuple(sorted({name for sql in self.models.values() for name in re.findall(r"\$\.(\w+)", sql)}))

    def reached(self, column: str, model: str = "") -> Iterator[tuple[str, Reached]]:
        """All that a column of the view depends on, model by model."""
        waiting, seen = [(model or self.view_name, column)], set()
        while waiting:
            each = waiting.pop()
            if each in seen or each[0] not in self.queries:
                continue
            seen.add(each)
            projection = self.queries[each[0]].root.projection(each[1])
            if projection is None:
                raise LookupError(f"{self.name}: {each[0]} has no column {each[1]}")
            found = reached([projection])
            yield each[0], found
            waiting += [(table.table.name, table.name) for table in found.values | found.rows if table.table.schema == "analytics"]


def cases(*halves: str) -> tuple[Case, ...]:
    """The cases of those halves, or of both, by name."""
    return tuple(
        msgspec.structs.replace(msgspec.yaml.decode(path.read_bytes(), type=Case), name=path.stem, half=half)
        for half in halves or HALVES
        for path in sorted((CORPUS / half).glob("*.yaml"))
    )


def tables_read(sql: str, dialect: str) -> set[str]:
    """The relations that a model names, as schema.name."""
    tree = sqlglot.parse_one(sql, dialect=dialect)
    return {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}


def _table(name: str) -> Table:
    schema, _, table = name.rpartition(".")
    return Table(table, schema)
