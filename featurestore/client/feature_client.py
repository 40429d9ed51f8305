"""The clients of a feature server, sync and for asyncio. Both send what `calls` decides, and differ only in how they send and wait."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Any

from featurestore.errors import NotInstalledError, RequestError

try:
    import httpx
except ImportError:
    raise NotInstalledError("httpx", "client", "featurestore.client") from None

import msgspec

from featurestore.registry.definitions import FeatureService
from featurestore.serving.lookup import EntityRows
from featurestore.serving.online_features import OnlineFeatures
from featurestore.serving.published import WantedFeatures
from featurestore.serving.push import Pushed, PushedRows
from featurestore.serving.shapes import column_lists, refuse_no_rows
from featurestore.serving.wire import MEDIA_TYPE, from_wire

from .calls import Call, Outcome, Pause, Steps, call_steps, decoded, encoded, unexpected, written

TIMEOUT = 5.0
MOST_CONNECTIONS = 100
KEEP_ALIVE = 60.0
"""Seconds; a little less than the server's, so that a connection is not closed just when it is used again."""

ApiKey = str | Callable[[], str] | None


class _Client:
    """What both clients share."""

    def __init__(self, url: str, api_key: ApiKey, timeout: float, retries: int, verify: bool | str | Path | ssl.SSLContext) -> None:
        self._place, self._api_key, self._retries = str(httpx.URL(url).copy_with(userinfo=b"")), api_key, retries
        self._options: dict[str, Any] = {
            "base_url": url,
            "timeout": timeout,
            "verify": ssl.create_default_context(cafile=str(verify)) if isinstance(verify, str | Path) else verify,
            "limits": httpx.Limits(max_connections=MOST_CONNECTIONS, keepalive_expiry=KEEP_ALIVE),
        }

    def _headers(self, call: Call) -> dict[str, str]:
        headers = {"content-type": "application/json", "accept": call.accept}
        if self._api_key is not None:
            headers["authorization"] = f"Bearer {_sendable(self._api_key() if callable(self._api_key) else self._api_key)}"
        return headers

    def _reading(self, entity_rows: EntityRows, features: WantedFeatures, full_feature_names: bool) -> Steps:
        content = {"features": _named(features), "full_feature_names": full_feature_names, **_sent(entity_rows)}
        return call_steps(Call("/v1/features", encoded(content), MEDIA_TYPE, repeatable=True), self._retries, self._place)

    def _pushing(self, view: str, rows: PushedRows) -> Steps:
        form = "columns" if isinstance(rows, Mapping) else "rows"
        content = {"view": view, form: written(rows)}
        return call_steps(Call("/v1/push", encoded(content), "application/json", repeatable=False), self._retries, self._place)

    def _pushed(self, data: bytes) -> Pushed:
        pushed: Pushed = decoded(data, Pushed, self._place)
        return pushed

    def _answer(self, data: bytes, entity_rows: EntityRows) -> OnlineFeatures:
        try:
            return from_wire(data, _columns(entity_rows))
        except (msgspec.MsgspecError, ValueError):
            raise unexpected(self._place) from None


