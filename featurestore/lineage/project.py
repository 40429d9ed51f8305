"""Column lineage through the models of a dbt project: from a column of a model to the columns of sources and seeds.

Each model is read once, from the SQL that dbt compiled, and what was found is kept beside dbt's artifacts under a checksum of that SQL
and of what is known of the tables it reads. Where the SQL cannot be read, or a name in it cannot be resolved, the lineage says so.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import msgspec
import sqlglot
from sqlglot.errors import SqlglotError

from featurestore.dbt.artifacts import Manifest
from featurestore.dbt.graph import ProjectGraph
from featurestore.dbt.nodes import Node, as_texts
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import UNRESOLVED, ValueType
from featurestore.sql.dialects import dialect_of
from featurestore.sql.types import parse_data_type

from .query import Query, TableColumn
from .reach import reached
from .tables import ByTable, Table

FORMAT = 3
FILE_NAME = "fsdbt_lineage.json"
_ADDED_TO_SNAPSHOTS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")
_ADDED_WITH_DELETIONS = "dbt_is_deleted"
"""Added where `hard_deletes` is `new_record`."""

Describe: TypeAlias = Callable[[Sequence[Relation]], Mapping[Relation, tuple[Column, ...]]]


class NodeColumn(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A column of a model, snapshot, seed or source; of a table that dbt does not know, under the table's name."""

    node: str
    """dbt's unique id."""

    column: str

    def __str__(self) -> str:
        return f"{self.node}.{self.column}"


class ColumnLineage(msgspec.Struct, frozen=True, array_like=True):
    """What one column of a model is made of, one model further up."""

    values: tuple[NodeColumn, ...] = ()
    """The columns that its values are made of."""

    rows: tuple[NodeColumn, ...] = ()
    """The columns that only decide which rows there are: filters, joins, grouping."""

    unknown: tuple[str, ...] = ()
    """What could not be told, in words."""


class ModelLineage(msgspec.Struct, frozen=True):
    """What the columns of one model are made of."""

    columns: dict[str, ColumnLineage] = {}
    open_nodes: tuple[str, ...] = ()
    """Nodes whose columns nobody knows and all of which it passes on, by a star."""

    unreadable: str = ""
    """Why nothing is known of it; empty where something is."""

    def column(self, name: str) -> ColumnLineage | None:
        """The lineage of the column of that name, whatever its case; None where the model has none."""
        folded = name.casefold()
        for known, lineage in self.columns.items():
            if known.casefold() == folded:
                return lineage
        return ColumnLineage(tuple(NodeColumn(node, name) for node in self.open_nodes)) if self.open_nodes else None


@dataclass(frozen=True)
class Trace:
    """A column's whole way up to where the project's data comes in."""

    start: NodeColumn
    steps: Mapping[NodeColumn, ColumnLineage]
    """Each column on the way whose value goes into it, with what it is made of; a column without any is where the way ends."""

    deciding: Mapping[NodeColumn, ColumnLineage]
    """Each column on the way that only decides which rows there are."""

    values: tuple[NodeColumn, ...]
    """The columns of sources and seeds that its values are made of."""

    rows: tuple[NodeColumn, ...]
    """The columns of sources and seeds that only decide which rows there are."""

    unknown: tuple[str, ...]
    """What could not be told, each with the model."""


