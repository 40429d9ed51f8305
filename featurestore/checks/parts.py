"""Which pieces of a model's SQL the features of a view depend on, and in what way: what no feature depends on is nobody's leak."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from sqlglot import exp

from featurestore.dbt.nodes import Node
from featurestore.lineage.features import feature_columns
from featurestore.lineage.project import ProjectLineage, snapshot_columns
from featurestore.lineage.query import Projection, Select, own_nodes
from featurestore.lineage.reach import Reached, reached
from featurestore.lineage.tables import Table
from featurestore.registry.definitions import FeatureView


class Role(str, Enum):
    """In what way something depends on a piece of SQL."""

    VALUE = "value"
    """The feature's value is made of it."""

    ROWS = "rows"
    """It decides which rows there are."""

    TIMESTAMP = "timestamp"
    """The view's event timestamp is made of it, or the end of a snapshot's row."""

    KEY = "key"
    """A join key is made of it."""

    CREATED = "created"
    """The view's created timestamp is made of it."""


Uses = Mapping[Role, frozenset[str]]
"""The view's features that depend on something, by the way in which they do."""


@dataclass(frozen=True, eq=False)
class Part:
    """One column of a select in a model, or one clause that decides its rows."""

    select: Select
    expression: exp.Expr | None
    """The SQL, without its alias. None for a column that a star or the parts of a union pass on: see `projection.inputs`."""

    projection: Projection | None
    """The column. None for a clause: WHERE, GROUP BY, HAVING, QUALIFY, LIMIT, a join's ON, a table function."""

    uses: Uses

    @property
    def features(self) -> frozenset[str]:
        """All that depend on it, in whatever way."""
        return frozenset().union(*self.uses.values())

    def used_as(self, *roles: Role) -> frozenset[str]:
        """The features that depend on it in one of those ways."""
        return frozenset().union(*(self.uses.get(role, frozenset()) for role in roles))

    @property
    def blamed(self) -> frozenset[str]:
        """The features that what is wrong in it leaks into: those whose values are made of it, and else those whose rows it decides.
        None where it makes only a key or a timestamp."""
        return self.used_as(Role.VALUE) or self.used_as(Role.ROWS)

    def nodes(self) -> Iterator[exp.Expr]:
        """The nodes of its expression and of the named windows that it uses; those inside a subquery are parts of their own."""
        if self.expression is not None:
            yield from own_nodes(self.expression)
            for window in self.select.named_windows(self.expression):
                yield from own_nodes(window)


Needed = Mapping[tuple[str, Role], frozenset[str]]
"""Of one model: the features that depend on a column in a way. The column "" stands for which rows there are."""


class Walks:
    """What each column of each model reaches inside the model's SQL; each is walked once, for all views."""

    def __init__(self, lineage: ProjectLineage) -> None:
        self._lineage = lineage
        self._walked: dict[tuple[str, str], Reached | None] = {}

    def of(self, unique_id: str, column: str) -> Reached | None:
        """None where the model's SQL cannot be read, or has no such column."""
        key = (unique_id, column.casefold())
        if key not in self._walked:
            self._walked[key] = self._reached(unique_id, column)
        return self._walked[key]

    def is_readable(self, unique_id: str) -> bool:
        """Whether the model's SQL can be read."""
        return not isinstance(self._lineage.query(unique_id), str)

    def _reached(self, unique_id: str, column: str) -> Reached | None:
        query = self._lineage.query(unique_id)
        if isinstance(query, str):
            return None
        if not column:
            return reached((), (query.root,))
        projection = query.root.projection(column)
        return None if projection is None else reached([projection])


def needed_by(lineage: ProjectLineage, walks: Walks, view: FeatureView) -> dict[str, Needed]:
    """For each model that the features of a view depend on: which of its columns they need, and in what way."""
    found: dict[str, dict[tuple[str, Role], frozenset[str]]] = defaultdict(dict)
    waiting = [(view.unique_id, column, role, features) for (column, role), features in _of_view(view, lineage.dialect).items()]
    while waiting:
        unique_id, column, role, features = waiting.pop()
        node = lineage.manifest.nodes.get(unique_id)
        key = (column.casefold(), role)
        new = features - found[unique_id].get(key, frozenset())
        if node is None or not new:
            continue
        found[unique_id][key] = found[unique_id].get(key, frozenset()) | new
        if node.resource_type not in ("model", "snapshot"):
            continue
        walked = walks.of(unique_id, column)
        if walked is not None:
            waiting += [(at, name, to, new) for at, name, to in _further(lineage, walked, role)]
            continue
        query = lineage.query(unique_id)
        if not isinstance(query, str):
            told_by = snapshot_columns(node, column, [each.name for each in query.root.projections]) or ()
            waiting += [(unique_id, each, role, new) for each in told_by]
    return dict(found)


