"""What a log says of an answer: one line of JSON for each feature view, that training can be asked the same by.

    {"asked_at": "2024-01-31T14:00:00.000001Z", "project": "shop", "snapshot": "5f0c…", "feature_view": "customer_orders", "key_version": 1,
     "materialized_at": "2024-01-31T13:00:00Z", "join_keys": {"customer_id": "int64"}, "features": {"orders_7d": "int64"}, "inputs": {},
     "entity_keys": ["1", "2"], "event_timestamps": ["2024-01-31T09:00:00Z", null], "statuses": [null, "NOT_FOUND"],
     "values": {"orders_7d": [3, null]}, "input_values": {}}

Entity keys are spelled as in the online store, null where a join key was; values are in the forms of `json_values`, by which they are
read back exactly. `statuses` says why a row has no values; null: every row has. `materialized_at` is what the view's watermark said at
most a minute before; null: it was not known. Of what the request brought, only join keys and the inputs that features on demand were
worked out from are logged. Nothing is of a model with `access: private`, which only its own project may read: a log is read by more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from random import sample
from typing import Any

import msgspec

from featurestore.registry.definitions import Column
from featurestore.registry.registry import PRIVATE, RequestedView
from featurestore.served_log import ServedLog
from featurestore.timestamps import as_utc, from_micros

from .json_values import ColumnWriter
from .lookup import Lookup, OnlineRequest, RequestedRows
from .online_features import OnlineFeatures, Status, ViewAnswer
from .published import Published

MOST_ROWS = 100
"""Entity rows of one answer that are logged; of a larger one, as many are drawn."""

MOST_WRITERS_KEPT = 1024


class ServedValues(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log: what one feature view answered to one request."""

    asked_at: datetime
    """The instant by which it was answered."""

    project: str
    snapshot: str
    """Digest of the registry snapshot that the reader went by."""

    feature_view: str
    key_version: int
    materialized_at: datetime | None
    join_keys: dict[str, str]
    """Their types, in the order in which an entity key spells them."""

    features: dict[str, str]
    """Types of what was asked for, by the features' own names."""

    inputs: dict[str, str]
    """Types of the inputs of features on demand."""

    entity_keys: list[str | None]
    event_timestamps: list[datetime | None]
    statuses: list[Status | None] | None
    values: dict[str, list[Any]]
    input_values: dict[str, list[Any]]


class _Watermark(msgspec.Struct, frozen=True):
    """What matters here of a view's watermark."""

    at: datetime


@dataclass(frozen=True, slots=True)
class ServedBy:
    """What a reader goes by while it answers."""

    published: Published
    materialized_at: Mapping[str, datetime]
    """By feature view."""


class AnswerLog:
    """Logs the answers of one reader.

    Args:
        log: where the lines go.
    """

    def __init__(self, project: str, log: ServedLog) -> None:
        self._project, self._log = project, log
        self._materialized_at: Mapping[str, datetime] = {}
        self._writers: dict[int, tuple[OnlineRequest, list[_PartWriter | None]]] = {}

    def chosen(self) -> bool:
        """Whether this request is one that is logged."""
        return self._log.chosen()

    def learn(self, watermarks: Mapping[str, bytes | None]) -> None:
        """The watermarks of views, from now on."""
        at: dict[str, datetime] = {}
        for view, document in watermarks.items():
            if document is not None:
                with suppress(msgspec.DecodeError):
                    at[view] = msgspec.json.decode(document, type=_Watermark).at
        self._materialized_at = at

    def served_by(self, published: Published) -> ServedBy:
        """What to log of a request whose rows are read after this: they are at least as new as the watermarks that are known now."""
        return ServedBy(published, self._materialized_at)

    def add(self, by: ServedBy, lookup: Lookup, answer: OnlineFeatures, now: datetime) -> None:
        """Log an answer, and when it was asked for."""
        self._log.add(lambda: self._lines(by, lookup, answer, as_utc(now)))

    def _lines(self, by: ServedBy, lookup: Lookup, answer: OnlineFeatures, now: datetime) -> list[bytes]:
        count = lookup.row_count
        rows = range(count) if count <= MOST_ROWS else sorted(sample(range(count), MOST_ROWS))
        lines, start = [], 0
        for writer, view, positions in zip(self._writers_of(lookup.request), answer.parts, lookup.found_at, strict=True):
            stop = start + (count if positions is None else len(positions))
            if writer is not None:
                lines.append(writer.line(by, lookup, view, lookup.keys[start:stop], positions, rows, now))
            start = stop
        return lines

    def _writers_of(self, request: OnlineRequest) -> list[_PartWriter | None]:
        """One for each feature view; None for a private one, of which nothing is logged."""
        kept = self._writers.get(id(request))
        if kept is None or kept[0] is not request:
            if len(self._writers) >= MOST_WRITERS_KEPT:
                self._writers = {}
            parts = zip(request.requested, request.parts, strict=True)
            writers = [None if wanted.view.access == PRIVATE else _PartWriter(self._project, wanted, part) for wanted, part in parts]
            kept = self._writers[id(request)] = (request, writers)
        return kept[1]


class _PartWriter:
    """Writes the line of one feature view."""

    def __init__(self, project: str, wanted: RequestedView, part: RequestedRows) -> None:
        self._project, self._space, self._view = project, part.space, wanted.view
        self._features = [Column(feature.name, feature.value_type) for feature in wanted.features]
        inputs = {name: kind for feature in wanted.features if feature.on_demand for name, kind in feature.on_demand.inputs.items()}
        self._inputs = [Column(name, kind) for name, kind in inputs.items()]
        self._join_keys = {key.name: str(key.value_type) for key in wanted.view.join_keys}
        self._types = {feature.name: str(feature.value_type) for feature in self._features}
        self._input_types = {name: str(kind) for name, kind in inputs.items()}
        self._writer = ColumnWriter([*self._features, *self._inputs])

    def line(
        self,
        by: ServedBy,
        lookup: Lookup,
        answer: ViewAnswer,
        keys: Sequence[bytes],
        positions: Sequence[int] | None,
        rows: Sequence[int],
        now: datetime,
    ) -> bytes:
        """Its line.

        Args:
            keys: the full keys that were read for it.
            positions: which entity rows they belong to. None: all of them.
            rows: the entity rows that are logged.
        """
        texts = dict(zip(range(len(keys)) if positions is None else positions, keys, strict=True))
        start, end = len(self._space.prefix), len(self._space.suffix)
        times = answer.event_times()
        columns: list[Sequence[Any]] = [[column[row] for row in rows] for column in answer.columns]
        brought = (lookup.inputs[each.name, each.value_type] for each in self._inputs)
        columns += [[values[row] for row in rows] for values in brought]
        self._writer.write(columns)
        names = [column.name for column in (*self._features, *self._inputs)]
        named, split = list(zip(names, columns, strict=True)), len(self._features)
        return msgspec.json.encode(
            ServedValues(
                asked_at=now,
                project=self._project,
                snapshot=by.published.digest,
                feature_view=self._view.name,
                key_version=self._view.key_version,
                materialized_at=by.materialized_at.get(self._view.name),
                join_keys=self._join_keys,
                features=self._types,
                inputs=self._input_types,
                entity_keys=[key[start : len(key) - end].decode() if (key := texts.get(row)) is not None else None for row in rows],
                event_timestamps=[None if (time := times[row]) is None else from_micros(time) for row in rows],
                statuses=None if answer.without_values is None else [answer.without_values[row] for row in rows],
                values=dict(named[:split]),  # type: ignore[arg-type]
                input_values=dict(named[split:]),  # type: ignore[arg-type]
            )
        )
