"""Carry out an audit: for each view, the same keys are asked about offline and online, at the same instant.

Training is asked first, batch by batch, and the online store right after each batch, so memory is bounded. The keys of the warehouse are
asked about, then those that are online and some that never were, of which training may know nothing. A view that was published while it
was audited is audited again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.arrow import arrow_type, python_values
from featurestore.codec.keys import encode_keys, key_space
from featurestore.errors import OnlineStoreError
from featurestore.materialize.drift import keys_served_otherwise, served_otherwise
from featurestore.materialize.watermarks import Watermark, read_watermarks
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import Feature, FeatureReference, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.serving.reader import OnlineFeatureStore
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import render, unused
from featurestore.timestamps import as_utc
from featurestore.training.retrieval import historical_features
from featurestore.warehouse.base import Warehouse

from .keys import OnlineKeys, keys_never_seen, spine_of_warehouse
from .outcomes import Answers, FeatureAudit, Tally

ATTEMPTS = 3
"""How often a view is audited when it is published meanwhile."""


@dataclass(frozen=True, slots=True)
class ViewAudit:
    """What was found of one feature view."""

    view: str
    keys: int
    """How many entity keys were asked about."""

    features: tuple[FeatureAudit, ...]
    drift: tuple[str, ...] = ()
    """Where what is served is not what the project declares, in words."""

    watermark: datetime | None = None
    """As of when the view was last materialized; None: it never was."""

    @property
    def agrees(self) -> bool:
        """Whether online and offline say the same."""
        return not self.drift and all(feature.agrees for feature in self.features)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found."""

    at: datetime
    """The instant that both sides were asked about."""

    views: tuple[ViewAudit, ...]

    @property
    def agrees(self) -> bool:
        """Whether online and offline say the same everywhere."""
        return all(view.agrees for view in self.views)


@dataclass(frozen=True)
class Audit:
    """The two sides, and how much of them is compared."""

    project: str
    warehouse: Warehouse
    store: OnlineStore
    open_reader: Callable[[], OnlineFeatureStore]
    """A new one for each attempt, so that it reads the snapshot of that moment; its clock stands at `at`."""

    at: datetime
    sample: int | None
    """Entity keys of each view and side. None: all."""

    examples: int
    """How many values of each kind are shown for each feature."""

    def run(self, views: Sequence[FeatureView]) -> AuditReport:
        """Audit those views; the ones that are not `online` are left out."""
        return AuditReport(as_utc(self.at), tuple(self._settled(view) for view in views if view.online))

    def _settled(self, view: FeatureView) -> ViewAudit:
        """The audit of a view that nobody published meanwhile."""
        for _ in range(ATTEMPTS):
            before = self._watermark(view)
            if before is None:
                return ViewAudit(view.name, 0, (), (f"{view.name} was never published; run `fsdbt materialize`",))
            with self.open_reader() as reader:
                found = self._of_view(view, before, reader)
            after = self._watermark(view)
            if after is not None and after.sequence == before.sequence:
                return found
        raise OnlineStoreError(f"{view.name}: it was published {ATTEMPTS} times while it was audited. Audit it when that is over.")

    def _of_view(self, view: FeatureView, watermark: Watermark, reader: OnlineFeatureStore) -> ViewAudit:
        served = {each.name: each for each in reader.registry.views}.get(view.name)
        if served is None or not served.online:
            return ViewAudit(view.name, 0, (), (f"{view.name} is not served; run `fsdbt materialize`",))
        if (other_keys := keys_served_otherwise(view, served)) is not None:
            return ViewAudit(view.name, 0, (), (other_keys,))
        features, drift = served_otherwise(view, served)
        asked = _Asked(
            view, features, reader, {each.name: Tally(FeatureReference(view.name, each.name), self.examples) for each in features}
        )
        online = OnlineKeys(view, space := key_space(self.project, served), self.store.scan(space), self.sample)
        for batch in self._offline(view, features, self._of_warehouse(view)):
            asked.add(_once(asked, batch) if self.sample else batch.filter(asked.there(batch)))
        for keys in (*online.tables(), keys_never_seen(view)):
            for batch in self._offline(view, features, self._of_keys(view, keys)) if keys.num_rows else ():
                # Of all keys, those of which training has a row were asked about already.
                asked.add(_once(asked, batch) if self.sample else batch.filter(pc.invert(asked.there(batch))))
        if online.unreadable:
            drift = (*drift, f"{len(online.unreadable)} keys are spelled as no key of it is, such as {online.unreadable[0]}")
        return ViewAudit(view.name, asked.keys, tuple(tally.result() for tally in asked.tallies.values()), drift, as_utc(watermark.at))

    def _of_warehouse(self, view: FeatureView) -> str:
        dialect = self.warehouse.dialect
        return render(spine_of_warehouse(view, self.at, self._asked_at(view), dialect, self.sample), dialect_named(dialect))

    def _of_keys(self, view: FeatureView, keys: pa.Table) -> pa.Table:
        instants = pa.array([as_utc(self.at).replace(tzinfo=None)] * keys.num_rows, pa.timestamp("us"))
        return keys.append_column(self._asked_at(view), instants)

    def _offline(self, view: FeatureView, features: Sequence[Feature], spine: Any) -> Iterator[pa.RecordBatch]:
        """Training's answer: the keys, the features, and the event timestamp of the row they come from."""
        asked = list(features)
        if not view.aggregated:
            when = view.event_timestamp
            asked.append(Feature(_event_time_column(view), when.value_type, stored_as=when.stored_name))
            # Last among the features, where it breaks no tie: rows that tie have the same.
            view = replace(view, features=(*view.features, asked[-1]))
        requested = (RequestedView(view, tuple(asked), tuple(feature.name for feature in asked)),)
        asked_at = self._asked_at(view)
        yield from historical_features(self.warehouse, requested, spine, relation_of=_no_model, event_timestamp=asked_at).to_arrow_batches()

    def _watermark(self, view: FeatureView) -> Watermark | None:
        return read_watermarks(self.store, self.project, [view]).get(view.name)

    def _asked_at(self, view: FeatureView) -> str:
        return unused("event_timestamp", [*(key.name for key in view.join_keys), *(feature.name for feature in view.features)])


