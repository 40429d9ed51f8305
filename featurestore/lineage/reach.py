"""All that some columns of a query depend on: the expressions, the clauses and, where the query ends, the columns of tables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .query import Input, Projection, Select, TableColumn, Unknown


@dataclass(frozen=True)
class Reached:
    """All that some columns of a query depend on."""

    projections: tuple[Projection, ...]
    """The columns whose values they are made of, themselves included."""

    row_projections: tuple[Projection, ...]
    """The columns of its selects that decide only which rows there are."""

    selects: tuple[Select, ...]
    """The selects whose clauses decide which rows they have."""

    values: frozenset[TableColumn]
    """The columns of tables that their values are made of."""

    rows: frozenset[TableColumn]
    """The columns of tables that decide only which rows there are."""

    unknown: tuple[Unknown, ...]


def reached(columns: Iterable[Projection], rows_of: Iterable[Select] = ()) -> Reached:
    """Walk the graph from some columns, and from selects of which only the rows matter, to all that they depend on."""
    value_walk, row_walk = _Walk(), _Walk()
    for column in columns:
        value_walk.visit(column)
    for select in [*(column.select for column in value_walk.projections), *rows_of]:
        row_walk.visit_rows(select)
    selects = tuple(dict.fromkeys((*row_walk.selects, *(column.select for column in row_walk.projections))))
    unknown = tuple(dict.fromkeys((*value_walk.unknown, *row_walk.unknown)))
    row_projections = [column for column in row_walk.projections if column not in value_walk.projections]
    return Reached(
        tuple(value_walk.projections),
        tuple(row_projections),
        selects,
        frozenset(value_walk.columns),
        frozenset(row_walk.columns) - frozenset(value_walk.columns),
        unknown,
    )


class _Walk:
    def __init__(self) -> None:
        self.projections: dict[Projection, None] = {}
        self.selects: dict[Select, None] = {}
        self.columns: set[TableColumn] = set()
        self.unknown: dict[Unknown, None] = {}

    def visit(self, start: Input) -> None:
        waiting = [start]
        while waiting:
            each = waiting.pop()
            if isinstance(each, TableColumn):
                self.columns.add(each)
            elif isinstance(each, Unknown):
                self.unknown[each] = None
            elif each not in self.projections:
                self.projections[each] = None
                waiting.extend(each.inputs)

    def visit_rows(self, start: Select) -> None:
        waiting = [start]
        while waiting:
            select = waiting.pop()
            if select in self.selects:
                continue
            self.selects[select] = None
            for each in select.row_inputs:
                self.visit(each)
            waiting.extend(select.row_sources)
