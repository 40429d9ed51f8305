"""What is known of a feature view's last publication. It lives in the online store, so that every machine sees the same state.

A watermark is written after the rows it speaks of, so it never runs ahead of the data: a run that is killed leaves the old one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

import msgspec

from featurestore.codec.versions import watermark_document_name
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import FeatureView
from featurestore.timestamps import duration_micros


class Watermark(msgspec.Struct, frozen=True, omit_defaults=True):
    """Up to where one feature view is online."""

    view: str
    at: datetime
    """The instant it was materialized at: what is online is what training answers for it."""

    sequence: int
    """The number of the run that wrote it."""

    definition: str
    """Fingerprint of everything in the declaration that decides which rows and bytes are online."""

    rows: int
    """How many rows that run wrote."""

    mode: str
    key_prefix: str
    """How the keys of its rows begin. A changed entity changes it."""

    key_version: int = 1
    """The version of the view's keys that its rows are under."""

    event_timestamp: datetime | None = None
    """The newest event time that is online; None when the view is empty."""

    created_timestamp: datetime | None = None
    """The newest created timestamp that the run could see. An incremental run reads on from here."""

    digest: str | None = None
    """Of a view that may be read incrementally: a digest of all its rows in the warehouse."""

    next_change: datetime | None = None
    """When the first row that is in the warehouse already, but does not count yet, starts to count; of a view of aggregations, when
    half of the time is over for which what is online is exact."""

    entity_keys: int | None = None
    """How many entity keys the warehouse had when the view was last read in full: those whose newest row that counts is from
    `entity_keys_from` or later. None: it was not counted."""

    entity_keys_from: datetime | None = None

    invocation_id: str | None = None
    """The dbt invocation whose result was published."""

    code: str | None = None
    """Digest of the models and macros that its rows were last built by as a whole."""


def read_watermarks(store: OnlineStore, project: str, views: Iterable[FeatureView]) -> Mapping[str, Watermark]:
    """The watermarks of those views that have one, by view name."""
    names = [view.name for view in views]
    documents = store.read_documents(project, list(map(watermark_document_name, names)))
    return {name: decoded(document) for name, document in zip(names, documents, strict=True) if document is not None}


def written_watermark(watermark: Watermark) -> dict[str, bytes]:
    """The document that records that a view is online."""
    return {watermark_document_name(watermark.view): msgspec.json.encode(watermark)}


def decoded(document: bytes) -> Watermark:
    """The watermark that a document of the store holds."""
    return msgspec.json.decode(document, type=Watermark)


def fingerprint(view: FeatureView) -> str:
    """A digest that changes whenever the rows or the bytes that a full materialization writes could change.

    Descriptions, owners and the like are left out: editing them republishes nothing.
    """
    parts = (
        str(view.relation),
        *(f"{entity.name}({','.join(f'{key.name} {key.value_type}' for key in entity.join_keys)})" for entity in view.entities),
        f"{view.event_timestamp.name} {view.event_timestamp.value_type}",
        view.created_timestamp.name if view.created_timestamp else "",
        view.valid_to.name if view.valid_to else "",
        str(duration_micros(view.available_after)),
        str(duration_micros(view.ttl)) if view.ttl is not None else "",
        view.late_data.value,
        view.is_deleted.name if view.is_deleted else "",
        str(view.disjoint_validity),
        *(f"{feature.name} {feature.value_type}" for feature in view.features),
        *((str(feature.aggregation) for feature in view.features) if view.aggregated else ()),
        *((str(duration_micros(view.exact_for)),) if view.aggregated else ()),
    )
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