class FeatureClient(_Client):
    """Reads and pushes features through a feature server. May be shared by threads; close it, or use it in a `with` block.

    Args:
        url: of the server, such as `https://features.example.com`.
        api_key: an API key or a token, sent as `Authorization: Bearer …`; or a function that gives one, called for every request.
        timeout: seconds for connecting, and for each part of the answer.
        retries: how often a request is sent again where that is safe: the connection failed, or the server is too busy.
        verify: the authorities that the server's certificate is checked against: those that httpx knows, a PEM file of them, or an
            `ssl.SSLContext`, which may hold a client certificate too. False checks nothing.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: ApiKey = None,
        timeout: float = TIMEOUT,
        retries: int = 2,
        verify: bool | str | Path | ssl.SSLContext = True,
    ) -> None:
        super().__init__(url, api_key, timeout, retries, verify)
        self._http = httpx.Client(**self._options)

    def get_online_features(self, entity_rows: EntityRows, features: WantedFeatures, *, full_feature_names: bool = False) -> OnlineFeatures:
        """The current values for some entity rows, as `OnlineFeatureStore.get_online_features` gives them.

        Args:
            entity_rows: a list of dicts, or a dict of lists. Columns that are no join keys pass through.
            features: a feature service or its name, one reference, or a list of references (`view:feature`, `view:*`).
            full_feature_names: name each output column `view__feature`.

        Raises what the reader in process raises, with the server's message; NotAuthenticatedError and NotAllowedError;
        FeatureServerUnavailableError where the server cannot be reached, is too busy or takes too long.
        """
        return self._answer(self._run(self._reading(entity_rows, features, full_feature_names)), entity_rows)

    def push(self, view: str, rows: PushedRows) -> Pushed:
        """Write the newest values of some entities, as `OnlineFeatureStore.push` does.

        Raises what that raises, with the server's message, and what `get_online_features` raises of the server. It is not sent again
        where it may have arrived: after FeatureServerUnavailableError it may be online or not.
        """
        return self._pushed(self._run(self._pushing(view, rows)))

    def close(self) -> None:
        """Give up the connections."""
        self._http.close()

    def __enter__(self) -> FeatureClient:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, steps: Steps) -> bytes:
        try:
            step, outcome = next(steps), None
            while True:
                outcome = self._do(step)
                step = steps.send(outcome)
        except StopIteration as end:
            body: bytes = end.value
            return body

    def _do(self, step: Call | Pause) -> Outcome:
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        try:
            return self._http.post(step.path, content=step.body, headers=self._headers(step))
        except httpx.TransportError as error:
            return error


class AsyncFeatureClient(_Client):
    """As `FeatureClient`, for asyncio: the same arguments, answers and errors."""

    def __init__(
        self,
        url: str,
        *,
        api_key: ApiKey = None,
        timeout: float = TIMEOUT,
        retries: int = 2,
        verify: bool | str | Path | ssl.SSLContext = True,
    ) -> None:
        super().__init__(url, api_key, timeout, retries, verify)
        self._http = httpx.AsyncClient(**self._options)

    async def get_online_features(
        self, entity_rows: EntityRows, features: WantedFeatures, *, full_feature_names: bool = False
    ) -> OnlineFeatures:
        """As `FeatureClient.get_online_features`."""
        return self._answer(await self._run(self._reading(entity_rows, features, full_feature_names)), entity_rows)

    async def push(self, view: str, rows: PushedRows) -> Pushed:
        """As `FeatureClient.push`."""
        return self._pushed(await self._run(self._pushing(view, rows)))

    async def close(self) -> None:
        """Give up the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncFeatureClient:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _run(self, steps: Steps) -> bytes:
        try:
            step = next(steps)
            while True:
                step = steps.send(await self._do(step))
        except StopIteration as end:
            body: bytes = end.value
            return body

    async def _do(self, step: Call | Pause) -> Outcome:
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        try:
            return await self._http.post(step.path, content=step.body, headers=self._headers(step))
        except httpx.TransportError as error:
            return error


def _sendable(api_key: str) -> str:
    """The key as a header holds it, without the line break that a file of it ends in. Raises RequestError, never with the key."""
    key = api_key.strip()
    if not key:
        raise RequestError("The API key is empty.")
    if not (key.isascii() and key.isprintable()):
        raise RequestError("The API key holds characters that no header can have.")
    return key


def _named(features: WantedFeatures) -> str | list[str]:
    if isinstance(features, FeatureService):
        return features.name
    if isinstance(features, str):
        return features
    return [str(each) for each in features]


def _sent(entity_rows: EntityRows) -> dict[str, Any]:
    """The entity rows as the server takes them: rows for rows, columns for columns."""
    if isinstance(entity_rows, Mapping):
        return {"columns": {name: written(values) for name, values in column_lists(entity_rows, "entity rows").items()}}
    refuse_no_rows(entity_rows, "entity rows")
    return {"rows": written(list(entity_rows))}


def _columns(entity_rows: EntityRows) -> dict[str, list[object]]:
    """The entity rows by column, as they stand before the features in an answer."""
    if isinstance(entity_rows, Mapping):
        return {name: list(values) for name, values in entity_rows.items()}
    return {name: [row.get(name) for row in entity_rows] for name in dict.fromkeys(chain.from_iterable(entity_rows))}
