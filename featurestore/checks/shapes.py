"""What stands behind a source of a select, through all that only passes rows on: a table, an aggregate, a series, …"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from featurestore.dbt.nodes import Node
from featurestore.lineage.query import Projection, Select, TableColumn, own_nodes
from featurestore.lineage.tables import Table

from .bounds import conjuncts
from .functions import function_name
from .naming import is_load_time
from .origins import Leaf, Origins, aliases_in, first_source
from .spans import number
from .windows import Kind, Seeing, seeing


class Form(str, Enum):
    """What rows are, at bottom."""

    MADE = "made"
    """Made by SQL itself: a series, a list of constants."""

    SEED = "seed"
    IMMUTABLE = "immutable"
    SNAPSHOT = "snapshot"
    AGGREGATE = "aggregate"
    NEWEST = "newest"
    """One row of each key: the newest, as far as the order says."""

    TABLE = "table"


@dataclass(frozen=True)
class Kept:
    """A filter that keeps one row of each key."""

    keys: tuple[exp.Expr, ...]
    model: str
    select: Select
    """In which the keys are said."""

    newest: bool
    by: exp.Expr | None
    """What the rows are ordered by."""

    at: exp.Expr


@dataclass(frozen=True)
class Shape:
    """What stands behind a source."""

    form: Form
    names: tuple[str, ...]
    """Of the relations that the rows come through, the nearest first."""

    model: str = ""
    select: Select | None = None
    """Of an aggregate, and of the newest rows: the select that makes them; the model it is in."""

    kept: Kept | None = None
    leaves: frozenset[Leaf] = frozenset()
    node: Node | None = None


def is_immutable(node: Node) -> bool:
    """Whether its rows are declared never to change once they are there: `meta: {immutable: true}` of a model, seed or source."""
    return node.meta.get("immutable") is True


def shape_of(origins: Origins, model: str, source: Select | Table | exp.Expr) -> Shape:
    """What stands behind a source of a select in a model."""
    names: list[str] = []
    snapshot: Node | None = None
    for _ in range(200):
        if isinstance(source, Table):
            names.append(source.name)
            node_id = origins.lineage.node_of(source)
            node = None if node_id is None else origins.lineage.manifest.nodes[node_id]
            same = () if node_id is None else origins.lineage.same_table(node_id)
            if any(is_immutable(origins.lineage.manifest.nodes[each]) for each in same):
                return Shape(Form.IMMUTABLE, tuple(names), node=node)
            if node is not None and node.resource_type in ("seed", "snapshot"):
                return Shape(Form(node.resource_type), tuple(names), node=node)
            entered = origins.entered(model, source)
            if entered is None:
                return Shape(Form.TABLE, tuple(names), node=node)
            model, source = entered
        if not isinstance(source, Select):
            return Shape(Form.MADE, tuple(names), node=snapshot)
        found = _of_select(origins, model, source, tuple(names))
        if found is not None:
            return found
        if source.parts:
            source = source.parts[0]
            continue
        source = source.sources[first_source(source)]
    return Shape(Form.TABLE, tuple(names))


def _of_select(origins: Origins, model: str, select: Select, names: tuple[str, ...]) -> Shape | None:
    if select.parts:
        return None
    if not select.sources:
        return Shape(Form.MADE, names)
    if is_aggregated(select):
        below = shape_of(origins, model, select.sources[first_source(select)])
        return Shape(
            Form.MADE if below.form is Form.MADE and len(select.sources) == 1 else Form.AGGREGATE, (*names, *below.names), model, select
        )
    kept = kept_rows(origins, model, select, {first_source(select)})
    if kept is not None:
        below = shape_of(origins, model, select.sources[first_source(select)])
        return Shape(Form.NEWEST, (*names, *below.names), model, select, kept)
    return None


def is_aggregate(node: exp.Expr) -> bool:
    """Whether this very node makes one value of several rows, and no window."""
    called = isinstance(node, exp.AggFunc | exp.AnonymousAggFunc | exp.CombinedAggFunc | exp.ParameterizedAgg)
    if not called or isinstance(node, exp.Lead | exp.Lag | exp.RowNumber):
        return False
    around = node.parent
    while isinstance(around, exp.IgnoreNulls | exp.RespectNulls | exp.Filter | exp.WithinGroup):
        around = around.parent
    return not (isinstance(around, exp.Window) and any(each is node for each in around.this.walk()))


def is_aggregated(select: Select) -> bool:
    """Whether a select makes one row of several."""
    expression = select.expression
    if not isinstance(expression, exp.Select):
        return False
    if expression.args.get("group") is not None or expression.args.get("having") is not None:
        return True
    return any(is_aggregate(node) for said in expression.expressions for node in own_nodes(said))


def group_keys(select: Select) -> list[exp.Expr]:
    """What a select groups by; the aliases and places that it names are resolved."""
    group = select.expression.args.get("group")
    if not isinstance(group, exp.Group):
        return []
    said: list[exp.Expr] = [*group.expressions]
    for name in ("grouping_sets", "cube", "rollup"):
        for each in group.args.get(name) or ():
            said += [inner for inner in (each.expressions if isinstance(each, exp.Expr) else ())]
    if group.args.get("all"):
        said += [
            each.expression
            for each in select.projections
            if each.expression is not None and not any(map(is_aggregate, own_nodes(each.expression)))
        ]
    return [_resolved(select, each) for each in said]


def _resolved(select: Select, key: exp.Expr) -> exp.Expr:
    if isinstance(key, exp.Literal) and key.is_int and 0 < int(key.name) <= len(select.projections):
        found = select.projections[int(key.name) - 1].expression
        return key if found is None else found
    if isinstance(key, exp.Column) and not key.table:
        own = next((each for each in select.projections if each.name.casefold() == key.name.casefold()), None)
        if own is not None and own.expression is not None and not isinstance(own.expression, exp.Column):
            return own.expression
    return key


def kept_rows(origins: Origins, model: str, select: Select, of: Collection[str] | None = None) -> Kept | None:
    """How a select keeps one row of each key; None where it does not.

    Args:
        of: the sources whose rows are meant. None: all.
    """
    distinct, limit = select.expression.args.get("distinct"), select.expression.args.get("limit")
    order = select.expression.args.get("order")
    ordered = list(order.expressions) if isinstance(order, exp.Order) else []
    if isinstance(distinct, exp.Distinct) and isinstance(distinct.args.get("on"), exp.Expr):
        on = distinct.args["on"]
        keys = [_resolved(select, each) for each in (on.expressions if isinstance(on, exp.Tuple) else [on.unnest()])]
        return _first(model, select, keys, ordered[len(keys) :] or ordered[-1:], distinct)
    if isinstance(limit, exp.Limit) and limit.expressions:
        return _first(model, select, list(limit.expressions), ordered[-1:], limit)
    for condition in conjuncts(select):
        if of is not None and not aliases_in(select, condition) <= set(of):
            continue
        found = _numbered(origins, model, select, condition.unnest())
        if found is not None:
            return found
    return None


def _first(model: str, select: Select, keys: list[exp.Expr], ordered: list[exp.Expr], at: exp.Expr) -> Kept:
    last = ordered[0] if ordered else None
    by = last.this if isinstance(last, exp.Ordered) else last
    return Kept(tuple(keys), model, select, isinstance(last, exp.Ordered) and bool(last.args.get("desc")), by, at)


def _numbered(origins: Origins, model: str, select: Select, condition: exp.Expr) -> Kept | None:
    """`row_number() over (…) = 1`, `rn = 1`, `ts = max(ts) over (…)`, in the select or below it."""
    if not isinstance(condition, exp.EQ | exp.LTE | exp.LT):
        return None
    for side, other in ((condition.this, condition.expression), (condition.expression, condition.this)):
        if isinstance(condition, exp.EQ) and _is_newest_of_all(select, side):
            return Kept((), model, select, True, other, condition)
        found = _window_of(origins, model, select, side)
        if found is None:
            continue
        where, inner, window = found
        one = 2 if isinstance(condition, exp.LT) else 1
        if window.kind is Kind.RANK and number(other) == one:
            key = window.keys[0] if window.keys else None
            by = key.this if isinstance(key, exp.Ordered) else key
            return Kept(window.partition, where, inner, window.newest_first, by, window.node)
        if (
            isinstance(window.function, exp.Max | exp.LastValue | exp.FirstValue)
            and isinstance(condition, exp.EQ)
            and number(other) is None
        ):
            newest = isinstance(window.function, exp.Max) or window.sees_ahead
            return Kept(window.partition, where, inner, newest, window.function.this, window.node)
    return None


def _is_newest_of_all(select: Select, side: exp.Expr) -> bool:
    """`(select max(day) from …)`, whatever the row around it."""
    query = side.unnest()
    inner = select.query.subselect(query, select) if isinstance(query, exp.Query) else None
    if inner is None or not inner.projections or inner.expression.args.get("group") is not None:
        return False
    said, where = inner.projections[0].expression, inner.expression.args.get("where")
    return isinstance(said, exp.Max) and (where is None or "" not in aliases_in(inner, where))


def _window_of(origins: Origins, model: str, select: Select, side: exp.Expr) -> tuple[str, Select, Seeing] | None:
    """The window function that one side of a condition is, wherever it is called."""
    side = side.unnest()
    for _ in range(20):
        if isinstance(side, exp.Window):
            return model, select, seeing(origins, model, select, side)
        if not isinstance(side, exp.Column):
            return None
        projection = next((each for each in select.inputs_of(side) if isinstance(each, Projection | TableColumn)), None)
        at = None if projection is None else origins.above(model, projection)
        if at is None or isinstance(at, Leaf):
            return None
        model, column = at
        while column.expression is None and column.passed_on:
            passed = origins.above(model, column.passed_on[0])
            if passed is None or isinstance(passed, Leaf):
                return None
            model, column = passed
        if column.expression is None:
            return None
        select, side = column.select, column.expression.unnest()
    return None


def event_times(origins: Origins, model: str, source: Select | Table | exp.Expr) -> tuple[str, ...]:
    """The names of the columns that say when something happened in what a source's rows come from: not when it was loaded."""
    for _ in range(200):
        found = tuple(name for name in _time_columns(origins, model, source) if not is_load_time(name))
        entered = origins.entered(model, source)
        if found or entered is None:
            return found
        model, below = entered
        below = below.parts[0] if below.parts else below
        # Of rows that are told apart by what is selected of them, no more than that is left.
        if not below.sources or below.expression.args.get("distinct") is not None:
            return ()
        source = below.sources[first_source(below)]
    return ()


def _time_columns(origins: Origins, model: str, source: Select | Table | exp.Expr) -> Iterator[str]:
    if isinstance(source, Table):
        entered = origins.entered(model, source)
        if entered is None:
            node = origins.lineage.node_of(source)
            for name in select_columns(origins, source, node):
                if origins.is_time_leaf(Leaf(node or str(source), name.casefold())):
                    yield name
            return
        model, source = entered
    if isinstance(source, Select):
        for each in source.projections:
            if origins.is_time_projection(model, each):
                yield each.name


def select_columns(origins: Origins, table: Table, node: str | None) -> tuple[str, ...]:
    """The columns of a table that no model makes, as far as they are known."""
    return tuple(() if node is None else origins.lineage.columns_of(node) or tuple(origins.lineage.manifest.nodes[node].columns()))


def is_newest_aggregate(node: exp.Expr) -> bool:
    """Whether it takes the value of the newest row: `argMax(x, ts)`."""
    return isinstance(node, exp.ArgMax) or function_name(node) in ("argmax", "max_by", "arg_max")
