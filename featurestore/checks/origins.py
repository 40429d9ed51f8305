"""Where a column comes from in the end, through the models above: which source columns, which instants, and how the rows come along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sqlglot import exp

from featurestore.lineage.project import ProjectLineage
from featurestore.lineage.query import Input, Projection, Select, TableColumn, Unknown, own_nodes
from featurestore.lineage.tables import Table
from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import DateType, TimestampType, ValueType

from .functions import counted_instant, reads_clock
from .naming import is_load_time, sounds_like_time
from .spans import moved

_BRANCHES = (exp.Coalesce, exp.Least, exp.Case, exp.If, exp.Nullif)
_PICKED = (
    exp.Max,
    exp.Min,
    exp.AnyValue,
    exp.First,
    exp.Last,
    exp.FirstValue,
    exp.LastValue,
    exp.ArgMax,
    exp.ArgMin,
    exp.NthValue,
    exp.Lead,
    exp.Lag,
)
_MOVED = (
    exp.AtTimeZone,
    exp.DateAdd,
    exp.DateSub,
    exp.DatetimeAdd,
    exp.DatetimeSub,
    exp.TimestampAdd,
    exp.TimestampSub,
    exp.TsOrDsAdd,
)
"""An instant moved by whatever it may be, or told in another zone, is an instant."""

_DAY = timedelta(days=1)
_NO_TIME = timedelta(0)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A column of what no model makes."""

    node: str
    """dbt's unique id; where dbt does not know the table, its name."""

    column: str
    """Folded."""


@dataclass(frozen=True)
class Instant:
    """One of the instants that an expression may be."""

    leaf: Leaf | None = None
    """The column that it comes from; None for a clock, a constant, and rows that the query makes itself."""

    clock: bool = False
    made: bool = False
    """Whether it comes from a series or list that SQL makes."""

    bucket: timedelta = _NO_TIME
    """How long the bucket is to whose start it is cut down."""

    shift: timedelta = _NO_TIME
    picked: frozenset[str] = frozenset()
    """The functions that take it from several rows: `max`, `min`, `lead`."""

    @property
    def is_series(self) -> bool:
        """Whether it comes from no column, but from constants and what is counted up from them."""
        return self.leaf is None and not self.clock

    model: str = field(default="", compare=False)
    at: exp.Expr | None = field(default=None, compare=False)
    """Where it is cut down, read from the clock or picked first, seen from the view; the model whose SQL that is."""

    select: Select | None = field(default=None, compare=False)


@dataclass(frozen=True, eq=False)
class Step:
    """One select on the way by which the view's rows come from where their timestamp does."""

    model: str
    select: Select
    carriers: frozenset[str]
    """The aliases of the sources that its rows are rows of."""

    timestamp: Projection | None
    """The timestamp in it; None below the point where it came to be."""

    lost: bool = False
    """Whether it cannot be told where the timestamp comes from here."""


