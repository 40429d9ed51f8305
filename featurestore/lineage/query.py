"""What each column of a query is made of: a graph of projections, from the query's own down to the columns of tables.

The graph keeps the SQL that made each column, so that whoever walks it sees every expression that a column depends on and every
clause that decides which rows there are. Names are resolved as SQL does: the sources of a select first, then its own aliases, then
the select around it. Where a name cannot be resolved (a star over a table whose columns nobody knows, a pivot) the graph says so
and does not guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

from sqlglot import exp
from sqlglot.optimizer.scope import Scope, build_scope

from .tables import ByTable, Table

_ROW_CLAUSES = ("where", "prewhere", "connect", "group", "having", "qualify", "distinct", "order", "limit", "sample")
_UNNAMED = (exp.Unnest, exp.Lateral, exp.Explode, exp.TableFromRows, exp.Values)


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column of a table: where the graph of one query ends."""

    table: Table
    name: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that a column is made of and that cannot be told from the SQL."""

    expression: exp.Expr = field(compare=False)
    reason: str


@dataclass(eq=False)
class Projection:
    """One column of a select."""

    name: str
    select: Select
    expression: exp.Expr | None
    """What the select says of it. None where it comes from a star, or by its place from the parts of a union."""

    passed_on: tuple[Input, ...] = ()
    """What it is where there is no expression."""

    @cached_property
    def inputs(self) -> tuple[Input, ...]:
        """What its value is made of."""
        return self.passed_on if self.expression is None else self.select.inputs_of(self.expression, besides=self)


Input: TypeAlias = Projection | TableColumn | Unknown


@dataclass(eq=False)
class Select:
    """One select of a query, or a union of several."""

    query: Query
    scope: Scope
    around: Select | None = None
    """The select in which this one is a correlated subquery."""

    _being_made: set[int] = field(default_factory=set)

    @property
    def expression(self) -> exp.Expr:
        """Its SQL."""
        return self.scope.expression

    @cached_property
    def sources(self) -> Mapping[str, Select | Table | exp.Expr]:
        """What it selects from by folded alias: selects, tables, and what makes rows of a value (an unnested list)."""
        found = {name.casefold(): self.query.source(source, self) for name, (_, source) in self.scope.selected_sources.items()}
        return {**found, **self._lists}

    @property
    def _lists(self) -> Mapping[str, exp.Expr]:
        """The lists that ClickHouse's ARRAY JOIN makes rows of, each by the name that it is given."""
        joins = [join for join in self.expression.args.get("joins") or () if join.kind == "ARRAY"]
        return {join.this.alias_or_name.casefold(): _list_column(join.this) for join in joins}

    @cached_property
    def parts(self) -> tuple[Select, ...]:
        """Of a union: the selects that it is made of."""
        if not isinstance(self.expression, exp.SetOperation):
            return ()
        return tuple(self.query.select(scope, self.around) for scope in self.scope.set_operation_scopes)

    @cached_property
    def projections(self) -> tuple[Projection, ...]:
        """Its columns, in their order; those that a star over a table of unknown columns may bring are in `open_tables`."""
        if self.parts:
            first, *others = self.parts
            return tuple(
                Projection(column.name, self, None, (column, *(part.projections[at] for part in others if at < len(part.projections))))
                for at, column in enumerate(first.projections)
            )
        if not isinstance(self.expression, exp.Select):
            return ()
        return tuple(self._projected())

    @cached_property
    def open_tables(self) -> tuple[Table | Unknown, ...]:
        """The sources of stars whose columns nobody knows: any name may come from them."""
        if self.parts:
            return tuple(table for part in self.parts for table in part.open_tables)
        return tuple(
            table
            for star in (_star(said) for said in self.expression.expressions)
            if star is not None
            for source in self._starred(star)
            for table in self._open(source)
        )

    def projection(self, name: str) -> Projection | None:
        """The column of that name, whatever its case; one that only a star over an unknown table can bring is believed to be there."""
        folded = name.casefold()
        found = next((column for column in self.projections if column.name.casefold() == folded), None)
        if found is not None or not self.open_tables:
            return found
        tables = [TableColumn(table, name) for table in self.open_tables if isinstance(table, Table)]
        unknown = [table for table in self.open_tables if isinstance(table, Unknown)]
        return Projection(name, self, None, (*tables, *unknown))

    @cached_property
    def row_clauses(self) -> tuple[exp.Expr, ...]:
        """The clauses that decide which rows there are: filters, joins' conditions, grouping, limits."""
        clauses = [self.expression.args.get(name) for name in _ROW_CLAUSES]
        if not self.expression.args.get("limit") and not self._keeps_the_first():
            clauses = [clause for clause in clauses if not isinstance(clause, exp.Order)]
        joins = [join.args.get(name) for join in self.expression.args.get("joins") or () for name in ("on", "match_condition")]
        return tuple(clause for clause in (*clauses, *joins) if isinstance(clause, exp.Expr))

    @cached_property
    def row_inputs(self) -> tuple[Input, ...]:
        """What decides which rows there are."""
        found = [each for clause in self.row_clauses for each in self.inputs_of(clause)]
        found += [
            each for name in self._joined_by_name() for source in self.sources.values() for each in self._in_source(source, name) or ()
        ]
        made = [source for source in self.sources.values() if isinstance(source, exp.Expr)]
        found += [each for source in made for each in self._of_made(source)]
        return (*found, *self._grouped_by(), *self._told_apart(), *self._unknown_names())

    @cached_property
    def row_sources(self) -> tuple[Select, ...]:
        """The selects whose rows it reads."""
        return (*self.parts, *(source for source in self.sources.values() if isinstance(source, Select)))

    def inputs_of(self, expression: exp.Expr, *, besides: Projection | None = None) -> tuple[Input, ...]:
        """What an expression that stands in this select is made of.

        Args:
            besides: the projection that the expression defines: its own name means something else in it.
        """
        found: dict[Input, None] = {}
        for node in own_nodes(expression):
            if isinstance(node, exp.Column):
                found.update(dict.fromkeys(self._resolved(node, besides)))
            elif isinstance(node, exp.Query):
                found.update(dict.fromkeys(self._of_subquery(node)))
        for named in self.named_windows(expression):
            found.update(dict.fromkeys(self.inputs_of(named, besides=besides)))
        return tuple(found)

    def named_windows(self, expression: exp.Expr) -> Sequence[exp.Expr]:
        """The windows of the select's WINDOW clause that an expression names."""
        used = (node.args.get("alias") for node in own_nodes(expression) if isinstance(node, exp.Window))
        names = {alias.name.casefold() for alias in used if isinstance(alias, exp.Expr)} - {expression.name.casefold()}
        return [each for each in self.expression.args.get("windows") or () if each.name.casefold() in names]

    def _projected(self) -> Iterator[Projection]:
        for said in self.expression.expressions:
            star = _star(said)
            if star is None:
                yield Projection(said.alias_or_name, self, said.unalias())
                continue
            left_out = {name.name.casefold() for name in star.args.get("except_") or star.args.get("except") or ()}
            replaced = {each.alias_or_name.casefold(): each.unalias() for each in star.args.get("replace") or ()}
            renamed = {each.this.name.casefold(): each.alias for each in star.args.get("rename") or () if isinstance(each, exp.Alias)}
            joined = self._joined_by_name()
            seen: set[str] = set()
            for source in self._starred(star):
                for name, inputs in self._columns(source):
                    folded = name.casefold()
                    if folded in left_out or (folded in joined and folded in seen):
                        continue
                    seen.add(folded)
                    if folded in joined:
                        inputs = tuple(each for other in self.sources.values() for each in self._in_source(other, name) or ())
                    if folded in replaced:
                        yield Projection(name, self, replaced[folded])
                    else:
                        yield Projection(renamed.get(folded, name), self, None, inputs)

    def _unknown_names(self) -> Iterator[Unknown]:
        """Natural joins of tables whose columns nobody knows."""
        open_sources = [source for source in self.sources.values() if self._open(source)]
        for join in self.expression.args.get("joins") or ():
            if join.method.upper() == "NATURAL" and open_sources:
                yield Unknown(join, "a natural join of tables whose columns are not known")

    def _keeps_the_first(self) -> bool:
        """Whether it keeps the first row of each kind, so that the order decides which."""
        distinct = self.expression.args.get("distinct")
        return isinstance(distinct, exp.Distinct) and bool(distinct.args.get("on"))

    def _told_apart(self) -> Sequence[Projection]:
        """The columns by which rows are alike, where only one of those that are is left, or none."""
        distinct = self.expression.args.get("distinct")
        if isinstance(self.expression, exp.SetOperation):
            apart = bool(distinct) or not isinstance(self.expression, exp.Union)
        else:
            apart = isinstance(distinct, exp.Distinct) and not distinct.args.get("on")
        return self.projections if apart else ()

    def _grouped_by(self) -> Iterator[Projection]:
        """The columns that GROUP BY names by their place, or all that are no aggregate."""
        group = self.expression.args.get("group")
        if not isinstance(group, exp.Group):
            return
        if group.args.get("all"):
            yield from (column for column in self.projections if column.expression is None or not column.expression.find(exp.AggFunc))
        for each in group.expressions:
            if isinstance(each, exp.Literal) and each.is_int and 0 < int(each.name) <= len(self.projections):
                yield self.projections[int(each.name) - 1]

    def _of_made(self, source: exp.Expr) -> tuple[Input, ...]:
        """What an unnested list or a table function is made of: never of itself."""
        if id(source) in self._being_made:
            return ()
        self._being_made.add(id(source))
        try:
            return self.inputs_of(source)
        finally:
            self._being_made.discard(id(source))

    def _joined_by_name(self) -> set[str]:
        joins = self.expression.args.get("joins") or ()
        names = {name.name.casefold() for join in joins for name in join.args.get("using") or ()}
        if any(join.method.upper() == "NATURAL" for join in joins):
            known = [{name.casefold() for name, _ in self._columns(source)} for source in self.sources.values()]
            names |= {name for at, some in enumerate(known) for others in known[:at] for name in some & others}
        return names

    def _starred(self, star: exp.Star) -> Sequence[Select | Table | exp.Expr]:
        """The sources that a star stands for."""
        column = star.parent
        if isinstance(column, exp.Column) and column.table:
            source = self.sources.get(column.table.casefold())
            return () if source is None else (source,)
        return tuple(self.sources.values())

    def _open(self, source: Select | Table | exp.Expr) -> Sequence[Table | Unknown]:
        if isinstance(source, Select):
            return source.open_tables
        if isinstance(source, Table):
            return () if self.query.columns_of(source) is not None else (source,)
        if source.alias_column_names:
            return ()
        return (Unknown(source, f"the columns of {_shown(source)} are not known"),)

    def _columns(self, source: Select | Table | exp.Expr) -> Iterable[tuple[str, tuple[Input, ...]]]:
        """The columns of a source that are known."""
        if isinstance(source, Select):
            return [(column.name, (column,)) for column in source.projections]
        if isinstance(source, Table):
            return [(name, (TableColumn(source, name),)) for name in self.query.columns_of(source) or ()]
        return [(name, self._of_made(source)) for name in source.alias_column_names]

    def _resolved(self, column: exp.Column, besides: Projection | None) -> Sequence[Input]:
        """What a name means here. Of a field of a nested column, that column."""
        parts = [part.name for part in column.parts]
        if isinstance(column.this, exp.Star):
            return [each for source in self._starred(column.this) for _, inputs in self._columns(source) for each in inputs]
        for qualifier, name in pairwise(parts):
            source = self._named(qualifier.casefold())
            if source is not None:
                found = self._in_source(source, name)
                if found is None and isinstance(source, exp.Expr):
                    # BigQuery's alias of an unnested list names the element itself: `item.sku` is a field of it.
                    found = self._in_known(source, qualifier)
                return found if found is not None else (Unknown(column, f"{qualifier} has no column {name}"),)
        found = self._plain(parts[0], besides)
        if found is not None:
            return found
        if self.around is not None:
            return self.around._resolved(column, None)
        return (Unknown(column, f"{'.'.join(parts)} is not a column of anything that is selected from"),)

    def _named(self, alias: str) -> Select | Table | exp.Expr | None:
        """The source of that alias, here or in the select around."""
        found = self.sources.get(alias)
        return found if found is not None or self.around is None else self.around._named(alias)

    def _plain(self, name: str, besides: Projection | None) -> Sequence[Input] | None:
        """What a name without a qualifier means in this select."""
        sure = [found for source in self.sources.values() if (found := self._in_known(source, name)) is not None]
        if sure:
            return [each for found in sure for each in found]
        folded = name.casefold()
        if folded in self.sources:
            # A whole row: `to_json(t)`, `count(t)`.
            return [each for _, inputs in self._columns(self.sources[folded]) for each in inputs]
        possible = [found for source in self.sources.values() for found in self._in_open(source, name)]
        # In one select a name may also be what another column is called, but never what defines that very column.
        alias = [column for column in self.projections if column.name.casefold() == folded and column is not besides]
        tables = sorted({str(each.table) for each in possible if isinstance(each, TableColumn)})
        if len(tables) > 1:
            reason = f"{name} may be a column of any of {', '.join(tables)}, whose columns are not known"
            return (*alias[:1], *possible, Unknown(exp.column(name), reason))
        return [*alias[:1], *possible] or None

    def _in_source(self, source: Select | Table | exp.Expr, name: str) -> Sequence[Input] | None:
        known = self._in_known(source, name)
        return known if known is not None else [*self._in_open(source, name)] or None

    def _in_known(self, source: Select | Table | exp.Expr, name: str) -> Sequence[Input] | None:
        """What a column of that name is made of, which is nothing where it is made of constants; None where there is none."""
        folded = name.casefold()
        if isinstance(source, Select):
            found = next((column for column in source.projections if column.name.casefold() == folded), None)
            return None if found is None else (found,)
        return next((inputs for known, inputs in self._columns(source) if known.casefold() == folded), None)

    def _in_open(self, source: Select | Table | exp.Expr, name: str) -> Sequence[Input]:
        if isinstance(source, Select):
            found = source.projection(name) if source.open_tables else None
            return () if found is None else (found,)
        if isinstance(source, Table):
            return () if self.query.columns_of(source) is not None else (TableColumn(source, name),)
        return () if source.alias_column_names else self._of_made(source)

    def _of_subquery(self, query: exp.Query) -> Iterator[Input]:
        inner = self.query.subselect(query, self)
        if inner is None:
            yield Unknown(query, "a subquery that cannot be read")
            return
        yield from inner.projections
        yield from inner.row_inputs


