"""Carry out an audit: for each view, the same keys are asked about offline and online, at the same instant.

Training is asked first, batch by batch, and the online store right after each batch, so memory is bounded. The keys of the warehouse are
asked about, then those that are online and some that never were, of which training may know nothing. A view that was published while it
was audited is audited again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from featurestore.arrow import arrow_type, python_values
from featurestore.codec.keys import encode_keys, key_space
from featurestore.errors import OnlineStoreError
from featurestore.materialize.drift import keys_served_otherwise, served_otherwise
from featurestore.materialize.watermarks import Watermark, read_watermarks
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import Feature, FeatureReference, FeatureView
from featurestore.serving.reader import OnlineFeatureStore
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import render
from featurestore.timestamps import as_utc
from featurestore.warehouse.base import Warehouse

from .keys import OnlineKeys, keys_never_seen, spine_of_warehouse
from .outcomes import Answers, FeatureAudit, Tally
from .served_log import LinesRead
from .training import answered, asked_at, row_times, training_answers

ATTEMPTS = 3
"""How often a view is audited when it is published meanwhile."""


@dataclass(frozen=True, slots=True)
class ViewAudit:
    """What was found of one feature view."""

    view: str
    keys: int
    """How many entity keys were asked about; of a log, how many rows it has of the view."""

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
class ServedPart:
    """What an audit of served values is about."""

    since: datetime
    """The first instant that something was asked at."""

    until: datetime
    """The last one."""

    log: LinesRead


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit found."""

    at: datetime
    """The instant that both sides were asked about; of a log, when it was audited."""

    views: tuple[ViewAudit, ...]
    served: ServedPart | None = None
    """What of a log was compared. None: what is online was."""

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
        for batch in training_answers(self.warehouse, view, features, self._of_warehouse(view)):
            asked.add(_once(asked, batch) if self.sample else batch.filter(asked.there(batch)))
        for keys in (*online.tables(), keys_never_seen(view)):
            answers = training_answers(self.warehouse, view, features, self._of_keys(view, keys)) if keys.num_rows else ()
            for batch in answers:
                # Of all keys, those of which training has a row were asked about already.
                asked.add(_once(asked, batch) if self.sample else batch.filter(pc.invert(asked.there(batch))))
        if online.unreadable:
            drift = (*drift, f"{len(online.unreadable)} keys are spelled as no key of it is, such as {online.unreadable[0]}")
        return ViewAudit(view.name, asked.keys, tuple(tally.result() for tally in asked.tallies.values()), drift, as_utc(watermark.at))

    def _of_warehouse(self, view: FeatureView) -> str:
        dialect = self.warehouse.dialect
        return render(spine_of_warehouse(view, self.at, asked_at(view), dialect, self.sample), dialect_named(dialect))

    def _of_keys(self, view: FeatureView, keys: pa.Table) -> pa.Table:
        instants = pa.array([as_utc(self.at).replace(tzinfo=None)] * keys.num_rows, pa.timestamp("us"))
        return keys.append_column(asked_at(view), instants)

    def _watermark(self, view: FeatureView) -> Watermark | None:
        return read_watermarks(self.store, self.project, [view]).get(view.name)


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
        """Whether training has a row that counts."""
        return answered(self.view, self.features, batch)

    def add(self, batch: pa.RecordBatch) -> None:
        """Ask the online store about the keys of training's answer, and count how both compare."""
        if batch.num_rows == 0:
            return
        keys = {key.name: batch.column(key.name).to_pylist() for key in self.view.join_keys}
        answer = self.reader.get_online_features(keys, [f"{self.view.name}:{feature.name}" for feature in self.features])
        times = row_times(self.view, batch)
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
