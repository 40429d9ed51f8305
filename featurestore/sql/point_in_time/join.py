"""What a point-in-time join asks for, said without saying how, and the query that answers it.

The query has one shape, whatever the strategy. `asked` numbers the spine's rows and holds their keys and instants. For each view the
strategy finds, from keys and timestamps alone, which row each asked row sees (`<view>_matched`); the values come back by an equi-join
(`<view>_values`), and only there are rows that share keys and timestamp told apart. The spine is joined to the values by row number
and comes back in its own order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from sqlglot import exp

from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import is_nested
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import (
    ascending,
    column,
    fitting,
    joined,
    key_value,
    named,
    not_null,
    numbered,
    row_number,
    table,
    unused,
    with_ctes,
)
from featurestore.sql.history import History, HistoryNames, as_known, history_names
from featurestore.sql.instants import earlier, instant

from .on_demand import Places, worked_out


class Strategy(str, Enum):
    """How the row that each spine row sees is found."""

    ASOF = "asof"
    """The warehouse's own ASOF join, over keys and timestamps."""

    THIN_UNION = "thin_union"
    """Keys and timestamps of both sides in one timeline, and a running maximum along it. Runs everywhere."""

    LATERAL = "lateral"
    """One look-up for each spine row, in an index that begins with the join keys and the timestamp."""

    VALIDITY_RANGES = "validity_ranges"
    """Every row valid at the asked instant, and the newest of them: exact where validity overlaps."""

    RANGE_FRAME = "range_frame"
    """Of a view of aggregations: events and asked instants in one timeline, and a frame as long as each window behind every instant."""

    RANGE_JOIN = "range_join"
    """Of a view of aggregations: every asked row beside the events of its longest window, and aggregates of them. Runs everywhere."""


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """How one view of a join is to be read."""

    strategy: Strategy
    prune: bool = False
    """Whether the view is cut down to the spine's keys first."""

    between: tuple[datetime, datetime] | None = None
    """The first and the last instant that is asked about, where they are known before the spine is read."""


@dataclass(frozen=True, slots=True)
class Spine:
    """The rows that training asks about."""

    source: exp.Expression
    """Where they are: a table, or a subquery."""

    columns: tuple[Column, ...]
    """Those that the source has, in order."""

    event_timestamp: str
    row_number: str | None = None
    """The column of the source that numbers its rows; without one the query numbers them."""

    answered: bool = True
    """Whether the answer begins with the spine's own columns. Without them it is the features alone, in the spine's order."""

    def column(self, name: str) -> Column:
        """The column of that name."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True, slots=True)
class PointInTimeJoin:
    """For each row of the spine, the features of each view as they were known then."""

    spine: Spine
    views: tuple[RequestedView, ...]
    boxed: bool = False
    """Whether each list, struct and map of the answer stands in a list of its own, and an empty one says that there is none. Only for
    dialects where they cannot be null."""


@dataclass(frozen=True, slots=True)
class SpineNames:
    """What the query calls the CTEs of the spine and their columns."""

    spine: str
    asked: str
    row_number: str
    asked_at: str


@dataclass(frozen=True, slots=True)
class ViewScope:
    """What a strategy has to work with: one view's history, the spine's names, and the names of this view's CTEs."""

    history: History
    spine: SpineNames
    plan: ViewPlan
    prefix: str

    @property
    def view(self) -> FeatureView:
        return self.history.view

    @property
    def names(self) -> HistoryNames:
        return self.history.names

    def cte(self, part: str) -> str:
        """The name of one of this view's CTEs."""
        return f"{self.prefix}_{part}"

    def same_key(self, left: str, right: str) -> list[exp.Expression]:
        """That two relations speak of the same entity key. A null key equals nothing."""
        return [exp.EQ(this=column(key, left), expression=column(key, right)) for key in self.history.keys]

    def key_columns(self, of: str | None = None) -> list[exp.Expression]:
        """The join keys, as columns of `of`."""
        return [column(key, of) for key in self.history.keys]

    def unexpired(self, asked: str, row: str) -> list[exp.Expression]:
        """That the row of one relation is no older than the TTL at the instant of another: a condition, or none."""
        if self.view.ttl is None:
            return []
        oldest = earlier(column(self.spine.asked_at, asked), self.view.ttl, self.history.dialect)
        return [exp.GTE(this=column(self.names.event_timestamp, row), expression=oldest)]


_LONGEST_PART = len("_2_2_deviations")
"""What may follow a view's name in the name of a CTE."""

