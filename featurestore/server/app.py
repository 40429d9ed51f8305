"""The ASGI application. A request takes one way through `_answer`: route, authorize, limit the load, read the body, ask the endpoint;
whatever goes wrong on it becomes an error of one shape. No stack of middleware: each layer would cost as much as the read itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
import traceback
from collections.abc import Mapping

from featurestore.errors import FeatureStoreError
from featurestore.serving.reader import AsyncOnlineFeatureStore

from . import features, status
from .access.guard import Access
from .http import INTERNAL, HttpError, Receive, Request, Response, Scope, Send, as_http_error, error_response
from .load import LoadLimit
from .routes import Route, Serving
from .settings import ServerSettings, settings_from

if sys.version_info >= (3, 11):
    from asyncio import timeout
else:
    from async_timeout import timeout

log = logging.getLogger("featurestore.server")

_CLOSE = (b"connection", b"close")
_LATE = HttpError(504, "timeout", "The request took longer than this server allows.")


def create_app() -> Application:
    """The application that the environment describes: what each worker starts."""
    return Application(settings_from(os.environ))


class Application:
    """One worker's application."""

    def __init__(self, settings: ServerSettings) -> None:
        self._settings = settings
        self._store = AsyncOnlineFeatureStore(settings.online_store, settings.project, base_dir=settings.base_dir, public_only=True)
        self._serving = Serving(settings, self._store, Access(settings))
        self._routes = _by_path((*features.routes(self._serving), *status.routes(self._serving)))
        self._load = LoadLimit(settings.max_concurrency, settings.max_queue)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._lifespan(receive, send)
        if scope["type"] != "http":
            return None
        request = Request(scope, time.perf_counter())
        try:
            response = await self._answer(request, receive)
        except HttpError as error:
            response = error_response(error, request.id)
        except FeatureStoreError as error:
            response = error_response(as_http_error(error), request.id)
            if response.status >= 500:
                log.error("%s %s: %s", request.id, type(error).__name__, error)
        except Exception as error:
            log.error("%s failed: %s\n%s", request.id, type(error).__name__, _places(error))
            response = error_response(INTERNAL, request.id)
        await _send(send, request, response)

    async def _answer(self, request: Request, receive: Receive) -> Response:
        route = self._route(request)
        if not route.anybody:
            request.caller = await self._serving.access.authorize(request)
        if route.open:
            return await route.endpoint(request)
        try:
            async with timeout(self._settings.request_timeout):
                await self._load.enter()
                try:
                    if route.body is not None:
                        request.body = await _read_body(request, receive, self._settings.max_body_bytes)
                    return await route.endpoint(request)
                finally:
                    self._load.leave()
        except (asyncio.TimeoutError, TimeoutError):
            raise _LATE from None

    def _route(self, request: Request) -> Route:
        try:
            return self._routes[request.path][request.method]
        except KeyError:
            methods = self._routes.get(request.path)
        if methods is None:
            raise HttpError(404, "not_found", "There is no such endpoint. /docs lists them.")
        allowed = ", ".join(methods)
        raise HttpError(405, "method_not_allowed", f"This endpoint takes {allowed}.", ((b"allow", allowed.encode()),))

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            if event == "lifespan.shutdown":
                await self._store.close()
                return await send({"type": "lifespan.shutdown.complete"})
            await send({"type": "lifespan.startup.complete"})


def _by_path(routes: tuple[Route, ...]) -> Mapping[str, Mapping[str, Route]]:
    table: dict[str, dict[str, Route]] = {}
    for route in routes:
        table.setdefault(route.path, {})[route.method] = route
    return table


async def _read_body(request: Request, receive: Receive, most: int) -> bytes:
    """The whole body. Raises HttpError 413 as soon as it is known to be too large."""
    too_large = HttpError(413, "body_too_large", f"The body may have {most} bytes. Ask for fewer rows at once.", (_CLOSE,))
    length = request.headers.get(b"content-length")
    if length is not None and int(length) > most:
        raise too_large
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body") and size <= most:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise HttpError(400, "incomplete_body", "The body ended before it was whole.")
    if len(body) > most:
        raise too_large
    return body


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
