"""Audit a log of served values: for each, training is asked about the same entity key at the instant when it was served.

As Chronon's consistency job does, but judged by what may have been known: where training says something else, it is asked again about
the last materialization before, and about the instant from which on the row that was served counts, so that a value that is older is
told from one that is wrong. All questions are put to the warehouse by the SQL of training, for tables of bounded size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import pyarrow as pa
from sqlglot import exp

from featurestore.materialize.drift import keys_in_words
from featurestore.registry.definitions import Feature, FeatureReference, FeatureView, LateData
from featurestore.registry.expressions import Expression, Operation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import column, render
from featurestore.sql.instants import instant, instant_literal
from featurestore.timestamps import as_utc
from featurestore.training.digest import moved
from featurestore.warehouse.base import Warehouse

from .outcomes import Example, FeatureAudit, Outcome
from .run import AuditReport, ServedPart, ViewAudit
from .served_log import ServedLines, ServedTable, declared
from .served_outcomes import Kind, Said, ServedValue, judged
from .training import answered, asked_at, row_times, training_answers


@dataclass
class _Counted:
    """What was found of one feature so far."""

    reference: FeatureReference
    most_examples: int
    counts: dict[Outcome, int] = field(default_factory=lambda: dict.fromkeys(Outcome, 0))
    between: int = 0
    examples: dict[Outcome, list[Example]] = field(default_factory=dict)

    def add(self, outcome: Outcome, between: bool, example: Example) -> None:
        """Count a value that is not equal."""
        self.counts[outcome] += 1
        self.between += between
        kept = self.examples.setdefault(outcome, [])
        if len(kept) < self.most_examples and not between:
            kept.append(example)

    def result(self) -> FeatureAudit:
        """What was counted."""
        examples = tuple(example for kept in self.examples.values() for example in kept)
        return FeatureAudit(self.reference, dict(self.counts), examples, self.between)


@dataclass
class _View:
    """What was found of one feature view so far."""

    rows: int = 0
    drift: dict[str, None] = field(default_factory=dict)
    features: dict[str, _Counted] = field(default_factory=dict)
    materialized_at: datetime | None = None


@dataclass
class ServedAudit:
    """An audit of what was logged.

    Args:
        views: the feature views that are compared, by name.
        examples: how many values of each kind are shown for each feature.
    """

    warehouse: Warehouse
    views: Mapping[str, FeatureView]
    examples: int
    _found: dict[str, _View] = field(default_factory=dict)

    def run(self, lines: ServedLines, *, at: datetime, left_out: Iterable[str] = ()) -> AuditReport:
        """Audit those lines.

        Args:
            at: the present instant.
            left_out: names of views that are in the project, and not compared.

        Raises RequestError where nothing is left to compare.
        """
        asked: list[datetime] = []
        skipped = frozenset(left_out)
        for table in lines.tables():
            if table.logged.feature_view not in skipped and len(table):
                asked += (min(table.asked_at), max(table.asked_at))
                self._table(table)
        if not asked:
            raise lines.nothing_compared()
        views = tuple(
            ViewAudit(name, of.rows, tuple(each.result() for each in of.features.values()), tuple(of.drift), of.materialized_at)
            for name, of in sorted(self._found.items())
        )
        return AuditReport(as_utc(at), views, ServedPart(min(asked), max(asked), lines.read))

    def _table(self, table: ServedTable) -> None:
        name = table.logged.feature_view
        found = self._found.setdefault(name, _View())
        found.rows += len(table)
        view = self.views.get(name)
        if view is None:
            found.drift[f"{name} was served, and the project has it no more"] = None
            return
        join_keys = declared(table.logged.join_keys)
        if keys_in_words(join_keys) != keys_in_words(view.join_keys):
            found.drift[f"its keys were served as {keys_in_words(join_keys)}, and the project has {keys_in_words(view.join_keys)}"] = None
            return
        known = [at for at in (found.materialized_at, *table.materialized_at) if at is not None]
        found.materialized_at = max(known, default=None)
        features = self._comparable(view, table, found)
        if features:
            _Comparison(self.warehouse, view, features, table).count(found.features)

    def _comparable(self, view: FeatureView, table: ServedTable, found: _View) -> list[Feature]:
        """The features that were served as the project declares them."""
        inputs, features = dict(table.logged.inputs), []
        for name, kind in table.logged.features:
            feature = view.feature(name)
            if feature is None:
                found.drift[f"{name} was served, and the project has it no more"] = None
            elif str(feature.value_type) != kind:
                found.drift[f"{name} was served as {kind}, and the project has {feature.value_type}"] = None
            elif missing := [each for each, of in _needed(feature).items() if inputs.get(each) != str(of)]:
                found.drift[f"{name} needs the input {missing[0]} as {_needed(feature)[missing[0]]}, which was served without it"] = None
            else:
                features.append(feature)
                found.features.setdefault(name, _Counted(FeatureReference(view.name, name), self.examples))
        return features


@dataclass(frozen=True)
class _Answer:
    """What training says of some served rows, feature by feature."""

    there: Sequence[bool]
    times: Sequence[datetime | None]
    values: Mapping[str, pa.Array]
    differs: Mapping[str, Sequence[bool]]
    """Whether it says something else than what was served."""

    def said(self, feature: str, row: int, *, same: bool = False) -> Said:
        """What it says of one of them. Args: same: take its value for the same."""
        return Said(self.there[row], same or not self.differs[feature][row], self.times[row])


@dataclass(frozen=True)
class _Comparison:
    """Some served rows of one feature view beside training."""

    warehouse: Warehouse
    view: FeatureView
    features: Sequence[Feature]
    table: ServedTable

    def count(self, counted: Mapping[str, _Counted]) -> None:
        """Count the outcomes of each feature."""
        every = range(len(self.table))
        now = self._training(self.view, every, self.table.asked_at)
        for feature in self.features:
            counted[feature.name].counts[Outcome.EQUAL] += now.differs[feature.name].count(False)
        rows = [row for row in every if any(now.differs[feature.name][row] for feature in self.features)]
        if not rows:
            return
        without_ttl, then, at_row_time = self._elsewhen(rows)
        kind = Kind.WINDOWS if self.view.aggregated else Kind.SNAPSHOT if self.view.valid_to else Kind.ROWS
        for feature in self.features:
            # What is worked out of the instant of the request is another value at any other one.
            timed = feature.on_demand is not None and _reads_clock(feature.on_demand.tree)
            served = self.table.values[feature.name]
            for place, row in enumerate(rows):
                if not now.differs[feature.name][row]:
                    continue
                known = self.table.materialized_at[row] is not None
                value = ServedValue(
                    self.table.statuses[row],
                    self.table.event_timestamps[row],
                    now.said(feature.name, row),
                    without_ttl.said(feature.name, place),
                    then.said(feature.name, place, same=timed or self._nothing(then, feature, place, row)) if known else None,
                    at_row_time.said(feature.name, place, same=timed),
                )
                outcome, between = judged(value, kind)
                counted[feature.name].add(outcome, between, self._example(outcome, served[row], now, feature, row))

    def _elsewhen(self, rows: Sequence[int]) -> tuple[_Answer, _Answer, _Answer]:
        """What training says of rows without a TTL, at the materialization before, and when the row that was served began to count."""
        table, view = self.table, self.view
        asked = [table.asked_at[row] for row in rows]
        materialized = [table.materialized_at[row] or table.asked_at[row] for row in rows]
        if view.aggregated:
            then = self._known_then(rows, materialized)
            return then, then, then
        began = [_began(table.event_timestamps[row], view, at) for row, at in zip(rows, asked, strict=True)]
        as_known = replace(view, late_data=LateData.AS_KNOWN) if view.created_timestamp else view
        return (
            self._training(replace(view, ttl=None), rows, asked),
            self._training(as_known, rows, materialized),
            self._training(replace(view, late_data=LateData.AS_EVENT), rows, began),
        )

    def _known_then(self, rows: Sequence[int], materialized: Sequence[datetime]) -> _Answer:
        """Aggregations at the instants of the requests, over the events that counted at the materializations."""
        order = sorted(range(len(rows)), key=lambda place: materialized[place])
        parts, places = [], []
        for at, group in groupby(order, key=lambda place: materialized[place]):
            of = list(group)
            chosen = [rows[place] for place in of]
            asked = [self.table.asked_at[row] for row in chosen]
            parts.append(self._training(_known_by(self.view, at, self.warehouse.dialect), chosen, asked))
            places += of
        return _together(parts, places)

    def _training(self, view: FeatureView, rows: Sequence[int], instants: Sequence[datetime]) -> _Answer:
        chosen = pa.array(rows, pa.int64())
        spine = self.table.keys.take(chosen)
        moments = pa.array([as_utc(at).replace(tzinfo=None) for at in instants], pa.timestamp("us"))
        spine = spine.append_column(asked_at(view), moments)
        for name in dict.fromkeys(name for feature in self.features for name in _needed(feature)):
            if name not in spine.column_names:
                spine = spine.append_column(name, self.table.inputs[name].take(chosen))
        features = [view.feature(feature.name) or feature for feature in self.features]
        batches = list(training_answers(self.warehouse, view, features, spine))
        there: list[bool] = []
        times: list[datetime | None] = []
        for batch in batches:
            there += answered(view, self.features, batch).to_pylist()
            times += row_times(view, batch) or [None] * batch.num_rows
        values = {feature.name: _whole(batches, feature.name) for feature in self.features}
        served = {feature.name: self.table.values[feature.name].take(chosen) for feature in self.features}
        return _Answer(there, times, values, {name: moved(served[name], of).to_pylist() for name, of in values.items()})

    def _nothing(self, then: _Answer, feature: Feature, place: int, row: int) -> bool:
        """Whether there was nothing to aggregate: an event that came later makes a count of none where there was no row."""
        return self.view.aggregated and self.table.statuses[row] is not None and then.values[feature.name][place].as_py() in (None, 0)

    def _example(self, outcome: Outcome, served: Any, now: _Answer, feature: Feature, row: int) -> Example:
        keys = {name: self.table.keys.column(name)[row].as_py() for name in self.table.keys.column_names}
        times = (self.table.event_timestamps[row], now.times[row])
        when = (self.table.asked_at[row], self.table.materialized_at[row])
        return Example(keys, outcome, served.as_py(), now.values[feature.name][row].as_py(), *times, *when)


def _began(row_time: datetime | None, view: FeatureView, asked: datetime) -> datetime:
    """From which instant on the row that was served counts, at the latest when it was asked for."""
    return asked if row_time is None or asked - row_time <= view.available_after else row_time + view.available_after


def _known_by(view: FeatureView, at: datetime, dialect: str) -> FeatureView:
    """A view of aggregations over the events that counted at that instant."""
    facts = dialect_named(dialect)
    counts = exp.LTE(
        this=instant(column(view.event_timestamp.stored_name), view.event_timestamp.value_type, facts),
        expression=instant_literal(at - view.available_after, facts),
    )
    known: exp.Expression = counts
    if view.created_timestamp is not None:
        created = instant(column(view.created_timestamp.stored_name), view.created_timestamp.value_type, facts)
        known = exp.And(this=counts, expression=exp.LTE(this=created, expression=instant_literal(at, facts)))
    text = render(known, facts)
    features = []
    for feature in view.features:
        assert feature.aggregation is not None
        own = feature.aggregation.filter
        features.append(replace(feature, aggregation=replace(feature.aggregation, filter=text if own is None else f"({own}\n) AND {text}")))
    return replace(view, features=tuple(features))


def _together(parts: Sequence[_Answer], places: Sequence[int]) -> _Answer:
    """Answers about rows at those places, as one in the order of the places."""
    back = sorted(range(len(places)), key=places.__getitem__)
    there = [each for part in parts for each in part.there]
    times = [each for part in parts for each in part.times]
    values = {name: pa.concat_arrays([part.values[name] for part in parts]).take(pa.array(back, pa.int64())) for name in parts[0].values}
    differs = {name: [each for part in parts for each in part.differs[name]] for name in parts[0].differs}
    return _Answer(
        [there[at] for at in back], [times[at] for at in back], values, {name: [of[at] for at in back] for name, of in differs.items()}
    )


def _whole(batches: Sequence[pa.RecordBatch], name: str) -> pa.Array:
    return pa.concat_arrays([batch.column(name) for batch in batches])


def _needed(feature: Feature) -> Mapping[str, Any]:
    """The inputs that a feature on demand needs, with their types."""
    return feature.on_demand.inputs if feature.on_demand else {}


def _reads_clock(tree: Expression) -> bool:
    """Whether an expression is about the instant of the request."""
    return tree.operation is Operation.REQUESTED_AT or any(map(_reads_clock, tree.operands))