class ProjectLineage:
    """The lineage of a project, found as it is asked for.

    Args:
        describe: asked once for the columns of the tables that models take whole (`select *`) and that no model makes. None: they stay
            unknown, and the lineage says so where it matters.
        folder: where what was found is kept between runs; None: nowhere.
    """

    def __init__(self, manifest: Manifest, *, describe: Describe | None = None, folder: Path | None = None) -> None:
        self.manifest = manifest
        self.graph = ProjectGraph(manifest)
        self.dialect = dialect_of(manifest.adapter_type)
        self._same_table = self._of_one_table()
        self._by_table = ByTable((_table(node), self.same_table(each)[0]) for each, node in manifest.nodes.items() if is_stored(node))
        self._describe = describe
        self._described: Mapping[Relation, tuple[Column, ...]] | None = None
        self._models: dict[str, ModelLineage] = {}
        self._queries: dict[str, Query | str] = {}
        self._traces: dict[NodeColumn, Trace] = {}
        self._types: dict[str, dict[str, ValueType]] = {}
        self._file = None if folder is None else folder / FILE_NAME
        self._kept = _read(self._file)
        self._fresh = False

    def model(self, unique_id: str) -> ModelLineage:
        """What the columns of that model or snapshot are made of."""
        if unique_id not in self._models:
            for each in self.graph.in_order((*self.graph.ancestors([unique_id]), unique_id)):
                if each not in self._models:
                    self._models[each] = self._found(each)
        return self._models[unique_id]

    def query(self, unique_id: str) -> Query | str:
        """The parsed SQL of that model, with what is known of the tables it reads; or why there is none."""
        if unique_id not in self._queries:
            self._queries[unique_id] = self._parsed(self.manifest.nodes[unique_id])
        return self._queries[unique_id]

    def tables_of(self, unique_id: str) -> Mapping[Table, str]:
        """The tables that a model's compiled SQL reads, its own among them, with the unique ids of what stands behind them."""
        return {_table(self.manifest.nodes[each]): each for each in (*self._stored_parents(unique_id), unique_id)}

    def read(self, code: str, tables: Mapping[Table, str]) -> Query | str:
        """SQL with what is known of the tables in it, by those names; or why it cannot be read."""
        columns = {table: self.columns_of(each) for table, each in tables.items() if each in self.manifest.nodes}
        try:
            return Query(
                sqlglot.parse_one(code, dialect=self.dialect), {table: found for table, found in columns.items() if found is not None}
            )
        except (SqlglotError, ValueError, RecursionError) as error:
            return f"its SQL cannot be read: {str(error).splitlines()[0]}"

    def node_of(self, table: Table) -> str | None:
        """The unique id of what stands behind a table in compiled SQL."""
        return self._by_table.find(table)

    def same_table(self, unique_id: str) -> tuple[str, ...]:
        """All nodes that are the same table, such as a source over a seed; the one that stands for them in lineage first."""
        return self._same_table.get(unique_id, (unique_id,))

    def columns_of(self, unique_id: str) -> Sequence[str] | None:
        """All columns of a node, in their order; None where they are not known."""
        node = self.manifest.nodes[unique_id]
        if node.resource_type in ("model", "snapshot") and node.compiled_code() is not None:
            lineage = self.model(unique_id)
            if not lineage.unreadable and not lineage.open_nodes:
                return (*lineage.columns, *_missing(added_to_snapshot(node), lineage.columns))
        described = self._tables().get(node.relation)
        return tuple(column.name for column in described) if described else None

    def type_of(self, unique_id: str, column: str) -> ValueType | None:
        """The type of a column of a node, as the warehouse has it or else as it is declared; None where nobody says it."""
        if unique_id not in self._types:
            self._types[unique_id] = self._column_types(unique_id)
        return self._types[unique_id].get(column.casefold())

    def trace(self, unique_id: str, column: str) -> Trace:
        """The whole way up of one column of a model."""
        start = NodeColumn(self.same_table(unique_id)[0], column)
        if start not in self._traces:
            self._traces[start] = self._traced(start)
        return self._traces[start]

    def _traced(self, start: NodeColumn) -> Trace:
        steps, unknown = self._walk([start], {})
        deciding, also_unknown = self._walk(self._row_columns(steps), steps)
        values = {each for each, lineage in steps.items() if not lineage.values}
        rows = {each for each, lineage in deciding.items() if not lineage.values} - values
        said = tuple(dict.fromkeys((*unknown, *also_unknown)))
        return Trace(start, steps, deciding, tuple(sorted(self._leaves(values))), tuple(sorted(self._leaves(rows))), said)

    def keep(self) -> None:
        """Write down what was found, for the next run."""
        if self._file is None or not self._fresh:
            return
        kept = {each: model for each, model in self._kept.items() if each in self.manifest.nodes}
        partial = self._file.with_name(f"{FILE_NAME}.new")
        partial.write_bytes(msgspec.json.encode(_Kept(FORMAT, kept)))
        partial.replace(self._file)

    def _leaves(self, columns: Iterable[NodeColumn]) -> Iterable[NodeColumn]:
        """Of columns where the way ends, those that the project's data comes in by: a constant comes from nowhere."""
        for each in columns:
            node = self.manifest.nodes.get(each.node)
            if node is None or node.resource_type in ("source", "seed") or self._models[each.node].unreadable:
                yield each

    def _walk(
        self, starts: Iterable[NodeColumn], known: Mapping[NodeColumn, ColumnLineage]
    ) -> tuple[dict[NodeColumn, ColumnLineage], list[str]]:
        steps: dict[NodeColumn, ColumnLineage] = {}
        unknown: list[str] = []
        waiting = list(starts)
        while waiting:
            each = waiting.pop()
            if each in steps or each in known:
                continue
            steps[each] = lineage = self._one(each)
            unknown += [f"{each.node}: {reason}" for reason in lineage.unknown]
            waiting.extend(lineage.values)
        return steps, unknown

    def _row_columns(self, steps: Mapping[NodeColumn, ColumnLineage]) -> Iterator[NodeColumn]:
        """What decides which rows the columns on the way have: in each model on it, and in all that those models read."""
        for lineage in steps.values():
            yield from lineage.rows
        nodes = {each.node for each in steps if each.node in self.manifest.nodes}
        for node in self.graph.ancestors(nodes) - nodes:
            if node in self._models:
                yield from (column for each in self._models[node].columns.values() for column in each.rows)

    def _one(self, column: NodeColumn) -> ColumnLineage:
        node = self.manifest.nodes.get(column.node)
        if node is None or node.resource_type not in ("model", "snapshot"):
            return ColumnLineage()
        model = self.model(column.node)
        if model.unreadable:
            return ColumnLineage(unknown=(model.unreadable,))
        found = model.column(column.column)
        if found is None:
            made = snapshot_columns(node, column.column, tuple(model.columns))
            if made is not None:
                return ColumnLineage(tuple(NodeColumn(column.node, each) for each in made))
            return ColumnLineage(unknown=(f"its SQL has no column {column.column}",))
        return found

    def _found(self, unique_id: str) -> ModelLineage:
        node = self.manifest.nodes[unique_id]
        if node.resource_type not in ("model", "snapshot"):
            return ModelLineage()
        checksum, kept = self._checksum(unique_id), self._kept.get(unique_id)
        if kept is not None and kept.checksum == checksum:
            return kept.lineage
        query = self.query(unique_id)
        found = ModelLineage(unreadable=query) if isinstance(query, str) else self._read_off(query)
        self._kept[unique_id], self._fresh = _KeptModel(checksum, found), True
        return found

    def _read_off(self, query: Query) -> ModelLineage:
        columns: dict[str, ColumnLineage] = {}
        try:
            for projection in query.root.projections:
                found = reached([projection])
                reasons = tuple(dict.fromkeys(unknown.reason for unknown in found.unknown))
                columns[projection.name] = ColumnLineage(self._nodes(found.values), self._nodes(found.rows), reasons)
            open_nodes = tuple(self._name(table) for table in query.root.open_tables if isinstance(table, Table))
        except RecursionError:
            return ModelLineage(unreadable="its SQL is nested too deeply to be read")
        return ModelLineage(columns, tuple(dict.fromkeys(open_nodes)))

    def _nodes(self, columns: Iterable[TableColumn]) -> tuple[NodeColumn, ...]:
        return tuple(sorted({NodeColumn(self._name(each.table), each.name) for each in columns}))

    def _name(self, table: Table) -> str:
        return self.node_of(table) or str(table)

    def _parsed(self, node: Node) -> Query | str:
        code = node.compiled_code()
        if code is None:
            return "it is no SQL" if node.language == "python" else "dbt has not compiled it; run `dbt compile`"
        return self.read(code, {_table(self.manifest.nodes[each]): each for each in self._stored_parents(node.unique_id)})

    def _of_one_table(self) -> dict[str, tuple[str, ...]]:
        tables: dict[tuple[str, ...], list[str]] = {}
        for unique_id, node in self.manifest.nodes.items():
            if is_stored(node):
                table = _table(node)
                tables.setdefault(tuple(part.casefold() for part in (table.database, table.schema, table.name)), []).append(unique_id)
        shared = (tuple(sorted(nodes, key=self._preference)) for nodes in tables.values() if len(nodes) > 1)
        return {each: nodes for nodes in shared for each in nodes}

    def _preference(self, unique_id: str) -> tuple[object, ...]:
        """Of the nodes of one table: the model that makes it, else the one that models select from, a source before a seed."""
        kind = self.manifest.nodes[unique_id].resource_type
        return kind not in ("model", "snapshot"), not self.graph.descendants([unique_id]), kind != "source", unique_id

    def _stored_parents(self, unique_id: str) -> tuple[str, ...]:
        """What its compiled SQL reads. The SQL of ephemeral models is in it, so it reads what those select from."""
        found: dict[str, None] = {}
        seen = {unique_id}
        waiting = [*self.graph.parents(unique_id)]
        while waiting:
            each = waiting.pop(0)
            if each in seen:
                continue
            seen.add(each)
            if is_stored(self.manifest.nodes[each]):
                found[each] = None
            else:
                waiting.extend(self.graph.parents(each))
        return tuple(found)

    def _checksum(self, unique_id: str) -> str:
        node = self.manifest.nodes[unique_id]
        digest = hashlib.sha256(f"{FORMAT} {self.dialect}\n{node.language}\n{node.compiled_code()}".encode())
        for parent in self._stored_parents(unique_id):
            digest.update(f"\n{parent} {self.manifest.nodes[parent].relation} {self.columns_of(parent)}".encode())
        return digest.hexdigest()

    def _column_types(self, unique_id: str) -> dict[str, ValueType]:
        node = self.manifest.nodes.get(unique_id)
        if node is None:
            return {}
        declared = {name.casefold(): _read_type(column.data_type, self.dialect) for name, column in node.columns().items()}
        described = {column.name.casefold(): column.value_type for column in self._tables().get(node.relation) or ()}
        return {name: kind for name, kind in (*declared.items(), *described.items()) if kind is not None and kind != UNRESOLVED}

    def _tables(self) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of what no model makes, as the warehouse has them."""
        if self._described is None:
            unmade = [node.relation for node in self.manifest.nodes.values() if node.compiled_code() is None and is_stored(node)]
            self._described = self._describe(tuple(dict.fromkeys(unmade))) if self._describe is not None and unmade else {}
        return self._described


def snapshot_columns(node: Node, column: str, selected: Sequence[str]) -> Sequence[str] | None:
    """Of a column that dbt adds to a snapshot: the columns of its SQL by which dbt tells that a row changed. None for any other column."""
    config = node.config
    if column.casefold() not in {name.casefold() for name in (*added_to_snapshot(node), *_own_names(node))}:
        return None
    if config.strategy == "timestamp":
        return as_texts(config.updated_at)
    return selected if config.check_cols == "all" else as_texts(config.check_cols)


def added_to_snapshot(node: Node) -> tuple[str, ...]:
    """The columns that dbt adds to a snapshot, as the project calls them. None for what is no snapshot."""
    renamed = node.config.snapshot_meta_column_names or {}
    deletions = node.config.hard_deletes == "new_record"
    return tuple(renamed.get(name) or name for name in _own_names(node) if name != _ADDED_WITH_DELETIONS or deletions)


def _own_names(node: Node) -> tuple[str, ...]:
    """What dbt itself calls the columns that it adds to a snapshot."""
    return (*_ADDED_TO_SNAPSHOTS, _ADDED_WITH_DELETIONS) if node.resource_type == "snapshot" else ()


def _missing(names: Iterable[str], there: Iterable[str]) -> Iterator[str]:
    known = {name.casefold() for name in there}
    yield from (name for name in names if name.casefold() not in known)


def is_stored(node: Node) -> bool:
    """Whether its rows are anywhere: those of an ephemeral model are in the SQL of whoever selects from it."""
    return node.config.materialized != "ephemeral"


def _table(node: Node) -> Table:
    relation = node.relation
    return Table(relation.identifier, relation.schema or "", relation.database or "")


def _read_type(text: str | None, dialect: str) -> ValueType | None:
    """The type that a declaration says; None where it says none, or one that no feature can have."""
    try:
        return parse_data_type(text, dialect) if text else None
    except UnsupportedTypeError:
        return None


def _read(file: Path | None) -> dict[str, _KeptModel]:
    """What an earlier run found. A file that cannot be read is as good as none."""
    if file is None:
        return {}
    try:
        kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
    except (OSError, msgspec.MsgspecError):
        return {}
    return kept.models if kept.format == FORMAT else {}


class _KeptModel(msgspec.Struct):
    checksum: str
    """Of all that its lineage was read from."""

    lineage: ModelLineage


class _Kept(msgspec.Struct):
    format: int
    models: dict[str, _KeptModel]
    """By dbt's unique id."""
