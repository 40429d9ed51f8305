"""`GET /metrics`, for Prometheus."""

from __future__ import annotations

import asyncio

import msgspec

from featurestore.codec.versions import watermark_document_name
from featurestore.errors import FeatureStoreError
from featurestore.materialize.watermarks import Watermark

from .http import Request, Response
from .metrics import CONTENT_TYPE, Freshness
from .routes import Route, Serving

STORE_TIMEOUT = 2.0
"""Seconds that the store has to say how fresh the views are. Without its answer, the other numbers are given."""


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/metrics`."""

    async def metrics(request: Request) -> Response:
        serving.access.admit_metrics(request)
        try:
            freshness = await asyncio.wait_for(_freshness(serving), STORE_TIMEOUT)
        except (asyncio.TimeoutError, FeatureStoreError):
            freshness = []
        serving.metrics.publish(serving.load.in_flight)
        return Response(200, serving.metrics.text(freshness), CONTENT_TYPE)

    return (Route("GET", "/metrics", metrics, "What Prometheus collects", open=True, forms=(b"text/plain",)),)


async def _freshness(serving: Serving) -> list[Freshness]:
    registry = await serving.store.read_registry()
    names = [view.name for view in registry.views if view.online]
    documents = await serving.online_store.read_documents(serving.settings.project, list(map(watermark_document_name, names)))
    found = []
    for name, document in zip(names, documents, strict=True):
        if document is not None:
            watermark = msgspec.json.decode(document, type=Watermark)
            newest = watermark.event_timestamp
            found.append(Freshness(name, None if newest is None else newest.timestamp(), watermark.at.timestamp()))
    return found