NamedQuery = tuple[str, exp.Query]


@dataclass(frozen=True, slots=True)
class Stages:
    """A join in steps: what to keep in temporary tables first, in order, and the SELECT that then answers."""

    tables: tuple[NamedQuery, ...]
    answer: exp.Select


def point_in_time_query(join: PointInTimeJoin, plans: Mapping[str, ViewPlan], dialect: Dialect) -> exp.Select:
    """The SELECT that answers `join`, each view read as its plan (by the view's name) says."""
    names = _spine_names(join)
    ctes = [*_spine_ctes(join, names, dialect)]
    for scope, requested in _scopes(join, plans, names, dialect):
        ctes += _aggregated(scope, requested) if scope.view.aggregated else [*_matched(scope), *_values(scope, requested)]
    return with_ctes(_answer(join, names, dialect), ctes)


def point_in_time_stages(join: PointInTimeJoin, plans: Mapping[str, ViewPlan], dialect: Dialect) -> Stages:
    """The same in steps, for a warehouse that does better when it has seen which rows matched before it fetches their values."""
    names = _spine_names(join)
    spine = _spine_ctes(join, names, dialect)
    tables: list[NamedQuery] = []
    ctes = [*spine]
    for scope, requested in _scopes(join, plans, names, dialect):
        if scope.view.aggregated:
            *before, (name, values) = _aggregated(scope, requested)
            tables.append((name, with_ctes(values, [*_copies(spine), *before])))
            continue
        before = _matched(scope)
        if scope.plan.strategy in (Strategy.VALIDITY_RANGES, Strategy.LATERAL):
            # Its values come from the same rows that the match was made on.
            ctes += before
        else:
            name, matched = before.pop()
            tables.append((name, with_ctes(matched, [*_copies(spine), *before])))
        ctes += _values(scope, requested)
    return Stages(tuple(tables), with_ctes(_answer(join, names, dialect), ctes))


def _spine_ctes(join: PointInTimeJoin, names: SpineNames, dialect: Dialect) -> list[NamedQuery]:
    return [(names.spine, _numbered_spine(join.spine, names, dialect)), (names.asked, _asked(join, names, dialect))]


def _copies(ctes: list[NamedQuery]) -> list[NamedQuery]:
    return [(name, query.copy()) for name, query in ctes]


def _scopes(
    join: PointInTimeJoin, plans: Mapping[str, ViewPlan], names: SpineNames, dialect: Dialect
) -> Iterator[tuple[ViewScope, RequestedView]]:
    for requested, prefix in zip(join.views, _prefixes(join, dialect), strict=True):
        history = History(requested.view, history_names(requested.view, (names.row_number, names.asked_at)), dialect)
        yield ViewScope(history, names, plans[requested.view.name], prefix), requested.read


def _answer(join: PointInTimeJoin, names: SpineNames, dialect: Dialect) -> exp.Select:
    """The spine in its order, with each view's values beside it."""
    own = join.spine.columns if join.spine.answered else ()
    query = exp.select(*(column(spine_column.name, names.spine) for spine_column in own)).from_(table(names.spine))
    for requested, prefix in zip(join.views, _prefixes(join, dialect), strict=True):
        values = f"{prefix}_values"
        query = query.select(*_outputs(join, requested, values, names, dialect), copy=False)
        on = column(names.row_number, values).eq(column(names.row_number, names.spine))
        query = joined(query, table(values), [on], "LEFT")
    return query.order_by(ascending(column(names.row_number, names.spine)), copy=False)


def _outputs(join: PointInTimeJoin, requested: RequestedView, values: str, names: SpineNames, dialect: Dialect) -> Iterator[exp.Expression]:
    places = _places(join.spine, requested.read, values, names)
    for feature, name in zip(requested.features, requested.output_names, strict=True):
        if feature.on_demand is not None:
            yield named(worked_out(feature.on_demand, places, dialect), name)
        elif join.boxed and is_nested(feature.value_type):
            seen = exp.If(this=not_null(column(names.row_number, values)), true=exp.array(column(name, values)))
            yield named(exp.Case(ifs=[seen], default=exp.array()), name)
        else:
            yield column(name, values)


def _places(spine: Spine, read: RequestedView, values: str, names: SpineNames) -> Places:
    types = {each.name: each.value_type for each in spine.columns}
    outputs = {feature.name: output for feature, output in zip(read.features, read.output_names, strict=True)}
    return Places(types, spine.event_timestamp, names.spine, outputs, values)