class Origins:
    """Of one project; what was found is kept."""

    def __init__(self, lineage: ProjectLineage) -> None:
        self.lineage = lineage
        self._leaves: dict[object, frozenset[Leaf]] = {}
        self._instants: dict[tuple[Projection, str], frozenset[Instant]] = {}
        self._paths: dict[str, tuple[Step, ...]] = {}
        self._busy: set[object] = set()

    # Steps between models

    def above(self, model: str, found: Input) -> tuple[str, Projection] | Leaf | None:
        """What a column of a table is in the model that makes the table; None where that cannot be told."""
        if isinstance(found, Projection):
            return model, found
        if isinstance(found, Unknown):
            return None
        node = self.lineage.node_of(found.table)
        leaf = Leaf(node or str(found.table), found.name.casefold())
        root = None if node is None else self.root(node)
        projection = None if root is None else root.projection(found.name)
        return leaf if node is None or projection is None else (node, projection)

    def root(self, node: str) -> Select | None:
        """The select that a model or snapshot is; None for what no SQL makes, or none that can be read."""
        if self.lineage.manifest.nodes[node].resource_type not in ("model", "snapshot"):
            return None
        query = self.lineage.query(node)
        return None if isinstance(query, str) else query.root

    def entered(self, model: str, source: Select | Table | exp.Expr) -> tuple[str, Select] | None:
        """The select behind a source, in whichever model it is."""
        if isinstance(source, Select):
            return model, source
        node = self.lineage.node_of(source) if isinstance(source, Table) else None
        root = None if node is None else self.root(node)
        return None if node is None or root is None else (node, root)

    # Values

    def leaves(self, model: str, inputs: Iterable[Input]) -> frozenset[Leaf]:
        """The source columns that inputs are made of in the end."""
        return frozenset(leaf for each in inputs for leaf in self._leaves_of(model, each))

    def type_of(self, leaf: Leaf) -> ValueType | None:
        return self.lineage.type_of(leaf.node, leaf.column)

    def is_time(self, model: str, select: Select, expression: exp.Expr) -> bool:
        """Whether an expression is an instant: by its type where that is known, else by what makes it or by its name."""
        split = moved(expression)
        if split.bucket or split.shift or reads_clock(split.base):
            return True
        base = split.base
        if isinstance(expression, exp.Cast) and expression.is_type(*exp.DataType.TEMPORAL_TYPES):
            return True
        if isinstance(base, _MOVED) or (isinstance(base, exp.Add | exp.Sub) and base.find(exp.Interval) is not None):
            return True
        if isinstance(base, (*_BRANCHES, *_PICKED, exp.Greatest, exp.Window)):
            inner = [base.this, *(each.args.get("true") for each in base.args.get("ifs") or () if isinstance(each, exp.Expr))]
            return any(isinstance(each, exp.Expr) and self.is_time(model, select, each) for each in inner)
        if not isinstance(base, exp.Column):
            return isinstance(base, exp.StrToTime | exp.UnixToTime)
        return any(self._is_time_input(model, each) for each in select.inputs_of(base)) or (
            isinstance(source_of(select, base)[1], exp.Expr) and sounds_like_time(base.name)
        )

    def _is_time_input(self, model: str, found: Input) -> bool:
        if found in self._busy:
            return False
        at = self.above(model, found)
        if at is None:
            return False
        if isinstance(at, Leaf):
            return self.is_time_leaf(at)
        known = self.lineage.type_of(at[0], found.name) if isinstance(found, TableColumn) else None
        return isinstance(known, DateType | TimestampType) if known is not None else self.is_time_projection(*at)

    def counts_time(self, model: str, select: Select, expression: exp.Expr) -> bool:
        """Whether an expression is a number that grows with an instant: what lies between a fixed instant and it."""
        while isinstance(expression, exp.Cast | exp.Paren | exp.Floor | exp.Round):
            expression = expression.this
        if isinstance(expression, exp.Column):
            return any(self._counts_time_input(model, each) for each in select.inputs_of(expression))
        instant = counted_instant(expression)
        return instant is not None and any(self.is_time(model, select, each) for each in instant.find_all(exp.Column))

    def _counts_time_input(self, model: str, found: Input) -> bool:
        at = self.above(model, found)
        if at is None or isinstance(at, Leaf) or at in self._busy:
            return False
        self._busy.add(at)
        try:
            where, projection = at
            if projection.expression is None:
                return any(self._counts_time_input(where, each) for each in projection.passed_on)
            return self.counts_time(where, projection.select, projection.expression)
        finally:
            self._busy.discard(at)

    def is_time_leaf(self, leaf: Leaf) -> bool:
        """Whether a source column is an instant."""
        known = self.type_of(leaf)
        return isinstance(known, DateType | TimestampType) if known is not None else sounds_like_time(leaf.column)

    def is_time_projection(self, model: str, found: Projection) -> bool:
        """Whether a column of a select is an instant."""
        where, projection = model, found
        if found in self._busy:
            return False
        self._busy.add(found)
        try:
            if projection.expression is None:
                return any(self._is_time_input(where, each) for each in projection.passed_on)
            return self.is_time(where, projection.select, projection.expression)
        finally:
            self._busy.discard(found)

    def _leaves_of(self, model: str, found: Input) -> frozenset[Leaf]:
        if isinstance(found, Unknown):
            return frozenset()
        if found in self._leaves:
            return self._leaves[found]
        self._leaves[found] = frozenset()
        at = self.above(model, found)
        if isinstance(at, Leaf):
            self._leaves[found] = frozenset({at})
        elif at is not None:
            self._leaves[found] = self.leaves(at[0], at[1].inputs)
        return self._leaves[found]

    # Instants

    def instants(self, model: str, select: Select, expression: exp.Expr, besides: Projection | None = None) -> frozenset[Instant]:
        """The instants that an expression of a select may be."""
        split = moved(expression)
        if split.bucket or split.shift:
            inner = self.instants(model, select, split.base, besides)
            return frozenset(self._moved(each, split.bucket, split.shift, model, select, expression) for each in inner)
        base = split.base
        here = Instant(model=model, at=expression, select=select)
        if reads_clock(base):
            return frozenset({replace(here, clock=True)})
        if isinstance(base, exp.Column):
            return self._of_column(model, select, base, besides, here)
        if isinstance(base, exp.Window):
            return self.instants(model, select, base.this, besides)
        if isinstance(base, exp.Greatest):
            found = frozenset(each for part in (base.this, *base.expressions) for each in self.instants(model, select, part, besides))
            # The later one of when it happened and when it was known is an instant at which it was known.
            happened = frozenset(each for each in found if each.leaf is not None and not is_load_time(each.leaf.column))
            return happened or found
        if isinstance(base, _PICKED):
            inner = self.instants(model, select, base.this, besides)
            return frozenset(self._picked(each, base.key, model, select, expression) for each in inner)
        if isinstance(base, _BRANCHES):
            return frozenset(each for part in _branches(base) for each in self.instants(model, select, part, besides))
        if isinstance(base, exp.Subquery | exp.Query):
            query = base.unnest()
            inner_select = select.query.subselect(query, select) if isinstance(query, exp.Query) else None
            return self._of_inputs(model, inner_select.projections[:1], here) if inner_select is not None else frozenset()
        columns = [node for node in own_nodes(base) if isinstance(node, exp.Column)]
        clocks = [node for node in own_nodes(base) if reads_clock(node)]
        found = frozenset(each for column in columns for each in self._of_column(model, select, column, besides, here))
        return found | {replace(here, clock=True)} if clocks else found or frozenset({here})

    def of_projection(self, model: str, projection: Projection) -> frozenset[Instant]:
        """The instants that a column may be."""
        key = (projection, model)
        if key not in self._instants:
            self._instants[key] = frozenset()
            here = Instant(model=model, at=projection.expression, select=projection.select)
            if projection.expression is None:
                self._instants[key] = self._of_inputs(model, projection.passed_on, here)
            else:
                self._instants[key] = self.instants(model, projection.select, projection.expression, projection)
        return self._instants[key]

    def _of_column(self, model: str, select: Select, column: exp.Column, besides: Projection | None, here: Instant) -> frozenset[Instant]:
        if isinstance(source_of(select, column)[1], exp.Expr):
            return frozenset({replace(here, made=True)})
        return self._of_inputs(model, select.inputs_of(column, besides=besides), here)

    def _of_inputs(self, model: str, inputs: Iterable[Input], here: Instant) -> frozenset[Instant]:
        found: set[Instant] = set()
        for each in inputs:
            at = self.above(model, each)
            if isinstance(at, Leaf):
                found.add(replace(here, leaf=at))
            elif at is not None:
                found |= self.of_projection(*at)
        return frozenset(found)

    def _moved(self, found: Instant, bucket: timedelta, shift: timedelta, model: str, select: Select, at: exp.Expr) -> Instant:
        known = None if found.leaf is None else self.type_of(found.leaf)
        if found.made or (bucket <= _DAY and isinstance(known, DateType)):
            bucket = _NO_TIME
        if bucket > found.bucket:
            return replace(found, bucket=bucket, shift=found.shift + shift, model=model, at=at, select=select)
        return replace(found, shift=found.shift + shift)

    def _picked(self, found: Instant, by: str, model: str, select: Select, at: exp.Expr) -> Instant:
        if found.bucket or found.picked:
            return replace(found, picked=found.picked | {by})
        return replace(found, picked=found.picked | {by}, model=model, at=at, select=select)

    # Rows

    def path(self, view: FeatureView) -> tuple[Step, ...]:
        """The selects by which the view's rows come down from where their timestamp comes from, the view's own first."""
        if view.unique_id not in self._paths:
            found: dict[Select, Step] = {}
            root = self.root(view.unique_id)
            if root is not None:
                stamp = root.projection(view.event_timestamp.name)
                self._follow(view.unique_id, root, stamp, found, lost=stamp is None and bool(root.open_tables))
            self._paths[view.unique_id] = tuple(found.values())
        return self._paths[view.unique_id]

    def _follow(self, model: str, select: Select, timestamp: Projection | None, found: dict[Select, Step], *, lost: bool) -> None:
        if select in found:
            return
        carriers = carriers_of(select, timestamp)
        lost = lost or (timestamp is not None and any(isinstance(each, Unknown) for each in timestamp.inputs))
        found[select] = Step(model, select, carriers, timestamp, lost)
        place = None if timestamp is None else next((at for at, each in enumerate(select.projections) if each is timestamp), None)
        for part in select.parts:
            self._follow(
                model, part, part.projections[place] if place is not None and place < len(part.projections) else None, found, lost=lost
            )
        for alias in carriers:
            source = select.sources[alias]
            entered = self.entered(model, source)
            if entered is None:
                continue
            where, inner = entered
            names = () if timestamp is None else _names_from(select, timestamp, alias)
            column = next((each for each in (inner.projection(name) for name in names) if each is not None), None)
            self._follow(where, inner, column, found, lost=lost or (column is None and bool(names)))