class Query:
    """A parsed query and the graph of its columns."""

    def __init__(self, tree: exp.Expr, columns: Mapping[Table, Sequence[str]] | None = None) -> None:
        """Args: columns: of the tables whose columns are known."""
        self._known = ByTable((table, tuple(names)) for table, names in (columns or {}).items())
        self._selects: dict[int, Select] = {}
        root = build_scope(tree)
        if root is None:
            raise ValueError("no query")
        self._scopes = {id(scope.expression): scope for scope in root.traverse()}
        self.root = self.select(root, None)

    @cached_property
    def selects(self) -> tuple[Select, ...]:
        """All selects of the query."""
        return tuple(self.select(scope, None) for scope in self._scopes.values() if isinstance(scope.expression, exp.Query))

    def select(self, scope: Scope, around: Select | None) -> Select:
        """The node of a scope, made once."""
        return self._selects.setdefault(id(scope.expression), Select(self, scope, around))

    def subselect(self, query: exp.Query, around: Select) -> Select | None:
        """The node of a subquery in an expression of that select."""
        scope = self._scopes.get(id(query))
        return None if scope is None else self.select(scope, around)

    def source(self, source: exp.Expr | Scope, reader: Select) -> Select | Table | exp.Expr:
        """What stands behind a name in FROM."""
        if isinstance(source, exp.Table):
            if isinstance(source.this, exp.Func) or source.args.get("pivots"):
                return source
            return Table(source.name, source.db, source.catalog)
        if isinstance(source, Scope):
            lateral = source.expression.this if isinstance(source.expression, exp.Lateral) else None
            if isinstance(lateral, exp.Subquery):
                inner = self._inner(lateral, reader)
                return source.expression if inner is None else inner
            if isinstance(source.expression, _UNNAMED) or not isinstance(source.expression, exp.Query):
                return source.expression
            correlated = reader if source.is_correlated_subquery or source.scope_type.name in ("UDTF", "SUBQUERY") else None
            return self.select(source, correlated)
        return source

    def _inner(self, lateral: exp.Subquery, reader: Select) -> Select | None:
        query = lateral.unnest()
        return self.subselect(query, reader) if isinstance(query, exp.Query) else None

    def columns_of(self, table: Table) -> Sequence[str] | None:
        """The columns of a table; None where nobody said them."""
        return self._known.find(table)


def own_nodes(expression: exp.Expr) -> Iterator[exp.Expr]:
    """The nodes of an expression, without the insides of its subqueries, which are given as one node each."""
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if isinstance(node, exp.Subquery):
            node = node.unnest()
        yield node
        if not isinstance(node, exp.Query):
            waiting.extend(reversed(list(node.iter_expressions())))


def _list_column(said: exp.Expr) -> exp.Expr:
    """A list that is joined, as rows of one column of that name."""
    name = said.alias_or_name
    return exp.Unnest(
        expressions=[said.unalias().copy()], alias=exp.TableAlias(this=exp.to_identifier(name), columns=[exp.to_identifier(name)])
    )


def _star(said: exp.Expr) -> exp.Star | None:
    if isinstance(said, exp.Star):
        return said
    return said.this if isinstance(said, exp.Column) and isinstance(said.this, exp.Star) else None


def _shown(source: exp.Expr) -> str:
    text = source.sql()
    return text if len(text) <= 40 else f"{text[:40]}…"
