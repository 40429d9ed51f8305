"""A small project in an online store, as materialize leaves it: the snapshot, the schemas, the rows. No dbt, no warehouse."""

from __future__ import annotations

from datetime import timezone
from typing import Any

import codec_cases as cases

from featurestore import OnlineFeatureStore
from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import RowSchema, run_sequence
from featurestore.materialize.watermarks import Watermark, fingerprint, written_watermark
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import FeatureReference, FeatureService, FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import SNAPSHOT, to_json
from featurestore.registry.value_types import FLOAT64, INT64, STRING

NOON = cases.NOON.replace(tzinfo=timezone.utc)
ORDERS = cases.feature_view("orders", {"orders_7d": INT64, "spent": FLOAT64})
PROFILE = cases.feature_view("profile", {"city": STRING})
CHURN = FeatureService(
    "churn", "exposure.shop.churn", "models/services.yml", (FeatureReference("orders", "*"), FeatureReference("profile", "city"))
)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self):
        return self.now


def watermark_of(view: FeatureView) -> Watermark:
    """As a run leaves it that found no row."""
    prefix = key_space("shop", view).prefix.decode()
    return Watermark(view.name, NOON, 0, fingerprint(view), 0, "full", prefix, key_version=view.key_version)


class Shop:
    """A project published to a store."""

    def __init__(self, url: str) -> None:
        self.url, self.clock = url, Clock()
        self.store = open_store(url)

    def publish(self, *views: FeatureView, services: tuple[FeatureService, ...] = (CHURN,)) -> None:
        known = {view.name for view in views}
        kept = [service for service in services if {reference.view for reference in service.features} <= known]
        snapshot = {SNAPSHOT: to_json(Registry("shop", tuple(views), tuple(kept)))}
        marks = {name: document for view in views for name, document in written_watermark(watermark_of(view)).items()}
        self.store.write_documents("shop", snapshot | marks)

    def write(self, view: FeatureView, *rows: dict[str, Any], run: int | None = None) -> None:
        schema = RowSchema.of(view)
        self.store.write_documents("shop", {schema.document_name: schema.to_document()})
        run = run or run_sequence(self.store.next_sequence("shop"))
        self.store.write(RowEncoder("shop", view, run).encode(cases.batch_of(view, rows)), WriteMode.NEWEST_WINS)

    def reader(self, **options: Any) -> OnlineFeatureStore:
        return OnlineFeatureStore(self.url, "shop", clock=self.clock, **options)
