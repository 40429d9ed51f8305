"""One call of a feature server, decided without sending anything: what is sent, when it is sent again, and what its answer means.

A read is sent again where the connection failed, and where the server says that it is too busy or cannot reach the store: reading twice
is reading once. A push is sent again only where it cannot have arrived: two pushes of one event time are ordered by arrival, and one
that comes again late would overtake what came in between. What took too long is not asked again, which would take as long once more.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import httpx
import msgspec

from featurestore.errors import (
    FeatureServerError,
    FeatureServerUnavailableError,
    FeatureStoreError,
    OnlineStoreUnavailableError,
    RequestError,
    error_code,
)

FIRST_PAUSE = 0.05
"""Seconds before a call is sent again; twice as long each time."""

LONGEST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send."""

    path: str
    body: bytes
    accept: str
    repeatable: bool
    """Whether it may be sent again when it may have arrived."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Outcome: TypeAlias = httpx.Response | httpx.TransportError | None
"""What came of a call; of a pause, nothing."""

Steps: TypeAlias = Generator[Call | Pause, Outcome, bytes]


class _Detail(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Error(msgspec.Struct, frozen=True):
    error: _Detail


def call_steps(call: Call, retries: int, place: str) -> Steps:
    """Send a call, again where that is safe and may help; the body of the answer. Raises FeatureStoreError."""
    pause = FIRST_PAUSE
    for tries_left in range(retries, -1, -1):
        outcome = yield call
        assert outcome is not None
        if isinstance(outcome, httpx.Response) and outcome.status_code == 200:
            return outcome.content
        error = _unreached(outcome, place) if isinstance(outcome, httpx.TransportError) else _refused(outcome, place)
        if not tries_left or not _again(call, outcome, error):
            raise error
        yield Pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    raise AssertionError("The last try returns or raises.")


def encoded(content: Mapping[str, Any]) -> bytes:
    """The body of a request. Raises RequestError for a value that JSON cannot hold."""
    try:
        return msgspec.json.encode(content, enc_hook=_plain)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise RequestError(f"The rows hold something that cannot be sent: {error}.") from None


def written(value: Any) -> Any:
    """A value to push as the server reads it: JSON has no number for a float that is not finite, so it is sent as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {name: written(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [written(item) for item in value]
    return value


def decoded(data: bytes, kind: type[Any], place: str) -> Any:
    """The body of an answer. Raises FeatureServerError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise unexpected(place) from None


def unexpected(place: str) -> FeatureServerError:
    """What is raised for an answer that makes no sense."""
    return FeatureServerError(f"{place} answered something that is no answer of a feature server. Is it the right URL?")


def _plain(value: Any) -> Any:
    """A value of another library as Python's own: numpy's numbers, and what is like an integer."""
    if hasattr(value, "__index__"):
        return operator.index(value)
    if hasattr(value, "item"):
        return value.item()
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    raise TypeError(f"{value!r} ({type(value).__name__})")


def _again(call: Call, outcome: httpx.Response | httpx.TransportError, error: FeatureStoreError) -> bool:
    if isinstance(outcome, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return True
    if isinstance(outcome, httpx.Response):
        # Turned away at the door: nothing was done.
        overloaded = isinstance(error, FeatureServerUnavailableError) and outcome.status_code == 503
        return overloaded or (call.repeatable and isinstance(error, OnlineStoreUnavailableError))
    return call.repeatable and not isinstance(outcome, httpx.TimeoutException)


def _unreached(error: httpx.TransportError, place: str) -> FeatureStoreError:
    if isinstance(error, httpx.TimeoutException):
        return FeatureServerUnavailableError(f"{place} did not answer in time. Ask for fewer rows at once, or give it a longer timeout.")
    return FeatureServerUnavailableError(f"{place} cannot be reached: {error}. Is the feature server running?")


def _refused(response: httpx.Response, place: str) -> FeatureStoreError:
    """The error that the server answered, of the class that it has in process."""
    try:
        detail = json.loads(response.content)["error"]
        code, message = str(detail["code"]), str(detail["message"])
    except (ValueError, KeyError, TypeError):
        if response.status_code in (502, 503, 504):
            return FeatureServerUnavailableError(f"What stands before {place} answered {response.status_code}.")
        return unexpected(place)
    kind = _by_code().get(code)
    if kind is not None:
        # Made without its own constructor, which takes what only the server knows.
        error = kind.__new__(kind, message)
        error.args = (message,)
        return error
    if response.status_code in (503, 504):
        return FeatureServerUnavailableError(f"{place}: {message}")
    if response.status_code in (404, 405) or response.status_code >= 500:
        return FeatureServerError(f"{place}: {message}")
    return RequestError(message)


def _by_code() -> Mapping[str, type[FeatureStoreError]]:
    kinds: dict[str, type[FeatureStoreError]] = {}
    left: list[type[FeatureStoreError]] = [FeatureStoreError]
    while left:
        kind = left.pop()
        kinds[error_code(kind)] = kind
        left += kind.__subclasses__()
    return kinds
