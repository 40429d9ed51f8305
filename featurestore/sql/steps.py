"""Everything that holds of a view of aggregations from an instant on, as long as no new event comes: what materialize publishes.

It is the training query itself, on a spine of each entity key at the instant, and at every later one at which a window of it changes:
an event is known from its `known_at` on, and leaves a window as soon as it is as old as the window. So one query answers both roads.

By position the answer has the join keys, the instant, the timestamp of the newest event in the longest window (null: there is none, and
so no row), and every feature; all instants of a key stand together, in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlglot import exp

from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Feature, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import STRING, TIMESTAMP, StringType

from .dialects import Dialect, dialect_named
from .expressions import ascending, column, named, table, unused, window, with_ctes
from .history import History, history_names, known_differs
from .instants import earlier, instant_literal, later
from .point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query
from .point_in_time.range_frame import frame_cannot


def step_rows(view: FeatureView, at: datetime, dialect: str) -> exp.Select:
    """For each entity key with an event that counts by then or will, the values at `at` and at every change until `at + exact_for`."""
    facts = dialect_named(dialect)
    features = (_newest_event(view), *view.features)
    requested = RequestedView(view, features, tuple(feature.name for feature in features))
    own = [*(key.name for key in view.join_keys), *requested.output_names]
    steps = _Steps(view, at, facts, unused("instant", own), unused("row_number", own))
    strategy = Strategy.RANGE_JOIN if frame_cannot(requested, facts) else Strategy.RANGE_FRAME
    plan = ViewPlan(strategy, between=(at, at + view.exact_for))
    query = point_in_time_query(PointInTimeJoin(steps.spine, (requested,)), {view.name: plan}, facts)
    # They stand before what reads them: not every warehouse takes a WITH in a subquery.
    before = with_ctes(exp.select(), steps.ctes()).args["with_"].expressions
    query.args["with_"].set("expressions", [*before, *query.args["with_"].expressions])
    return query


def _newest_event(view: FeatureView) -> Feature:
    """The newest timestamp among the events of the longest window, as a feature like any other."""
    timestamp = view.event_timestamp
    name = unused("newest_event", [feature.name for feature in view.features] + [key.name for key in view.join_keys])
    aggregation = Aggregation(AggregateFunction.MAX, view.windows[-1], timestamp)
    return Feature(name, timestamp.value_type, aggregation=aggregation)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The spine: each key at the instant and at every change after it, numbered in order."""

    view: FeatureView
    at: datetime
    dialect: Dialect
    instant: str
    row_number: str

    @property
    def spine(self) -> Spine:
        """What the join is asked about."""
        keys = (Column(key.name, STRING if isinstance(key.value_type, StringType) else key.value_type) for key in self.view.join_keys)
        return Spine(table(self._cte("steps")), (*keys, Column(self.instant, TIMESTAMP)), self.instant, self.row_number)

    def ctes(self) -> list[tuple[str, exp.Query]]:
        """CTEs of which the last is the spine."""
        order = [*(ascending(column(key.name)) for key in self.view.join_keys), ascending(column(self.instant))]
        numbered = named(window(exp.RowNumber(), [], order), self.row_number)
        steps = exp.select(numbered, *self._keys(), column(self.instant)).from_(table(self._cte("changes")))
        return [(self._cte("recent"), self._recent()), (self._cte("changes"), self._changes()), (self._cte("steps"), steps)]

    def _recent(self) -> exp.Select:
        """The events that some window holds at any time between the instant and the end."""
        history = self._history()
        return history.select(known_at=True).where(
            exp.GT(this=history.event_timestamp, expression=earlier(self._literal(self.at), self.view.windows[-1], self.dialect)),
            exp.LTE(this=history.known_at, expression=self._until()),
        )

    def _changes(self) -> exp.Query:
        names, at = self._history().names, self._literal(self.at)
        known_at = column(names.known_at if known_differs(self.view) else names.event_timestamp)
        changes = [known_at, *(later(column(names.event_timestamp), length, self.dialect) for length in self.view.windows)]
        steps: exp.Query = self._at(at)
        for change in changes:
            within = exp.And(
                this=exp.GT(this=change, expression=at.copy()), expression=exp.LTE(this=change.copy(), expression=self._until())
            )
            steps = exp.union(steps, self._at(change.copy()).where(within), distinct=True)
        return steps

    def _at(self, instant: exp.Expression) -> exp.Select:
        return exp.select(*self._keys(), named(instant, self.instant)).from_(table(self._cte("recent")))

    def _keys(self) -> list[exp.Expression]:
        return [column(key.name) for key in self.view.join_keys]

    def _until(self) -> exp.Expression:
        return self._literal(self.at + self.view.exact_for)

    def _literal(self, moment: datetime) -> exp.Expression:
        return instant_literal(moment, self.dialect)

    def _history(self) -> History:
        return History(self.view, history_names(self.view, (self.instant, self.row_number)), self.dialect)

    def _cte(self, name: str) -> str:
        """A name that the model does not have: it stands beside them."""
        return unused(name, [self.view.relation.identifier])