def source_of(select: Select, column: exp.Column) -> tuple[str, Select | Table | exp.Expr | None]:
    """The source in a select that a column is of, by its alias.

    `""` and None for one of the select around, or of the select's own aliases.
    """
    if column.table:
        alias = column.parts[-2].name.casefold() if column.table else ""
        for part in column.parts[:-1]:
            if part.name.casefold() in select.sources:
                return part.name.casefold(), select.sources[part.name.casefold()]
        return "", select.sources.get(alias)
    possible = None
    for alias, source in select.sources.items():
        sure = _has(select, source, column.name)
        if sure:
            return alias, source
        if sure is None and possible is None:
            possible = (alias, source)
    folded = column.name.casefold()
    if folded in select.sources and isinstance(select.sources[folded], exp.Expr):
        return folded, select.sources[folded]
    if possible is not None and (select.around is None or len(select.sources) == 1) and not _is_own_alias(select, column):
        return possible
    return "", None


def aliases_in(select: Select, expression: exp.Expr) -> set[str]:
    """The sources of a select that an expression names columns of; `""` stands for the select around."""
    found: set[str] = set()
    for node in own_nodes(expression):
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            alias, source = source_of(select, node)
            if source is not None:
                found.add(alias)
            elif select.around is not None and source_of(select.around, node)[1] is not None:
                found.add("")
            else:
                own = next((each for each in select.projections if each.name.casefold() == node.name.casefold()), None)
                if (
                    own is not None
                    and own.expression is not None
                    and own.expression is not expression
                    and not own.expression.find(exp.Window)
                ):
                    found |= aliases_in(select, own.expression) if node not in list(own.expression.walk()) else set()
    return found


