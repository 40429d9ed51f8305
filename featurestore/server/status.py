"""Whether the server lives (`/health`) and whether it can answer (`/ready`): what a load balancer and an orchestrator ask."""

from __future__ import annotations

import asyncio

import msgspec

from featurestore.errors import FeatureStoreError

from .http import HttpError, Request, Response, as_http_error, error_response
from .routes import Route, Serving

READY_TIMEOUT = 2.0
"""Seconds within which `/ready` answers, also when the store does not."""


class Ready(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `/ready` answers when the server can answer requests: nothing more than that where a key is needed to know more."""

    project: str | None = None
    feature_views: int | None = None
    feature_services: int | None = None


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/health` and `/ready`."""

    async def health(_: Request) -> Response:
        return Response(200)

    async def ready(request: Request) -> Response:
        try:
            registry = await asyncio.wait_for(serving.store.check(), READY_TIMEOUT)
        except asyncio.TimeoutError:
            late = HttpError(503, "online_store_unavailable", f"The online store did not answer within {READY_TIMEOUT:g} seconds.")
            return error_response(late, request.id)
        except FeatureStoreError as error:
            return error_response(as_http_error(error), request.id)
        shown = Ready() if serving.access.guarded else Ready(registry.project, len(registry.views), len(registry.services))
        return Response(200, msgspec.json.encode(shown))

    return (
        Route("GET", "/health", health, "Whether the server lives", open=True, anybody=True),
        Route(
            "GET",
            "/ready",
            ready,
            "Whether the server can answer: the store is reached and holds this project",
            answer=Ready,
            open=True,
            anybody=True,
        ),
    )
