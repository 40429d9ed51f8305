"""A view's history: its rows as every query reads them, and the order in which one row beats another.

A row belongs to the history when its keys and its timestamp are not null and no deletion is recorded in it. Its columns are the join
keys, the instants as naive UTC under names of our own, and the features. Among rows that count, the greatest event timestamp wins, then
the greatest created timestamp, then the greatest value of the first feature, the second, … (null is smallest), and last the row that
ends last: so two rows that differ anywhere are told apart, and every query of a view, whatever it asks for, picks the same row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlglot import exp

from featurestore.registry.definitions import Column, Feature, FeatureView, LateData

from .dialects import Dialect
from .expressions import (
    any_of,
    column,
    comparable_text,
    descending,
    endless_first,
    feature_value,
    greatest_first,
    is_null,
    key_value,
    named,
    not_null,
    relation,
    unused,
)
from .instants import instant, later, stored_as


@dataclass(frozen=True, slots=True)
class HistoryNames:
    """What the columns of a history that are neither key nor feature are called, so that they meet neither."""

    event_timestamp: str
    created_timestamp: str
    valid_to: str
    known_at: str
    version: str


def history_names(view: FeatureView, taken: Iterable[str] = ()) -> HistoryNames:
    """Names that no key and no feature of the view has, and none of `taken`."""
    own = [*(key.name for key in view.join_keys), *(feature.name for feature in view.features), *taken]
    return HistoryNames(
        event_timestamp=unused("event_timestamp", own),
        created_timestamp=unused("created_timestamp", own),
        valid_to=unused("valid_to", own),
        known_at=unused("known_at", own) if known_differs(view) else unused("event_timestamp", own),
        version=unused("version", own),
    )


def known_differs(view: FeatureView) -> bool:
    """Whether a row is known at another instant than its event timestamp."""
    return bool(view.available_after) or as_known(view)


def as_known(view: FeatureView) -> bool:
    """Whether a row counts only from the instant on at which it was written."""
    return view.late_data is LateData.AS_KNOWN and view.created_timestamp is not None


@dataclass(frozen=True, slots=True)
class History:
    """The pieces that queries of one view's history are put together from."""

    view: FeatureView
    names: HistoryNames
    dialect: Dialect

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of the join keys."""
        return tuple(key.name for key in self.view.join_keys)

    def raw(self, name: Column | Feature) -> exp.Column:
        """A column of the model itself."""
        return column(name.stored_name, self.view.relation.identifier)

    def raw_keys(self) -> list[exp.Expression]:
        """The join keys of a row of the model itself, as they are compared."""
        return [key_value(self.raw(key), key.value_type, self.dialect) for key in self.view.join_keys]

    def same_key_as(self, other: str) -> list[exp.Expression]:
        """That a row of the model itself speaks of the same entity key as one of another relation."""
        keys = self.view.join_keys
        return [exp.EQ(this=column(key.name, other), expression=key_value(self.raw(key), key.value_type, self.dialect)) for key in keys]

    @property
    def event_timestamp(self) -> exp.Expression:
        return self._instant(self.view.event_timestamp)

    @property
    def created_timestamp(self) -> exp.Expression:
        return self._instant(self.view.created_timestamp) if self.view.created_timestamp else exp.null()

    @property
    def valid_to(self) -> exp.Expression:
        return self._instant(self.view.valid_to) if self.view.valid_to else exp.null()

    @property
    def known_at(self) -> exp.Expression:
        """From when on a row counts."""
        available = later(self.event_timestamp, self.view.available_after, self.dialect)
        if not as_known(self.view):
            return available
        # Spelled out, because warehouses disagree about GREATEST with a null in it.
        written_later = exp.GT(this=self.created_timestamp, expression=available)
        return exp.Case(ifs=[exp.If(this=written_later, true=self.created_timestamp)], default=available.copy())

    def stored_by(self, moment: exp.Expression) -> exp.Expression:
        """That the event timestamp is at an instant or before: said of the column as it is stored, so that an index of it is of use."""
        return exp.LTE(this=self.raw(self.view.event_timestamp), expression=stored_as(moment, self.view.event_timestamp.value_type))

    def select(
        self, features: Sequence[Feature] = (), *, created: bool = False, valid_to: bool = False, known_at: bool = False
    ) -> exp.Select:
        """The rows of the history with their keys, event timestamp, and what else is asked for."""
        names = self.names
        chosen = [named(key_value(self.raw(key), key.value_type, self.dialect), key.name) for key in self.view.join_keys]
        chosen.append(named(self.event_timestamp, names.event_timestamp))
        if created and self.view.created_timestamp:
            chosen.append(named(self.created_timestamp, names.created_timestamp))
        if valid_to and self.view.valid_to:
            chosen.append(named(self.valid_to, names.valid_to))
        if known_at and known_differs(self.view):
            chosen.append(named(self.known_at, names.known_at))
        chosen += [named(feature_value(self.raw(each), each.value_type, self.dialect), each.name) for each in features]
        return exp.select(*chosen).from_(relation(self.view.relation)).where(*self._belongs())

    def ever_counts(self) -> exp.Expression | None:
        """Of a snapshot: whether there is any instant at which the row counts."""
        if self.view.valid_to is None:
            return None
        return any_of(is_null(self.valid_to), exp.GT(this=self.valid_to, expression=self.known_at))

    def newest_first(self, of: str, *, event_timestamp: bool = False) -> list[exp.Ordered]:
        """The order in which the winner comes first, over columns of a history called `of`."""
        names, view = self.names, self.view
        order = [descending(column(names.event_timestamp, of))] if event_timestamp else []
        if view.created_timestamp:
            order.append(descending(column(names.created_timestamp, of)))
        for feature in view.features:
            order += greatest_first(feature, column(feature.name, of), self.dialect)
        return order + endless_first(column(names.valid_to, of)) if view.valid_to else order

    def _instant(self, of: Column) -> exp.Expression:
        return instant(self.raw(of), of.value_type, self.dialect)

    def _belongs(self) -> list[exp.Expression]:
        present = [not_null(self.raw(of)) for of in (*self.view.join_keys, self.view.event_timestamp)]
        if self.view.is_deleted is None:
            return present
        text = exp.Lower(this=comparable_text(self.raw(self.view.is_deleted), self.dialect))
        deleted = exp.Coalesce(this=text, expressions=[exp.Literal.string("false")])
        return [*present, exp.NEQ(this=deleted, expression=exp.Literal.string("true"))]