def carriers_of(select: Select, timestamp: Projection | None) -> frozenset[str]:
    """The sources whose rows a select's rows are: those that the timestamp is of, else the one it selects from first."""
    if select.parts or not select.sources:
        return frozenset()
    found: set[str] = set()
    if timestamp is not None:
        found = {alias for alias in select.sources if _names_from(select, timestamp, alias)}
    if not found:
        found = {first_source(select)}
    return frozenset(alias for alias in found if alias in select.sources)


def first_source(select: Select) -> str:
    """The alias of what a select selects from first."""
    said = select.expression.args.get("from_") or select.expression.args.get("from")
    name = said.this.alias_or_name.casefold() if isinstance(said, exp.From) else ""
    return name if name in select.sources else next(iter(select.sources), "")


def _names_from(select: Select, column: Projection, alias: str) -> Sequence[str]:
    """The names of the columns of one source that a column is made of."""
    source = select.sources[alias]
    if column.expression is None:
        return [each.name for each in column.passed_on if not isinstance(each, Unknown) and is_of(each, source)]
    names = []
    for node in own_nodes(column.expression):
        if isinstance(node, exp.Column) and not isinstance(node.this, exp.Star):
            named, found = source_of(select, node)
            if named == alias:
                names.append(node.name)
            elif found is None:
                own = next(
                    (each for each in select.projections if each is not column and each.name.casefold() == node.name.casefold()), None
                )
                if own is not None and own.expression is not None and column.expression not in list(own.expression.walk()):
                    names += _names_from_plain(select, own.expression, alias)
    return names


def _names_from_plain(select: Select, expression: exp.Expr, alias: str) -> Iterator[str]:
    for node in own_nodes(expression):
        if isinstance(node, exp.Column) and source_of(select, node)[0] == alias:
            yield node.name


def is_of(found: Input, source: Select | Table | exp.Expr) -> bool:
    """Whether an input is a column of that source."""
    if isinstance(found, Projection):
        return found.select is source
    return isinstance(found, TableColumn) and found.table == source


def _has(select: Select, source: Select | Table | exp.Expr, name: str) -> bool | None:
    """Whether a source has a column of that name; None where nobody knows."""
    folded = name.casefold()
    if isinstance(source, Select):
        if any(each.name.casefold() == folded for each in source.projections):
            return True
        return None if source.open_tables else False
    if isinstance(source, Table):
        columns = select.query.columns_of(source)
        return None if columns is None else folded in {each.casefold() for each in columns}
    names = source.alias_column_names
    return folded in {each.casefold() for each in names} if names else (True if source.alias_or_name.casefold() == folded else None)


def _is_own_alias(select: Select, column: exp.Column) -> bool:
    return any(each.name.casefold() == column.name.casefold() and each.expression is not None for each in select.projections) and not any(
        _has(select, source, column.name) is None for source in select.sources.values()
    )


def _branches(node: exp.Expr) -> Iterator[exp.Expr]:
    if isinstance(node, exp.Case):
        yield from (each.args["true"] for each in node.args.get("ifs") or ())
        if node.args.get("default") is not None:
            yield node.args["default"]
    elif isinstance(node, exp.If):
        yield from (each for each in (node.args.get("true"), node.args.get("false")) if each is not None)
    elif isinstance(node, exp.Nullif):
        yield node.this
    else:
        yield from (node.this, *node.expressions)