@dataclass
class _Asked:
    """What was asked about one view, and how both sides answered."""

    view: FeatureView
    features: Sequence[Feature]
    reader: OnlineFeatureStore
    tallies: Mapping[str, Tally]
    keys: int = 0
    seen: set[str] = field(default_factory=set)
    """The entity keys of a sample that were asked about."""

    def there(self, batch: pa.RecordBatch) -> pa.Array:
        """Whether training has a row that counts. Of aggregations it has one where any of them has a value."""
        if not self.view.aggregated:
            return batch.column(_event_time_column(self.view)).is_valid()
        found = pa.array([False] * batch.num_rows, pa.bool_())
        for feature in self.features:
            found = pc.or_(found, batch.column(feature.name).is_valid())
        return found

    def add(self, batch: pa.RecordBatch) -> None:
        """Ask the online store about the keys of training's answer, and count how both compare."""
        if batch.num_rows == 0:
            return
        keys = {key.name: batch.column(key.name).to_pylist() for key in self.view.join_keys}
        answer = self.reader.get_online_features(keys, [f"{self.view.name}:{feature.name}" for feature in self.features])
        times = None if self.view.aggregated else _instants(batch.column(_event_time_column(self.view)))
        online, statuses, online_times = answer.to_dict(), answer.statuses(), answer.event_timestamps()
        there = self.there(batch).to_pylist()
        for feature in self.features:
            served = pa.array(python_values(online[feature.name], feature.value_type), arrow_type(feature.value_type))
            of = Answers(batch.column(feature.name), times, there, served, online_times[feature.name], statuses[feature.name])
            self.tallies[feature.name].add(keys, of)
        self.keys += batch.num_rows


def _once(asked: _Asked, batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows of keys that were not asked about before: a sample takes some from both sides."""
    join_keys = asked.view.join_keys
    texts = encode_keys(join_keys, [batch.column(key.name).to_pylist() for key in join_keys]) if batch.num_rows else []
    new = []
    for text in texts:
        new.append(text not in asked.seen)
        asked.seen.add(text)
    return batch.filter(pa.array(new, pa.bool_()))


def _instants(column: pa.Array) -> list[datetime | None]:
    moments = (
        column.cast(pa.timestamp("us")).to_pylist()
        if not pa.types.is_timestamp(column.type) or column.type.tz is None
        else column.to_pylist()
    )
    return [None if moment is None else as_utc(moment) for moment in moments]


def _event_time_column(view: FeatureView) -> str:
    """A name for the event timestamp of training's row that no feature has."""
    return unused("row_event_timestamp", [*(key.name for key in view.join_keys), *(feature.name for feature in view.features)])


def _no_model(name: str) -> Any:
    raise AssertionError(f"no spine of an audit is a model: {name}")
