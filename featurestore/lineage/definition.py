"""A digest of how a column comes about, through all models up to the sources: two projects that define it alike have the same.

It is made of the expressions that the column depends on and of the clauses that decide its rows, without comments, layout, and the names
that a target gives to tables. A model whose SQL cannot be read counts with the code of all that it is
built from.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sqlglot import exp

from featurestore.dbt.checksums import code_digest

from .project import ProjectLineage, snapshot_columns
from .query import Projection, Query, Select
from .reach import Reached, reached
from .tables import ByTable, Table

_SHAPE = ("joins", "distinct", "limit", "offset", "sample", "laterals")


@dataclass(frozen=True)
class Reading:
    """SQL of a model that is read in place of what dbt compiled."""

    query: Query
    tables: ByTable[str]
    """The unique ids of what stands behind the tables in it."""


class Definitions:
    """The digests of one project's columns, each made once.

    Args:
        readings: by unique id, of the models that are read otherwise than dbt compiled them.
    """

    def __init__(self, lineage: ProjectLineage, readings: Mapping[str, Reading] | None = None) -> None:
        self._lineage = lineage
        self._readings = readings or {}
        self._made: dict[tuple[str, str], str] = {}
        self._dialect = lineage.dialect

    def digest(self, unique_id: str, column: str) -> str:
        """The digest of a column of a model, snapshot, seed or source. Empty for a column that the model does not have."""
        key = (unique_id, column.casefold())
        if key not in self._made:
            # A model cannot select from itself, but for an incremental one: there its own column is what it is.
            self._made[key] = f"{unique_id}.{column}"
            self._made[key] = self._digest(unique_id, column)
        return self._made[key]

    def _digest(self, unique_id: str, column: str) -> str:
        node = self._lineage.manifest.nodes.get(unique_id)
        if node is None or node.resource_type in ("source", "seed"):
            # What they hold is data.
            return f"{unique_id}.{column.casefold()}"
        query = self._query(unique_id)
        if isinstance(query, str):
            # How it comes about cannot be told, so all that it is built from counts.
            return _hashed([unique_id, str(code_digest(self._lineage.manifest, unique_id)), column.casefold()])
        projection = query.root.projection(column)
        if projection is None:
            told_by = snapshot_columns(node, column, [each.name for each in query.root.projections]) or ()
            return _hashed([unique_id, column.casefold(), str(node.config.strategy), *(self.digest(unique_id, each) for each in told_by)])
        of = reached([projection])
        return _hashed(
            [
                *self._expressions(unique_id, of, projection),
                *self._clauses(unique_id, of.selects),
                *self._above(unique_id, query, of),
            ]
        )

    def _query(self, unique_id: str) -> Query | str:
        reading = self._readings.get(unique_id)
        return self._lineage.query(unique_id) if reading is None else reading.query

    def _node_of(self, reader: str, table: Table) -> str | None:
        """The unique id of what stands behind a table in the SQL of a model."""
        reading = self._readings.get(reader)
        return self._lineage.node_of(table) if reading is None else reading.tables.find(table)

    def _expressions(self, reader: str, of: Reached, projection: Projection) -> Iterator[str]:
        for each in (*of.projections, *of.row_projections):
            name = "" if each is projection else each.name.casefold()
            said = [] if each.expression is None else [each.expression, *each.select.named_windows(each.expression)]
            yield f"{name} = {' '.join(self._text(reader, part) for part in said)}"

    def _clauses(self, reader: str, selects: Iterable[Select]) -> Iterator[str]:
        for select in selects:
            shape = [select.expression.args.get(name) for name in _SHAPE]
            parts = [part for each in shape for part in (each if isinstance(each, list) else [each])]
            if isinstance(select.expression, exp.SetOperation):
                yield f"{select.expression.key} {bool(select.expression.args.get('distinct'))}"
            parts += [_without_alias(source) for source in select.sources.values() if isinstance(source, exp.Expr)]
            clauses = (*select.row_clauses, *(part for part in parts if isinstance(part, exp.Expr)))
            yield " ".join(self._text(reader, clause) for clause in clauses)

    def _above(self, reader: str, query: Query, of: Reached) -> Iterator[str]:
        """What the columns that are read are in turn, and which rows the tables have that are read."""
        columns = sorted({*((each.table, each.name) for each in (*of.values, *of.rows))}, key=str)
        for table, name in columns:
            unique_id = self._node_of(reader, table)
            yield str(table) if unique_id is None else self.digest(unique_id, name)
        tables = {source for select in query.selects for source in select.sources.values() if isinstance(source, Table)}
        for unique_id in sorted(filter(None, (self._node_of(reader, table) for table in tables))):
            yield self._rows(unique_id)

    def _rows(self, unique_id: str) -> str:
        """What decides the rows of a model as a whole."""
        key = (unique_id, "")
        if key not in self._made:
            self._made[key] = unique_id
            query = self._query(unique_id) if unique_id.startswith(("model.", "snapshot.")) else ""
            if not isinstance(query, str):
                of = reached(query.root.projections[:1])
                above = self._above(unique_id, query, Reached((), (), (), frozenset(), of.rows, ()))
                self._made[key] = _hashed([*self._clauses(unique_id, of.selects), *above])
        return self._made[key]

    def _text(self, reader: str, expression: exp.Expr) -> str:
        """The SQL of an expression, with the tables in it called by dbt's ids."""
        copied = expression.copy()
        for table in copied.find_all(exp.Table):
            unique_id = self._node_of(reader, Table(table.name, table.db, table.catalog))
            if unique_id is not None:
                for part in ("db", "catalog"):
                    table.set(part, None)
                table.set("this", exp.to_identifier(unique_id, quoted=True))
        return copied.sql(dialect=self._dialect, comments=False)


def _without_alias(source: exp.Expr) -> exp.Expr:
    """Rows that the query makes itself, whatever it calls them."""
    bare = source.copy()
    bare.set("alias", None)
    return bare


def _hashed(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
