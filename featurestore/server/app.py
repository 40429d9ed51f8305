"""The ASGI application. A request takes one way through `_answer`: route, authorize, limit the load, read the body, ask the endpoint;
whatever goes wrong on it becomes an error of one shape. No stack of middleware: each layer would cost as much as the read itself.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from time import perf_counter

from featurestore.errors import FeatureStoreError
from featurestore.online_store.connect import open_async_store
from featurestore.served_log import ServedLog
from featurestore.serving.reader import AsyncOnlineFeatureStore

from . import features, listing, monitoring, openapi, push, status
from .access.callers import EVERYBODY
from .access.guard import Access
from .access.secret_words import without_secrets
from .access_log import AccessLog
from .bodies import CLOSE, read_body
from .deadlines import Deadlines
from .feast import routes as feast
from .http import INTERNAL, HttpError, Receive, Request, Response, Scope, Send, as_http_error, error_response
from .load import LoadLimit
from .metrics import Metrics, forget_dead_workers
from .observed_store import ObservedStore
from .routes import Route, Serving
from .settings import ServerSettings, settings_from
from .traces import tracing

log = logging.getLogger("featurestore.server")

GROUPS = (features.routes, push.routes, listing.routes, feast.routes, status.routes, monitoring.routes)
"""The groups of endpoints, each one module."""

PUBLISH_EVERY = 1.0
"""Seconds between which a worker makes what it has counted known to the others."""

OTHER = "other"
"""What a path that is none of ours is called, in metrics and logs."""

_NO_ROUTES: Mapping[str, Route] = {}
_SLOW = HttpError(408, "timeout", "The body did not arrive in time.", (CLOSE,))
_LATE = HttpError(504, "timeout", "The request took longer than this server allows.")


def create_app() -> Application:
    """The application that the environment describes: what each worker starts."""
    return Application(settings_from(os.environ))


class Application:
    """One worker's application."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._metrics, self._tracing = Metrics(), tracing(os.environ)
        store = ObservedStore(open_async_store(settings.online_store, settings.base_dir), self._metrics, self._tracing)
        self._served_log = served_log(settings)
        self._store = AsyncOnlineFeatureStore(
            settings.online_store, settings.project, store=store, public_only=True, served_log=self._served_log
        )
        access = Access(settings)
        self._load = LoadLimit(settings.max_concurrency, settings.max_queue)
        self._deadlines = Deadlines(settings.request_timeout)
        self._serving = Serving(settings, store, self._store, access, self._load, self._metrics)
        self._guarded = access.guarded
        documented = _opened([route for group in GROUPS for route in group(self._serving)], access.unguarded)
        self._routes = _by_path((*documented, *_opened(openapi.routes(self._serving, documented), access.unguarded)))
        self._log = AccessLog() if settings.access_log else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return None
        request = Request(scope, perf_counter())
        route = self._routes.get(request.path, _NO_ROUTES).get(request.method)
        endpoint = OTHER if route is None else route.path
        if self._tracing is None:
            response = await self._handled(request, route, receive)
        else:
            with self._tracing.request(request, endpoint) as span:
                response = await self._handled(request, route, receive)
                self._tracing.answered(span, request, response.status)
        if response.status >= 400:
            # An error may repeat words of the request, and a key or a token may be among them by mistake.
            response.body = without_secrets(response.body.decode()).encode()
        await _send(send, request, response)
        self._metrics.count_request(endpoint, request.service, response.status, perf_counter() - request.started)
        if self._log is not None:
            self._log.add(request, endpoint, response.status)

    async def _handled(self, request: Request, route: Route | None, receive: Receive) -> Response:
        """The answer, whatever goes wrong."""
        failed = error_response if route is None else route.error_response
        try:
            return await self._answer(request, route, receive)
        except HttpError as error:
            return failed(error, request.id)
        except FeatureStoreError as error:
            response = failed(as_http_error(error), request.id)
            if response.status >= 500:
                log.error("%s %s: %s", request.id, type(error).__name__, error)
            return response
        except Exception as error:
            log.error("%s failed: %s\n%s", request.id, type(error).__name__, _places(error))
            return failed(INTERNAL, request.id)

    async def _answer(self, request: Request, route: Route | None, receive: Receive) -> Response:
        if route is None:
            raise self._no_route(request.path)
        task, late = self._deadlines.begin(request.started), _LATE
        try:
            request.caller = EVERYBODY if route.anybody or not self._guarded else await self._serving.access.authorize(request)
            if route.open:
                return await route.endpoint(request)
            await self._load.enter()
            try:
                if route.body is not None:
                    late = _SLOW
                    request.body = await read_body(request, receive, self._settings.max_body_bytes)
                    late = _LATE
                return await route.endpoint(request)
            finally:
                self._load.leave()
        except asyncio.CancelledError:
            if not self._deadlines.is_over(task):
                raise
            raise late from None
        finally:
            self._deadlines.end(task)

    def _no_route(self, path: str) -> HttpError:
        methods = ", ".join(self._routes.get(path, ()))
        if not methods:
            return HttpError(404, "not_found", "There is no such endpoint. /docs lists them.")
        return HttpError(405, "method_not_allowed", f"This endpoint takes {methods}.", ((b"allow", methods.encode()),))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        forget_dead_workers()
        # What was imported stays: looking through it for garbage again and again is for nothing.
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 50)
        loop = asyncio.get_running_loop()
        kept = [loop.create_task(self._keep_publishing()), loop.create_task(self._deadlines.keep())]
        await send({"type": "lifespan.startup.complete"})
        await receive()
        for task in kept:
            task.cancel()
        self._metrics.publish(0)
        if self._served_log is not None:
            await asyncio.to_thread(self._served_log.close)
            self._metrics.publish_served_log(self._served_log)
        if self._log is not None:
            self._log.write()
        if self._tracing is not None:
            self._tracing.close()
        await self._store.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _keep_publishing(self) -> None:
        while True:
            self._metrics.publish(self._load.in_flight)
            if self._served_log is not None:
                self._metrics.publish_served_log(self._served_log)
            await asyncio.sleep(PUBLISH_EVERY)


def _opened(routes: Iterable[Route], paths: Collection[str]) -> list[Route]:
    """The routes, those of some paths for anybody."""
    return [replace(route, anybody=True) if route.path in paths else route for route in routes]


def served_log(settings: ServerSettings) -> ServedLog | None:
    """Where those settings have served values logged."""
    if settings.served_log is None:
        return None
    return ServedLog(Path(settings.base_dir, settings.served_log), rate=settings.served_log_rate)


def _by_path(routes: Iterable[Route]) -> Mapping[str, Mapping[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in routes:
        table.setdefault(route.path, {})[route.method] = route
    return table


async def _send(send: Send, request: Request, response: Response) -> None:
    headers = [
        (b"content-type", response.content_type),
        (b"content-length", b"%d" % len(response.body)),
        (b"x-request-id", request.id.encode()),
        *response.headers,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})


def _places(error: BaseException) -> str:
    """Where a bug showed. Not its message: that may quote a value of the request."""
    return "".join(traceback.format_tb(error.__traceback__)).rstrip()