def parts_of(walks: Walks, unique_id: str, needed: Needed) -> Iterator[Part]:
    """The pieces of a model's SQL that the needed columns depend on, each once."""
    columns: dict[Projection, dict[Role, frozenset[str]]] = {}
    selects: dict[Select, frozenset[str]] = {}
    for (column, role), features in needed.items():
        walked = walks.of(unique_id, column)
        if walked is None:
            continue
        for projection in walked.projections:
            _add(columns.setdefault(projection, {}), role, features)
        for projection in walked.row_projections:
            _add(columns.setdefault(projection, {}), Role.ROWS, features)
        for select in walked.selects:
            selects[select] = selects.get(select, frozenset()) | features
    for projection, uses in columns.items():
        yield Part(projection.select, projection.expression, projection, uses)
    for select, features in selects.items():
        made = (source for source in select.sources.values() if isinstance(source, exp.Expr))
        for clause in (*select.row_clauses, *made):
            yield Part(select, clause, None, {Role.ROWS: features})


def unknown_in(walks: Walks, node: Node, needed: Needed) -> dict[str, tuple[exp.Expr | None, frozenset[str]]]:
    """What the needed columns of a model depend on and cannot be told: each reason with a place of it, and the features.

    Nothing of a model that cannot be read as a whole: which columns it has is not known.
    """
    found: dict[str, tuple[exp.Expr | None, frozenset[str]]] = {}
    if not walks.is_readable(node.unique_id):
        return found
    for (column, _), features in needed.items():
        walked = walks.of(node.unique_id, column)
        unknown: list[tuple[str, exp.Expr | None]] = [(each.reason, each.expression) for each in walked.unknown] if walked else []
        if walked is None and snapshot_columns(node, column, ()) is None:
            unknown = [(f"its SQL has no column {column}", None)]
        for reason, at in unknown:
            first, before = found.get(reason, (at, frozenset()))
            found[reason] = first, before | features
    return found


def _of_view(view: FeatureView, dialect: str) -> Needed:
    """What the view's features need of its own model."""
    every = frozenset(feature.name for feature in view.all_features)
    found: dict[tuple[str, Role], frozenset[str]] = {("", Role.ROWS): every, (view.event_timestamp.name, Role.TIMESTAMP): every}
    if view.valid_to is not None:
        found[view.valid_to.name, Role.TIMESTAMP] = every
    if view.created_timestamp is not None:
        found[view.created_timestamp.name, Role.CREATED] = every
    for key in view.join_keys:
        found[key.name, Role.KEY] = every
    for feature in view.all_features:
        columns, filtered = feature_columns(view, feature, dialect)
        for need in (*((name, Role.VALUE) for name in columns), *((name, Role.ROWS) for name in filtered)):
            found[need] = found.get(need, frozenset()) | {feature.name}
    return found


def _further(lineage: ProjectLineage, walked: Reached, role: Role) -> Iterator[tuple[str, str, Role]]:
    """What is needed of the models that a model reads, where a column of it is needed in that role."""
    for columns, to in ((walked.values, role), (walked.rows, Role.ROWS)):
        for column in columns:
            unique_id = lineage.node_of(column.table)
            if unique_id is not None:
                yield unique_id, column.name, to
    for table in _tables(walked.selects):
        unique_id = lineage.node_of(table)
        if unique_id is not None:
            yield unique_id, "", Role.ROWS


def _tables(selects: Iterable[Select]) -> set[Table]:
    return {source for select in selects for source in select.sources.values() if isinstance(source, Table)}


def _add(uses: dict[Role, frozenset[str]], role: Role, features: frozenset[str]) -> None:
    uses[role] = uses.get(role, frozenset()) | features