def _matched(scope: ViewScope) -> list[NamedQuery]:
    from . import asof, thin_union, validity_ranges

    match scope.plan.strategy:
        case Strategy.ASOF:
            return asof.matched(scope)
        case Strategy.THIN_UNION:
            return thin_union.matched(scope)
        case Strategy.VALIDITY_RANGES:
            return validity_ranges.matched(scope)
        case Strategy.LATERAL:
            # It finds a row and its values at once.
            return []
    raise ValueError(f"{scope.plan.strategy.value} is for views of aggregations, and {scope.view.name} is none.")


def _aggregated(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    from . import range_frame, range_join

    match scope.plan.strategy:
        case Strategy.RANGE_FRAME:
            return range_frame.values(scope, requested)
        case Strategy.RANGE_JOIN:
            return range_join.values(scope, requested)
    raise ValueError(f"{scope.view.name} is a view of aggregations, which {scope.plan.strategy.value} cannot answer.")


def _values(scope: ViewScope, requested: RequestedView) -> list[NamedQuery]:
    from . import lateral
    from .values import values_by_timestamp, values_by_version

    match scope.plan.strategy:
        case Strategy.VALIDITY_RANGES:
            return values_by_version(scope, requested)
        case Strategy.LATERAL:
            return lateral.values(scope, requested)
    return values_by_timestamp(scope, requested)


def _spine_names(join: PointInTimeJoin) -> SpineNames:
    relations = [requested.view.relation.identifier for requested in join.views]
    columns: list[str] = [spine_column.name for spine_column in join.spine.columns]
    for requested in join.views:
        columns += [feature.name for feature in requested.view.features]
        columns += [key.name for key in requested.view.join_keys]
        columns += [*requested.output_names, *requested.read.output_names]
    taken = [*relations, *_tables_of(join.spine.source)]
    return SpineNames(
        spine=unused("spine", taken),
        asked=unused("asked", taken),
        row_number=unused("row_number", columns),
        asked_at=unused("asked_at", columns),
    )


def _tables_of(source: exp.Expression) -> Iterable[str]:
    """Words of the spine's own text that a CTE must not be called: it would hide a table of that name from it."""
    for found in source.find_all(exp.Table):
        yield found.name
    for raw in source.find_all(exp.Var):
        yield from (word for word in ("spine", "asked") if word in raw.name.casefold())


def _prefixes(join: PointInTimeJoin, dialect: Dialect) -> Sequence[str]:
    """What the names of each view's CTEs begin with; no relation that is named without its schema begins so, or a CTE would hide it."""
    bare = [view.relation.identifier.casefold() for view in (requested.view for requested in join.views) if view.relation.schema is None]
    prefixes: list[str] = []
    for requested in join.views:
        prefix = unused(fitting(requested.view.name.replace(".", "_"), dialect, _LONGEST_PART), prefixes)
        while any(name.startswith(f"{prefix}_".casefold()) for name in bare):
            prefix = unused(f"{prefix}_2", prefixes)
        prefixes.append(prefix)
    return prefixes


def _numbered_spine(spine: Spine, names: SpineNames, dialect: Dialect) -> exp.Select:
    ours = spine.row_number is not None
    number = column(spine.row_number) if spine.row_number is not None else _number(spine, dialect)
    columns = [named(column(each.name if ours else each.stored_name), each.name) for each in spine.columns]
    return exp.select(named(number, names.row_number), *columns).from_(spine.source)


def _number(spine: Spine, dialect: Dialect) -> exp.Expression:
    if dialect.ctes_run_once:
        return numbered(dialect)
    # Rows that are alike in everything may change places from one reading to the next, and others may not.
    return row_number((), [ascending(column(each.stored_name)) for each in spine.columns], dialect)


def _asked(join: PointInTimeJoin, names: SpineNames, dialect: Dialect) -> exp.Select:
    timestamp = join.spine.column(join.spine.event_timestamp)
    keys = {key.name: None for requested in join.views for key in requested.view.join_keys}
    chosen = [
        column(names.row_number),
        named(instant(column(timestamp.name), timestamp.value_type, dialect), names.asked_at),
        *(named(key_value(column(key), join.spine.column(key).value_type, dialect), key) for key in keys),
    ]
    return exp.select(*chosen).from_(table(names.spine))


def carried(scope: ViewScope) -> list[str]:
    """Columns of the history, besides the keys, by which a matched row is found again."""
    found = [scope.names.event_timestamp]
    if as_known(scope.view):
        found.append(scope.names.created_timestamp)
    return found
